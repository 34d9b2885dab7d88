"""Log lines: one line per record on stderr, fields as key=value, the same shape in every process of the product."""

import json
import logging
import sys
from datetime import UTC, datetime

# Chatty about what the supervisor's banner already says, or about every request; at DEBUG they would log headers, URLs
# with tokens in them, and what was said.
_QUIET = ("uvicorn", "uvicorn.error", "uvicorn.access", "websockets", "aiohttp.access", "asyncio", "httpx2")
# Their errors hold what a server wrote; what matters of it is told by those who use them.
_MUTE = ("mcp", "httpcore2")
_OWN = frozenset(vars(logging.makeLogRecord({}))) | {"message", "asctime", "taskName", "color_message"}


class LineFormatter(logging.Formatter):
    """`time level process logger: message key=value …`, always on one line; what a caller gave as `extra` follows."""

    def __init__(self, process: str) -> None:
        super().__init__()
        self._process = process

    def format(self, record: logging.LogRecord) -> str:
        at = datetime.fromtimestamp(record.created, UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")
        fields = {name: value for name, value in vars(record).items() if name not in _OWN}
        if record.exc_info:
            fields["exception"] = self.formatException(record.exc_info)
        tail = "".join(f" {name}={_quoted(value)}" for name, value in fields.items())
        message = record.getMessage().replace("\r", "\\r").replace("\n", "\\n")
        return f"{at} {record.levelname.lower()} {self._process} {record.name}: {message}{tail}"


def configure(process: str, level: str) -> None:
    """Send this process's records of `level` (debug, info, warning, error) and above to stderr."""
    handler = logging.StreamHandler(sys.stderr)
    handler.setFormatter(LineFormatter(process))
    logging.basicConfig(handlers=[handler], level=level.upper(), force=True)
    for name in _QUIET:
        logging.getLogger(name).setLevel(logging.WARNING)
    for name in _MUTE:
        logging.getLogger(name).setLevel(logging.CRITICAL)
    logging.getLogger("uvicorn.error").addFilter(_is_news)


def _is_news(record: logging.LogRecord) -> bool:
    """uvicorn calls a WebSocket that was refused by an HTTP answer an error of ours; anybody could fill the log so."""
    return "without completing handshake" not in record.getMessage()


def _quoted(value: object) -> str:
    text = str(value)
    plain = text.isascii() and text.isprintable() and text and not any(mark in text for mark in ' "=')
    return text if plain else json.dumps(text, ensure_ascii=False)
