"""The web page at `/`: one self-contained file, which loads nothing from anywhere."""

from importlib.resources import files

from starlette.requests import Request
from starlette.responses import HTMLResponse

POLICY = (
    "default-src 'none'; script-src 'unsafe-inline'; style-src 'unsafe-inline'; img-src data:; connect-src 'self'; "
    "base-uri 'none'; form-action 'none'; frame-ancestors 'none'"
)


def read_page() -> str:
    """The page's HTML."""
    return files(__name__).joinpath("index.html").read_text(encoding="utf-8")


async def page(_: Request) -> HTMLResponse:
    """The endpoint of `/`. It needs no credentials: what the page does, it does with the visitor's own."""
    headers = {"Content-Security-Policy": POLICY, "Referrer-Policy": "no-referrer", "Cache-Control": "no-cache"}
    return HTMLResponse(read_page(), headers=headers)
