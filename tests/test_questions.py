"""What the terminal client makes of a call that a person decides on, or runs."""

import asyncio
import sys
from asyncio.subprocess import PIPE
from pathlib import Path
from typing import Any

import pytest

from tests.commands import environment
from tests.processes import served
from tests.talks import Call

DOOR = """
name = "Door"
system = "You open doors."
tool_rules = [{ type = "requires_approval", tool = "open_door" }]
[[tools]]
type = "client"
name = "open_door"
description = "Open a door."
"""

PAY = {"turn_id": "t-1", "call_id": "c-1", "name": "pay", "arguments": {"amount": 40}}


def asked(call: Call, kind: str = "approval.request") -> None:
    """A turn that stands at a question."""
    call.ready()
    call.line("pay")
    call.event("turn.started", turn_id="t-1", revision=0)
    call.event(kind, **PAY)


def test_a_call_that_a_person_approves() -> None:
    """The call is shown, yes lets it run, and the turn goes on."""
    call = Call()
    asked(call)
    call.line("y")
    call.event("tool.started", **PAY)
    call.event("tool.finished", turn_id="t-1", call_id="c-1", name="pay", status="ok", duration_ms=3.0)
    call.say("Paid.")
    call.end()
    assert call.sent[1:] == [{"type": "tool.approval", "call_id": "c-1", "approved": True}]
    # The terminal has echoed the newline behind each answer.
    assert call.printed == (
        'you> ? pay {"amount": 40}\nallow this (y, or n REASON)? * pay {"amount": 40}\n* pay: ok, 3 ms\nPaid.\nyou> '
    )


@pytest.mark.parametrize(
    ("line", "answer"),
    [
        ("yes", {"approved": True}),
        (" OK. ", {"approved": True}),
        ("n", {"approved": False}),
        ("No.", {"approved": False}),
        ("n too much", {"approved": False, "reason": "too much"}),
        ("no, not today", {"approved": False, "reason": "not today"}),
    ],
)
def test_yes_no_and_why_not(line: str, answer: dict[str, Any]) -> None:
    """As people write them."""
    call = Call()
    asked(call)
    call.line(line)
    assert call.sent[1:] == [{"type": "tool.approval", "call_id": "c-1"} | answer]


@pytest.mark.parametrize("line", ["yes but only half", "nothing", "yet", "what is it for?"])
def test_what_is_neither_yes_nor_no_decides_nothing(line: str) -> None:
    """It is asked again; the words go neither to the call nor, cancelling it, to the agent."""
    call = Call()
    asked(call)
    call.line(line)
    assert len(call.sent) == 1
    assert call.printed.endswith(
        "- that is neither yes nor no; Ctrl-C interrupts instead\nallow this (y, or n REASON)? "
    )
    call.line("")
    call.line("y")
    assert call.sent[1]["approved"] is True


@pytest.mark.parametrize(
    ("line", "output", "is_error"),
    [
        ("21 degrees", "21 degrees", False),
        (' {"a": 1}', ' {"a": 1}', False),
        ("! no such room", "no such room", True),
        ("!", "It failed.", True),
    ],
)
def test_a_person_runs_the_clients_tool(line: str, output: str, is_error: bool) -> None:
    """What is typed is the result as the model reads it; behind a `!` it is what went wrong."""
    call = Call()
    asked(call, "tool.request")
    assert call.printed.endswith('? pay {"amount": 40}\nyou run this; its result (or ! REASON): ')
    call.line(line)
    assert call.sent[1:] == [{"type": "tool.result", "call_id": "c-1", "output": output, "is_error": is_error}]


def test_an_approved_call_that_the_person_runs_asks_twice() -> None:
    """First whether, then what came of it."""
    call = Call()
    asked(call)
    call.line("y")
    call.event("tool.request", **PAY)
    call.line("receipt 7")
    assert [frame["type"] for frame in call.sent[1:]] == ["tool.approval", "tool.result"]
    assert call.printed.count('? pay {"amount": 40}\n') == 2


def test_several_questions_are_asked_one_after_another() -> None:
    """In the order in which they came, whatever is said between."""
    call = Call()
    asked(call)
    call.event("tool.request", turn_id="t-1", call_id="c-2", name="measure", arguments={})
    call.say("One moment.", kind="filler")
    call.event("speech.flush", turn_id="t-1", kind="filler")
    assert call.printed.endswith("~ One moment.\nallow this (y, or n REASON)? ")
    assert "measure" not in call.printed
    call.line("n")
    assert call.printed.endswith("? measure {}\nyou run this; its result (or ! REASON): ")
    call.line("12")
    assert [(frame["call_id"], frame["type"]) for frame in call.sent[1:]] == [
        ("c-1", "tool.approval"),
        ("c-2", "tool.result"),
    ]


