"""What the terminal client prints and sends, event by event."""

import pytest

from gateway.talk import Piece, printable
from tests.talks import READY, Call


def test_a_turn_as_a_person_sees_it() -> None:
    """Utterance, tool and reply each begin a line of their own, and the prompt comes back at the end."""
    call = Call()
    call.ready()
    call.line("what time is it")
    call.event("turn.started", turn_id="t-1", revision=0)
    call.say("Let me", kind="utterance")
    call.say(" look.", kind="utterance")
    call.event("speech.flush", turn_id="t-1", kind="utterance")
    call.event("tool.started", turn_id="t-1", call_id="c", name="get_time", arguments={"zone": "Köln"})
    call.event("tool.finished", turn_id="t-1", call_id="c", name="get_time", status="ok", duration_ms=12.4)
    call.say("Five")
    call.say(" past two.")
    call.event("turn.spoken", turn_id="t-1")
    call.event("turn.ended", turn_id="t-1", reason="end_turn", heard="", generated="", latency={"first_speech": 184.2})
    assert call.sent == [
        {"type": "user.text", "text": "what time is it", "turn_id": "t-1"},
        {"type": "playback", "turn_id": "t-1", "done": True},
    ]
    assert call.printed == (
        'you> ~ Let me look.\n* get_time {"zone": "Köln"}\n* get_time: ok, 12 ms\nFive past two.\n'
        "- first words after 184 ms\nyou> "
    )


@pytest.mark.parametrize(
    ("kind", "style", "text"),
    [
        ("reply", "reply", "hm"),
        ("greeting", "reply", "hm"),
        ("say", "reply", "hm"),
        ("utterance", "aside", "~ hm"),
        ("filler", "aside", "~ hm"),
        ("notice", "notice", "! hm"),
    ],
)
def test_kinds_of_speech_can_be_told_apart(kind: str, style: str, text: str) -> None:
    """Each kind has its style, and a prefix where colour alone would be lost in a pipe."""
    call = Call(person=False)
    call.event("turn.started", turn_id="t-1")
    assert call.say("hm", kind=kind).pieces == (Piece(text, style),)  # type: ignore[arg-type]


def test_new_memory_is_told_and_the_prompt_comes_back() -> None:
    """The labels that changed; a job that changed no block is told too."""
    call = Call()
    call.ready()
    call.event("memory.updated", version=3, labels=["human", "summary"], lag_ms=12.5)
    call.event("memory.updated", version=4, labels=[], lag_ms=12.5)
    assert call.printed == "you> \n- memory updated: human, summary\nyou> \n- memory updated\nyou> "


def test_new_memory_in_the_middle_of_a_reply_is_told_behind_it() -> None:
    """No sentence is broken for it, and what changes twice is told once."""
    call = Call()
    call.ready()
    call.line("hello")
    call.event("turn.started", turn_id="t-1", revision=0)
    call.say("Hello")
    call.event("memory.updated", version=3, labels=["human"], lag_ms=12.5)
    call.event("memory.updated", version=4, labels=["summary", "human"], lag_ms=12.5)
    call.say(" again.")
    call.event("turn.spoken", turn_id="t-1")
    call.end()
    assert call.printed == "you> Hello again.\n- memory updated: human, summary\nyou> "


def test_ctrl_c_interrupts_with_the_characters_displayed_then_leaves() -> None:
    """The mark counts code points of every kind of speech in the turn; the second Ctrl-C hangs up."""
    call = Call()
    call.ready()
    call.event("turn.started", turn_id="t-1")
    call.say("Well ", kind="utterance")
    call.say("héllo 👩‍🚀")
    call.take(call.talk.ctrl_c())
    assert call.sent == [{"type": "user.interrupt", "turn_id": "t-1", "heard": {"chars": 14}}]
    assert not call.over()
    call.take(call.talk.ctrl_c())
    assert call.sent[1:] == [{"type": "session.end"}]
    assert call.over()


@pytest.mark.parametrize("quiet", [[], ["turn.started", "turn.spoken"]])
def test_ctrl_c_leaves_while_the_agent_is_silent(quiet: list[str]) -> None:
    """Before any turn, and after all of a turn was spoken, there is nothing to interrupt."""
    call = Call()
    call.ready()
    for kind in quiet:
        call.event(kind, turn_id="t-1")
    call.take(call.talk.ctrl_c())
    assert call.sent == [{"type": "session.end"}]


def test_each_turn_can_be_interrupted() -> None:
    """An interrupted turn does not use up the next one's first Ctrl-C, and its count starts at nothing."""
    call = Call()
    call.ready()
    for turn in ("t-1", "t-2"):
        call.event("turn.started", turn_id=turn)
        call.say("abc", turn)
        call.take(call.talk.ctrl_c())
        call.end(turn, "interrupted", "abc", "abcdef")
    assert [frame["heard"]["chars"] for frame in call.sent] == [3, 3]
    assert call.printed.count("- interrupted, heard 3 of 6 characters\n") == 2


