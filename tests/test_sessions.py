"""Sessions that outlive their sockets: every event once and in order, one socket at a time, and how they are lost."""

import asyncio
import random
from typing import Any

from websockets.http11 import Response

from tests.gateways import Caller, Place, gateway
from tests.stores import until
from tests.test_connection import only_session, problem
from voice_agent.store.base import Pair
from voice_agent.store.redis import RedisConversations

STALLS = "!say one two three four !fault stall"


def resumption(caller: Caller) -> dict[str, Any]:
    return {"resume": caller.ready["resume_token"], "last_seq": caller.seq}


async def test_a_live_turn_is_heard_whole_over_many_sockets() -> None:
    """The line is cut at random points of a turn, and each event comes once, in order, as if it had not been."""
    points = random.Random(3)
    heard = []
    async with gateway() as place:
        async with place.call() as caller:
            await caller.send("user.text", text="!tokens 300 !token_ms 1", turn_id="t1")
            await caller.until("speech.delta")
            caller.drop()
        heard += caller.events
        for _ in range(12):
            async with place.call(**resumption(caller)) as caller:
                assert caller.ready["resumed"] is True
                for _ in range(points.randrange(1, 15)):
                    await caller.next()
                caller.drop()
            heard += caller.events
        async with place.call(**resumption(caller)) as caller:
            await caller.end_of("t1")
            heard += caller.events
    assert [event["seq"] for event in heard] == list(range(1, len(heard) + 1))
    kinds = [event["type"] for event in heard]
    assert kinds == ["turn.started", *["speech.delta"] * 300, "turn.spoken", "turn.ended"]
    assert "".join(event["text"] for event in heard[1:301]) == heard[-1]["heard"]


async def test_a_session_knows_whether_somebody_is_there() -> None:
    """From its first socket on, and not between two: who has gone is not asked why they are silent."""
    async with gateway() as place:
        async with place.call() as caller:
            floor = only_session(place).session.floor
            assert floor.attended
            caller.drop()

        async def gone() -> bool:
            return not floor.attended

        await until(gone, "the socket is missed")
        async with place.call(**resumption(caller)) as caller:
            assert floor.attended
            async with place.call(**resumption(caller)) as newer:
                await caller.closed()
                await newer.settle()
                assert floor.attended


async def test_what_was_seen_can_be_asked_for_again() -> None:
    """`last_seq` is the client's word: replaying from 0 gives the very frames that were sent before."""
    async with gateway() as place:
        async with place.call() as caller:
            await caller.ask("!say one two three", "t1")
        async with place.call(resume=caller.ready["resume_token"], last_seq=0) as again:
            await again.end_of("t1")
            assert again.events == caller.events
        async with place.call(resume=caller.ready["resume_token"], last_seq=3) as again:
            await again.end_of("t1")
            assert again.events == caller.events[3:]
        async with place.call(resume=caller.ready["resume_token"]) as again:
            await again.end_of("t1")
            assert again.events == caller.events
            assert again.ready["session_id"] == caller.ready["session_id"]


async def test_what_happens_while_nobody_is_there_is_told_afterwards() -> None:
    """A whole turn went by, and the caller who comes back hears it and goes on."""
    async with gateway() as place:
        async with place.call() as caller:
            await caller.send("user.text", text="!say one two !first_token_ms 20", turn_id="t1")
            await caller.until("turn.started")
            caller.drop()
        await until(lambda: _stored(place, 1), "the turn is stored")
        async with place.call(**resumption(caller)) as again:
            assert (await again.end_of("t1"))["heard"] == "one two"
            assert (await again.ask("!say Fine.", "t2"))["heard"] == "Fine."


async def test_the_end_of_a_session_waits_for_the_caller() -> None:
    """It was hung up on a line that was cut: coming back, the client is told, and then there is nothing to resume."""
    async with gateway() as place:
        async with place.call() as caller:
            await caller.send("user.text", text=STALLS, turn_id="t1")
            await caller.until("speech.delta", text=" two")
            await caller.send("session.end", reason="bye")
            caller.drop()
        await until(lambda: _stored(place, 1), "the turn is stored")
        async with place.call(**resumption(caller)) as again:
            assert await again.closed() == 1000
            assert [event["type"] for event in again.events] == ["turn.spoken", "turn.ended", "session.ended"]
            assert again.events[-1]["reason"] == "bye"
        problem(await refused(place, caller), 410)


async def test_a_second_attach_fences_the_first() -> None:
    """The first closes with 4409, the turn in flight goes to the second alone, and so on for a third."""
    async with gateway() as place, place.call() as first:
        await first.send("user.text", text="!tokens 100 !token_ms 1", turn_id="t1")
        await first.until("speech.delta")
        async with place.call(**resumption(first)) as second:
            assert await first.closed() == 4409
            await second.until("speech.delta")
            async with place.call(**resumption(second)) as third:
                assert await second.closed() == 4409
                await third.end_of("t1")
                seen = {event["seq"]: event for caller in (first, second, third) for event in caller.events}
                assert sum(event["type"] == "speech.delta" for event in seen.values()) == 100
                assert (await third.ask("!say Fine.", "t2"))["heard"] == "Fine."