def test_a_call_that_is_over_is_asked_about_no_more() -> None:
    """Its time ran out: the next line is for the agent."""
    call = Call()
    asked(call, "tool.request")
    call.event("tool.finished", turn_id="t-1", call_id="c-1", name="pay", status="timeout", duration_ms=15000.0)
    call.say("I am sorry.")
    call.end()
    call.line("too late")
    assert call.printed.endswith(": \n* pay: timeout, 15000 ms\nI am sorry.\nyou> ")
    assert call.sent[-1]["text"] == "too late"


def test_ctrl_c_at_a_question_interrupts_the_turn() -> None:
    """The gateway cancels the call; what is typed next is for the agent."""
    call = Call()
    asked(call)
    call.take(call.talk.ctrl_c())
    call.line("never mind")
    call.event("tool.finished", turn_id="t-1", call_id="c-1", name="pay", status="cancelled", duration_ms=0.0)
    call.end(reason="interrupted")
    assert [frame["type"] for frame in call.sent] == ["user.text", "user.interrupt", "user.text"]
    assert "* pay: cancelled\n" in call.printed


def test_an_answer_that_may_be_lost_is_sent_again() -> None:
    """Until the call has gone on, a reconnect repeats it; afterwards it does not."""
    call = Call()
    asked(call)
    call.line("y")
    call.take(call.talk.dropped())
    call.ready()
    approval = {"type": "tool.approval", "call_id": "c-1", "approved": True}
    assert call.sent[1:] == [approval, call.sent[0], approval]
    call.event("tool.started", **PAY)
    call.ready()
    assert call.sent[4:] == [call.sent[0]]


def test_a_turn_that_ends_takes_its_questions_with_it() -> None:
    """Those of the next turn stay."""
    call = Call()
    asked(call)
    call.event("turn.started", turn_id="t-2", revision=0)
    call.event("approval.request", **{**PAY, "turn_id": "t-2", "call_id": "c-2"})
    call.end()
    call.line("y")
    assert call.sent[-1] == {"type": "tool.approval", "call_id": "c-2", "approved": True}


def test_piped_lines_answer_questions_and_their_end_denies() -> None:
    """The line behind the words is the answer; where none is left nobody decides, and the turn does not hang."""
    call = Call(person=False)
    for line in ("pay", "y"):
        call.line(line)
    call.take(call.talk.end_of_input())
    call.ready()
    call.event("turn.started", turn_id="t-1", revision=0)
    call.event("approval.request", **PAY)
    call.event("tool.request", **{**PAY, "call_id": "c-2"})
    call.event("approval.request", **{**PAY, "call_id": "c-3"})
    why = "There is nobody at the terminal."
    assert call.sent[1:] == [
        {"type": "tool.approval", "call_id": "c-1", "approved": True},
        {"type": "tool.result", "call_id": "c-2", "output": why, "is_error": True},
        {"type": "tool.approval", "call_id": "c-3", "approved": False, "reason": why},
    ]
    assert not call.over()
    call.end()
    call.event("session.ended", reason="client")
    assert call.sent[4:] == [{"type": "session.end"}]


async def test_questions_of_a_real_gateway_are_answered(tmp_path: Path) -> None:
    """One call is approved and run by who is at the terminal, the next denied."""
    (tmp_path / "agents").mkdir()
    (tmp_path / "agents" / "door.toml").write_text(DOOR)
    lines = (
        "!call open_door !then !say It is open.",
        "yes",
        "it creaks",
        "!call open_door !then !say As you like.",
        "n",
    )
    async with served(
        tmp_path / "data", "--agents", str(tmp_path / "agents"), VOICE_SIMULATED_FIRST_TOKEN_MS="1"
    ) as product:
        chat = (sys.executable, "-m", "gateway", "chat", "--url", product.url, "--agent", "door")
        process = await asyncio.create_subprocess_exec(*chat, stdin=PIPE, stdout=PIPE, env=environment())
        out, _ = await process.communicate("\n".join(lines).encode())
    assert process.returncode == 0
    told = [line for line in out.decode().splitlines() if line[0] in "?*IA"]
    assert [line.partition(", ")[0] for line in told] == [
        "? open_door {}",
        "? open_door {}",
        "* open_door: ok",
        "It is open.",
        "? open_door {}",
        "* open_door: denied",
        "As you like.",
    ]
