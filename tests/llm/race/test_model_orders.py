"""The chain as a model whose models say anything at any time, in virtual time: one reply is told, and nobody left."""

import asyncio
from collections.abc import Callable

from hypothesis import given, settings
from hypothesis import strategies as st

from tests.llm.race.chains import BUSY, LIVE, LONG, PATIENT, RUN, WRONG, known
from tests.models import Unseen
from tests.virtual_time import VirtualClock, run
from voice_agent import events as ev
from voice_agent.llm.race.model import RacingModel, Runner
from voice_agent.llm.race.race import Policy
from voice_agent.messages import Message, ModelBusy, ModelRequest, Opaque, ToolSchema, Usage

SPEAKING = ToolSchema("look", "Looks.", {"type": "object", "properties": {"pre_exec_msg": {"type": "string"}}})
REQUEST = ModelRequest("m", "s", (), (Message("user", "hello", 0.0),), (SPEAKING,))
Item = float | str | ev.ModelFailed


class Unruly(Unseen):
    """Answers its n-th request with the n-th script: pauses, things to say that bear its mark, and ends."""

    def __init__(self, name: str, scripts: list[list[Item]]) -> None:
        self.name = name
        self.scripts = scripts
        self.asked = self.open = 0

    async def reply(self, request: ModelRequest, emit: Callable[[ev.ModelEvent], None]) -> None:
        script, mark = self.scripts[self.asked % len(self.scripts)], f"{self.name}.{self.asked}"
        self.asked += 1
        self.open += 1
        try:
            for item in script:
                if isinstance(item, float):
                    await asyncio.sleep(item)
                elif isinstance(item, ev.ModelFailed):
                    return emit(item)
                else:
                    emit(_said(item, mark))
                if item == "finish":
                    return None
        finally:
            self.open -= 1


def _said(item: str, mark: str) -> ev.ModelEvent:
    match item:
        case "raise":
            raise RuntimeError("a fault of our own")
        case "think":
            return Opaque(mark, "reasoning", "Hm.")
        case "say":
            return ev.TextDelta(mark)
        case "call":
            return ev.ToolCallDelta(0, mark, "look", '{"pre_exec_msg": "')
        case "act":
            return ev.ToolCallDelta(1, mark, "silent", "{}")
        case _:
            return ev.ModelFinished("stop", Usage(steps=1))


def marks(events: list[ev.ModelEvent]) -> set[str]:
    """Whose requests these are answers to."""
    found = set()
    for event in events:
        match event:
            case Opaque(model=mark) | ev.TextDelta(text=mark) | ev.ToolCallDelta(id=str(mark)):
                found.add(mark)
            case _:
                pass
    return found


class Hearing:
    """What is told of a reply, without the signs of life, and what was spent until something was."""

    def __init__(self) -> None:
        self.told: list[ev.ModelEvent] = []
        self.first_at = self.last_at = 0.0
        self.spent = self.spent_at_first = Usage()

    def take(self, event: ev.ModelEvent) -> None:
        if isinstance(event, ModelBusy):
            self.spent += event.spent or Usage()
            return
        self.last_at = asyncio.get_running_loop().time()
        if not self.told:
            self.first_at, self.spent_at_first = self.last_at, self.spent
        self.told.append(event)


says = st.sampled_from(["think", "say", "call", "act", "finish", "raise"])
items: st.SearchStrategy[Item] = st.one_of(
    says, st.sampled_from([0.0, 0.05, 0.3, 1.0, 3.0, 60.0]), st.sampled_from([BUSY, WRONG, LONG])
)
models = st.lists(st.lists(st.lists(items, max_size=6), min_size=1, max_size=3), min_size=1, max_size=3)


@settings(max_examples=300, deadline=None)
@given(models, st.sampled_from([LIVE, PATIENT, RUN]), st.one_of(st.none(), st.floats(0.0, 9.0)))
def test_whatever_is_said_one_reply_is_told(
    scripts: list[list[list[Item]]], policy: Policy, cancelled_at: float | None
) -> None:
    """Of one request, whole and in time; nobody is asked after its first word; no request outlives it."""
    chain = [Unruly(f"m{number}", own) for number, own in enumerate(scripts)]
    heard = Hearing()

    async def main() -> None:
        racing = RacingModel([Runner(model.name, model, known()) for model in chain], policy, VirtualClock())
        async with asyncio.TaskGroup() as tasks:
            task = tasks.create_task(racing.reply(REQUEST, heard.take))
            if cancelled_at is not None:
                await asyncio.wait([task], timeout=cancelled_at)
                task.cancel()
        if cancelled_at is None:
            assert asyncio.get_running_loop().time() == heard.last_at
        assert sum(model.open for model in chain) == 0
        before = len(heard.told)
        await asyncio.sleep(100)
        assert len(heard.told) == before
        assert len(asyncio.all_tasks()) == 1

    run(main())
    asked = sum(model.asked for model in chain)
    ends = [event for event in heard.told if isinstance(event, ev.ModelFinished | ev.ModelFailed)]
    assert len(marks(heard.told)) <= 1
    assert ends == [event for event in heard.told[-1:] if event in ends]
    if cancelled_at is None:
        assert len(ends) == 1
        assert asked == heard.spent.attempts
    assert asked <= heard.spent.attempts
    if heard.told:
        assert heard.spent == heard.spent_at_first
        assert policy.deadline_s is None or heard.first_at <= len(chain) * policy.deadline_s + 1e-6
