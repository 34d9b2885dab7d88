"""The agent: a pure core in the middle, input and output at the rim."""
