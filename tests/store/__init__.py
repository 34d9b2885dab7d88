"""The store: one conformance suite for every implementation, and what only a real server can show."""
