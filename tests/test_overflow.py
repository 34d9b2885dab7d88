"""Context overflow: what is cut, how often, what it leads to, the same in every wire format."""

import asyncio
from dataclasses import replace
from typing import Any

import pytest

from tests.calls import PAIR, Ear, World, call
from tests.servers import serving
from tests.test_run import Listener
from tests.turns import FINISHED, Bench, setup
from tests.turns import call as tool_call
from voice_agent import events as ev
from voice_agent.clock import SystemClock
from voice_agent.llm.capabilities import Api, Capabilities
from voice_agent.llm.provider import ProviderModel
from voice_agent.llm.simulated.server import create_app
from voice_agent.llm.wire import Auth, Endpoint, Http, Pool
from voice_agent.messages import Message, ToolCall, Usage
from voice_agent.overflow import Gauge, History, stub, tokens_of
from voice_agent.prompt import Prompt
from voice_agent.run import Inbox, run_turn
from voice_agent.session import Session
from voice_agent.turn import Turn
from voice_agent.wiring import Wiring
from voice_agent.work import Work

TOO_LONG = ev.ModelFailed("p says that the conversation is too long for the model", overflow=True)
DONE = ev.ModelFinished("stop")


def turns(count: int, words: str = "") -> tuple[Message, ...]:
    """So many plain turns."""
    pairs = (
        (Message("user", f"q{n} {words}", n), Message("assistant", f"a{n}", n, heard=f"a{n}")) for n in range(count)
    )
    return tuple(message for pair in pairs for message in pair)


def words(messages: tuple[Message, ...]) -> list[str]:
    """What they say."""
    return [message.text.strip() for message in messages]


def test_each_cut_takes_the_older_half_of_the_turns() -> None:
    """Three times at most; one stub says how many messages are missing in all."""
    history = History(turns(16))
    seen = []
    while history.shorten():
        seen.append((len(history.shown), history.dropped, history.shown[0].text.split()[0]))
    assert seen == [(17, 16, "[16"), (9, 24, "[24"), (5, 28, "[28")]
    assert words(history.shown)[1:] == ["q14", "a14", "q15", "a15"]


def test_a_stub_that_was_there_is_counted_on() -> None:
    """What was hidden before is hidden still."""
    history = History((stub(12, 0.0), *turns(2)))
    assert history.shorten()
    assert history.shown == (stub(14, 0.0), *turns(2)[2:])
    assert history.dropped == 2


def test_a_call_never_parts_from_its_result() -> None:
    """Cuts fall before what the user said, and nowhere else."""
    with_call = (
        Message("user", "q", 0.0),
        Message("assistant", "", 0.0, tool_calls=(ToolCall("c", "look", "{}"),)),
        Message("tool", "r", 0.0, tool_call_id="c"),
        Message("assistant", "a", 0.0),
    )
    history = History(with_call + turns(1))
    assert history.shorten()
    assert history.shown == (stub(4, 0.0), *turns(1))
    assert history.shorten()
    assert history.shown == (stub(6, 0.0),)
    assert not history.shorten()


def test_an_empty_history_cannot_be_cut() -> None:
    """There is nothing but the user's last words."""
    assert not History(()).shorten()


def test_turns_weigh_what_the_count_has_grown_by() -> None:
    """As long as nothing else of the request has changed, and the provider told both times."""
    gauge = Gauge()
    told = [(100, "a"), (160, "a"), (200, "b"), (230, "b"), (None, "b"), (300, "b"), (290, "b"), (291, "b")]
    assert [gauge.weigh(tokens, (beside,)) for tokens, beside in told] == [None, 60, None, 30, None, None, None, 1]


def requests(bench: Bench) -> list[int]:
    """How many messages of the past each request shows."""
    return [len(effect.request.history) for effect in bench.of(ev.CallModel)]


