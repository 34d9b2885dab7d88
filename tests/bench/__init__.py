"""Tests of the benchmark that users run."""
