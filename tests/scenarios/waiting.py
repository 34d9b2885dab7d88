"""Scenarios in which the caller has to wait: what is said meanwhile is heard, cut into, and remembered."""

from typing import Any

from tests.scenarios.faults import NOTICE
from tests.scenarios.script import End, Interrupt, Return, Say, Scenario, Start

_ZOOM = {
    "type": "client",
    "name": "zoom",
    "description": "Zooms the caller's map.",
    "parameters": {"type": "object", "properties": {}},
}
# The sooner, the sooner the scenario is over: what the model said before is heard out in any case.
_VOICE: dict[str, Any] = {"filler_after_ms": 100, "fillers": ["Still on it.", "Not long now."]}
_SAID = "One moment, please.Still on it."
_WORDLESS = '!call look {"q":"a","pre_exec_msg":""}'
_EMPTY = ""

WAITING = (
    Scenario(
        "a call without its utterance",
        (Start(f"{_WORDLESS} !then !say So.", said="Still on it."), End(), Say("!say Yes.")),
        f"""
        user: {_WORDLESS} !then !say So.
        agent:
        call look {{"q":"a"}}: {_EMPTY}
        tool: found a
        filler: Still on it.
        agent: So.
        = end_turn (2)
        user: !say Yes.
        agent: Yes.
        = end_turn (1)
        """,
        agent={"voice": _VOICE},
    ),
    Scenario(
        "a tool of the client that takes long",
        (Start("!call zoom !then !say So.", said=_SAID, asked="zoom"), Return("zoom", "3"), End(), Say("!say Yes.")),
        """
        user: !call zoom !then !say So.
        agent:
        call zoom {}: One moment, please.
        tool: 3
        filler: Still on it.
        agent: So.
        = end_turn (2)
        user: !say Yes.
        agent: Yes.
        = end_turn (1)
        """,
        agent={"voice": _VOICE, "tools": [_ZOOM]},
    ),
    Scenario(
        "barge-in in a filler",
        (Start("!call wait", said=_SAID, tool="wait"), Interrupt(24), Say("!say Yes?")),
        """
        user: !call wait
        agent:
        call wait {}: One moment, please.
        tool failed: Cancelled: the caller interrupted before it finished.
        agent: Still on it. [heard: Still] [interrupted]
        = interrupted (1)
        user: !say Yes?
        agent: Yes?
        = end_turn (1)
        """,
        agent={"voice": _VOICE},
    ),
    Scenario(
        "a model that is silent and its fallback too",
        (Start("!say Well. !first_token_ms 60000", said="Still on it."), End(), Say("!say Yes.")),
        f"""
        user: !say Well. !first_token_ms 60000
        filler: Still on it.
        agent: {NOTICE}
        = llm_api_error (1)
        user: !say Yes.
        agent: Yes.
        = end_turn (1)
        """,
        errors=("the model said nothing for 0.5 s",),
        agent={
            "fallback_models": ["simulated"],
            "voice": _VOICE | {"first_token_deadline_ms": 500, "hedge": False},
        },
    ),
)
