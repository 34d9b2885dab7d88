"""Durable state over the Redis protocol: intent verbs, atomic scripts, and the embedded server."""
