"""The ledger of the scripted call that the README shows."""

import pytest

from tests.ledger import Book, play
from voice_agent import events as ev
from voice_agent.messages import Part


@pytest.fixture(scope="module")
def book() -> Book:
    return play()


def test_the_parts_of_every_turn_are_its_whole(book: Book) -> None:
    """The tool's six seconds are the tool's, whatever is said meanwhile."""
    for turn_id in book.turns:
        latency = book.ear.ended(turn_id).latency
        assert sum(part.ms for part in latency.parts) == latency.total
    assert Part("tool:find_flight", 6000.0) in book.ear.ended("t1").latency.parts


def test_what_was_generated_sent_and_heard_are_three_things(book: Book) -> None:
    """Words that had not left are taken back, and of those that had the caller tells how many were heard."""
    ended = book.ear.ended("t2")
    sent = "".join(event.text for event in book.sent("t2"))
    assert (ended.reason, ended.heard) == ("interrupted", "Take your passport")
    assert sent == "Take your passport and your ticket."
    assert ended.generated.startswith("Take your passport and [your ticket](https://example.com/t). Be there by")


def test_a_late_mark_moves_what_was_heard(book: Book) -> None:
    """Counted in what was said, told in what was written."""
    (moved,) = book.ear.of(ev.TurnHeard)
    assert moved.heard == book.ear.ended("t1").generated.removesuffix("from gate **7**.")


def test_the_page_has_a_paragraph_for_each_turn(book: Book) -> None:
    """In their order, no line too wide for the page."""
    page = book.page()
    assert [paragraph.partition(" ")[0] for paragraph in page.split("\n\n")] == book.turns == ["t1", "t2", "t3"]
    assert max(map(len, page.splitlines())) <= 116
