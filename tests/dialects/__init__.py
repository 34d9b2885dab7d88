"""Tests of gateway.dialects."""
