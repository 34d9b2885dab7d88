"""Tests of voice_agent.llm."""
