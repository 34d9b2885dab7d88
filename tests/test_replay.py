"""Numbers, and the frames kept for a client that comes back."""

import pytest

from gateway import replay
from gateway.errors import Gone, InvalidRequest
from gateway.replay import Replay
from voice_agent import events as ev
from voice_agent.events import TurnEvent


def encode(event: TurnEvent, seq: int) -> str:
    assert isinstance(event, ev.Spoke)
    return f"{seq}:{event.text}"


def filled(*texts: str) -> Replay:
    kept = Replay(encode)
    for text in texts:
        kept.record(ev.Spoke("t", text, "reply"))
    return kept


def test_events_are_numbered_from_one_without_a_gap() -> None:
    """The number is in the frame that is sent and in the one that is kept."""
    kept = Replay(encode)
    sent = [kept.record(ev.Spoke("t", text, "reply")) for text in "abc"]
    assert sent == ["1:a", "2:b", "3:c"] == kept.after(0)


@pytest.mark.parametrize(("seq", "missed"), [(0, ["1:a", "2:b"]), (1, ["2:b"]), (2, [])])
def test_a_client_gets_what_it_has_not_seen(seq: int, missed: list[str]) -> None:
    """Everything after the number that it names, and not that one."""
    assert filled("a", "b").after(seq) == missed


def test_a_number_that_was_never_sent_is_a_fault_of_the_client() -> None:
    """It is told which field is wrong and how far the session is."""
    with pytest.raises(InvalidRequest, match="no event 3 was sent, the last one was 2") as refused:
        filled("a", "b").after(3)
    assert [fault.path for fault in refused.value.faults] == ["/query/last_seq"]
    with pytest.raises(InvalidRequest):
        Replay(encode).after(1)


def test_the_oldest_frames_go_when_there_are_too_many() -> None:
    """Who needs them is told so; who needs only later ones gets them."""
    kept = filled(*("x" for _ in range(replay.KEPT_FRAMES + 2)))
    assert len(kept.after(2)) == replay.KEPT_FRAMES
    with pytest.raises(Gone, match="after 1 are no longer kept, the oldest is 3"):
        kept.after(1)


def test_the_oldest_frames_go_when_they_are_too_large() -> None:
    """What is kept stays within its bound, counting every character of every frame."""
    text = "x" * 1022
    kept = filled(*(text for _ in range(600)))
    oldest = next(seq for seq in range(600) if _kept(kept, seq))
    assert sum(len(frame) for frame in kept.after(oldest)) <= replay.KEPT_CHARS
    assert sum(len(frame) for frame in kept.after(oldest)) > replay.KEPT_CHARS - 2 * len(text)


def test_the_last_frame_is_kept_however_large() -> None:
    """A client that missed nothing else can always come back."""
    kept = filled("a", "x" * (replay.KEPT_CHARS + 1))
    assert [len(frame) for frame in kept.after(1)] == [replay.KEPT_CHARS + 3]


def _kept(kept: Replay, seq: int) -> bool:
    try:
        kept.after(seq)
    except Gone:
        return False
    return True
