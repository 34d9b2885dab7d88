"""Tests that mirror `voice_agent/llm/openai_responses`."""
