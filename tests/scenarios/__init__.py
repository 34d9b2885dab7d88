"""Whole calls by script, each played over every wire format: what is stored has to be the same."""
