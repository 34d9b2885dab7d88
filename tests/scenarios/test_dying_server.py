"""An MCP server that dies in a call: one clear result over every wire format, and the turn goes on."""

import json
import sys
from itertools import cycle
from pathlib import Path

from tests.processes import eventually
from tests.scenarios.doors import PLAYS
from tests.scenarios.house import APIS, house
from tests.scenarios.script import DOORS, Say
from tests.tools.mcp_ends import SERVER, answers

WORDS = "!call test__die !then !say So."
HISTORY = f"""
user: {WORDS}
agent:
call test__die {{}}
tool failed: the MCP server test: the connection was lost in the call, which may have had its effect
agent: So.
= end_turn (2)
"""


async def test_a_server_that_dies_in_a_call_is_a_failed_call(tmp_path: Path) -> None:
    """It is back for the next one, which kills it again: ever later, so that each format is played by one way in."""
    file = tmp_path / "mcp.json"
    server = {"command": sys.executable, "args": [SERVER, "stdio"], "say": {"die": False}}
    file.write_text(json.dumps({"mcpServers": {"test": server}}))
    async with house(tmp_path, file) as here:
        for api, door in zip(APIS, cycle(DOORS), strict=False):
            await eventually(lambda: answers(here.place.gateway._mcp), "the server is back")
            agent = f"{api}-{door}"
            await here.create(agent, api, {"tools": ["test__die"]})
            assert await PLAYS[door](here.place, agent, (Say(WORDS),)) == []
            assert await here.history(agent) == HISTORY.strip()
