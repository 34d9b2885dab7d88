"""The ways into the agent by which a scenario can be played."""

import json
from collections.abc import Awaitable, Callable
from itertools import cycle
from typing import Any, assert_never

from tests.api.world import Client
from tests.gateways import Caller, Place
from tests.scenarios.script import (
    Bring,
    Decide,
    Door,
    End,
    Goodbye,
    Greeted,
    Interrupt,
    Late,
    Murmur,
    Note,
    Played,
    Refused,
    Return,
    Say,
    Start,
    Step,
    Unasked,
)

USER = "ann"
_FORMS: tuple[dict[str, str], ...] = ({}, {"stream": "steps"}, {"stream": "tokens"})


async def over_socket(place: Place, agent_id: str, steps: tuple[Step, ...]) -> list[str]:
    """A call over `voice.v1`; returns the errors that came."""
    async with place.call(agent_id, user=USER) as caller:
        turn_id = ""
        for number, step in enumerate(steps):
            if isinstance(step, Say | Start):
                turn_id = f"t{number}"
            await _take(caller, step, turn_id)
        await caller.send("session.end")
        assert await caller.closed() == 1000
    return [event["message"] for event in caller.of("error")]


async def _take(caller: Caller, step: Step, turn_id: str) -> None:
    match step:
        case Say(text=text):
            await caller.ask(text, turn_id)
        case Start():
            await _start(caller, step, turn_id)
        case Interrupt(chars=chars):
            await caller.send("user.interrupt", heard={"chars": chars})
            await caller.end_of(turn_id)
        case Decide(tool=tool, approved=approved, reason=reason):
            call_id = await _asked(caller, tool)
            await caller.send("tool.approval", call_id=call_id, approved=approved, reason=reason)
        case Return(tool=tool, output=output, is_error=is_error):
            call_id = await _asked(caller, tool, "tool.request")
            await caller.send("tool.result", call_id=call_id, output=output, is_error=is_error)
        case Bring(tools=tools):
            await caller.send("session.configure", client_tools=tools)
        case Played(chars=chars):
            await caller.send("playback", turn_id=turn_id, chars=chars)
            await caller.until("turn.heard", turn_id=turn_id)
        case Note(text=text):
            await caller.send("context.add", text=text)
        case Murmur(text=text):
            await caller.send("user.text", text=text)
        case Refused():
            raise AssertionError("a socket takes this as a barge-in")
        case _:
            await _hear(caller, step, turn_id)


async def _hear(caller: Caller, step: End | Greeted | Goodbye | Late | Unasked, turn_id: str) -> None:
    match step:
        case End():
            await caller.end_of(turn_id)
        case Greeted():
            await caller.until("turn.ended")
            assert {event["kind"] for event in caller.of("speech.delta")} == {"greeting"}
        case Goodbye(reason=reason):
            await caller.send("playback", turn_id=turn_id, done=True)
            assert (await caller.until("session.ended"))["reason"] == reason
        case Late(tool=tool):
            while not [event for event in caller.of("tool.finished") if event["name"] == tool]:
                await caller.next()
        case Unasked(text=text):
            await caller.until("turn.ended", generated=text)
        case _:
            assert_never(step)


async def _start(caller: Caller, step: Start, turn_id: str) -> None:
    await caller.send("user.text", text=step.text, turn_id=turn_id)
    await caller.until("turn.started", turn_id=turn_id)
    while caller.said(turn_id) != step.said:
        await caller.until("speech.delta", turn_id=turn_id)
    if step.asked:
        await _asked(caller, step.asked)
    if step.tool and not [event for event in caller.of("tool.started") if event["name"] == step.tool]:
        await caller.until("tool.started", name=step.tool)


async def _asked(caller: Caller, tool: str, *kinds: str) -> str:
    """The call of this tool that the client is, or was last, asked about."""
    wanted = kinds or ("approval.request", "tool.request")
    while not (asked := [event for event in caller.of(*wanted) if event["name"] == tool]):
        await caller.next()
    return str(asked[-1]["call_id"])


async def over_http(place: Place, agent_id: str, steps: tuple[Step, ...]) -> list[str]:
    """Requests, each answered, whole or as a stream, when its run has ended or waits; returns the runs' errors.

    Hanging up is cancelling the run that has not ended; twice, since that is harmless.
    """
    runs = Runs(place.http, agent_id)
    for step in steps:
        await runs.take(step)
    if runs.goes_on:
        for _ in range(2):
            await runs.ask("POST", f"/v1/runs/{runs.last}/cancel")
        assert (await runs.record())["status"] == "cancelled"
    return await runs.errors()