def test_a_turn_asks_again_with_less_and_goes_on() -> None:
    """The user's last words are in every request; nobody hears of it."""
    bench = Bench(Turn(setup("now", history=turns(4))))
    bench.feed(TOO_LONG, TOO_LONG, ev.TextDelta("Here."), FINISHED)
    assert requests(bench) == [8, 5, 3]
    assert all(effect.request.turn[-1].text == "now" for effect in bench.of(ev.CallModel))
    assert (bench.ended.reason, bench.ended.generated, bench.of(ev.Failed)) == ("end_turn", "Here.", [])


def test_after_three_cuts_the_turn_ends_and_says_so() -> None:
    """With a spoken notice, an error, and an end of its own name."""
    bench = Bench(Turn(setup("now", history=turns(40), failure_notice="Sorry.")))
    bench.feed(TOO_LONG, TOO_LONG, TOO_LONG)
    assert not bench.of(ev.TurnEnded)
    bench.feed(TOO_LONG)
    assert requests(bench) == [80, 41, 21, 11]
    assert bench.ended.reason == "context_window_overflow"
    assert [(spoke.kind, spoke.text) for spoke in bench.of(ev.Spoke)] == [("notice", "Sorry.")]
    assert [(failed.code, failed.message) for failed in bench.of(ev.Failed)] == [("provider", TOO_LONG.error)]


def test_what_was_said_is_not_said_again() -> None:
    """A reply that has begun is not asked for anew."""
    bench = Bench(Turn(setup("now", history=turns(4))))
    bench.feed(ev.TextDelta("Well,"), TOO_LONG)
    assert requests(bench) == [8]
    assert bench.ended.reason == "context_window_overflow"


def test_the_cut_holds_for_the_steps_that_follow() -> None:
    """A step after a tool call begins with what the one before it was left with, and so do the counted cuts."""
    bench = Bench(Turn(setup("now", history=turns(4))))
    bench.feed(TOO_LONG, tool_call(0, "look"), FINISHED, ev.ToolReturned("call_x_0", "found"), TOO_LONG)
    assert requests(bench) == [8, 5, 5, 3]
    assert [message.role for message in bench.of(ev.CallModel)[-1].request.turn] == ["user", "assistant", "tool"]


FORMATS: tuple[tuple[Api, str, Auth], ...] = (
    ("chat", "/v1", "bearer"), ("messages", "", "x-api-key"), ("responses", "/v1", "bearer"),
)  # fmt: skip


async def play(api: Api, path: str, auth: Auth, system: str, said: str) -> Listener:
    """A turn after 64 others with the simulated model over HTTP."""
    listener = Listener()
    async with serving(create_app(0, 0)) as url, Http() as http, asyncio.timeout(10):
        endpoint = Endpoint("acme", url.removesuffix("/v1") + path, "key", auth, api=api)
        model = ProviderModel(Pool(http, endpoint), "acme/m", "m", Capabilities())
        prompt = Prompt(model="m", system=system, max_output_tokens=900)
        turn = Turn(setup(said, history=turns(64, "word " * 40), prompt=prompt, tools={}, failure_notice="Sorry."))
        tools: Any = None
        await run_turn(turn, model, tools, Inbox(), listener, SystemClock())
    return listener


@pytest.mark.parametrize(("api", "path", "auth"), FORMATS)
async def test_every_provider_is_asked_again(api: Api, path: str, auth: Auth) -> None:
    """64 turns of about 75 tokens are too many for one that takes 1,600; a quarter of them fits."""
    listener = await play(api, path, auth, "!limit 1600", "!say Fine.")
    (ended,) = [event for event in listener.events if isinstance(event, ev.TurnEnded)]
    assert (ended.reason, ended.generated) == ("end_turn", "Fine.")
    assert ended.usage.input_tokens is not None
    assert 800 < ended.usage.input_tokens <= 1600


@pytest.mark.parametrize(("api", "path", "auth"), FORMATS)
async def test_every_provider_can_refuse_for_good(api: Api, path: str, auth: Auth) -> None:
    """The end is the same whatever the provider's words for it."""
    listener = await play(api, path, auth, "s", "!fault overflow")
    (ended,) = [event for event in listener.events if isinstance(event, ev.TurnEnded)]
    (failed,) = [event for event in listener.events if isinstance(event, ev.Failed)]
    assert (ended.reason, ended.generated) == ("context_window_overflow", "Sorry.")
    assert failed.message == "acme says that the conversation is too long for the model"


