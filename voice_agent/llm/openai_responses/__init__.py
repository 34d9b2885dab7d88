"""OpenAI Responses over HTTP, for the models that take tools nowhere else."""