def test_typing_over_the_agent_marks_what_was_seen_first() -> None:
    """A person's line does not wait: the mark goes ahead of the words that cut the speech off."""
    call = Call()
    call.ready()
    call.event("turn.started", turn_id="g-1")
    call.say("Hello there", "g-1", "greeting")
    call.line("stop")
    assert call.sent == [
        {"type": "playback", "turn_id": "g-1", "chars": 11},
        {"type": "user.text", "text": "stop", "turn_id": "t-1"},
    ]


def test_piped_lines_take_turns() -> None:
    """Each line waits for the answer before it, the end for the last answer, and then the call is left."""
    call = Call(person=False)
    call.line("one")
    call.line("two")
    call.take(call.talk.end_of_input())
    assert call.sent == []
    call.ready()
    assert [frame["text"] for frame in call.sent] == ["one"]
    call.event("turn.started", turn_id="t-1")
    call.say("1")
    call.end()
    assert [frame["text"] for frame in call.sent] == ["one", "two"]
    assert not call.over()
    call.event("turn.started", turn_id="t-2")
    call.say("2", "t-2")
    call.end("t-2")
    assert call.sent[2:] == [{"type": "session.end"}]
    assert call.over()
    assert call.printed == "1\n2\n"


def test_the_end_of_input_without_a_question_leaves_at_once() -> None:
    """There is no answer to wait for."""
    call = Call(person=False)
    call.ready()
    call.take(call.talk.end_of_input())
    assert call.sent == [{"type": "session.end"}]


def test_words_merged_into_a_turn_are_answered_by_its_end() -> None:
    """A second line before any speech gets no turn of its own, and the end of input does not wait for one."""
    call = Call()
    call.ready()
    call.line("one")
    call.event("turn.started", turn_id="t-1")
    call.line("and two")
    call.take(call.talk.end_of_input())
    call.say("both")
    call.end("t-1")
    assert call.over()


def test_a_refused_line_is_not_waited_for() -> None:
    """A bad_field error means that no turn will come; the next line goes."""
    call = Call(person=False)
    call.ready()
    call.line("far too long")
    call.line("short")
    call.event("error", code="bad_field", message="text: too long", retryable=False, field="text")
    assert [frame["text"] for frame in call.sent] == ["far too long", "short"]
    assert call.printed == "! bad_field: text: too long\n"


def test_a_provider_error_leaves_the_turn_to_its_end() -> None:
    """The next line waits for turn.ended, which follows the error."""
    call = Call(person=False)
    call.ready()
    call.line("one")
    call.line("two")
    call.event("turn.started", turn_id="t-1")
    call.event("error", code="provider", message="429", retryable=True, turn_id="t-1")
    assert len(call.sent) == 1
    call.end("t-1", "llm_api_error")
    assert len(call.sent) == 2


def test_events_replayed_after_a_reconnect_are_printed_once() -> None:
    """What has a seq that was seen is left out; unanswered words go again under the same turn id."""
    call = Call(person=False)
    call.ready()
    call.line("one")
    call.event("turn.started", turn_id="t-1")
    call.say("Hello")
    call.take(call.talk.dropped())
    call.take(call.talk.event({**READY, "resumed": True}))
    call.take(call.talk.event({"type": "speech.delta", "seq": 2, "turn_id": "t-1", "text": "Hello", "kind": "reply"}))
    call.say(" again")
    assert call.printed == "Hello\n- connection lost, trying again\n again"
    assert call.sent == [{"type": "user.text", "text": "one", "turn_id": "t-1"}] * 2
    assert call.talk.last_seq == 3


def test_a_session_that_is_gone_begins_anew() -> None:
    """Sequence numbers start over, and a program's next line goes to the new session."""
    call = Call(person=False)
    call.ready()
    call.line("one")
    call.line("two")
    call.event("turn.started", turn_id="t-1")
    call.take(call.talk.lost())
    assert (call.talk.resume, call.talk.last_seq) == (None, 0)
    call.ready()
    assert [frame["text"] for frame in call.sent] == ["one", "two"]


def test_blank_lines_are_not_sent() -> None:
    """Enter alone gives a new prompt and nothing else."""
    call = Call()
    call.ready()
    call.line("   ")
    assert call.sent == []
    assert call.printed == "you> you> "


def test_no_agent_can_steer_the_terminal() -> None:
    """Control characters are dropped; newlines, joiners and no-break spaces stay."""
    assert printable("a\x1b[2Jb\r\x07\x9bc\n\t👩‍🚀\u00a0d") == "a[2Jbc\n\t👩‍🚀\u00a0d"
