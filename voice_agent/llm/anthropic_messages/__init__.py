"""Anthropic Messages, native."""
