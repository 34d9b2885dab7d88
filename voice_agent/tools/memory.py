"""`search_memory`, the live agent's only memory tool: finds what was said before the part of the talk it still sees."""

from datetime import datetime
from typing import Annotated
from zoneinfo import ZoneInfo

import msgspec
from pydantic import Field

from voice_agent.memory.archive import Found, Query
from voice_agent.memory.archives import Archives
from voice_agent.memory.passages import SEARCH_TOOL
from voice_agent.store.base import Pair
from voice_agent.tools.base import ToolContext
from voice_agent.tools.function import ToolFunction
from voice_agent.tools.outcome import cut
from voice_agent.tools.registry import tool

DEADLINE_S = 0.15
_MOST_RESULTS = 10
_LONGEST_TEXT = 1_000
_CENTURY_MINUTES = 100 * 366 * 24 * 60


def search_tool(archives: Archives) -> ToolFunction:
    """The tool, searching in these archives."""

    @tool(name=SEARCH_TOOL, effects="none")
    async def search_memory(
        context: ToolContext,
        convo_keyword_queries: Annotated[list[str], Field(max_length=10)] | None = None,
        start_minutes_ago: int | None = None,
        end_minutes_ago: int | None = None,
    ) -> str:
        """Search everything ever said with this caller, and what is on file about them, beyond what you still see.

        The caller's last words are searched for anyway. Each line of the result is one message or document.

        Args:
            convo_keyword_queries: further things to look for, a few words each
            start_minutes_ago: leave out what is older than this many minutes
            end_minutes_ago: leave out what is more recent than this many minutes
        """
        oldest, newest = _window(context.at, start_minutes_ago, end_minutes_ago)
        query = Query(
            words=context.user_words,
            keywords=tuple(convo_keyword_queries or ()),
            start=oldest,
            end=newest,
            exclude=context.in_prompt,
            limit=_MOST_RESULTS,
        )
        answer = await archives.search_within(Pair(context.agent_id, context.user), query, DEADLINE_S)
        lines = [_line(found, ZoneInfo(context.timezone)) for found in answer.found] or ["Nothing was found."]
        if not answer.complete:
            lines.append("There was no time to search everything; a second search may find more.")
        return "\n".join(lines)

    return search_memory


def _window(now: float, start: int | None, end: int | None) -> tuple[float | None, float | None]:
    """The moments between which to search. The bound further back in time is the start, whichever it was given as."""
    if start is not None and end is not None and start < end:
        start, end = end, start
    return _ago(now, start), _ago(now, end)


def _ago(now: float, minutes: int | None) -> float | None:
    return None if minutes is None else now - 60 * max(-_CENTURY_MINUTES, min(minutes, _CENTURY_MINUTES))


def _line(found: Found, zone: ZoneInfo) -> str:
    passage = found.passage
    line = {
        "time": f"{datetime.fromtimestamp(passage.at, zone):%A %Y-%m-%d %H:%M}",
        "speaker": passage.speaker,
        "source": passage.ref or passage.source,
        "text": cut(passage.text, _LONGEST_TEXT),
    }
    return msgspec.json.encode(line).decode()
