"""One socket and its session: who is let in, how a connection ends, and what a barge-in leaves to be heard."""

import asyncio
import json
import random
from typing import Any

import pytest
from websockets.asyncio.client import connect
from websockets.exceptions import InvalidStatus
from websockets.http11 import Response

from gateway.connection import SLOW_S
from gateway.sessions import LiveSession
from tests.gateways import Caller, Place, gateway
from tests.stores import until

KEY = "key-of-these-tests"


def problem(response: Response, status: int) -> dict[str, Any]:
    """What a refusal says, checked for its form."""
    assert response.status_code == status
    assert response.headers["Content-Type"] == "application/problem+json"
    told: dict[str, Any] = json.loads(response.body or b"")
    assert {"type", "title", "status", "detail"} <= told.keys()
    assert told["status"] == status
    return told


def only_session(place: Place) -> LiveSession:
    (live,) = place.gateway._sessions._live.values()
    return live


# ---- the door ----


async def test_without_the_right_key_nobody_is_let_in() -> None:
    """No key, a wrong key, a key in the URL: 401, with how to do it."""
    async with gateway(api_key=KEY) as place:
        for response in (
            await place.refusal(),
            await place.refusal(key="another-key"),
            await place.refusal(token=KEY),
        ):
            problem(response, 401)
            assert response.headers["WWW-Authenticate"] == "Bearer"
        async with connect(place.url(), additional_headers={"Authorization": f"Bearer {KEY}"}, proxy=None) as socket:
            assert json.loads(await socket.recv())["type"] == "session.ready"


async def test_a_client_token_opens_one_door_and_fixes_the_user() -> None:
    """Its own agent and user are let in, another agent or another user is 403, and so is another user's session."""
    async with gateway(api_key=KEY) as place:

        async def token(**fields: str) -> str:
            body = {"agent_id": "demo", **fields}
            return str((await place.http.ask("POST", "/v1/client_tokens", KEY, json=body)).json["token"])

        ann, bob = await token(user="ann"), await token(user="bob")
        async with place.call(token=ann) as caller:
            assert (caller.ready["agent_id"], caller.ready["user"]) == ("demo", "ann")
            problem(await place.refusal("other", token=ann), 403)
            problem(await place.refusal(token=ann, user="bob"), 403)
            problem(await place.refusal(token=bob, resume=caller.ready["resume_token"]), 410)


async def test_a_page_of_another_origin_is_not_let_in_while_the_door_is_open() -> None:
    """The gateway's own page is, and so is what is no page."""
    async with gateway() as place:
        with pytest.raises(InvalidStatus) as refused:
            async with connect(place.url(), origin="https://evil.example", proxy=None):  # type: ignore[arg-type]
                pass
        problem(refused.value.response, 403)
        async with connect(place.url(), origin=place.base, proxy=None):  # type: ignore[arg-type]
            pass


async def test_what_is_not_there_is_refused_before_the_upgrade() -> None:
    """An unknown agent is 404, a user that is none 422, an unknown resume token 410."""
    async with gateway() as place:
        assert "'nosuch'" in problem(await place.refusal("nosuch"), 404)["detail"]
        assert problem(await place.refusal(user="\n"), 422)["errors"][0]["path"] == "/query/user"
        assert "resume token" in problem(await place.refusal(resume="nosuch"), 410)["detail"]


async def test_one_call_at_a_time_where_the_agent_says_so() -> None:
    """The second is 409, ten at once are let in one; another user, and the same one later, are let in."""
    async with gateway() as place:
        agent = {"id": "shy", "name": "Shy", "second_session": "refuse"}
        assert (await place.http.ask("POST", "/v1/agents", json=agent)).status == 201
        async with place.call("shy", user="ann") as first:
            problem(await place.refusal("shy", user="ann"), 409)
            async with place.call("shy", user="bob"):
                pass
            await first.send("session.end")
            assert await first.closed() == 1000
        await until(lambda: _free(place, "ann"), "the pair is free")
        async with asyncio.TaskGroup() as tasks:
            tries = [tasks.create_task(_try(place, "shy", user="ann")) for _ in range(10)]
        assert sorted(each.result() for each in tries) == [101] + [409] * 9


