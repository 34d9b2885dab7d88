"""Log lines: one line per record, fields kept apart from the message."""

import logging

import pytest

from voice_agent.logs import LineFormatter, configure


def _record(message: str, **fields: object) -> logging.LogRecord:
    return logging.makeLogRecord(
        {"name": "gateway.app", "levelname": "INFO", "msg": message, "created": 0.5, **fields}
    )  # fmt: skip


def test_a_record_is_one_line_with_its_fields() -> None:
    """Fields follow the message; a value that would be ambiguous is quoted."""
    line = LineFormatter("gateway").format(_record("call began", session="s-1", user="a b"))
    assert line == '1970-01-01T00:00:00.500Z info gateway gateway.app: call began session=s-1 user="a b"'


def test_no_message_or_exception_breaks_the_line() -> None:
    """Newlines are escaped, in the message and in a traceback."""
    with pytest.raises(ValueError, match="one") as caught:
        int("one\ntwo")
    line = LineFormatter("gateway").format(_record("a\nb", exc_info=(caught.type, caught.value, caught.tb)))
    assert "\n" not in line
    assert "a\\nb exception=" in line
    assert "ValueError: " in line


@pytest.mark.parametrize(("level", "server", "own"), [("info", "WARNING", "INFO"), ("debug", "WARNING", "DEBUG")])
def test_libraries_are_quieter_than_the_product(level: str, server: str, own: str) -> None:
    """The web server says warnings only: at DEBUG it would log headers and what was said."""
    root = logging.getLogger()
    before = root.handlers[:], root.level
    try:
        configure("gateway", level)
        assert logging.getLevelName(logging.getLogger("uvicorn.error").getEffectiveLevel()) == server
        assert logging.getLevelName(logging.getLogger("gateway.app").getEffectiveLevel()) == own
    finally:
        root.handlers[:], root.level = before
