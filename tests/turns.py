"""Turns for tests: setups, tools, and models that answer by script."""

import asyncio
from collections.abc import Callable, Mapping
from typing import Any, TypeVar

import msgspec

from tests.models import Unseen
from voice_agent import events as ev
from voice_agent.agent import ToolSpec
from voice_agent.messages import Message, ModelRequest, ToolSchema, Usage
from voice_agent.prompt import Prompt
from voice_agent.rules.book import Rulebook
from voice_agent.turn import Output, Turn
from voice_agent.turn_setup import TurnSetup

T = TypeVar("T")


def spec(name: str, check: Callable[[dict[str, Any]], str | None] = lambda _: None, **policies: Any) -> ToolSpec:
    """A tool that takes anything."""
    schema = ToolSchema(name=name, description=name, parameters={"type": "object", "properties": {}})
    return ToolSpec(schema=schema, check=check, **policies)


TOOLS = {
    "look": spec("look", effects="none"),
    "write": spec("write", on_interrupt="finish"),
    "lone": spec("lone", effects="none", parallel=False),
    "once": spec("once", effects="none", duplicate="reject"),
    "quiet": spec("quiet", effects="none", say=False),
    "picky": spec("picky", effects="none", check=lambda given: None if "x" in given else "x: is missing"),
    "bye": spec("bye", exits=True, acts="hang_up"),
}


def book(*rules: Any, tools: Mapping[str, ToolSpec] = TOOLS) -> Rulebook:
    """Rules over the tests' tools."""
    return Rulebook(rules, tools, [name for name, tool in tools.items() if tool.exits])


def setup(said: str = "hello", **changes: Any) -> TurnSetup:
    """A turn that answers `said` with every test tool at hand, under the rules `rules`."""
    tools = changes.get("tools", TOOLS)
    changes["rules"] = book(*changes.get("rules", ()), tools=tools)
    base = TurnSetup(
        turn_id="t1",
        prompt=Prompt(model="m", system="s"),
        history=(),
        opening=(Message(role="user", text=said, at=0.0),),
        tools=TOOLS,
        rules=changes["rules"],
        call_prefix="x",
        received_at=0.0,
    )
    return msgspec.structs.replace(base, **changes)


def call(index: int, name: str, json: str = "{}") -> ev.ToolCallDelta:
    """A whole call in one delta."""
    return ev.ToolCallDelta(index=index, id=f"p{index}", name=name, json=json)


FINISHED = ev.ModelFinished("stop", Usage(steps=1, input_tokens=3, output_tokens=2))


class Bench:
    """Plays a turn by hand and keeps all it put out. Time passes only as `at` is given."""

    def __init__(self, turn: Turn) -> None:
        self.turn = turn
        self.out: list[Output] = []
        self.at = 0.0
        self._take(turn.begin(0.0))

    def feed(self, *events: Any, at: float | None = None) -> list[Output]:
        """Hand events over; returns what they brought."""
        self.at = self.at if at is None else at
        before = len(self.out)
        for event in events:
            self._take(self.turn.handle(event, self.at))
        return self.out[before:]

    def wait(self, until: float) -> list[Output]:
        """Let time pass, and the turn do what becomes due; returns what that brought."""
        before = len(self.out)
        while (due := self.turn.deadline()) is not None and due <= until:
            self.at = max(self.at, due)
            self._take(self.turn.on_deadline(self.at))
        self.at = until
        return self.out[before:]

    def _take(self, outputs: list[Output]) -> None:
        self.out += outputs

    def of(self, kind: type[T]) -> list[T]:
        """What was put out of one kind."""
        return [output for output in self.out if isinstance(output, kind)]

    @property
    def ended(self) -> ev.TurnEnded:
        (ended,) = self.of(ev.TurnEnded)
        return ended

    @property
    def running(self) -> list[str]:
        """Ids of calls that were started and have no result yet."""
        finished = {event.call_id for event in self.of(ev.ToolFinished)}
        return [effect.call_id for effect in self.of(ev.RunTool) if effect.call_id not in finished]


class ScriptedModel(Unseen):
    """A model that answers its n-th request with the n-th script: events, and pauses in seconds."""

    def __init__(self, *replies: list[ev.ModelEvent | float]) -> None:
        self.replies = list(replies)
        self.requests: list[ModelRequest] = []
        self.closed = 0

    async def reply(self, request: ModelRequest, emit: Callable[[ev.ModelEvent], None]) -> None:
        script = self.replies[min(len(self.requests), len(self.replies) - 1)]
        self.requests.append(request)
        try:
            for item in script:
                if isinstance(item, float):
                    await asyncio.sleep(item)
                else:
                    emit(item)
        except asyncio.CancelledError:
            self.closed += 1
            raise


def check_valid_for_providers(messages: tuple[Message, ...]) -> None:
    """The rules every provider has: each call has exactly one result, directly after, in order; no result without."""
    waiting: list[str] = []
    for message in messages:
        if message.role == "tool":
            assert waiting, "a result without a call"
            assert message.tool_call_id == waiting.pop(0)
        else:
            assert not waiting, "a call without its result"
            waiting = [made.id for made in message.tool_calls]
    assert not waiting, "a call without its result at the end"
