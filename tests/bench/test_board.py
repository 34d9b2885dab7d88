"""One turn's moments, the stamps in its tokens, and what follows from them."""

import pytest

from gateway.bench.board import Take


def _stamp(seconds: float) -> str:
    return f"{round(seconds * 1e6):016d}"


def test_what_the_provider_took_is_no_added_latency() -> None:
    """Asked at 10.000, heard at 10.104; of these 104 ms the provider's stamps claim 101."""
    take = Take(due=10.0)
    take.sent = 10.0
    assert take.heard(f"{_stamp(10.001)}>{_stamp(10.102)}", "reply", 10.104) == pytest.approx([0.002])
    assert take.heard(f" {_stamp(10.112)}", "reply", 10.115) == pytest.approx([0.003])
    assert (take.first_speech, take.first_reply, take.pieces) == (10.104, 10.104, 2)
    assert take.added == pytest.approx(0.003)


def test_a_reply_without_stamps_tells_only_what_a_client_sees() -> None:
    """Words, even with numbers in them, are no stamps."""
    take = Take(due=10.0)
    take.sent = 10.0
    assert take.heard("at 10:30 on 12345", "reply", 10.1) == []
    assert take.first_reply == 10.1
    assert take.added is None


def test_stamps_of_another_machine_are_no_token_latency() -> None:
    """Its clock began at another time; what the first token took is a difference and holds all the same."""
    take = Take(due=10.0)
    take.sent = 10.0
    assert take.heard(f"{_stamp(5000.0)}>{_stamp(5000.1)}", "reply", 10.105) == []
    assert take.added == pytest.approx(0.005)
    assert take.heard(_stamp(1.0), "reply", 100.0) == []


def test_speech_that_is_no_reply_comes_first_but_is_not_the_first_reply() -> None:
    """An utterance counts as first speech alone."""
    take = Take(due=1.0)
    take.heard("Let me see.", "utterance", 1.1)
    take.heard("Here it is.", "reply", 1.2)
    assert (take.first_speech, take.first_reply) == (1.1, 1.2)


def test_lateness_is_the_generators_and_waiting_for_the_turn_before_is_the_gateways() -> None:
    """A turn sent 3 ms late counts from its sending; one that had to wait counts from when it was due."""
    late = Take(due=10.0)
    late.sent = 10.003
    assert late.lateness == pytest.approx(0.003)
    assert late.asked == 10.003
    held_up = Take(due=10.0)
    held_up.free, held_up.sent = 10.5, 10.501
    assert held_up.lateness == pytest.approx(0.001)
    assert held_up.asked == 10.0


def test_a_turn_that_was_not_asked_has_no_lateness() -> None:
    """Nor is it failed before it ends."""
    take = Take(due=1.0)
    assert take.lateness is None
    assert take.added is None
    assert not take.has_failed


@pytest.mark.parametrize(
    ("interrupted", "reason", "failed"),
    [
        (None, "end_turn", False),
        (None, "interrupted", True),
        (None, "llm_api_error", True),
        (1.5, "interrupted", False),
        (1.5, "end_turn", False),
        (1.5, "error", True),
    ],
)
def test_only_a_turn_that_was_interrupted_may_end_so(interrupted: float | None, reason: str, failed: bool) -> None:
    """Every other end is a failure."""
    take = Take(due=1.0)
    take.interrupted, take.ended, take.reason = interrupted, 2.0, reason
    assert take.has_failed is failed


def test_speech_after_the_interrupt_is_counted() -> None:
    """What came before it is not."""
    take = Take(due=1.0, interrupt_after=1)
    take.heard("one", "reply", 1.1)
    take.interrupted = 1.1
    take.heard("two", "reply", 1.2)
    take.heard("three", "reply", 1.3)
    assert (take.pieces, take.late_pieces) == (3, 2)
