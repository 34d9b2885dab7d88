"""Runs: turns without a socket, each with a record of what was asked, what came of it, and what each step took."""