async def _try(place: Place, agent: str, **query: str) -> int:
    try:
        async with connect(place.url(agent, **query), proxy=None):
            return 101
    except InvalidStatus as refused:
        return refused.response.status_code


async def _free(place: Place, user: str) -> bool:
    return not any(pair.user == user for pair in place.gateway._conversations._open)


# ---- the first words ----


async def test_a_session_introduces_itself() -> None:
    """`session.ready` comes first, then the greeting; the subprotocol is confirmed if it was offered."""
    async with gateway() as place:
        agent = {"id": "kind", "name": "Kind", "greeting": "Welcome!"}
        await place.http.ask("POST", "/v1/agents", json=agent)
        async with place.call("kind", user="ann") as caller:
            names = {"type", "session_id", "agent_id", "user", "resume_token", "resumed", "memory_version"}
            assert caller.ready.keys() == names
            assert (caller.ready["user"], caller.ready["resumed"]) == ("ann", False)
            assert caller.socket.subprotocol == "voice.v1"
            await caller.until("turn.ended")
            kinds = [(event["type"], event.get("kind")) for event in caller.events]
            assert kinds[:3] == [("turn.started", None), ("speech.delta", "greeting"), ("speech.flush", "greeting")]
        async with connect(place.url(), proxy=None) as plain:
            assert plain.subprotocol is None
            assert json.loads(await plain.recv())["user"] == "default"


# ---- how a connection ends ----


async def end(caller: Caller, *frames: str | bytes) -> int:
    for frame in frames:
        await caller.socket.send(frame)
    return await caller.closed()


@pytest.mark.parametrize(
    ("settings", "frames", "code"),
    [
        ({}, [b"\x00"], 1003),
        ({"max_frame_bytes": 1024}, ['{"type":"ping","id":"%s"}' % ("x" * 1024)], 1009),
        ({"max_frames_per_s": 5}, ['{"type":"ping"}'] * 30, 4429),
        ({"idle_s": 0.3}, [], 4408),
        ({}, ['{"type":"session.end"}'], 1000),
    ],
)
async def test_close_code(settings: dict[str, Any], frames: list[str | bytes], code: int) -> None:
    """Each end has its own code; only the caller's own end cannot be taken up again."""
    async with gateway(**settings) as place, place.call() as caller:
        assert await end(caller, *frames) == code
        token = caller.ready["resume_token"]
        if code == 1000:
            problem(await place.refusal(resume=token), 410)
        else:
            async with place.call(resume=token, last_seq=caller.seq) as again:
                assert (await again.ask("!say Fine.", "t1"))["heard"] == "Fine."


async def test_a_largest_frame_and_a_quick_caller_are_let_through() -> None:
    """The limits cut off what is over them and not what reaches them."""
    async with gateway(max_frame_bytes=1024, max_frames_per_s=20) as place, place.call() as caller:
        frame = '{"type":"ping","id":"%s"}'
        await caller.socket.send(frame % ("x" * (1024 - len(frame) + 2)))
        for _ in range(38):
            await caller.send("ping")
        for _ in range(39):
            assert (await caller.next())["type"] == "pong"


async def test_a_gateway_that_goes_away_says_goodbye() -> None:
    """The live turn ends as cancelled, the session ends, the connection closes with 1001, nobody else gets in."""
    async with gateway() as place, place.call() as caller:
        await caller.send("user.text", text="!say one two three four !fault stall", turn_id="t1")
        await caller.until("speech.delta")
        await place.gateway.close()
        assert await caller.closed() == 1001
        assert [event["reason"] for event in caller.of("turn.ended")] == ["cancelled"]
        assert caller.events[-1]["type"] == "session.ended"
        assert caller.events[-1]["reason"] == "going_away"
        assert (await place.refusal()).status_code >= 400


# ---- slow readers ----

MANY = 3000
FLOOD = f"!tokens {MANY}"


async def flooded(place: Place, caller: Caller) -> LiveSession:
    """A session whose caller reads nothing, and for which too much waits."""
    live = only_session(place)
    await caller.send("user.text", text=FLOOD, turn_id="t1")
    await until(lambda: _is_set(live.outbox.overflowing), "too much waits for the client")
    return live


async def _is_set(event: asyncio.Event) -> bool:
    return event.is_set()


