"""The package of tool rules."""
