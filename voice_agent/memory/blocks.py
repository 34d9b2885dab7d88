"""A pair's memory blocks, pure: what an agent defines under what was written since, and which rewrites are allowed."""

import msgspec

from voice_agent.agent import Agent
from voice_agent.agent_parts import Block
from voice_agent.store.base import BlockValue


class BlockRefused(Exception):
    """A rewrite that is not allowed; the message is fit for whoever asked, a person or a model."""


class UnknownBlock(BlockRefused):
    """The agent has no block of that label."""


class ReadOnlyBlock(BlockRefused):
    """The block belongs to the agent's definition alone."""


class BlockTooLong(BlockRefused):
    """The value is over the block's limit; the message holds both sizes (characters)."""


class ShownBlock(msgspec.Struct, frozen=True):
    """A block as a pair sees it: the agent's `definition`, and the value that holds (version 0: the agent's own)."""

    definition: Block
    current: BlockValue

    def check(self, value: str) -> None:
        """Raises ReadOnlyBlock or BlockTooLong if the block cannot take this value."""
        block = self.definition
        if block.read_only:
            raise ReadOnlyBlock(f"block {block.label!r} is read-only: only the agent's definition changes it")
        if len(value) > block.limit:
            raise BlockTooLong(f"the value has {len(value)} characters, the limit of {block.label!r} is {block.limit}")


def shown_blocks(agent: Agent, values: tuple[BlockValue, ...]) -> tuple[ShownBlock, ...]:
    """All blocks of the agent, in its order, with what a pair has written into them.

    A read-only block keeps the agent's value; what was written under a label that the agent no longer has is not shown.
    """
    written = {value.label: value for value in values}
    shown = []
    for block in agent.all_blocks():
        own = BlockValue(block.label, block.value, version=0)
        shown.append(ShownBlock(block, own if block.read_only else written.get(block.label, own)))
    return tuple(shown)


def current_blocks(agent: Agent, values: tuple[BlockValue, ...]) -> tuple[Block, ...]:
    """The same as blocks for a prompt: the agent's own, each with the value that holds for the pair."""
    return tuple(
        shown.definition if shown.current.version == 0 else _with_value(shown.definition, shown.current.value)
        for shown in shown_blocks(agent, values)
    )


def find_block(blocks: tuple[ShownBlock, ...], label: str) -> ShownBlock:
    """The block of that label. Raises UnknownBlock, which names those there are."""
    for shown in blocks:
        if shown.definition.label == label:
            return shown
    known = ", ".join(shown.definition.label for shown in blocks)
    raise UnknownBlock(f"there is no block {label!r}; there are {known}")


def _with_value(block: Block, value: str) -> Block:
    # Not validated anew: a limit that was lowered since does not cut what was written under the old one.
    return block.model_copy(update={"value": value})
