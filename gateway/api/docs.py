"""`/openapi.json`, and `/docs`: the same as one page without scripts, which loads nothing from anywhere."""

from collections.abc import Callable
from html import escape
from typing import Any

import msgspec
from fastapi import APIRouter
from starlette.responses import HTMLResponse, JSONResponse

_STYLE = (
    "body{font:16px/1.5 system-ui,sans-serif;max-width:60rem;margin:2rem auto;padding:0 1rem}"
    "code,pre{font:14px/1.4 ui-monospace,monospace}pre{background:#f4f4f4;padding:.8rem;overflow:auto}"
    "summary{cursor:pointer}b{display:inline-block;min-width:4.5rem}"
)


def router(openapi: Callable[[], dict[str, Any]]) -> APIRouter:
    """The routes. `openapi` gives the description, once all other routes are there."""
    routes = APIRouter(include_in_schema=False)

    @routes.get("/openapi.json")
    async def description() -> JSONResponse:
        return JSONResponse(openapi())

    @routes.get("/docs")
    async def docs() -> HTMLResponse:
        return HTMLResponse(_page(openapi()))

    return routes


def _page(api: dict[str, Any]) -> str:
    title = escape(f"{api['info']['title']} {api['info']['version']}")
    operations = "".join(
        _operation(method, path, operation)
        for path, methods in api["paths"].items()
        for method, operation in methods.items()
    )
    schemas = "".join(
        f"<details><summary><code>{escape(name)}</code></summary>{_json(schema)}</details>"
        for name, schema in sorted(api["components"]["schemas"].items())
    )
    return (
        f'<!doctype html><html lang="en"><meta charset="utf-8"><title>{title}</title><style>{_STYLE}</style>'
        f'<h1>{title}</h1><p>The whole description: <a href="openapi.json">openapi.json</a></p>'
        f"<h2>Operations</h2>{operations}<h2>Schemas</h2>{schemas}</html>"
    )


def _operation(method: str, path: str, operation: dict[str, Any]) -> str:
    parts = "".join(
        f"<h4>{name}</h4>{_json(operation[name])}"
        for name in ("parameters", "requestBody", "responses")
        if name in operation
    )
    about = f"<p>{escape(operation.get('description', ''))}</p>"
    head = f"<summary><b>{escape(method.upper())}</b> <code>{escape(path)}</code></summary>"
    return f"<details>{head}{about}{parts}</details>"


def _json(value: Any) -> str:
    return f"<pre>{escape(msgspec.json.format(msgspec.json.encode(value), indent=2).decode())}</pre>"
