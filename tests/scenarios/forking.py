"""Scenarios under rules that look back: at a tool's output, at how often it was called, and several at once."""

from textwrap import dedent
from typing import Any

from tests.scenarios.faults import NOTICE
from tests.scenarios.ruling import FIRST, THEN_WRITE, under
from tests.scenarios.script import Scenario

_TOOLS = ["answer", "look", "write", "hush", "ponder"]
_FORK = {
    "type": "conditional",
    "tool": "answer",
    "mapping": {"true": "look", "1": "write", "2.5": "hush", "blue": "ponder"},
}
# A fault that shows only beside what the model gives: metres go up to 5.
_SCALE = {
    "type": "client",
    "name": "zoom",
    "description": "Zooms the caller's map.",
    "parameters": {
        "type": "object",
        "properties": {"to": {"type": "integer"}, "unit": {"type": "string"}},
        "required": ["to"],
        "if": {"properties": {"unit": {"const": "m"}}, "required": ["unit"]},
        "then": {"properties": {"to": {"maximum": 5}}},
    },
}


def _fork(by: str, value: str, then: str, history: str, told: str = "", **rule: Any) -> Scenario:
    """What follows after `answer` has returned the value (JSON)."""
    words = f'!call answer {{"value":{value}}} !then {then}'
    answered = f'agent:\ncall answer {{"value":{value}}}: One moment, please.\ntool: {value.strip(chr(34))}\n'
    whole = answered + dedent(history).strip()
    return under(f"conditional {by}", words, whole, _FORK | rule, told=told, tools=_TOOLS)


FORKING = (
    _fork(
        "by a truth value",
        "true",
        '!call write {"text":"b"} !then !call look {"q":"a"} !then !say So.',
        """
        agent:
        call write {"text":"b"}: One moment, please.
        tool failed: Not run: write can't be called now. Call look.
        agent:
        call look {"q":"a"}: One moment, please.
        tool: found a
        agent: So.
        = end_turn (4)
        """,
    ),
    _fork(
        "by a whole number",
        "1",
        '!call write {"text":"b"} !then !say So.',
        """
        agent:
        call write {"text":"b"}: One moment, please.
        tool: wrote b
        agent: So.
        = end_turn (3)
        """,
    ),
    _fork(
        "by a number",
        "2.5",
        '!call look {"q":"a"} !call hush {"q":"b"} !then !say So.',
        """
        agent:
        call look {"q":"a"}: One moment, please.
        call hush {"q":"b"}
        tool failed: Not run: look can't be called now. Call hush.
        tool: hushed b
        agent: So.
        = end_turn (3)
        """,
    ),
    _fork(
        "by a text",
        '"blue"',
        '!call ponder {"q":"a"} !then !say So.',
        """
        agent:
        call ponder {"q":"a"}: One moment, please.
        tool: pondered a
        agent: So.
        = end_turn (3)
        """,
    ),
    _fork(
        "forces its tool",
        '"blue"',
        "!say Tea.",
        """
        agent: Tea.
        note: [An answer in words does not count here. Call ponder.]
        agent:
        call ponder {"q":"[An answer in words does not count here. Call ponder.]"}: One moment, please.
        tool: pondered [An answer in words does not count here. Call ponder.]
        agent: Here is what I found: pondered [An answer in words does not count here. Call ponder.]
        = end_turn (4)
        """,
    ),
    _fork(
        "by its default",
        '"red"',
        '!call write {"text":"b"} !then !call ponder {"q":"a"} !then !say So.',
        """
        agent:
        call write {"text":"b"}: One moment, please.
        tool failed: Not run: write can't be called now. Call ponder.
        agent:
        call ponder {"q":"a"}: One moment, please.
        tool: pondered a
        agent: So.
        = end_turn (4)
        """,
        default="ponder",
    ),
    _fork(
        "without a key for the output",
        '"red"',
        "!say So.",
        """
        agent: So.
        = end_turn (2)
        """,
    ),
    _fork(
        "that demands a key for the output",
        '"red"',
        "!say So.",
        f"agent: {NOTICE}\n= invalid_tool_call (1)",
        told="the rules leave no tool to call after answer: conditional answer (its output is no key of the mapping)",
        require_mapping=True,
    ),
    under(
        "a bad argument that a rule sets",
        '!call zoom {"to":1,"unit":"m"} !then !say So.',
        f"""
        agent:
        call zoom {{"to":9,"unit":"m"}}: One moment, please.
        tool failed: to: it is greater than the maximum of 5
        agent: {NOTICE}
        = invalid_tool_call (1)
        """,
        {"type": "run_first", "tool": "zoom", "args": {"to": 9}},
        told="the rule run_first zoom sets arguments that do not fit: to: it is greater than the maximum of 5",
        tools=[_SCALE],
    ),
    under(
        "max_count refuses one call more",
        '!call dial {"number":7} !call dial {"number":8} !call dial {"number":9} !then !say So.',
        """
        agent:
        call dial {"number":7}: One moment, please.
        call dial {"number":8}: One moment, please. [heard: ]
        call dial {"number":9}: One moment, please. [heard: ]
        tool failed: dial failed: ConnectionError: 7 is busy
        tool failed: dial failed: ConnectionError: 8 is busy
        tool failed: Not run: dial may be called 2 times in a turn, and was. Allowed now: look, write, wait.
        agent: So.
        = end_turn (2)
        """,
        {"type": "max_count", "tool": "dial", "count": 2},
    ),
    under(
        "parallel calls of which rules allow some",
        '!call look {"q":"a"} !call dial {"number":7} !call write {"text":"b"} !call look {"q":"c"} !then !say So.',
        """
        agent:
        call look {"q":"a"}: One moment, please.
        call dial {"number":7}: One moment, please. [heard: ]
        call write {"text":"b"}: One moment, please. [heard: ]
        call look {"q":"c"}: One moment, please. [heard: ]
        tool: found a
        tool failed: Not run: dial can't be called now. Call write.
        tool: wrote b
        tool failed: Not run: look may be called once in a turn, and was. Allowed now: write, dial, wait.
        agent: So.
        = end_turn (2)
        """,
        FIRST,
        THEN_WRITE,
        {"type": "max_count", "tool": "look", "count": 1},
    ),
)
