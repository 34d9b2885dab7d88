"""Tool rules: which calls are legal next, decided from the calls of the turn so far and nothing else."""
