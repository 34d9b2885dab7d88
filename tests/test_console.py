"""The web page in a real browser: a person types, reads along, interrupts, and is called back after a lost line."""

import asyncio
import json
import re
from pathlib import Path
from typing import Any

import aiohttp
import pytest
from starlette.applications import Starlette
from starlette.routing import Route

from gateway.console import page, read_page
from tests.chromium import browsing
from tests.scripted import TURN, Line, scripted
from tests.servers import serving

MARKUP = "<img src=x onerror=\"document.title = 'owned'\"> & <b>bold</b>"


@pytest.mark.browser
async def test_a_person_types_reads_along_and_interrupts(tmp_path: Path) -> None:
    """Words appear as they are sent, each kind apart; Interrupt tells how many characters were on the page."""
    frames: list[dict[str, Any]] = []
    first_shown, stopped = asyncio.Event(), asyncio.Event()

    async def script(line: Line) -> None:
        await line.ready()
        frames.append(await line.frame())
        turn = frames[0]["turn_id"]
        await line.event("turn.started", turn_id=turn, revision=0)
        await line.say(turn, "Let me ", "look.", kind="utterance")
        await line.event("tool.started", turn_id=turn, call_id="c", name="get_time", arguments={"zone": "UTC"})
        await line.event("tool.finished", turn_id=turn, call_id="c", name="get_time", status="ok", duration_ms=12.4)
        await line.say(turn, "It is 👩‍🚀 ")
        await first_shown.wait()
        await line.say(turn, "five past")
        frames.append(await line.frame())
        await line.event("turn.ended", turn_id=turn, **{**TURN, "reason": "interrupted"})
        await stopped.wait()

    async with scripted(script, page=read_page()) as url, browsing(url, tmp_path) as web:
        await web.until("document.getElementById('state').className === 'on'")
        await web.type("what time is it")
        await web.press("Enter", 13)
        await web.shows("It is 👩‍🚀 ")
        assert await web.value("document.getElementById('interrupt').disabled") is False
        first_shown.set()
        await web.shows("five past")
        await web.click("#interrupt")
        await web.shows("interrupted")
        assert await web.text(".user") == ["what time is it"]
        assert await web.text(".utterance") == ["Let me look."]
        assert await web.text(".tool") == ['get_time {"zone":"UTC"}', "get_time: ok, 12\u00a0ms"]
        assert await web.text(".reply") == ["It is 👩‍🚀 five past"]
        assert await web.text(".ending") == ["interrupted · first words 12\u00a0ms · total 30\u00a0ms"]
        assert await web.value("document.getElementById('interrupt').disabled") is True
        assert web.faults == []
        stopped.set()
    assert frames[0].items() >= {"type": "user.text", "text": "what time is it"}.items()
    shown = len("Let me look.It is 👩‍🚀 five past")
    assert frames[1] == {"type": "user.interrupt", "turn_id": frames[0]["turn_id"], "heard": {"chars": shown}}


@pytest.mark.browser
async def test_typing_over_the_agent_is_a_barge_in_and_escape_interrupts(tmp_path: Path) -> None:
    """The mark goes ahead of the words; the Escape key does what the button does."""
    frames: list[dict[str, Any]] = []
    stopped = asyncio.Event()

    async def script(line: Line) -> None:
        await line.ready()
        await line.event("turn.started", turn_id="g", revision=0)
        await line.say("g", "Welcome", kind="greeting")
        frames.extend([await line.frame(), await line.frame()])
        await line.event("turn.ended", turn_id="g", **{**TURN, "reason": "interrupted"})
        await line.event("turn.started", turn_id=frames[1]["turn_id"], revision=0)
        await line.say(frames[1]["turn_id"], "Yes?")
        frames.append(await line.frame())
        await stopped.wait()

    async with scripted(script, page=read_page()) as url, browsing(url, tmp_path) as web:
        await web.shows("Welcome")
        await web.type("wait")
        await web.press("Enter", 13)
        await web.shows("Yes?")
        await web.press("Escape", 27)
        await web.until("document.getElementById('interrupt').disabled")
        stopped.set()
        assert web.faults == []
    turn = frames[1]["turn_id"]
    assert frames == [
        {"type": "playback", "turn_id": "g", "chars": 7},
        {"type": "user.text", "text": "wait", "turn_id": turn},
        {"type": "user.interrupt", "turn_id": turn, "heard": {"chars": 4}},
    ]


