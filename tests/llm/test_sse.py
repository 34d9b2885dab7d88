"""The event stream decoder: line ends, comments, cuts, and time linear in the input."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from voice_agent.llm.sse import ReplyFrames, SseDecoder


def decode(*pieces: bytes) -> list[bytes]:
    """All events of a stream in these pieces."""
    decoder = SseDecoder()
    out = [event for piece in pieces for event in decoder.feed(piece)]
    return out + decoder.close()


@pytest.mark.parametrize("end", [b"\n", b"\r\n", b"\r"])
def test_line_ends(end: bytes) -> None:
    """LF, CRLF and CR all end lines, also cut between CR and LF."""
    stream = b"".join(line + end for line in (b"data: one", b"", b"data:two", b"data: 2", b"", b": note", b""))
    for cut in range(len(stream) + 1):
        assert decode(stream[:cut], stream[cut:]) == [b"one", b"two\n2"]


@pytest.mark.parametrize(
    ("stream", "events"),
    [
        (b"\xef\xbb\xbfdata: a\n\n", [b"a"]),
        (b"event: x\nid: 1\nretry: 5\ndata:  a\n\n", [b" a"]),
        (b": ping\n\n: ping\n\n", []),
        (b"database: no\n\n", []),
        (b"data: left", [b"left"]),
        ("data: ü👋\n\n".encode(), ["ü👋".encode()]),
        (b"", []),
    ],
)
def test_fields(stream: bytes, events: list[bytes]) -> None:
    """Only `data` counts; one space behind the colon goes; a BOM goes; what is unfinished comes at the end."""
    assert decode(stream) == events
    assert decode(*(stream[at : at + 1] for at in range(len(stream)))) == events


@given(st.lists(st.text(st.characters(exclude_characters="\r\n", exclude_categories=["Cs"]), min_size=1)), st.data())
def test_any_stream_any_cuts(texts: list[str], data: st.DataObject) -> None:
    """Whatever the texts and wherever the cuts, the same events come out."""
    stream = b"".join(f"data: {text}\n\n".encode() for text in texts)
    cuts = sorted(data.draw(st.lists(st.integers(0, len(stream)), max_size=8)))
    pieces = [stream[a:b] for a, b in zip([0, *cuts], [*cuts, len(stream)], strict=True)]
    assert decode(*pieces) == [text.encode() for text in texts]


def test_one_long_line_is_kept_in_pieces() -> None:
    """A line that is not finished is not copied with each piece, which would take quadratic time."""
    decoder = SseDecoder()
    for _ in range(200_000):
        assert decoder.feed(b"data: x") == []
    assert len(decoder.feed(b"\n\n")[0]) == 200_000 * 7 - 6


@pytest.mark.parametrize("document", [b'{"a": 1}', b"[\n1]", b""])
def test_a_document_is_kept_whole(document: bytes) -> None:
    """A reply that is no stream gives no events and all of its bytes, but for the blank ones before it."""
    frames = ReplyFrames()
    for at in range(len(document)):
        assert frames.feed(b" \n" * (at == 0) + document[at : at + 1]) == []
    assert frames.close() == []
    assert frames.document == document


def test_a_stream_is_no_document() -> None:
    """Blank bytes before a stream do not matter, and what it left unfinished comes at its end."""
    frames = ReplyFrames()
    assert [*frames.feed(b"\n"), *frames.feed(b"data: {a\n\nda"), *frames.feed(b"ta: b")] == [b"{a"]
    assert frames.close() == [b"b"]
    assert frames.document is None