class Runs:
    """The runs of one user with an agent. `last` is the id of the one that began last."""

    def __init__(self, http: Client, agent_id: str) -> None:
        self._http = http
        self._path = f"/v1/agents/{agent_id}/messages?user={USER}"
        # What is answered does not depend on how: each request takes the next form, each agent another first one.
        self._forms = cycle(_FORMS[len(agent_id) % len(_FORMS) :] + _FORMS[: len(agent_id) % len(_FORMS)])
        self._tools: dict[str, Any] = {}
        self._asked: dict[tuple[str, str], str] = {}
        self._ids: list[str] = []
        self.goes_on = False

    @property
    def last(self) -> str:
        return self._ids[-1]

    async def take(self, step: Step) -> None:
        """Make the request that a step is."""
        match step:
            case Say(text=text, fields=fields):
                await self._say(text, **fields)
                assert not self.goes_on
            case Start(text=text, asked=""):
                await self._say(text, background=True)
            case Start(text=text, asked=asked):
                await self._say(text)
                assert asked in {name for name, _ in self._asked}
            case Decide(tool=tool, approved=approved, reason=reason):
                why = {} if reason is None else {"reason": reason}
                decision = {"call_id": self._asked[tool, "decision"], "approved": approved, **why}
                await self._post({"role": "approval", "approvals": [decision]})
            case Return(tool=tool, output=output, is_error=is_error):
                answer = {"call_id": self._asked[tool, "result"], "output": output, "is_error": is_error}
                await self._post({"role": "tool", "returns": [answer]})
            case End() | Goodbye():
                assert not self.goes_on
            case Bring(tools=tools):
                self._tools = {"client_tools": list(tools)}
            case Refused(text=text):
                await self._refused(text)
            case _:
                raise AssertionError(f"{step} takes a socket")

    async def ask(self, method: str, path: str, body: Any = None) -> dict[str, Any]:
        """A request that is answered well; returns the answer."""
        answer = await self._http.ask(method, path, json=body)
        assert answer.status in (200, 202), answer.body
        if answer.headers["content-type"].startswith("text/event-stream"):
            last = answer.body.rstrip().rpartition(b"\n\n")[2]
            assert last.startswith(b"event: run.ended\ndata: "), last
            return dict(json.loads(last.partition(b"data: ")[2]))
        return dict(answer.json)

    async def record(self) -> dict[str, Any]:
        """What is kept of the last run."""
        return await self.ask("GET", f"/v1/runs/{self.last}")

    async def errors(self) -> list[str]:
        """Those of all runs."""
        records = [await self.ask("GET", f"/v1/runs/{run_id}") for run_id in self._ids]
        return [record["error"] for record in records if record["error"] is not None]

    async def _say(self, text: str, **fields: Any) -> None:
        await self._post({"role": "user", "text": text}, **self._tools, **fields)

    async def _post(self, message: dict[str, Any], **fields: Any) -> None:
        form = {} if "background" in fields else next(self._forms)
        answer = await self.ask("POST", self._path, {"messages": [message], **form, **fields})
        if answer["run_id"] not in self._ids:
            self._ids.append(answer["run_id"])
        assert answer["run_id"] == self.last
        self.goes_on = answer["status"] in ("running", "requires_approval")
        pending = answer.get("pending", [])
        assert (
            bool(pending) == (answer["status"] == "requires_approval") == (answer.get("reason") == "requires_approval")
        )
        self._asked |= {(call["name"], call["waits_for"]): call["call_id"] for call in pending}

    async def _refused(self, text: str) -> None:
        answer = await self._http.ask("POST", self._path, json={"messages": [{"role": "user", "text": text}]})
        assert answer.status == 409
        waiting = [call["call_id"] for call in (await self.record())["pending"]]
        assert waiting
        assert all(call_id in answer.json["detail"] for call_id in waiting)


# Plays the steps with an agent, hangs up, and returns the errors that the client was told.
PLAYS: dict[Door, Callable[[Place, str, tuple[Step, ...]], Awaitable[list[str]]]] = {
    "socket": over_socket,
    "HTTP": over_http,
}
