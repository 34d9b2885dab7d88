"""The simulated model: deterministic, in process and over HTTP, strict as the providers are."""