QUICK: list[Any] = [ev.TextDelta("Fine."), DONE]


def talk(world: World, count: int) -> None:
    """A caller who says so many things."""

    async def caller(session: Session, ear: Ear) -> None:
        for n in range(count):
            session.handle(ev.UserSpoke(f"q{n}", turn_id=f"t{n}"))
            await asyncio.sleep(0.5)

    call(world, caller)


def test_what_was_cut_stays_out_and_becomes_memory() -> None:
    """The next turn does not show it either, and a job is raised for it as the turn is stored."""
    world = World(QUICK, QUICK, QUICK, QUICK, [TOO_LONG], QUICK)
    talk(world, 6)
    assert [len(request.history) for request in world.model.requests] == [0, 2, 4, 6, 8, 5, 7]
    last = world.model.requests[-1].history
    assert words(last) == [stub(4, 0.0).text, "q2", "Fine.", "q3", "Fine.", "q4", "Fine."]

    async def marks() -> tuple[str, list[str]]:
        memory = await world.store.read_memory(PAIR)
        return memory.evict, [turn.id for turn in memory.turns]

    evict, ids = asyncio.run(marks())
    assert evict == ids[1]


def test_what_was_cut_can_be_searched_in_the_very_turn() -> None:
    """A call after the cut is told of fewer messages that its model sees anyway."""
    world = World(
        QUICK, QUICK, QUICK, QUICK, [tool_call(0, "look"), DONE], [TOO_LONG], [tool_call(0, "look"), DONE], QUICK
    )
    make, seen = world._wiring, []

    def watched(session_id: str) -> Wiring:
        wiring = make(session_id)

        def runner(work: Work, in_prompt: frozenset[str]) -> Any:
            seen.append(len(in_prompt))
            return wiring.runner(work, in_prompt)

        return replace(wiring, runner=runner)

    world._wiring = watched  # type: ignore[method-assign]

    async def caller(session: Session, ear: Ear) -> None:
        for n in range(5):
            session.handle(ev.UserSpoke(f"q{n}", turn_id=f"t{n}"))
            await asyncio.sleep(3)

    call(world, caller)
    assert seen == [8, 4]


def test_the_window_is_bounded_by_tokens_before_the_request() -> None:
    """A model of 2,000 tokens is never sent more, by our own count, and a stub stands for what is left out."""
    world = World(QUICK, system="s", context_window=2000)
    long = "word " * 160  # about 200 tokens

    async def caller(session: Session, ear: Ear) -> None:
        for n in range(14):
            session.handle(ev.UserSpoke(f"{n} {long}", turn_id=f"t{n}"))
            await asyncio.sleep(0.5)

    call(world, caller)
    assert max(tokens_of(request.history + request.turn) for request in world.model.requests) < 2000
    assert world.model.requests[-1].history[0].role == "context"
    assert len(world.model.requests[-1].history) > 6


def test_a_provider_s_count_wins_over_the_length() -> None:
    """Short words that weigh a lot fill the bound as fast as long ones."""
    replies = [[ev.TextDelta("Fine."), ev.ModelFinished("stop", Usage(1, 500 * n, 1))] for n in range(1, 13)]
    world = World(*replies, buffer={"max_tokens": 1000})
    talk(world, 12)
    light = World(QUICK, buffer={"max_tokens": 1000})
    talk(light, 12)
    assert max(len(request.history) for request in world.model.requests) < 12
    assert len(light.model.requests[-1].history) == 22


def test_with_autoclear_each_turn_begins_with_an_empty_window() -> None:
    """The log keeps everything."""
    world = World(QUICK, message_buffer_autoclear=True)
    talk(world, 3)
    assert [request.history for request in world.model.requests] == [(), (), ()]
    assert len(asyncio.run(world.history())) == 6
    assert world.sessions[0].conversation.in_prompt() == frozenset()
