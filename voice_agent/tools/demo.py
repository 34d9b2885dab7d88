"""Two small tools that every gateway knows, for a person to try."""

from datetime import datetime, timedelta
from typing import Annotated
from zoneinfo import ZoneInfo

from pydantic import Field

from voice_agent.tools.base import ToolContext
from voice_agent.tools.registry import tool

_YEAR = 366 * 24 * 60


@tool(effects="none")
async def get_time(context: ToolContext) -> str:
    """Tell the current date and time."""
    return f"{_spoken(_local(context))} ({context.timezone})"


@tool(effects="irreversible")
async def set_reminder(
    text: Annotated[str, Field(min_length=1, max_length=500)],
    in_minutes: Annotated[int, Field(ge=1, le=_YEAR)],
    context: ToolContext,
) -> str:
    """Confirm a reminder. A demonstration: nothing will be delivered, there is no channel for it. Tell the caller so.

    Args:
        text: what to be reminded of, in the caller's words
        in_minutes: how many whole minutes from now
    """
    due = _local(context) + timedelta(minutes=in_minutes)
    return f"Confirmed, but only as a demonstration, nothing will be delivered: {text!r} at {_spoken(due)}."


def _local(context: ToolContext) -> datetime:
    return datetime.fromtimestamp(context.at, ZoneInfo(context.timezone))


def _spoken(moment: datetime) -> str:
    return f"{moment:%A} {moment.day} {moment:%B %Y, %H:%M}"
