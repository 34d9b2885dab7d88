"""Tests that mirror `voice_agent/llm/anthropic_messages`."""
