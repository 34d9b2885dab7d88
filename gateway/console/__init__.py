"""The web page at `/`: sent as one self-contained document, which loads nothing from anywhere."""

from importlib.resources import files

from starlette.requests import Request
from starlette.responses import HTMLResponse

POLICY = (
    "default-src 'none'; script-src 'unsafe-inline'; style-src 'unsafe-inline'; img-src data:; connect-src 'self'; "
    "base-uri 'none'; form-action 'none'; frame-ancestors 'none'"
)


def read_page() -> str:
    """The page's HTML, its style and its scripts put in where it names them."""
    text = _read("index.html")
    for name in ("style.css", "call.js", "asked.js", "memory.js"):
        text = text.replace(f"/* {name} */\n", _read(name))
    return text


async def page(_: Request) -> HTMLResponse:
    """The endpoint of `/`. It needs no credentials: what the page does, it does with the visitor's own."""
    headers = {"Content-Security-Policy": POLICY, "Referrer-Policy": "no-referrer", "Cache-Control": "no-cache"}
    return HTMLResponse(read_page(), headers=headers)


def _read(name: str) -> str:
    return files(__name__).joinpath(name).read_text(encoding="utf-8")
