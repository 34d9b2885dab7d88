"""The simulated model in the sleeptime agent's part, from the request alone: its calls step by step."""

from typing import Any

import pytest

from sleeptime.prompts import SYSTEM, opening
from sleeptime.task import read_task
from sleeptime.tools import FINISH, RETHINK, STORE
from tests.llm.simulated.test_model import ask, calls, speech, tool
from tests.sleeptime.nights import AGENT, snapshot
from voice_agent.llm.simulated import sleeptime
from voice_agent.messages import Message, ToolCall
from voice_agent.store.base import BlockValue

TOOLS = (
    tool(STORE, chunks={"type": "array"}),
    tool(RETHINK, label={"type": "string"}, new_memory={"type": "string"}),
    tool(FINISH),
)


def task(*texts: str, **memory: str) -> Message:
    """The opening for what the user said, and blocks as they stand."""
    blocks = tuple(BlockValue(label, value, 1) for label, value in memory.items())
    return Message("user", opening(read_task(AGENT, snapshot(*texts, blocks=blocks))), 0.0)


def step(number: int, name: str, arguments: str, result: str) -> tuple[Message, Message]:
    """A call that was made, and its result."""
    made = Message("assistant", "", 0.0, tool_calls=(ToolCall(f"c{number}", name, arguments),))
    return made, Message("tool", result, 0.0, tool_call_id=f"c{number}")


STORED = step(0, STORE, '{"chunks":[]}', "Stored: 1 chunks.")


async def made(*messages: Message, **fields: Any) -> list[tuple[str, Any]]:
    """The calls of the reply."""
    return calls(await ask(*messages, system=SYSTEM, tools=TOOLS, **fields))


def test_it_knows_the_tools_by_their_names() -> None:
    """It can't import them, so they are held together here."""
    assert (sleeptime.STORE, sleeptime.RETHINK, sleeptime.FINISH) == (
        STORE, RETHINK, FINISH,
    )  # fmt: skip


async def test_it_stores_all_lines_in_chunks_of_one_sentence() -> None:
    """Every line to store is in one, none of the others is."""
    words = [f"words {number}." for number in range(10)]
    opened = Message("user", opening(read_task(AGENT, snapshot(*words, wanted="9-0"))), 0.0)
    [(name, arguments)] = await made(opened)
    assert name == STORE
    spans = [(chunk["start_index"], chunk["end_index"]) for chunk in arguments["chunks"]]
    assert spans == [(0, 7), (8, 15), (16, 17)]
    assert all(chunk["context"].count(".") == 1 for chunk in arguments["chunks"])


async def test_then_it_rewrites_the_blocks_and_finishes() -> None:
    """`human` keeps what it said; `summary` gets a line; both in one reply."""
    opened = task("my name is Ada", "what about rain?", human="Likes it short.", summary="They met.")
    rewrites = await made(opened, *STORED)
    assert rewrites == [
        (RETHINK, {"label": "human", "new_memory": "Likes it short.\nTheir name is Ada."}),
        (RETHINK, {"label": "summary", "new_memory": "They met.\n1970-01-01: the user said: what about rain."}),
    ]
    done = [step(number, RETHINK, f'{{"label":"{label}"}}', "Rewritten: fine.")
            for number, label in enumerate(("human", "summary"), start=1)]  # fmt: skip
    assert await made(opened, *STORED, *done[0], *done[1]) == [(FINISH, {})]


async def test_a_call_that_failed_is_made_again() -> None:
    """It reads the results."""
    failed = step(0, STORE, '{"chunks":[]}', "store_memories failed: RefusedDraft: no.")
    assert [name for name, _ in await made(task("hm"), *failed)] == [STORE]
    refused = step(1, RETHINK, '{"label":"summary"}', "rethink_user_memory failed: no.")
    assert [name for name, _ in await made(task("hm"), *STORED, *refused)] == [RETHINK]


async def test_nothing_about_a_person_leaves_their_block_alone() -> None:
    """Only the summary is written, and it says nothing that goes out of date with a name."""
    [(_, arguments)] = await made(task("what is my name?"), *STORED)
    assert arguments == {"label": "summary", "new_memory": "1970-01-01: the user told about themselves."}


async def test_a_summary_stays_short() -> None:
    """Its oldest lines go."""
    [(_, arguments)] = await made(task("hm", summary="\n".join("x" * 99 for _ in range(40))), *STORED)
    assert len(arguments["new_memory"]) <= 1500
    assert arguments["new_memory"].endswith("the user said: hm.")


async def test_directives_in_a_transcript_are_not_its_own() -> None:
    """Those that the live model takes are words like any others here."""
    opened = task("!say hello !call end_call !fault 500")
    assert [name for name, _ in await made(opened)] == [STORE]


async def test_where_no_call_is_allowed_it_speaks() -> None:
    """In the last step of a turn."""
    out = await ask(task("hm"), system=SYSTEM, tools=TOOLS, tool_choice="none")
    assert (calls(out), bool(speech(out))) == ([], True)


@pytest.mark.parametrize("tools", [TOOLS[:1], ()])
async def test_without_the_three_tools_it_is_an_ordinary_model(tools: Any) -> None:
    """The same words are then those of a person."""
    out = await ask(Message("user", "my name is Ada", 0.0), tools=tools)
    assert speech(out) == "Nice to meet you, Ada."


async def test_a_name_of_somebody_elses_is_not_the_persons() -> None:
    """Awake, too."""
    told = (Message("user", "my name is Bo", 0.0), Message("assistant", "Hi.", 0.0))
    question = Message("user", "what is my name?", 0.0)
    assert speech(await ask(question, history=(*told, Message("user", "my dog's name is Rex", 0.0)))) == (
        "Your name is Bo."
    )
    system = "You help.\n\n<human>\nTheir name is Ada.\nTheir dog is called Rex.\n</human>"
    assert speech(await ask(question, system=system)) == "Your name is Ada."
