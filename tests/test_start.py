"""`voice-gateway serve` as a whole: what it says, what it remembers, what bad input gets, what a bad provider gets."""

import asyncio
import socket
from contextlib import AsyncExitStack
from pathlib import Path

import aiohttp

from tests.callers import calling, check_shape, history
from tests.commands import run
from tests.processes import all_gone, eventually, none_names, served, server_of, simulated
from tests.stores import server


async def said(at_once: asyncio.Semaphore, code: int, text: str, *arguments: str, **settings: str) -> None:
    """Start what must fail: the exit code is `code`, and one line on stderr has `text`, no traceback and no secret.

    Log lines of processes that had begun may stand around it.
    """
    async with at_once:
        ended = await run("gateway", "serve", *arguments, **settings)
    lines = [line for line in ended.err.splitlines() if line.startswith("voice-gateway: ")]
    assert (ended.code, len(lines), ended.out) == (code, 1, ""), ended
    assert text in lines[0]
    assert "Traceback" not in ended.err
    assert "hidden" not in ended.err


async def test_bad_input_gets_one_line_and_a_code(tmp_path: Path) -> None:
    """Each line says what is wrong and where; afterwards nothing runs."""
    (tmp_path / "file").touch()
    (tmp_path / "redis").mkdir()
    async with AsyncExitStack() as stack:
        taken = stack.enter_context(socket.create_server(("127.0.0.1", 0)))
        shut = stack.enter_context(socket.socket())
        shut.bind(("127.0.0.1", 0))
        port, away = taken.getsockname()[1], shut.getsockname()[1]
        volatile = await stack.enter_async_context(server(tmp_path / "redis", "--appendonly", "no"))
        group = await stack.enter_async_context(asyncio.TaskGroup())
        some = asyncio.Semaphore(3)

        def start(code: int, text: str, *arguments: str, **settings: str) -> None:
            data = ("--data-dir", str(tmp_path / "data")) if "--data-dir" not in arguments else ()
            free = {} if "VOICE_PORT" in settings else {"VOICE_PORT": "0"}
            group.create_task(said(some, code, text, *data, *arguments, **free, **settings))

        start(2, f"VOICE_PORT: 127.0.0.1:{port} is taken by another process", VOICE_PORT=str(port))
        start(2, "VOICE_PORT: Input should be a valid integer", VOICE_PORT="many")
        start(2, "VOICE_PORT: Input should be less than or equal to 65535", VOICE_PORT="65536")
        start(2, f"the data directory {tmp_path}/file is not a directory", "--data-dir", str(tmp_path / "file"))
        start(2, "the data directory /proc/nothing cannot be used: ", "--data-dir", "/proc/nothing")
        start(2, "VOICE_MODEL: openai/x needs an API key: set OPENAI_API_KEY", VOICE_MODEL="openai/x")
        start(2, "VOICE_MODEL: there is no model provider 'acme'", VOICE_MODEL="acme/x")
        start(2, "VOICE_HOST: '0.0.0.0' can be reached from other machines", VOICE_HOST="0.0.0.0")
        start(2, "VOICE_API_KEY: String should have at least 8 characters", VOICE_API_KEY="hidden")
        start(1, f"the store at 127.0.0.1:{away} cannot be reached", REDIS_URL=f"redis://:hidden@127.0.0.1:{away}")
        start(2, "the store's URL must be redis://HOST:PORT", REDIS_URL="http://127.0.0.1")
        start(2, "it keeps nothing over a restart (appendonly no)", REDIS_URL=volatile)
    await eventually(lambda: none_names(str(tmp_path / "data")), "nothing is left running")


async def test_a_second_start_remembers(tmp_path: Path) -> None:
    """It says where it is and how safe the words are; the next start on the same data goes on with the conversation."""
    data = tmp_path / "data"
    async with served(data) as product:
        assert f"data         {data}\n" in product.banner
        assert "durability   disk: on disk before a turn counts as ended (Valkey" in product.banner
        assert f"--url {product.url}" in product.banner
        async with aiohttp.ClientSession() as http, http.get(f"{product.url}/readyz") as reply:
            assert (await reply.json())["durability"] == "disk"
        async with calling(product.url, "ann") as caller:
            assert (await caller.ask("My name is Ann.", "t1"))["generated"] == "Nice to meet you, Ann."
        family = await product.family()
    await eventually(lambda: all_gone(family), "everything is gone")
    async with served(data) as product:
        async with calling(product.url, "ann") as caller:
            assert (await caller.ask("What is my name?", "t2"))["generated"] == "Your name is Ann."
        texts = [item["text"] for item in await history(product.url, "ann")]
        assert texts == ["My name is Ann.", "Nice to meet you, Ann.", "What is my name?", "Your name is Ann."]


