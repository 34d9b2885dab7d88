"""Server-sent events, as bytes: pieces of a stream in, the data of each complete event out. Pure and linear in time.

A reply need not be a stream, though one was asked for: `ReplyFrames` tells.
"""

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
        if chunk.endswith(b"\n\n") and chunk.startswith(b"data:") and not (self._open or self._data):
            # As nearly all pieces are: one whole event.
            line = chunk[5:-2]
            if b"\n" not in line and b"\r" not in line:
                self._at_start = self._skip_newline = False
                return [line.removeprefix(b" ")]
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


class ReplyFrames:
    """A reply's events; one that is no stream, but one JSON document, is kept until its end."""

    def __init__(self) -> None:
        self._sse: SseDecoder | None = None
        self._whole: list[bytes] = []

    def feed(self, chunk: bytes) -> list[bytes]:
        """The data of the events that this piece completes; none of a document."""
        if self._sse is not None:
            return self._sse.feed(chunk)
        if not self._whole:
            chunk = chunk.lstrip()
            if not chunk:
                return []
            # No line of an event stream begins so: the server ignored `stream`.
            if not chunk.startswith((b"{", b"[")):
                self._sse = SseDecoder()
                return self._sse.feed(chunk)
        self._whole.append(chunk)
        return []

    def close(self) -> list[bytes]:
        """The data of an event that the end of the stream left unfinished."""
        return [] if self._sse is None else self._sse.close()

    @property
    def document(self) -> bytes | None:
        """What came, once all of it has, if it is no stream; empty if nothing did."""
        return b"".join(self._whole) if self._sse is None else None
