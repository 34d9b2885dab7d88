"""What a test run may be asked for besides the tests' names."""

import pytest


def pytest_addoption(parser: pytest.Parser) -> None:
    """How long the memory is put to the test by kills; `make soak` asks for more than CI does."""
    parser.addoption("--kill-turns", type=int, default=300, help="turns that are spoken while processes are killed")
    parser.addoption("--kill-seed", type=int, default=7, help="by which the kills are drawn")
