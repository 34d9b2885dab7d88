"""A headless Chromium driven over its DevTools protocol: a page to look at, to type into and to click on."""

import asyncio
import json
import re
import shutil
from asyncio.subprocess import DEVNULL, PIPE
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from itertools import count
from pathlib import Path
from typing import Any

import aiohttp

NAMES = ("chromium", "chromium-browser", "google-chrome", "google-chrome-stable")
FLAGS = (
    "--headless", "--no-sandbox", "--disable-gpu", "--disable-dev-shm-usage", "--no-first-run", "--disable-sync",
    "--disable-extensions", "--disable-background-networking", "--disable-component-update",
    "--remote-debugging-port=0",
    "--host-resolver-rules=MAP * ~NOTFOUND, EXCLUDE 127.0.0.1",
)  # fmt: skip
UNTIL = """new Promise((done) => {
  const look = () => { if (CONDITION) { watch.disconnect(); done(true); } };
  const watch = new MutationObserver(look);
  watch.observe(document, { subtree: true, childList: true, characterData: true, attributes: true });
  look();
})"""


class Page:
    """One tab. `faults` are the exceptions that its scripts did not catch."""

    def __init__(self, socket: aiohttp.ClientWebSocketResponse) -> None:
        self._socket = socket
        self._ids = count(1)
        self._replies: dict[int, asyncio.Future[dict[str, Any]]] = {}
        self.faults: list[str] = []
        self._loaded = asyncio.Event()

    async def read(self) -> None:
        """Hand the browser's messages on until it is gone."""
        async for message in self._socket:
            told = json.loads(message.data)
            if told.get("method") == "Runtime.exceptionThrown":
                self.faults.append(json.dumps(told["params"]["exceptionDetails"]))
            if told.get("method") == "Page.loadEventFired":
                self._loaded.set()
            reply = self._replies.pop(told.get("id", 0), None)
            if reply is not None:
                reply.set_result(told)

    async def command(self, method: str, **params: Any) -> dict[str, Any]:
        """Send a DevTools command; its result."""
        number = next(self._ids)
        self._replies[number] = asyncio.get_running_loop().create_future()
        await self._socket.send_json({"id": number, "method": method, "params": params})
        told = await self._replies[number]
        assert "result" in told, told
        result: dict[str, Any] = told["result"]
        return result

    async def open(self, url: str) -> None:
        """Go to a page and wait until it is there."""
        await self.command("Runtime.enable")
        await self.command("Page.enable")
        self._loaded.clear()
        await self.command("Page.navigate", url=url)
        await self._loaded.wait()

    async def value(self, expression: str) -> Any:
        """What a JavaScript expression comes to; a promise is awaited."""
        told = await self.command("Runtime.evaluate", expression=expression, awaitPromise=True, returnByValue=True)
        assert "exceptionDetails" not in told, told
        return told["result"].get("value")

    async def until(self, condition: str) -> None:
        """Wait for a change of the page that makes a JavaScript condition true."""
        assert await self.value(UNTIL.replace("CONDITION", condition))

    async def text(self, selector: str) -> list[str]:
        """The text of each element that matches, as it stands in the document."""
        texts: list[str] = await self.value(
            f"[...document.querySelectorAll({json.dumps(selector)})].map((node) => node.textContent)"
        )
        return texts

    async def shows(self, text: str) -> None:
        """Wait until the conversation holds the text."""
        await self.until(f"document.getElementById('log').textContent.includes({json.dumps(text)})")

    async def type(self, text: str) -> None:
        """Type into whatever has the focus."""
        await self.command("Input.insertText", text=text)

    async def press(self, key: str, code: int) -> None:
        """Press and release a key; `code` is its Windows virtual key code."""
        text = {"text": "\r"} if key == "Enter" else {}
        for kind in ("keyDown", "keyUp"):
            await self.command(
                "Input.dispatchKeyEvent", type=kind, key=key, code=key, windowsVirtualKeyCode=code, **text
            )

    async def click(self, selector: str) -> None:
        """Click on the middle of an element, as a mouse does."""
        box = await self.value(f"document.querySelector({json.dumps(selector)}).getBoundingClientRect().toJSON()")
        where = {"x": box["x"] + box["width"] / 2, "y": box["y"] + box["height"] / 2, "button": "left", "clickCount": 1}
        for kind in ("mousePressed", "mouseReleased"):
            await self.command("Input.dispatchMouseEvent", type=kind, **where)


def find_chromium() -> str:
    """The browser on PATH."""
    for name in NAMES:
        if found := shutil.which(name):
            return found
    raise AssertionError("the web page is tested in a real browser: install chromium (apt-get install chromium)")


@asynccontextmanager
async def browsing(url: str, profile: Path) -> AsyncIterator[Page]:
    """A fresh browser with `url` opened; `profile` is an empty directory for its files."""
    browser = await asyncio.create_subprocess_exec(
        find_chromium(), *FLAGS, f"--user-data-dir={profile}", "about:blank", stdout=DEVNULL, stderr=PIPE
    )
    try:
        assert browser.stderr is not None
        async for line in browser.stderr:
            if found := re.search(rb"listening on ws://([^/]+)/", line):
                break
        else:
            raise AssertionError("the browser ended without opening its DevTools port")
        async with aiohttp.ClientSession() as http:
            async with http.get(f"http://{found[1].decode()}/json/list") as reply:
                target = next(one for one in await reply.json() if one["type"] == "page")
            async with http.ws_connect(target["webSocketDebuggerUrl"]) as socket, asyncio.TaskGroup() as group:
                page = Page(socket)
                reading = group.create_task(page.read())
                await page.open(url)
                yield page
                reading.cancel()
    finally:
        browser.kill()
        await browser.communicate()
