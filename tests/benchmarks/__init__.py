"""Tests of the benchmarks: small runs, whose figures are counted and not timed."""
