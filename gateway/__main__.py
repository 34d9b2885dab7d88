"""`python -m gateway`: the same as `voice-gateway`, for where scripts are not installed on PATH."""

from gateway.cli import main

main()