@pytest.mark.browser
async def test_a_lost_line_is_picked_up_and_nothing_is_shown_twice(tmp_path: Path) -> None:
    """The page dials again with its token and last_seq, and drops events that it has seen."""
    paths: list[str] = []
    seen, stopped = asyncio.Event(), asyncio.Event()

    async def script(line: Line) -> None:
        paths.append(line.path)
        await line.ready(resumed=line.number > 1)
        if line.number == 1:
            await line.event("turn.started", turn_id="g", revision=0)
            await line.say("g", "Hello ")
            await seen.wait()
            line.drop()
            return
        await line.replay(0)
        await line.say("g", "again")
        await line.event("turn.ended", turn_id="g", **TURN)
        await stopped.wait()

    async with scripted(script, page=read_page()) as url, browsing(f"{url}/?agent=demo&user=eva", tmp_path) as web:
        await web.shows("Hello ")
        seen.set()
        await web.shows("end turn")
        assert await web.text(".reply") == ["Hello again"]
        stopped.set()
        assert web.faults == []
    assert paths == [
        "/v1/agents/demo/session?user=eva",
        "/v1/agents/demo/session?user=eva&resume=token-1&last_seq=2",
    ]


@pytest.mark.browser
async def test_nothing_that_is_said_is_taken_for_markup(tmp_path: Path) -> None:
    """Markup from the agent, the tool, the error and the person stays text."""
    stopped = asyncio.Event()

    async def script(line: Line) -> None:
        await line.ready()
        turn = (await line.frame())["turn_id"]
        await line.event("turn.started", turn_id=turn, revision=0)
        await line.say(turn, MARKUP)
        await line.event("tool.started", turn_id=turn, call_id="c", name=MARKUP, arguments={})
        await line.event("error", code="provider", message=MARKUP, retryable=False, turn_id=turn)
        await line.event("turn.ended", turn_id=turn, **{**TURN, "reason": MARKUP})
        await stopped.wait()

    async with scripted(script, page=read_page()) as url, browsing(url, tmp_path) as web:
        await web.until("document.getElementById('state').className === 'on'")
        await web.type(MARKUP)
        await web.press("Enter", 13)
        await web.until("document.querySelector('.ending')")
        assert await web.text(".user") == await web.text(".reply") == [MARKUP]
        assert await web.text(".note.error") == [f"provider: {MARKUP}"]
        assert await web.value("log.querySelectorAll('img, b:not(.ending > b)').length") == 0
        assert await web.value("document.title") == "Voice agent gateway"
        stopped.set()


@pytest.mark.browser
async def test_a_refused_call_is_told_in_words(tmp_path: Path) -> None:
    """The person learns that the call was refused, and may call again."""

    async def script(line: Line) -> None:
        raise AssertionError("nobody gets in")

    async with scripted(script, lambda _: 401, page=read_page()) as url, browsing(url, tmp_path) as web:
        await web.until("document.querySelector('.note.error')")
        assert await web.text("#call") == ["Call"]
        assert await web.text("#state") == ["not connected"]


@pytest.mark.browser
async def test_a_token_is_asked_for_where_one_is_needed(tmp_path: Path) -> None:
    """Its field is not in the way of those who need none."""

    async def script(line: Line) -> None:
        raise AssertionError("nobody gets in")

    answers: dict[str, Any] = {"/readyz": {}, "/v1/agents/demo": None}
    async with (
        scripted(script, lambda _: 403, page=read_page(), answers=answers) as url,
        browsing(url, tmp_path) as web,
    ):
        await web.until("document.querySelector('.note.error')")
        assert await web.text(".note.error") == ["the client token is for another agent"]
        assert await web.value("document.getElementById('token-field').hidden") is False
    async with scripted(script, lambda _: 503, page=read_page()) as url, browsing(url, tmp_path / "b") as web:
        await web.until("document.querySelector('.note.error')")
        assert await web.value("document.getElementById('token-field').hidden") is True


def block(label: str, value: str, version: int = 0, **fields: Any) -> dict[str, Any]:
    """A block as the gateway gives it."""
    author, at = ("sleeptime:7", "2026-11-20T14:03:00.000Z") if version else (None, None)
    known = {"label": label, "description": f"About {label}.", "value": value, "limit": 5000, "read_only": False}
    return known | {"version": version, "author": author, "at": at, "sources": []} | fields