async def test_a_reader_that_is_too_slow_is_told_so() -> None:
    """It gets what was on its way and then 4430; coming back it gets the rest, every event once."""
    async with gateway(sndbuf=4096) as place:
        async with place.call(rcvbuf=4096) as caller:
            await flooded(place, caller)
            given_up = asyncio.get_running_loop().time() + SLOW_S + 0.2
            await until(lambda: _is_past(given_up), "a second in which nothing could be sent")
            assert await caller.closed() == 4430
            assert 0 < caller.seq < MANY
        async with place.call(resume=caller.ready["resume_token"], last_seq=caller.seq) as again:
            await again.until("turn.ended")
            assert len(caller.of("speech.delta") + again.of("speech.delta")) == MANY


async def _is_past(at: float) -> bool:
    return asyncio.get_running_loop().time() > at


async def test_a_reply_in_one_breath_is_no_fault_of_its_reader() -> None:
    """Far more events than may wait, at once, to a client that reads them: it gets them all."""
    async with gateway() as place, place.call() as caller:
        await caller.send("user.text", text="!tokens 6000 !token_ms 0", turn_id="t1")
        await caller.until("turn.ended")
        assert len(caller.of("speech.delta")) == 6000


async def test_a_client_that_reads_nothing_does_not_keep_its_place() -> None:
    """Its successor gets everything from the first event on, though the close frame could never be sent."""
    async with gateway(sndbuf=4096) as place, place.call(rcvbuf=4096) as deaf:
        await flooded(place, deaf)
        async with place.call(resume=deaf.ready["resume_token"], last_seq=0) as again:
            await again.until("turn.ended")
            assert len(again.of("speech.delta")) == MANY
        deaf.drop()


# ---- barge-in ----


async def test_after_an_interrupt_was_read_at_most_one_more_word_comes() -> None:
    """At random points of fast streams; what the turn's end calls heard is what came over the wire."""
    points = random.Random(2)
    cut = 0
    async with gateway() as place, place.call() as caller:
        for number in range(60):
            turn_id = f"t{number}"
            await caller.send("user.text", text="!tokens 60", turn_id=turn_id)
            await caller.until("turn.started")
            for _ in range(points.randrange(40)):
                await caller.until("speech.delta")
            for _ in range(points.randrange(4)):
                await asyncio.sleep(0)
            await caller.send("user.interrupt", turn_id=turn_id, heard={"chars": 10_000})
            await caller.send("ping", id=number)
            await caller.until("pong", id=number)
            before = len(caller.of("speech.delta"))
            ended = await caller.end_of(turn_id)
            await caller.settle()
            assert len(caller.of("speech.delta")) - before <= 1
            assert ended["heard"] == caller.said(turn_id)
            cut += ended["reason"] == "interrupted"
        assert cut > 30
        check_turns(caller)


async def test_speech_that_waits_for_a_slow_caller_is_dropped_at_a_barge_in() -> None:
    """Hundreds of words were waiting: none of them but the one under way is sent after the interrupt was read."""
    async with gateway(sndbuf=4096) as place, place.call(rcvbuf=4096) as caller:
        live = only_session(place)
        await caller.send("user.text", text="!tokens 2500 !fault stall", turn_id="t1")
        await until(lambda: _waiting(live, 200), "speech waits")
        left = len(live.outbox._events)
        sent = live.replay._last
        await caller.send("user.interrupt", turn_id="t1", heard={"chars": 1_000_000})
        ended = await caller.until("turn.ended")
        assert left > 200
        assert len(caller.of("speech.delta")) <= sent
        assert (ended["reason"], ended["heard"]) == ("interrupted", caller.said("t1"))
        assert len(ended["generated"]) > len(ended["heard"])
        check_turns(caller)


async def _waiting(live: LiveSession, count: int) -> bool:
    return len(live.outbox._events) > count


def check_turns(caller: Caller) -> None:
    """Exactly one `turn.ended` for each `turn.started`, and one `turn.spoken` before it."""
    for kind in ("turn.spoken", "turn.ended"):
        assert [event["turn_id"] for event in caller.of(kind)] == [
            event["turn_id"] for event in caller.of("turn.started")
        ]