async def test_a_caller_who_comes_back_may_be_silent() -> None:
    """The socket that is gone needs no fence, and what was one counts as nothing that waits for the next."""
    async with gateway() as place:
        async with place.call() as caller:
            pass
        async with place.call(**resumption(caller)) as again:
            assert again.ready["resumed"] is True
            assert not only_session(place).outbox.overflowing.is_set()


async def test_one_that_is_fenced_while_it_waits_for_its_place_leaves_it() -> None:
    """Of two that come while an older socket lets go, the first closes with 4409 and the session is the second's."""
    async with gateway() as place:
        async with place.call() as caller:
            pass
        live = only_session(place)

        async def first() -> int:
            async with place.call(**resumption(caller)) as early:
                return await early.closed()

        async def second() -> int:
            async with place.call(**resumption(caller)) as late:
                return await late.settle()

        async with asyncio.TaskGroup() as tasks:
            async with live.attaching:
                before = live.fenced
                early = tasks.create_task(first())
                await until(lambda: _is_fenced(before), "the first waits for its place")
                before = live.fenced
                late = tasks.create_task(second())
                await until(lambda: _is_fenced(before), "the second waits for its place")
            assert await early == 4409
            assert await late == 0


async def _is_fenced(place: asyncio.Future[None] | None) -> bool:
    return place is not None and place.done()


async def test_a_last_seq_that_cannot_be_is_refused_with_its_reason() -> None:
    """One of the future or no number at all is the client's fault; the session waits for a better one."""
    async with gateway() as place:
        async with place.call() as caller:
            await caller.ask("!say one", "t1")
        token = caller.ready["resume_token"]
        for wrong in (caller.seq + 1, "soon", "-1", "1.0", "", "\N{SUPERSCRIPT TWO}", "9" * 5000):
            told = problem(await place.refusal(resume=token, last_seq=wrong), 422)
            assert [fault["path"] for fault in told["errors"]] == ["/query/last_seq"]
        async with place.call(**resumption(caller)) as again:
            assert await again.settle() == 0


async def test_events_that_are_no_longer_kept_are_gone() -> None:
    """410, and the session can still be taken up from a later event."""
    async with gateway(max_text_chars=16_000) as place:
        async with place.call() as caller:
            for _ in range(13):
                await caller.send("agent.say", text="x" * 16_000)
                await caller.until("turn.ended")
        token = caller.ready["resume_token"]
        assert "no longer kept" in problem(await place.refusal(resume=token, last_seq=1), 410)["detail"]
        async with place.call(**resumption(caller)) as again:
            assert await again.settle() == 0


async def test_a_token_is_good_for_its_agent_and_user_only() -> None:
    """With another agent or user in the address it is as good as none."""
    async with gateway() as place:
        async with place.call(user="ann") as caller:
            pass
        token = caller.ready["resume_token"]
        problem(await place.refusal(resume=token, user="bob"), 410)
        problem(await place.refusal("other", resume=token), 410)
        async with place.call(resume=token, user="ann") as again:
            assert again.ready["resumed"] is True


async def test_a_session_that_nobody_comes_back_to_is_over() -> None:
    """After its time its live turn ends as cancelled and is stored with what was said, and the token is gone."""
    async with gateway(resume_s=0.05) as place:
        async with place.call() as caller:
            await caller.send("user.text", text=STALLS, turn_id="t1")
            await caller.until("speech.delta", text=" two")
            caller.drop()
        await until(lambda: _stored(place, 1), "the turn is stored")
        problem(await refused(place, caller), 410)
        (logged,) = (await RedisConversations(place.store).load(Pair("demo", "default"))).turns
        turn = logged.record
        assert (turn.reason, [message.text for message in turn.messages]) == ("cancelled", [STALLS, "one two"])


async def test_a_session_that_was_taken_up_in_time_lives_on() -> None:
    """The time runs anew from each loss, not from the first."""
    async with gateway(resume_s=0.5) as place, place.call() as caller:
        caller.drop()
        async with place.call(**resumption(caller)) as again:
            async with place.call(user="other") as other:
                other.drop()
            await until(lambda: _alone(place), "the other session's time is over")
            assert (await again.ask("!say Fine.", "t1"))["heard"] == "Fine."


async def refused(place: Place, caller: Caller) -> Response:
    return await place.refusal(**resumption(caller))


async def _stored(place: Place, turns: int) -> bool:
    return len((await RedisConversations(place.store).load(Pair("demo", "default"))).turns) == turns


async def _alone(place: Place) -> bool:
    return len(place.gateway._sessions._live) == 1