async def test_two_of_them_share_a_data_directory(tmp_path: Path) -> None:
    """On two ports they use one store server; it stays when the first one goes, with what was said there."""
    data = tmp_path / "data"
    async with AsyncExitStack() as first:
        one = await first.enter_async_context(served(data))
        async with served(data) as two:
            assert one.url != two.url
            one_family, two_family = await one.family(), await two.family()
            shared = set(one_family) & set(two_family)
            assert len(shared) == 2
            assert len(two_family) == 5
            async with calling(one.url, "ann") as caller:
                assert (await caller.ask("My name is Ann.", "t1"))["reason"] == "end_turn"
            await first.aclose()
            assert await server_of(data) in shared
            async with calling(two.url, "ann") as caller:
                assert (await caller.ask("What is my name?", "t2"))["generated"] == "Your name is Ann."
    await eventually(lambda: none_names(str(data)), "nothing is left running")


FAULTS = {
    "401": "openai refused the API key (HTTP 401)",
    "404": "openai does not know the model or the address (HTTP 404)",
    "429": "openai limits the rate of requests (HTTP 429)",
    "500": "openai has a fault of its own (HTTP 500)",
    "cut": "openai cut its reply off",
    "stall": "the model sent nothing for 0.3 s",
    "malformed": "openai sent something that is no reply",
}
NOTICE = "Sorry, say that again?"


async def test_a_provider_that_fails_is_explained_and_outlived(tmp_path: Path) -> None:
    """Each fault is an error event and a spoken notice, ends its turn, and leaves a history for the next one."""
    async with simulated() as provider, served(tmp_path / "data", **provider) as product:
        agent = {"id": "a", "name": "A", "voice": {"stall_timeout_ms": 300, "failure_notice": NOTICE}}
        async with aiohttp.ClientSession() as http, http.post(f"{product.url}/v1/agents", json=agent) as reply:
            assert reply.status == 201, await reply.text()
        async with calling(product.url, "ann", "a") as caller:
            for fault, text in FAULTS.items():
                ended = await caller.ask(f"!say six words that will be spoken !fault {fault}", fault)
                assert ended["reason"] == "llm_api_error"
                (error,) = caller.of("error", turn_id=fault)
                assert (error["code"], text in error["message"]) == ("provider", True), error
                spoken = caller.of("speech.delta", turn_id=fault)
                assert (spoken[-1]["kind"], spoken[-1]["text"]) == ("notice", NOTICE)
                halved = [event["text"] for event in spoken[:-1]]
                assert "".join(halved) == ("" if fault.isdigit() else "six words that")
                after = await caller.ask("!say all is well", f"after {fault}")
                assert (after["reason"], after["generated"]) == ("end_turn", "all is well")
            assert len(caller.of("turn.ended")) == len(caller.of("turn.started")) == 2 * len(FAULTS)
        check_shape(await history(product.url, "ann", "a"))


async def test_a_provider_that_is_not_there(tmp_path: Path) -> None:
    """The banner says where it should be; words that get no answer at all are not lost, and the caller hears why."""
    with socket.socket() as shut:
        shut.bind(("127.0.0.1", 0))
        where = f"http://127.0.0.1:{shut.getsockname()[1]}/v1"
        file = tmp_path / "providers.toml"
        file.write_text(f'[acme]\nurl = "{where}"\n')
        async with served(tmp_path / "data", VOICE_PROVIDERS=str(file), VOICE_MODEL="acme/large") as product:
            assert f"model        acme/large at {where}\n" in product.banner
            async with calling(product.url, "ann") as caller:
                assert (await caller.ask("Hello?", "t1"))["reason"] == "llm_api_error"
                (error,) = caller.of("error")
                assert error["message"] == "acme cannot be reached: no connection"
                assert [event["kind"] for event in caller.of("speech.delta")] == ["notice"]
            assert (await history(product.url, "ann"))[0]["text"] == "Hello?"
