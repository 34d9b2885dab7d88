"""Chat Completions: OpenAI's older wire format, which every compatible server speaks."""
