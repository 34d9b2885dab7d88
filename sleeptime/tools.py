"""The three tools of the sleeptime agent, which work on the draft of the turn that they are called in."""

from collections.abc import Mapping
from typing import Annotated

from pydantic import Field

from sleeptime.draft import Chunk, Draft
from voice_agent.rules.book import Rulebook
from voice_agent.rules.kinds import Children, Continue, Exit, RunFirst
from voice_agent.tools.base import ToolContext
from voice_agent.tools.function import ToolFunction
from voice_agent.tools.registry import tool

STORE, RETHINK, FINISH = "store_memories", "rethink_user_memory", "finish_rethinking_memory"
_NAMES = (STORE, RETHINK, FINISH)
_FIRST, _THEN, _LAST = RunFirst(tool=STORE), Children(tool=STORE, children=(RETHINK,)), Exit(tool=FINISH)
RULES = Rulebook((_FIRST, _THEN, Continue(tool=RETHINK), _LAST), _NAMES)
# For an agent all of whose blocks are read-only: a rewrite that can't succeed must not be asked for.
RULES_WITHOUT_BLOCKS = Rulebook((_FIRST, _LAST), _NAMES)


def sleeptime_tools(drafts: Mapping[str, Draft]) -> tuple[ToolFunction, ...]:
    """The tools; `drafts` holds the draft of each turn under way, by turn id."""

    @tool(effects="none", say=False, parallel=False)
    async def store_memories(chunks: Annotated[list[Chunk], Field(max_length=100)], context: ToolContext) -> str:
        """Make the conversation findable: cut the lines to store into chunks and say what each is about.

        Args:
            chunks: neighbouring lines on one matter; lines that tell nothing worth finding belong to none
        """
        return drafts[context.turn_id].store(chunks)

    @tool(effects="none", say=False, parallel=False)
    async def rethink_user_memory(
        label: Annotated[str, Field(max_length=100)], new_memory: Annotated[str, Field(max_length=200_000)],
        context: ToolContext,
    ) -> str:  # fmt: skip
        """Rewrite one memory block as a whole: what it said and is still true, and what is new.

        Args:
            label: the block's label
            new_memory: all of its new text, within the block's limit
        """
        return drafts[context.turn_id].rethink(label, new_memory)

    @tool(effects="none", say=False, parallel=False)
    async def finish_rethinking_memory() -> str:
        """Finish, when every block says what it should."""
        return "Finished."

    return (store_memories, rethink_user_memory, finish_rethinking_memory)
