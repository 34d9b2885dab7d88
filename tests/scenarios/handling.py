"""Scenarios for each thing that a tool can say of how it is to be called, and for tools that misbehave."""

from tests.scenarios.faults import NOTICE
from tests.scenarios.script import Interrupt, Late, Say, Scenario, Start


def _fails(name: str, tool: str, result: str, arguments: str = "{}") -> Scenario:
    """A call that comes to this, after which the agent goes on."""
    return Scenario(
        name,
        (Say(f"!call {tool} {arguments} !then !say So."),),
        f"""
        user: !call {tool} {arguments} !then !say So.
        agent:
        call {tool} {arguments}: One moment, please.
        {result}
        agent: So.
        = end_turn (2)
        """,
        agent={"tools": [tool]},
    )


# So many words that half of a reply is past the call before them.
_MANY = "!say one two three four five six seven eight nine ten eleven twelve"

HANDLING = (
    _fails("a tool that takes too long", "dawdle", "tool failed: dawdle took longer than 0.1 s and was stopped."),
    _fails("a tool that returns 10 MB", "dump", "tool: xxxxxxxxxxxxxxxxxxxx\n        [cut: 9999980 more characters]"),
    _fails("a tool that returns bytes that are not UTF-8", "garble", "tool: gr\ufffd\ufffde"),
    _fails("a tool that forks", "isolated", "tool: the parent's", '{"how":"forks"}'),
    _fails(
        "a tool that eats memory",
        "isolated",
        "tool failed: isolated failed: it needed more than 256 MB of memory.",
        '{"how":"eats memory"}',
    ),
    Scenario(
        "a result that is too long",
        (Say('!call recite {"text":"one two three four"} !then !say So.'),),
        """
        user: !call recite {"text":"one two three four"} !then !say So.
        agent:
        call recite {"text":"one two three four"}: One moment, please.
        tool: one two th
        [cut: 8 more characters]
        agent: So.
        = end_turn (2)
        """,
        agent={"tools": ["recite"]},
    ),
    Scenario(
        "tools that run at once",
        (Say("!call meet !call meet !then !say So."),),
        """
        user: !call meet !call meet !then !say So.
        agent:
        call meet {}: One moment, please.
        call meet {}: One moment, please. [heard: ]
        tool: met
        tool: met
        agent: So.
        = end_turn (2)
        """,
        agent={"tools": ["meet"]},
    ),
    Scenario(
        "a tool that runs beside no other",
        (Say("!call alone !call alone !then !say So."),),
        """
        user: !call alone !call alone !then !say So.
        agent:
        call alone {}: One moment, please.
        call alone {}: One moment, please. [heard: ]
        tool: 1 at once
        tool: 1 at once
        agent: So.
        = end_turn (2)
        """,
        agent={"tools": ["alone"]},
    ),
    Scenario(
        "the same call twice where a tool allows it once",
        (Say('!call once {"q":"a"} !call once {"q":"b"} !then !call once { "q": "a" } !then !say So.'),),
        """
        user: !call once {"q":"a"} !call once {"q":"b"} !then !call once { "q": "a" } !then !say So.
        agent:
        call once {"q":"a"}: One moment, please.
        call once {"q":"b"}: One moment, please. [heard: ]
        tool: once a
        tool: once b
        agent:
        call once {"q":"a"}: One moment, please.
        tool failed: once was already called with these arguments in this turn; use that result.
        agent: So.
        = end_turn (3)
        """,
        agent={"tools": ["once"]},
    ),
    Scenario(
        "the same call twice",
        (Say('!call look {"q":"a"} !then !call look {"q":"a"} !then !say So.'),),
        """
        user: !call look {"q":"a"} !then !call look {"q":"a"} !then !say So.
        agent:
        call look {"q":"a"}: One moment, please.
        tool: found a
        agent:
        call look {"q":"a"}: One moment, please.
        tool: found a
        agent: So.
        = end_turn (3)
        """,
    ),
    Scenario(
        "a tool that is called without a word",
        (Say('!call hush {"q":"a"} !then !say So.'),),
        """
        user: !call hush {"q":"a"} !then !say So.
        agent:
        call hush {"q":"a"}
        tool: hushed a
        agent: So.
        = end_turn (2)
        """,
        agent={"tools": ["hush"]},
    ),
    Scenario(
        "barge-in in a tool that runs on",
        (
            Start("!call save", said="One moment, please.", tool="save"),
            Interrupt(10),
            Say("!call stop_saving !then !say So."),
            Late("save"),
            Say("!say Yes."),
        ),
        """
        user: !call save
        agent: [interrupted]
        call save {}: One moment, please. [heard: One moment]
        tool failed: Still running: the caller interrupted before it finished. Its outcome will follow.
        = interrupted (1)
        user: !call stop_saving !then !say So.
        agent:
        call stop_saving {}: One moment, please.
        tool: it ends
        agent: So.
        = end_turn (2)
        note: The tool save, still running when the caller cut in, has finished: saved
        = end_turn (0)
        user: !say Yes.
        agent: Yes.
        = end_turn (1)
        """,
        agent={"tools": ["save", "stop_saving"]},
    ),
    Scenario(
        "barge-in in a thread",
        (Start("!call grind", said="One moment, please.", tool="grind"), Interrupt(10), Say("!say Yes?")),
        """
        user: !call grind
        agent: [interrupted]
        call grind {}: One moment, please. [heard: One moment]
        tool failed: Abandoned: the caller interrupted. It could not be stopped, and may have taken effect.
        = interrupted (1)
        user: !say Yes?
        agent: Yes?
        = end_turn (1)
        """,
        agent={"tools": ["grind"]},
    ),
    Scenario(
        "a tool without effects while the model goes on",
        (
            Start(f'!call look {{"q":"a"}} {_MANY} !fault stall', said="One moment, please.one", tool="look"),
            Interrupt(22),
        ),
        f"""
        user: !call look {{"q":"a"}} {_MANY} !fault stall
        agent: one [interrupted]
        call look {{"q":"a"}}: One moment, please.
        tool: found a
        = interrupted (1)
        """,
    ),
    Scenario(
        "a tool with effects while the model goes on",
        (Say(f'!call write {{"text":"a"}} {_MANY} !fault cut'),),
        f"""
        user: !call write {{"text":"a"}} {_MANY} !fault cut
        agent: one
        call write {{"text":"a"}}: One moment, please.
        tool failed: Not run: the model failed first.
        agent: {NOTICE}
        = llm_api_error (1)
        """,
        errors=("PROVIDER cut its reply off",),
        nature={"HTTP": {"agent: one\n": "agent: one two three four\n"}},
    ),
    Scenario(
        "a fault inside the gateway",
        (Say("!call crash"), Say("!say Yes.")),
        f"""
        user: !call crash
        agent:
        call crash {{}}: One moment, please.
        tool failed: Not run: the turn ended first.
        agent: {NOTICE}
        = error (1)
        user: !say Yes.
        agent: Yes.
        = end_turn (1)
        """,
        errors=("the turn failed inside the gateway",),
        agent={"tools": ["crash"]},
    ),
)
