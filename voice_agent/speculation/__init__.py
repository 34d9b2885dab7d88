"""Thinking ahead: an ordinary turn runs on an interim text, and what comes of it is kept for the final one."""
