"""Tests that mirror `voice_agent/llm/chat_completions`."""