@pytest.mark.browser
async def test_what_is_remembered_stands_beside_the_talk_and_a_change_is_marked(tmp_path: Path) -> None:
    """The blocks come at the beginning of a call; after `memory.updated` new and lost words can be told apart."""
    path, told, stopped = "/v1/agents/demo/blocks?user=eva", asyncio.Event(), asyncio.Event()
    persona = block("persona", "Kind.", read_only=True)
    answers = {path: {"items": [persona, block("human", "Name: Eva. Lives in Kiel."), block("summary", "")]}}

    async def script(line: Line) -> None:
        await line.ready()
        await told.wait()
        answers[path] = {
            "items": [persona, block("human", "Name: Eva. Lives in Bonn now.", 4), block("summary", MARKUP, 1)]
        }
        await line.event("memory.updated", version=9, labels=["human", "summary"], lag_ms=1320.4)
        await stopped.wait()

    async with (
        scripted(script, page=read_page(), answers=answers) as url,
        browsing(f"{url}/?user=eva", tmp_path) as web,
    ):
        await web.until("document.querySelectorAll('.block').length === 3")
        assert await web.text(".block h2") == ["personaread-only", "human25 of 5000", "summary0 of 5000"]
        assert await web.text(".block .value") == ["Kind.", "Name: Eva. Lives in Kiel.", ""]
        assert await web.text(".block ins, .block del, .block .origin") == []
        told.set()
        await web.until("document.querySelector('.block ins')")
        assert await web.text(".block del") == ["Kiel."]
        assert await web.text(".block ins") == ["Bonn now.", MARKUP]
        assert await web.text("#memory-state") == ["new: human, summary · 1.3\u00a0s"]
        (of_human, of_summary) = await web.text(".block .origin")
        assert of_human.startswith("version 4 by sleeptime, ")
        assert of_summary.startswith("version 1 by sleeptime, ")
        assert await web.value("document.querySelectorAll('#blocks img, #blocks b').length") == 0
        assert web.faults == []
        stopped.set()


@pytest.mark.browser
async def test_a_difference_is_told_word_by_word(tmp_path: Path) -> None:
    """What stays, what came and what went add up to both texts; long texts are not compared word by word."""
    cases: list[tuple[str, str, list[list[str]]]] = [
        ("", "", []),
        ("a b", "a b", [["", "a b"]]),
        ("", "a b", [["ins", "a b"]]),
        ("a b", "", [["del", "a b"]]),
        ("a b c", "a x c", [["", "a"], ["del", " b"], ["ins", " x"], ["", " c"]]),
        ("a a a", "a a", [["", "a a"], ["del", " a"]]),
        ("1\n2\n3", "2\n3\n4", [["del", "1\n2"], ["ins", "2"], ["", "\n3"], ["ins", "\n4"]]),
        ("x " * 1500, "y " * 1500, [["del", "x" + " x" * 1499], ["ins", "y" + " y" * 1499], ["", " "]]),
    ]

    async def script(line: Line) -> None:
        await line.ready()

    async with scripted(script, page=read_page()) as url, browsing(url, tmp_path) as web:
        for before, after, steps in cases:
            found = await web.value(f"difference({json.dumps(before)}, {json.dumps(after)})")
            assert found == steps
            assert "".join(text for tag, text in found if tag != "ins") == before
            assert "".join(text for tag, text in found if tag != "del") == after


@pytest.mark.browser
async def test_memory_that_a_token_may_not_read_is_said_to_be_hidden(tmp_path: Path) -> None:
    """The call goes on without it."""
    stopped = asyncio.Event()

    async def script(line: Line) -> None:
        await line.ready()
        await stopped.wait()

    answers = {"/v1/agents/demo/blocks": None}
    async with scripted(script, page=read_page(), answers=answers) as url, browsing(url, tmp_path) as web:
        await web.until("document.getElementById('memory-state').textContent")
        assert await web.text("#memory-state") == ["not shown: a client token can't read it"]
        assert await web.text(".block") == []
        assert await web.value("document.getElementById('state').className") == "on"
        assert web.faults == []
        stopped.set()


async def test_the_page_is_one_file_that_loads_nothing() -> None:
    """Its policy allows no other origin, and it names none."""
    app = Starlette(routes=[Route("/", page)])
    async with serving(app) as url, aiohttp.ClientSession() as http, http.get(f"{url}/") as reply:
        text = await reply.text()
        assert reply.status == 200
        assert reply.content_type == "text/html"
        assert "default-src 'none'" in reply.headers["Content-Security-Policy"]
        assert "connect-src 'self'" in reply.headers["Content-Security-Policy"]
    assert not re.search(r"https?://", text)
    assert not re.search(r"\.(css|js)\b", text)
    assert not re.search(r"innerHTML|outerHTML|insertAdjacentHTML|document\.write|eval\(", text)
