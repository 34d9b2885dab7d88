"""What is remembered: the window of the prompt, and the archive in which everything said can be found."""
