"""HTTP resources, one plain noun per file."""
