"""Scenarios under each of the nine rules: what it refuses, what it forces, and what it sets.

Those of `conditional`, `max_count` and rules that meet are in `forking`, of `requires_approval` in `asking`.
"""

from textwrap import dedent
from typing import Any

from tests.scenarios.script import Say, Scenario

FIRST = {"type": "run_first", "tool": "look"}
_NEWS = FIRST | {"args": {"q": "news"}}
THEN_WRITE = {"type": "children", "tool": "look", "children": ["write"]}
_THEN_WRITE_TEA = THEN_WRITE | {"args": {"write": {"text": "tea"}}}
_ONLY_THEN_WRITE = {"type": "parent", "tool": "look", "children": ["write"]}
_LOOK_FIRST = {"type": "required_before_exit", "tool": "look"}
_WRITE_ENDS = {"type": "exit", "tool": "write"}


def under(
    name: str,
    words: str,
    history: str,
    *rules: dict[str, Any],
    told: str = "",
    **agent: Any,
) -> Scenario:
    """One turn under these rules; `history` is what follows the user's words, `told` an error."""
    return Scenario(
        name,
        (Say(words),),
        f"user: {words}\n{dedent(history).strip()}",
        errors=(told,) if told else (),
        agent={"tool_rules": list(rules)} | agent,
    )


RULING = (
    under(
        "run_first forces its tool",
        "Any news?",
        """
        agent:
        call look {"q":"Any news?"}: One moment, please.
        tool: found Any news?
        agent: Here is what I found: found Any news?
        = end_turn (2)
        """,
        FIRST,
    ),
    under(
        "words where a rule forces a call",
        "!say I would rather talk.",
        """
        agent: I would rather talk.
        note: [An answer in words does not count here. Call look.]
        agent:
        call look {"q":"news"}: One moment, please.
        tool: found news
        agent: Here is what I found: found news
        = end_turn (3)
        """,
        _NEWS,
    ),
    under(
        "run_first refuses another tool",
        '!call write {"text":"b"} !then !call look {"q":"a"} !then !call write {"text":"b"} !then !say So.',
        """
        agent:
        call write {"text":"b"}: One moment, please.
        tool failed: Not run: write can't be called now. Call look.
        agent:
        call look {"q":"a"}: One moment, please.
        tool: found a
        agent:
        call write {"text":"b"}: One moment, please.
        tool: wrote b
        agent: So.
        = end_turn (4)
        """,
        FIRST,
    ),
    under(
        "run_first sets arguments",
        '!call look {"q":"rain"} !then !say So.',
        """
        agent:
        call look {"q":"news"}: One moment, please.
        tool: found news
        agent: So.
        = end_turn (2)
        """,
        _NEWS,
    ),
    under(
        "children forces one of them",
        '!call look {"q":"a"} !then !say So.',
        """
        agent:
        call look {"q":"a"}: One moment, please.
        tool: found a
        agent: So.
        note: [An answer in words does not count here. Call write.]
        agent:
        call write {"text":"tea"}: One moment, please.
        tool: wrote tea
        agent: Here is what I found: wrote tea
        = end_turn (4)
        """,
        _THEN_WRITE_TEA,
    ),
    under(
        "children refuses another tool",
        '!call look {"q":"a"} !then !call dial {"number":7} !then !call write {"text":"b"} !then !say So.',
        """
        agent:
        call look {"q":"a"}: One moment, please.
        tool: found a
        agent:
        call dial {"number":7}: One moment, please.
        tool failed: Not run: dial can't be called now. Call write.
        agent:
        call write {"text":"b"}: One moment, please.
        tool: wrote b
        agent: So.
        = end_turn (4)
        """,
        THEN_WRITE,
    ),
    under(
        "children sets arguments",
        '!call look {"q":"a"} !call write {"text":"b"} !then !say So.',
        """
        agent:
        call look {"q":"a"}: One moment, please.
        call write {"text":"tea"}: One moment, please. [heard: ]
        tool: found a
        tool: wrote tea
        agent: So.
        = end_turn (2)
        """,
        _THEN_WRITE_TEA,
    ),
    under(
        "parent forces a child",
        '!call look {"q":"a"} !then !say So.',
        """
        agent:
        call look {"q":"a"}: One moment, please.
        tool: found a
        agent: So.
        note: [An answer in words does not count here. Call write.]
        agent:
        call write {"text":"tea"}: One moment, please.
        tool: wrote tea
        agent: Here is what I found: wrote tea
        = end_turn (4)
        """,
        _ONLY_THEN_WRITE,
        _THEN_WRITE_TEA,
    ),
    under(
        "parent refuses a child elsewhere",
        '!call write {"text":"b"} !then !call look {"q":"a"} !call write {"text":"b"} !then !say So.',
        """
        agent:
        call write {"text":"b"}: One moment, please.
        tool failed: Not run: write can be called only right after look. Allowed now: look, dial, wait.
        agent:
        call look {"q":"a"}: One moment, please.
        call write {"text":"b"}: One moment, please. [heard: ]
        tool: found a
        tool: wrote b
        agent: So.
        = end_turn (3)
        """,
        _ONLY_THEN_WRITE,
    ),
    under(
        "parent refuses what is no child",
        '!call look {"q":"a"} !then !call look {"q":"b"} !then !call write {"text":"b"} !then !say So.',
        """
        agent:
        call look {"q":"a"}: One moment, please.
        tool: found a
        agent:
        call look {"q":"b"}: One moment, please.
        tool failed: Not run: look can't be called now. Call write.
        agent:
        call write {"text":"b"}: One moment, please.
        tool: wrote b
        agent: So.
        = end_turn (4)
        """,
        _ONLY_THEN_WRITE,
    ),
    under(
        "exit ends the turn",
        '!call write {"text":"b"} !then !say So.',
        """
        agent:
        call write {"text":"b"}: One moment, please.
        tool: wrote b
        = tool_rule (1)
        """,
        _WRITE_ENDS,
    ),
    under(
        "continue goes on",
        "!call end_call !then !say So.",
        """
        agent:
        call end_call {}: Goodbye, talk to you soon!
        tool: The call ends after the goodbye.
        agent: So.
        = end_turn (2)
        """,
        {"type": "continue", "tool": "end_call"},
        tools=["end_call"],
    ),
    under(
        "required_before_exit refuses an exit",
        '!call write {"text":"b"} !then !call look {"q":"a"} !then !call write {"text":"b"}',
        """
        agent:
        call write {"text":"b"}: One moment, please.
        tool failed: Not run: write ends the turn, and before that look must be called. Allowed now: look, dial, wait.
        agent:
        call look {"q":"a"}: One moment, please.
        tool: found a
        agent:
        call write {"text":"b"}: One moment, please.
        tool: wrote b
        = tool_rule (3)
        """,
        _WRITE_ENDS,
        _LOOK_FIRST,
    ),
    under(
        "required_before_exit and words",
        "!say So.",
        """
        agent: So.
        note: [An answer in words does not count here. Call look.]
        agent: You said: [An answer in words does not count here. Call look.]
        = invalid_tool_call (2)
        """,
        _LOOK_FIRST,
        told="no valid call: the model answered in words where it must call look",
    ),
    under(
        "required_before_exit and max_steps",
        "!say So.",
        """
        agent: So.
        = max_steps (1)
        """,
        _LOOK_FIRST,
        max_steps=1,
    ),
)
