"""Server-sent events, as bytes: pieces of a stream in, the data of each complete event out. Pure and linear in time."""

_BOM = b"\xef\xbb\xbf"


class SseDecoder:
    """An incremental decoder of `text/event-stream` (WHATWG HTML, section 9.2.6) that keeps only `data` fields.

    Only whole lines are looked at, so a code point that is split over two reads needs no care.
    """

    def __init__(self) -> None:
        self._open: list[bytes] = []
        self._data: list[bytes] = []
        self._skip_newline = False
        self._at_start = True

    def feed(self, chunk: bytes) -> list[bytes]:
        """The data of every event that this piece completes, in order; lines of one event are joined by LF."""
        if self._skip_newline and chunk:
            # The CR that ended the last piece was the first half of a CRLF.
            self._skip_newline = False
            chunk = chunk.removeprefix(b"\n")
        if b"\n" not in chunk and b"\r" not in chunk:
            if chunk:
                self._open.append(chunk)
            return []
        self._open.append(chunk)
        lines = b"".join(self._open).splitlines()
        self._open = []
        if chunk.endswith(b"\r"):
            self._skip_newline = True
        elif not chunk.endswith(b"\n"):
            self._open.append(lines.pop())
        return self._read(lines)

    def close(self) -> list[bytes]:
        """What was left unfinished at the end of the stream, as if the blank line had come: some servers omit it."""
        lines = [b"".join(self._open), b""]
        self._open = []
        return self._read(lines)

    def _read(self, lines: list[bytes]) -> list[bytes]:
        events = []
        if self._at_start and lines:
            lines[0] = lines[0].removeprefix(_BOM)
            self._at_start = False
        for line in lines:
            if not line:
                if self._data:
                    events.append(b"\n".join(self._data))
                    self._data = []
            elif line.startswith(b"data:"):
                self._data.append(line[5:].removeprefix(b" "))
        return events
