"""The terminal client against a scripted gateway: in this process, through pipes, and through a pseudo-terminal."""

import asyncio
import os
import pty
import sys
from asyncio.subprocess import PIPE
from typing import Any

import pytest
from websockets.exceptions import ConnectionClosed

from gateway.chat import Chat, ChatError, Target, read_lines
from gateway.talk import Piece, Talk
from tests.commands import environment
from tests.scripted import Line, scripted

QUICK = (0.0, 0.0, 0.0)


class Person:
    """A Chat with a person's input given at once, and what it printed."""

    def __init__(self, url: str, *lines: str, agent: str = "demo", user: str | None = None, key: str | None = None):
        self.printed = ""
        self.chat = Chat(Target(url, agent, user, key), Talk("t", person=False), self._show, QUICK)
        for line in lines:
            self.chat.typed(line)
        self.chat.input_ended()

    def _show(self, piece: Piece) -> None:
        self.printed += piece.text


async def _hang_up(line: Line) -> None:
    assert await line.frame() == {"type": "session.end"}
    await line.event("session.ended", reason="client")


async def test_a_call_from_the_first_line_to_the_last() -> None:
    """Agent, user and key reach the gateway; both lines are answered before the call is left."""
    seen: list[Any] = []

    async def script(line: Line) -> None:
        seen.append((line.path, line.authorization, line.socket.subprotocol))
        await line.ready()
        for answer in ("one!", "two!"):
            frame = await line.frame()
            seen.append(frame["text"])
            await line.answer(frame["turn_id"], *answer)
        await _hang_up(line)

    async with scripted(script) as url:
        person = Person(url, "one", "two", agent="a b", user="Zoë", key="secret-key")
        await person.chat.run()
    assert seen == [("/v1/agents/a%20b/session?user=Zo%C3%AB", "Bearer secret-key", "voice.v1"), "one", "two"]
    assert person.printed == "one!\ntwo!\n- call ended: client\n"


async def test_a_dropped_call_goes_on_and_nothing_is_printed_twice() -> None:
    """The reconnect carries token and last_seq; words that were lost on the way are sent again."""
    paths: list[str] = []

    async def script(line: Line) -> None:
        paths.append(line.path.partition("?")[2])
        await line.ready(resumed=line.number > 1)
        frame = await line.frame()
        if line.number == 1:
            await line.event("turn.started", turn_id=frame["turn_id"])
            await line.say(frame["turn_id"], "Hello ", "wor")
            line.drop()
            return
        assert (frame["text"], frame["turn_id"]) == ("hi", "t-1")
        await line.replay(1)
        await line.say("t-1", "ld.")
        await line.event("turn.ended", turn_id="t-1", reason="end_turn", heard="", generated="")
        await _hang_up(line)

    async with scripted(script) as url:
        person = Person(url, "hi")
        await person.chat.run()
    assert paths[0] == ""
    assert paths[1].startswith("resume=token-1&last_seq=")
    assert person.printed.replace("\n- connection lost, trying again\n", "") == "Hello world.\n- call ended: client\n"


async def test_a_call_that_cannot_be_resumed_is_made_anew() -> None:
    """After 410 the next attempt carries no token, and the remaining lines go to the new session."""
    paths: list[str] = []

    async def script(line: Line) -> None:
        paths.append(line.path.partition("?")[2])
        await line.ready()
        frame = await line.frame()
        if line.number == 1:
            line.drop()
            return
        line.sent.clear()
        await line.answer(frame["turn_id"], frame["text"].upper())
        await _hang_up(line)

    async with scripted(script, lambda number: 410 if number == 2 else None) as url:
        person = Person(url, "one", "two")
        await person.chat.run()
    assert paths == ["", ""]
    assert person.printed == (
        "- connection lost, trying again\n- the call could not be resumed, calling anew\nTWO\n- call ended: client\n"
    )


async def test_it_gives_up_after_its_tries() -> None:
    """A gateway that stays away ends the chat with a sentence, after as many tries as there are delays."""
    tries = 0

    async def script(line: Line) -> None:
        await line.ready()
        line.drop()

    def refuse(number: int) -> int | None:
        nonlocal tries
        tries = number
        return None if number == 1 else 503

    async with scripted(script, refuse) as url:
        with pytest.raises(ChatError, match="3 tries did not bring it back"):
            await Person(url, "hi").chat.run()
    assert tries == 4


@pytest.mark.parametrize(
    ("status", "hint"),
    [(401, "--key or VOICE_API_KEY"), (403, "because of 403"), (404, "give another with --agent"), (503, "503")],
)
async def test_a_refused_call_says_why(status: int, hint: str) -> None:
    """The status, the gateway's reason and what to do about it."""

    async def script(line: Line) -> None:
        raise AssertionError("nobody gets in")

    async with scripted(script, lambda _: status) as url:
        with pytest.raises(ChatError) as caught:
            await Person(url, key="wrong-key").chat.run()
    assert f"refused the call ({status}): because of {status}" in str(caught.value)
    assert hint in str(caught.value)
    assert "wrong-key" not in str(caught.value)


