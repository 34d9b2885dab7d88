"""A gateway process that ends, gently or not, while it thinks about words that are not final: as if they never were."""

import os
import signal
from pathlib import Path

import pytest

from tests.callers import calling, goes_on, history
from tests.llm.counters import stats
from tests.processes import Served, all_gone, endings, eventually, journalled, served, simulated


async def thinks(product: Served, provider: dict[str, str], how: signal.Signals) -> None:
    """The gateway process ends by this signal while a caller's interim text is thought about."""
    where = provider["OPENAI_BASE_URL"].removesuffix("/v1")

    async def counted(name: str) -> bool:
        return (await stats(where))[name] == 1

    victim = product.gateway()
    assert victim is not None
    async with calling(product.url, "ann") as caller:
        await caller.send("user.text", text="!first_token_ms 60000 !call get_time {}", final=False, turn_id="t1")
        await eventually(lambda: counted("requests"), "the provider is asked")
        os.kill(victim, how)
        await eventually(lambda: counted("closed_early"), "the provider sees the connection go")
        await eventually(lambda: all_gone([victim]), "the gateway is gone")


@pytest.mark.parametrize("how", [signal.SIGTERM, signal.SIGKILL], ids=lambda how: how.name)
async def test_a_gateway_that_ends_leaves_nothing_of_what_it_thought_about(tmp_path: Path, how: signal.Signals) -> None:
    """The next one has nothing to close and nothing to recover, and the caller's next words are their first."""
    async with simulated() as provider, served(tmp_path / "data", **provider) as product:
        await thinks(product, provider, how)
        await product.until_ready()
        assert await history(product.url, "ann") == []
        assert (await endings(product.data, "ann"), await journalled(product.data, "ann")) == ([], [])
        await goes_on(product.url, "ann")
        assert await endings(product.data, "ann") == [("going on", "end_turn")]
