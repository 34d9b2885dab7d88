"""Scores search on a file of conversations with questions: `python -m tests.retrieval FILE`. Holds no data itself."""
