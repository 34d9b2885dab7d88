"""Tools: from functions to schemas, and running them so that nothing is ever raised into the loop."""
