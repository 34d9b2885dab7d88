"""Blocks as a pair sees them, and which rewrites are refused."""

import pytest

from voice_agent.agent import Agent
from voice_agent.agent_parts import Block
from voice_agent.memory.blocks import (
    BlockTooLong,
    ReadOnlyBlock,
    UnknownBlock,
    current_blocks,
    find_block,
    shown_blocks,
)
from voice_agent.store.base import BlockValue

AGENT = Agent(
    id="ann",
    name="Ann",
    blocks=(
        Block(label="human", description="Who calls.", limit=10, value="a guest"),
        Block(label="rules", value="Be kind.", read_only=True),
    ),
)


def test_the_agents_own_values_hold_until_somebody_writes() -> None:
    """They have version 0; the default blocks stand first, in their order."""
    shown = shown_blocks(AGENT, ())
    assert [(one.definition.label, one.current.value, one.current.version) for one in shown] == [
        ("persona", "", 0),
        ("human", "a guest", 0),
        ("summary", "", 0),
        ("rules", "Be kind.", 0),
    ]
    assert current_blocks(AGENT, ()) == AGENT.all_blocks()


def test_what_was_written_replaces_the_agents_value_and_nothing_else() -> None:
    """Description, limit and order stay the agent's."""
    written = BlockValue("human", "Bob", 3, "sleeptime:7", 12.5, ("1-0.0",))
    assert find_block(shown_blocks(AGENT, (written,)), "human").current == written
    human = current_blocks(AGENT, (written,))[1]
    assert (human.value, human.description, human.limit) == ("Bob", "Who calls.", 10)


def test_an_empty_value_is_a_value() -> None:
    """Who empties a block does not get the agent's value back."""
    assert current_blocks(AGENT, (BlockValue("human", "", 1),))[1].value == ""


def test_a_read_only_block_and_a_dropped_label_ignore_what_was_written() -> None:
    """A block that became read-only is the agent's again; a label that it no longer has is not shown."""
    values = (BlockValue("rules", "Be rude.", 2), BlockValue("gone", "x", 1))
    assert current_blocks(AGENT, values) == AGENT.all_blocks()
    assert find_block(shown_blocks(AGENT, values), "rules").current == BlockValue("rules", "Be kind.", 0)


def test_a_value_over_a_limit_that_was_lowered_is_kept() -> None:
    """The limit is for writing; what was written under another one is shown whole."""
    long = BlockValue("human", "x" * 11, 1)
    assert current_blocks(AGENT, (long,))[1].value == "x" * 11


def test_a_value_may_have_as_many_characters_as_the_limit() -> None:
    """Code points are counted, not bytes."""
    find_block(shown_blocks(AGENT, ()), "human").check("ü" * 10)


@pytest.mark.parametrize(
    ("label", "value", "refusal", "words"),
    [
        ("human", "x" * 11, BlockTooLong, "the value has 11 characters, the limit of 'human' is 10"),
        ("rules", "x", ReadOnlyBlock, "block 'rules' is read-only"),
        ("mood", "x", UnknownBlock, "there is no block 'mood'; there are persona, human, summary, rules"),
    ],
)
def test_a_refused_rewrite_says_why(label: str, value: str, refusal: type[Exception], words: str) -> None:
    """The message is for a model as much as for a person."""
    with pytest.raises(refusal, match=words):
        find_block(shown_blocks(AGENT, ()), label).check(value)
