"""What a job has to deal with: which turns, in which lines, with which blocks."""

import msgspec

from sleeptime.task import MOST_KEPT, MOST_LINES, read_task
from tests.sleeptime.nights import AGENT, snapshot, turn
from voice_agent.agent import Agent
from voice_agent.agent_parts import Block
from voice_agent.messages import Message, ToolCall, TurnRecord
from voice_agent.store.base import BlockValue, LoggedTurn, Snapshot


def texts(given: Snapshot) -> tuple[list[str], list[str]]:
    """The user's lines that are to be dealt with, and those that are to be read only."""
    task = read_task(AGENT, given)
    return ([line.text for line in lines if line.speaker == "user"] for lines in (task.lines, task.kept))  # type: ignore[return-value]


def test_what_lies_between_cursor_and_wanted_is_to_be_dealt_with() -> None:
    """What comes before was dealt with, what comes after is there to be read."""
    new, kept = texts(snapshot("a", "b", "c", "d", cursor="1-0", wanted="3-0"))
    assert (new, kept) == (["b", "c"], ["d"])
    task = read_task(AGENT, snapshot("a", "b", "c", "d", cursor="1-0", wanted="3-0", start="1-0"))
    assert (task.cursor_from, task.cursor_to, task.start) == ("1-0", "3-0", "1-0")


def test_a_job_that_finds_nothing_new_has_no_lines() -> None:
    """And the cursor stays where it is, though less was wanted."""
    task = read_task(AGENT, snapshot("a", "b", cursor="2-0", wanted="1-0"))
    assert (task.lines, task.cursor_from, task.cursor_to) == ((), "2-0", "2-0")
    assert read_task(AGENT, snapshot()).lines == ()


def test_entries_are_ordered_as_numbers() -> None:
    """Ten comes after nine."""
    new, kept = texts(Snapshot((turn(9, "nine"), turn(10, "ten")), 0, cursor="9-0", wanted="10-0"))
    assert (new, kept) == (["ten"], [])


def test_far_too_much_is_dealt_with_in_pieces_of_whole_turns() -> None:
    """The cursor goes as far as the piece does, and some of the rest is shown."""
    task = read_task(AGENT, snapshot(*(f"t{number}" for number in range(1, 202))))
    assert len(task.lines) == MOST_LINES
    assert task.cursor_to == "100-0"
    assert len(task.kept) == MOST_KEPT
    assert task.kept[0].text == "t101"


def test_a_turn_of_its_own_size_is_taken_whole() -> None:
    """However long it is: half a turn can't be dealt with."""
    messages = tuple(Message("user", f"m{number}", 1.0) for number in range(MOST_LINES + 5))
    long = LoggedTurn("1-0", TurnRecord("s:t1", "end_turn", messages, 1.0))
    task = read_task(AGENT, Snapshot((long, turn(2, "next")), 0, wanted="2-0"))
    assert (len(task.lines), task.cursor_to) == (MOST_LINES + 5, "1-0")


def test_lines_hold_what_was_heard_and_where_it_stands() -> None:
    """Messages without a word are passed over and keep their numbers in the log; time is the agent's own."""
    calls = (ToolCall("c1", "look", "{}"),)
    messages = (
        Message("user", "what?", 0.0),
        Message("assistant", "", 1.0, tool_calls=calls),
        Message("tool", "rain", 2.0, tool_call_id="c1"),
        Message("assistant", "It rains, I am afraid.", 3.0, heard="It rains", interrupted=True),
        Message("context", "The line is bad.", 4.0),
    )
    given = Snapshot((LoggedTurn("7-1", TurnRecord("s:t", "interrupted", messages, 0.0)),), 0, wanted="7-1")
    lines = read_task(AGENT.model_copy(update={"timezone": "Europe/Berlin"}), given).lines
    assert [(line.id, line.speaker, line.text) for line in lines] == [
        ("7-1.0", "user", "what?"),
        ("7-1.2", "tool", "rain"),
        ("7-1.3", "agent", "It rains [interrupted here]"),
        ("7-1.4", "note", "The line is bad."),
    ]
    assert lines[0].when == "1970-01-01 01:00"


def test_blocks_are_the_agents_with_what_was_written() -> None:
    """A read-only one keeps the agent's own value."""
    agent = Agent(id="demo", name="D", blocks=(Block(label="facts", value="old", limit=50),))
    written = (BlockValue("facts", "new", 3), BlockValue("persona", "hacked", 1))
    task = read_task(agent, msgspec.structs.replace(snapshot("a"), blocks=written))
    shown = {block.definition.label: (block.current.value, block.current.version) for block in task.blocks}
    assert shown == {"persona": ("", 0), "human": ("", 0), "summary": ("", 0), "facts": ("new", 3)}
