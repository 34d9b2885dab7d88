"""The web page in a real browser, where a call of the agent's waits for the person: to decide, or to run it."""

import asyncio
from pathlib import Path
from typing import Any

import pytest

from gateway.console import read_page
from tests.chromium import browsing
from tests.scripted import TURN, Line, scripted

ORDER: dict[str, Any] = {"call_id": "c-1", "name": "order", "arguments": {"item": "<b>bike</b>", "price": 420}}
METER: dict[str, Any] = {"call_id": "c-2", "name": "read_meter", "arguments": {}}
OPEN = "document.querySelectorAll('.asked.open').length"
NO_FIELD = "document.querySelector('.asked form') === null"


async def finished(line: Line, call: dict[str, Any], status: str = "ok", duration_ms: float = 12.4) -> None:
    """The call's end."""
    told = {"call_id": call["call_id"], "name": call["name"], "status": status, "duration_ms": duration_ms}
    await line.event("tool.finished", turn_id="t", **told)


@pytest.mark.browser
async def test_a_person_approves_a_call_and_runs_another(tmp_path: Path) -> None:
    """Each has a card with its arguments, which tells afterwards what became of it."""
    frames: list[dict[str, Any]] = []
    stopped = asyncio.Event()

    async def script(line: Line) -> None:
        await line.ready()
        await line.event("turn.started", turn_id="t", revision=0)
        await line.event("approval.request", turn_id="t", **ORDER)
        frames.append(await line.frame())
        await line.event("tool.started", turn_id="t", **ORDER)
        await finished(line, ORDER)
        await line.event("tool.request", turn_id="t", **METER)
        frames.append(await line.frame())
        await finished(line, METER, duration_ms=1500.0)
        await line.event("turn.ended", turn_id="t", **TURN)
        await stopped.wait()

    async with scripted(script, page=read_page()) as url, browsing(url, tmp_path) as web:
        await web.until(f"{OPEN} === 1")
        assert await web.text(".asked dt, .asked dd") == ["item", "<b>bike</b>", "price", "420"]
        assert await web.text("#state") == ["demo waits for your answer"]
        await web.click(".asked .main")
        # The field for the result has the focus, as nothing else is being typed.
        await web.until("document.activeElement.tagName === 'TEXTAREA'")
        await web.type("17 kWh")
        await web.press("Enter", 13)
        await web.until("document.querySelector('.ending')")
        assert await web.text(".asked .outcome") == ["approved · ok, 12\u00a0ms", "17 kWh · ok, 1.5\u00a0s"]
        assert await web.text(".asked .name") == ["order", "read_meter"]
        assert await web.text(".tool") == []
        assert await web.text("#state") == ["in a call with demo"]
        assert await web.value(NO_FIELD)
        assert web.faults == []
        stopped.set()
    assert frames == [
        {"type": "tool.approval", "call_id": "c-1", "approved": True},
        {"type": "tool.result", "call_id": "c-2", "output": "17 kWh", "is_error": False},
    ]


@pytest.mark.browser
async def test_a_denial_has_its_reason_and_a_failure_too(tmp_path: Path) -> None:
    """Enter in the reason's field denies; an approved call that the person runs keeps its one card."""
    frames: list[dict[str, Any]] = []
    stopped = asyncio.Event()

    async def script(line: Line) -> None:
        await line.ready()
        await line.event("turn.started", turn_id="t", revision=0)
        await line.event("approval.request", turn_id="t", **ORDER)
        frames.append(await line.frame())
        await finished(line, ORDER, "denied", 0.0)
        await line.event("approval.request", turn_id="t", **METER)
        frames.append(await line.frame())
        await line.event("tool.request", turn_id="t", **METER)
        frames.append(await line.frame())
        await finished(line, METER, "error")
        await stopped.wait()

    async with scripted(script, page=read_page()) as url, browsing(url, tmp_path) as web:
        await web.until(f"{OPEN} === 1")
        await web.click(".asked input")
        await web.type("too much")
        await web.press("Enter", 13)
        await web.until("document.querySelectorAll('.asked').length === 2")
        await web.click(".asked.open .main")
        await web.until("document.querySelector('.asked textarea')")
        await web.type("no meter there")
        await web.click(".asked.open button:not(.main)")
        await web.until(f"{OPEN} === 0 && document.querySelectorAll('.outcome')[1].textContent.includes('12')")
        assert await web.text(".asked .outcome") == ["denied: too much", "failed: no meter there · error, 12\u00a0ms"]
        assert web.faults == []
        stopped.set()
    assert frames == [
        {"type": "tool.approval", "call_id": "c-1", "approved": False, "reason": "too much"},
        {"type": "tool.approval", "call_id": "c-2", "approved": True},
        {"type": "tool.result", "call_id": "c-2", "output": "no meter there", "is_error": True},
    ]


@pytest.mark.browser
async def test_an_answer_that_was_lost_with_the_line_goes_again(tmp_path: Path) -> None:
    """Once the call is over it does not; what is open when the call is hung up can be answered no more."""
    frames: list[dict[str, Any]] = []

    async def script(line: Line) -> None:
        await line.ready(resumed=line.number > 1)
        if line.number == 1:
            await line.event("turn.started", turn_id="t", revision=0)
            await line.event("approval.request", turn_id="t", **ORDER)
            await line.event("approval.request", turn_id="t", **METER)
        frames.append(await line.frame())
        if line.number == 2:
            await finished(line, ORDER)
        if line.number < 3:
            line.drop()

    async with scripted(script, page=read_page()) as url, browsing(url, tmp_path) as web:
        await web.until(f"{OPEN} === 2")
        await web.click(".asked .main")
        await web.until("document.querySelectorAll('.note').length === 2")
        await web.until("document.getElementById('state').className === 'asks'")
        await web.click("#call")
        assert await web.text(".asked .outcome") == ["approved · ok, 12\u00a0ms", "cancelled"]
        assert await web.value(NO_FIELD)
        assert web.faults == []
    approval = {"type": "tool.approval", "call_id": "c-1", "approved": True}
    assert frames == [approval, approval, {"type": "session.end"}]
