"""The night shift: turns evicted conversation into memory."""
