"""Tests of voice_agent.speech."""
