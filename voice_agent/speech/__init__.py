"""From the text that a model writes to the text that is spoken, and back to where in it the caller was."""
