"""Scenarios in which a turn waits for the client: for a person's decision, or for a tool that the client runs."""

from typing import Any

from tests.scenarios.script import Bring, Decide, End, Interrupt, Refused, Return, Say, Scenario, Start

_NEEDS_APPROVAL: dict[str, Any] = {"tool_rules": [{"type": "requires_approval", "tool": "write"}]}
_ZOOM = {
    "type": "client",
    "name": "zoom",
    "description": "Zooms the caller's map.",
    "parameters": {"type": "object", "properties": {"to": {"type": "integer"}}, "required": ["to"]},
    "return_char_limit": 20,
}
_ZOOMS: dict[str, Any] = {"tools": ["look", _ZOOM]}
_WRITES = '!call write {"text":"b"} !then !say Done.'


def _cancelled(result: str) -> dict[str, dict[str, str]]:
    """What differs without a socket: nobody hangs up, and nothing that was said stayed unheard."""
    return {"HTTP": {"agent: [interrupted]": "agent:", result: "Cancelled: the run was cancelled."}}


ASKING = (
    Scenario(
        "a call that a person approves",
        (Start(_WRITES, asked="write"), Decide("write"), Decide("write"), End(), Say("!say Yes.")),
        f"""
        user: {_WRITES}
        agent:
        call write {{"text":"b"}}: One moment, please.
        tool: wrote b
        agent: Done.
        = end_turn (2)
        user: !say Yes.
        agent: Yes.
        = end_turn (1)
        """,
        agent=_NEEDS_APPROVAL,
    ),
    Scenario(
        "a call that a person denies",
        (Start(_WRITES, asked="write"), Decide("write", approved=False, reason="not today"), End()),
        f"""
        user: {_WRITES}
        agent:
        call write {{"text":"b"}}: One moment, please.
        tool failed: Denied by a person: not today
        agent: Done.
        = end_turn (2)
        """,
        agent=_NEEDS_APPROVAL,
    ),
    Scenario(
        "words after a denial where a rule forces a call",
        (Start(_WRITES, asked="write"), Decide("write", approved=False), End()),
        f"""
        user: {_WRITES}
        agent:
        call write {{"text":"b"}}: One moment, please.
        tool failed: Denied by a person.
        agent: Done.
        = end_turn (2)
        """,
        agent={"tool_rules": [*_NEEDS_APPROVAL["tool_rules"], {"type": "run_first", "tool": "write"}]},
    ),
    Scenario(
        "barge-in before a person decides",
        (Start(_WRITES, said="One moment, please.", asked="write"), Interrupt(10), Say("!say Yes?")),
        f"""
        user: {_WRITES}
        agent: [interrupted]
        call write {{"text":"b"}}: One moment, please. [heard: One moment]
        tool failed: Not run: the caller interrupted before a person had decided.
        = interrupted (1)
        user: !say Yes?
        agent: Yes?
        = end_turn (1)
        """,
        agent=_NEEDS_APPROVAL,
    ),
    Scenario(
        "hanging up before a person decides",
        (Start('!call zoom {"to":3}', asked="zoom"),),
        """
        user: !call zoom {"to":3}
        agent: [interrupted]
        call zoom {"to":3}
        tool failed: Not run: the call ended before a person had decided.
        = cancelled (1)
        """,
        agent={"tools": [_ZOOM | {"say": False}], "tool_rules": [{"type": "requires_approval", "tool": "zoom"}]},
        nature=_cancelled("Not run: the call ended before a person had decided."),
    ),
    Scenario(
        "hanging up before the client answers",
        (Start('!call zoom {"to":3}', asked="zoom"),),
        """
        user: !call zoom {"to":3}
        agent: [interrupted]
        call zoom {"to":3}
        tool failed: Cancelled: the call ended before it finished.
        = cancelled (1)
        """,
        agent={"tools": [_ZOOM | {"say": False}]},
        nature=_cancelled("Cancelled: the call ended before it finished."),
    ),
    Scenario(
        "an approval beside a call that runs",
        (Start('!call look {"q":"a"} ' + _WRITES, asked="write"), Decide("write"), End()),
        f"""
        user: !call look {{"q":"a"}} {_WRITES}
        agent:
        call look {{"q":"a"}}: One moment, please.
        call write {{"text":"b"}}: One moment, please. [heard: ]
        tool: found a
        tool: wrote b
        agent: Done.
        = end_turn (2)
        """,
        agent=_NEEDS_APPROVAL,
    ),
    Scenario(
        "three calls of which each is answered in its own way",
        (
            Start(f'!call zoom {{"to":3}} !call look {{"q":"a"}} {_WRITES}', asked="write"),
            Decide("write", approved=False, reason="not today"),
            Decide("look"),
            Return("zoom", {"now": 3}),
            End(),
        ),
        f"""
        user: !call zoom {{"to":3}} !call look {{"q":"a"}} {_WRITES}
        agent:
        call zoom {{"to":3}}: One moment, please.
        call look {{"q":"a"}}: One moment, please. [heard: ]
        call write {{"text":"b"}}: One moment, please. [heard: ]
        tool: {{"now":3}}
        tool: found a
        tool failed: Denied by a person: not today
        agent: Done.
        = end_turn (2)
        """,
        agent={
            "tools": ["look", "write", _ZOOM],
            "tool_rules": [*_NEEDS_APPROVAL["tool_rules"], {"type": "requires_approval", "tool": "look"}],
        },
    ),
    Scenario(
        "a tool that the client runs once a person has approved",
        (
            Start('!call zoom {"to":3} !then !say There.', asked="zoom"),
            Decide("zoom"),
            Return("zoom", "zoomed"),
            End(),
        ),
        """
        user: !call zoom {"to":3} !then !say There.
        agent:
        call zoom {"to":3}: One moment, please.
        tool: zoomed
        agent: There.
        = end_turn (2)
        """,
        agent={"tools": [_ZOOM], "tool_rules": [{"type": "requires_approval", "tool": "zoom"}]},
    ),
    Scenario(
        "words before a person decides",
        (Start(_WRITES, asked="write"), Refused("!say Hello?"), Decide("write"), End()),
        f"""
        user: {_WRITES}
        agent:
        call write {{"text":"b"}}
        tool: wrote b
        agent: Done.
        = end_turn (2)
        """,
        agent=_NEEDS_APPROVAL,
    ),
    Scenario(
        "two decisions on one call",
        (Start(_WRITES, asked="write"), Decide("write", approved=False), Decide("write"), End()),
        f"""
        user: {_WRITES}
        agent:
        call write {{"text":"b"}}: One moment, please.
        tool failed: Denied by a person.
        agent: Done.
        = end_turn (2)
        """,
        agent=_NEEDS_APPROVAL,
    ),
    Scenario(
        "a tool that the client runs",
        (Start('!call zoom {"to":3} !then !say There.', asked="zoom"), Return("zoom", {"now": 3}), End()),
        """
        user: !call zoom {"to":3} !then !say There.
        agent:
        call zoom {"to":3}: One moment, please.
        tool: {"now":3}
        agent: There.
        = end_turn (2)
        """,
        agent=_ZOOMS,
    ),
    Scenario(
        "a tool that the client runs in vain",
        (
            Start('!call zoom {"to":3} !then !say Alas.', asked="zoom"),
            Return("zoom", "The map is upside down today.", is_error=True),
            End(),
        ),
        """
        user: !call zoom {"to":3} !then !say Alas.
        agent:
        call zoom {"to":3}: One moment, please.
        tool failed: The map is upside do
        [cut: 9 more characters]
        agent: Alas.
        = end_turn (2)
        """,
        agent=_ZOOMS,
    ),
    Scenario(
        "bad arguments for a tool that the client runs",
        (Say('!call zoom {"to":"in"} !then !say Alas.'),),
        """
        user: !call zoom {"to":"in"} !then !say Alas.
        agent:
        call zoom {"to":"in"}: One moment, please.
        tool failed: to: it is not of type "integer"
        agent: Alas.
        = end_turn (2)
        """,
        agent=_ZOOMS,
    ),
    Scenario(
        "barge-in before the client answers",
        (Start('!call zoom {"to":3}', said="One moment, please.", asked="zoom"), Interrupt(19), Say("!say Yes?")),
        """
        user: !call zoom {"to":3}
        agent: [interrupted]
        call zoom {"to":3}: One moment, please.
        tool failed: Cancelled: the caller interrupted before it finished.
        = interrupted (1)
        user: !say Yes?
        agent: Yes?
        = end_turn (1)
        """,
        agent=_ZOOMS,
    ),
    Scenario(
        "two calls of which the client runs one",
        (
            Start('!call zoom {"to":3} !call look {"q":"a"} !then !say There.', asked="zoom"),
            Return("zoom", "zoomed"),
            End(),
        ),
        """
        user: !call zoom {"to":3} !call look {"q":"a"} !then !say There.
        agent:
        call zoom {"to":3}: One moment, please.
        call look {"q":"a"}: One moment, please. [heard: ]
        tool: zoomed
        tool: found a
        agent: There.
        = end_turn (2)
        """,
        agent=_ZOOMS,
    ),
    Scenario(
        "a tool that the client brings along",
        (
            Say('!call zoom {"to":3} !then !say I cannot.'),
            Bring((_ZOOM,)),
            Start('!call zoom {"to":3} !then !say There.', asked="zoom"),
            Return("zoom", "zoomed"),
            End(),
        ),
        """
        user: !call zoom {"to":3} !then !say I cannot.
        agent:
        call zoom {"to":3}
        tool failed: There is no tool named 'zoom'. The tools are: look.
        agent: I cannot.
        = end_turn (2)
        user: !call zoom {"to":3} !then !say There.
        agent:
        call zoom {"to":3}: One moment, please.
        tool: zoomed
        agent: There.
        = end_turn (2)
        """,
        agent={"tools": ["look"]},
    ),
)
