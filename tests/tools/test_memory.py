"""search_memory: what it looks for, in which time, what it leaves out, and what the model reads."""

import json
from typing import Any

import pytest
from msgspec.structs import replace

from tests.memory.archives import document
from tests.store.turns import ref
from tests.virtual_time import WALL_AT_START, VirtualClock
from tests.virtual_time import run as in_virtual_time
from voice_agent.events import RunTool, ToolReturned
from voice_agent.memory.archives import Archives
from voice_agent.messages import Message, TurnRecord
from voice_agent.store.base import Pair
from voice_agent.store.recorder import Recorder
from voice_agent.tools.base import TurnContext
from voice_agent.tools.memory import search_tool
from voice_agent.tools.registry import ToolRegistry

PAIR = Pair("a1", "u1")
CONTEXT = TurnContext(agent_id="a1", user="u1", session_id="s9", turn_id="t9", timezone="Europe/Berlin")


class World:
    """A store with one message an hour, the last of them an hour ago, and the tool in a turn of `context`."""

    def __init__(self, *texts: str, **context: Any) -> None:
        self.store = Recorder(VirtualClock())
        self.context = replace(CONTEXT, **context)
        self._texts = texts
        self.ids: list[str] = []

    async def ask(self, **arguments: Any) -> ToolReturned:
        """Run the tool."""
        clock = VirtualClock()
        for n, text in enumerate(self._texts):
            of = ref(f"t{n}", session=f"s{n}", pair=PAIR)
            message = Message("user", text, WALL_AT_START - 3600 * (len(self._texts) - n))
            self.ids.append(await self.store.commit_turn(of, TurnRecord(of.key, "end_turn", (message,), message.at)))
        tool = search_tool(Archives(self.store, clock))
        runner = ToolRegistry([tool]).runner([tool.name], clock, self.context)
        return await runner.run(RunTool("c1", tool.name, arguments))


def found(returned: ToolReturned) -> list[str]:
    """The texts of the result's lines."""
    assert returned.status == "ok"
    return [json.loads(line)["text"] for line in returned.output.splitlines() if line.startswith("{")]


def test_the_user_s_last_words_are_what_is_looked_for() -> None:
    """Without any argument; each line has time, speaker and source."""
    world = World("my sister plays the cello", "it rains", user_words="Which instrument, the cello?")
    returned = in_virtual_time(world.ask())
    assert json.loads(returned.output) == {
        "time": "Friday 2027-01-15 07:00",
        "speaker": "user",
        "source": "message",
        "text": "my sister plays the cello",
    }


def test_keyword_queries_widen_the_search() -> None:
    """They find what the user's words do not."""
    world = World("a cello", "a tuba", user_words="cello")
    assert set(found(in_virtual_time(world.ask(convo_keyword_queries=["tuba", "horn"])))) == {"a cello", "a tuba"}


@pytest.mark.parametrize(
    ("start", "end", "texts"),
    [
        (None, None, {"cello 3", "cello 2", "cello 1"}),
        (130, None, {"cello 2", "cello 1"}),
        (None, 90, {"cello 3", "cello 2"}),
        (130, 90, {"cello 2"}),
        (90, 130, {"cello 2"}),
        (60, 60, {"cello 1"}),
        (30, 0, set()),
        (-5, -10, set()),
        (10**30, None, {"cello 3", "cello 2", "cello 1"}),
    ],
)
def test_the_time_window_is_kept_and_reversed_bounds_are_swapped(
    start: int | None, end: int | None, texts: set[str]
) -> None:
    """In minutes before the call, both ends included, however large."""
    world = World("cello 3", "cello 2", "cello 1", user_words="cello")
    assert set(found(in_virtual_time(world.ask(start_minutes_ago=start, end_minutes_ago=end)))) == texts


def test_what_the_model_sees_anyway_is_left_out() -> None:
    """The ids in the prompt are those of the store."""

    async def play() -> list[str]:
        world = World("old cello", "new cello", user_words="cello")
        assert set(found(await world.ask())) == {"old cello", "new cello"}
        world.context = replace(world.context, in_prompt=frozenset({f"{world.ids[1]}.0"}))
        return found(await world.ask())

    assert in_virtual_time(play()) == ["old cello"]


def test_nothing_found_is_said_in_words() -> None:
    """An empty result could be taken for a fault."""
    assert in_virtual_time(World(user_words="cello").ask()).output == "Nothing was found."


def test_a_store_that_is_down_is_no_error_but_told() -> None:
    """The model knows that there may be more."""
    world = World(user_words="cello")
    world.store.down = True
    returned = in_virtual_time(world.ask())
    assert returned.status == "ok"
    assert returned.output.splitlines()[-1].startswith("There was no time to search everything")


def test_a_document_is_named_by_its_reference_and_a_long_one_is_cut() -> None:
    """No passage takes the whole prompt."""

    async def play() -> ToolReturned:
        world = World(user_words="cello")
        await world.store.add_documents(PAIR, (document(1, "cello " * 1000, speaker="Ann", ref="mail/7"),))
        return await world.ask()

    line = json.loads(in_virtual_time(play()).output)
    assert (line["speaker"], line["source"]) == ("Ann", "mail/7")
    assert line["text"].endswith("[cut: 5000 more characters]")


def test_at_most_ten_passages_are_given() -> None:
    """The best of them."""
    world = World(*(f"cello {n}" for n in range(15)), user_words="cello 0")
    texts = found(in_virtual_time(world.ask()))
    assert len(texts) == 10
    assert texts[0] == "cello 0"


@pytest.mark.parametrize(
    ("arguments", "fault"),
    [
        ({"start_minutes_ago": "soon"}, "start_minutes_ago: "),
        ({"end_minutes_ago": 1.5}, "end_minutes_ago: "),
        ({"convo_keyword_queries": "cello"}, "convo_keyword_queries: "),
        ({"convo_keyword_queries": ["x"] * 11}, "convo_keyword_queries: "),
        ({"query": "cello"}, "query: there is no such field"),
    ],
)
def test_bad_arguments_are_named(arguments: dict[str, Any], fault: str) -> None:
    """Before anything is searched."""
    check = search_tool(Archives(Recorder(VirtualClock()), VirtualClock())).spec.check
    assert (check(arguments) or "").startswith(fault)


def test_every_argument_may_be_null_or_absent_and_searching_has_no_effects() -> None:
    """So it may start while the model still speaks."""
    spec = search_tool(Archives(Recorder(VirtualClock()), VirtualClock())).spec
    nothing = dict.fromkeys(("convo_keyword_queries", "start_minutes_ago", "end_minutes_ago"))
    assert spec.check({}) is None
    assert spec.check(nothing) is None
    assert spec.schema.name == "search_memory"
    assert spec.effects == "none"
