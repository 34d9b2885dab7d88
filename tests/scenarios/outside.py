"""What tools of scenarios reach outside the gateway: webhooks, and MCP servers as a process and over HTTP."""

import json
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import JSONResponse, RedirectResponse, Response
from starlette.routing import Route

from tests.servers import serving
from tests.tools.mcp_ends import SERVER, free_port, listening

# Where webhooks are in a scenario; the house has them answer somewhere on this machine.
HOOKS = "http://hooks.test"


@asynccontextmanager
async def hooks() -> AsyncIterator[str]:
    """A server of webhooks; yields its URL, which stands for HOOKS."""
    async with serving(
        Starlette(routes=[Route(f"/{path}", does, methods=["POST"]) for path, does in _PATHS.items()])
    ) as url:
        yield url


@asynccontextmanager
async def mcp_servers(file: Path) -> AsyncIterator[Path]:
    """The server of the tests of MCP, twice: `near` is a process of the gateway's, `far` listens. `file` names them."""
    port = free_port()
    servers = {
        "near": {"command": sys.executable, "args": [SERVER, "stdio"]},
        "far": {"url": f"http://127.0.0.1:{port}/mcp"},
    }
    file.write_text(json.dumps({"mcpServers": servers}))
    async with listening(port):
        yield file


async def _book(request: Request) -> Response:
    return JSONResponse({"booked": (await request.json())["arguments"]["seats"]})


async def _fails(_: Request) -> Response:
    return JSONResponse({"detail": "sold out"}, 409)


async def _moves(_: Request) -> Response:
    return RedirectResponse("http://169.254.169.254/latest/meta-data")


async def _garbles(_: Request) -> Response:
    return Response(b"gr\xfc\xdfe", media_type="text/plain")


_PATHS = {"book": _book, "fails": _fails, "moves": _moves, "garbles": _garbles}
