"""Tests that mirror `voice_agent/llm/simulated`."""