@pytest.mark.parametrize(
    ("code", "told"), [(4401, "credentials have expired"), (4409, "taken over"), (4408, "idle"), (1009, "too long")]
)
async def test_a_final_close_is_not_answered_by_calling_again(code: int, told: str) -> None:
    """The close code becomes a sentence, and there is one connection only."""
    numbers: list[int] = []

    async def script(line: Line) -> None:
        numbers.append(line.number)
        await line.ready()
        await line.socket.close(code)

    async with scripted(script) as url:
        with pytest.raises(ChatError, match=told):
            await Person(url, "hi").chat.run()
    assert numbers == [1]


@pytest.mark.parametrize("frame", ["hello", "[]", '{"type": "turn.started", "seq": 1}'])
async def test_another_protocol_is_named(frame: str) -> None:
    """What does not speak voice.v1 gets a sentence, not a traceback."""

    async def script(line: Line) -> None:
        await line.socket.send(frame)
        await line.socket.wait_closed()

    async with scripted(script) as url:
        with pytest.raises(ChatError, match=r"does not speak voice\.v1"):
            await Person(url, "hi").chat.run()


async def test_through_pipes_it_prints_plain_text() -> None:
    """No colours, no prompt; the last line counts without its newline."""

    async def script(line: Line) -> None:
        await line.ready()
        for _ in range(2):
            frame = await line.frame()
            await line.answer(frame["turn_id"], "You said ", frame["text"])
        await _hang_up(line)

    async with scripted(script) as url:
        process = await asyncio.create_subprocess_exec(
            sys.executable, "-m", "gateway", "chat", "--url", url, stdin=PIPE, stdout=PIPE, env=environment()
        )
        out, _ = await process.communicate("grüezi\nbye".encode())
    assert process.returncode == 0
    assert out.decode() == "You said grüezi\nYou said bye\n- call ended: client\n"


def test_input_that_comes_after_the_call_is_not_missed() -> None:
    """The thread that reads it ends in silence, though the loop it feeds is closed."""
    (loop := asyncio.new_event_loop()).close()
    with open(__file__, "rb") as file:
        read_lines(file.fileno(), loop, Person("http://127.0.0.1:1").chat)


class Terminal:
    """`voice-gateway chat` at a pseudo-terminal that is its controlling one, so that Ctrl-C is a signal."""

    def __init__(self) -> None:
        self._master, self._slave = pty.openpty()
        self._seen = ""
        self._more = asyncio.Event()

    async def run(self, url: str) -> int:
        """The exit code."""
        loop = asyncio.get_running_loop()
        loop.add_reader(self._master, self._read)
        # A session leader that opens a terminal makes it the controlling one.
        attach = 'tty="$0"; exec "$@" <"$tty" >"$tty" 2>&1'
        chat = (sys.executable, "-m", "gateway", "chat", "--url", url)
        try:
            process = await asyncio.create_subprocess_exec(
                "sh",
                "-c",
                attach,
                os.ttyname(self._slave),
                *chat,
                start_new_session=True,
                env=environment(TERM="xterm"),
            )
            return await process.wait()
        finally:
            loop.remove_reader(self._master)
            os.close(self._slave)
            os.close(self._master)

    def press(self, keys: str) -> None:
        """What the person types; `\\x03` is Ctrl-C."""
        os.write(self._master, keys.encode())

    async def shows(self, text: str) -> str:
        """All that was shown so far, once it holds `text`."""
        while text not in self._seen:
            self._more.clear()
            await self._more.wait()
        return self._seen

    def _read(self) -> None:
        self._seen += os.read(self._master, 65_536).decode(errors="replace")
        self._more.set()


async def test_ctrl_c_interrupts_the_agent_and_once_more_leaves() -> None:
    """The first Ctrl-C sends the characters displayed, and the call goes on; the second, in silence, hangs up."""
    terminal = Terminal()
    frames: list[dict[str, Any]] = []

    async def script(line: Line) -> None:
        await line.ready()
        await terminal.shows("you> ")
        terminal.press("tell me a story\n")
        frames.append(await line.frame())
        turn = frames[0]["turn_id"]
        await line.event("turn.started", turn_id=turn)
        await line.say(turn, "Once upon ", "a time")
        await terminal.shows("a time")
        terminal.press("\x03")
        frames.append(await line.frame())
        await line.event("turn.ended", turn_id=turn, reason="interrupted", heard="Once upon a time", generated="Once")
        await terminal.shows("- interrupted, heard 16 of 4 characters")
        terminal.press("\x03")
        frames.append(await line.frame())
        await line.event("session.ended", reason="client")

    async with scripted(script) as url:
        assert await terminal.run(url) == 0
    assert frames[0]["text"] == "tell me a story"
    assert frames[1] == {"type": "user.interrupt", "turn_id": frames[0]["turn_id"], "heard": {"chars": 16}}
    assert frames[2] == {"type": "session.end"}


async def test_two_ctrl_c_in_one_turn_leave() -> None:
    """A gateway that does not answer the first one does not keep the person."""
    terminal = Terminal()
    kinds: list[str] = []

    async def script(line: Line) -> None:
        await line.ready()
        await line.event("turn.started", turn_id="g-1")
        await line.say("g-1", "Welcome", kind="greeting")
        await terminal.shows("Welcome")
        terminal.press("\x03")
        kinds.append((await line.frame())["type"])
        terminal.press("\x03")
        kinds.append((await line.frame())["type"])
        with pytest.raises(ConnectionClosed):
            await line.frame()

    async with scripted(script) as url:
        assert await terminal.run(url) == 0
    assert kinds == ["user.interrupt", "session.end"]
