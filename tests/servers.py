"""An ASGI application on a real loopback socket, served by the loop that the test runs in."""

import asyncio
import socket
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import uvicorn
from starlette.types import ASGIApp


@asynccontextmanager
async def serving(app: ASGIApp, ws: type[asyncio.Protocol] | None = None) -> AsyncIterator[str]:
    """Serve `app`, its lifespan included, on a free port; yields the base URL, such as http://127.0.0.1:4711.

    `ws`: the WebSocket protocol, in place of uvicorn's.

    uvicorn is started and stopped by hand: its own `serve` would take over pytest's signal handlers.
    """
    config = uvicorn.Config(
        app, log_config=None, access_log=False, ws=ws or "websockets-sansio", timeout_graceful_shutdown=2
    )
    config.load()
    server = uvicorn.Server(config)
    server.lifespan = config.lifespan_class(config)
    # Named as TCP: asyncio leaves Nagle's delay on for a socket that does not say so.
    with socket.socket(socket.AF_INET, socket.SOCK_STREAM, socket.IPPROTO_TCP) as listener:
        listener.bind(("127.0.0.1", 0))
        await server.startup(sockets=[listener])
        try:
            yield f"http://127.0.0.1:{listener.getsockname()[1]}"
        finally:
            await server.shutdown(sockets=[listener])
