"""Scenarios in which the agent calls tools, well or badly, or is made to."""

from tests.scenarios.script import Interrupt, Say, Scenario, Start

CALLING = (
    Scenario(
        "utterance and tool",
        (Say('!call look {"q":"tea"} !then !say Tea is at five.'), Say("!say Yes.")),
        """
        user: !call look {"q":"tea"} !then !say Tea is at five.
        agent:
        call look {"q":"tea"}: One moment, please.
        tool: found tea
        agent: Tea is at five.
        = end_turn (2)
        user: !say Yes.
        agent: Yes.
        = end_turn (1)
        """,
    ),
    Scenario(
        "words before a tool",
        (Say('!say I will see. !call look {"q":"tea"} !then !say Tea is at five.'),),
        """
        user: !say I will see. !call look {"q":"tea"} !then !say Tea is at five.
        agent: I will see.
        call look {"q":"tea"}: One moment, please. [heard: ]
        tool: found tea
        agent: Tea is at five.
        = end_turn (2)
        """,
    ),
    Scenario(
        "parallel tools",
        (Say('!call look {"q":"a"} !call write {"text":"b"} !call look {"q":"c"} !then !say All done.'),),
        """
        user: !call look {"q":"a"} !call write {"text":"b"} !call look {"q":"c"} !then !say All done.
        agent:
        call look {"q":"a"}: One moment, please.
        call write {"text":"b"}: One moment, please. [heard: ]
        call look {"q":"c"}: One moment, please. [heard: ]
        tool: found a
        tool: wrote b
        tool: found c
        agent: All done.
        = end_turn (2)
        """,
    ),
    Scenario(
        "a tool that fails",
        (Say('!call dial {"number":7} !then !call look {"q":"8"} !then !say Try eight.'),),
        """
        user: !call dial {"number":7} !then !call look {"q":"8"} !then !say Try eight.
        agent:
        call dial {"number":7}: One moment, please.
        tool failed: dial failed: ConnectionError: 7 is busy
        agent:
        call look {"q":"8"}: One moment, please.
        tool: found 8
        agent: Try eight.
        = end_turn (3)
        """,
    ),
    Scenario(
        "broken argument JSON",
        (Say('!call look {"q":"te !then !call look {"q":"tea"} !then !say Found.'),),
        r"""
        user: !call look {"q":"te !then !call look {"q":"tea"} !then !say Found.
        agent:
        call look {"malformed_arguments":"{\"q\":\"te"}
        tool failed: The arguments are not one JSON object. Call again with valid JSON.
        agent:
        call look {"q":"tea"}: One moment, please.
        tool: found tea
        agent: Found.
        = end_turn (3)
        """,
    ),
    Scenario(
        "arguments against the schema",
        (Say('!call look {"q":7} !then !say I cannot.'),),
        """
        user: !call look {"q":7} !then !say I cannot.
        agent:
        call look {"q":7}: One moment, please.
        tool failed: q: Input should be a valid string
        agent: I cannot.
        = end_turn (2)
        """,
    ),
    Scenario(
        "an unknown tool",
        (Say('!call fly {"to":"Rome"} !then !say I cannot fly.'), Say("!say No.")),
        """
        user: !call fly {"to":"Rome"} !then !say I cannot fly.
        agent:
        call fly {"to":"Rome"}
        tool failed: There is no tool named 'fly'. The tools are: look, write, dial, wait.
        agent: I cannot fly.
        = end_turn (2)
        user: !say No.
        agent: No.
        = end_turn (1)
        """,
    ),
    Scenario(
        "barge-in in a tool",
        (Start("!call wait", said="One moment, please.", tool="wait"), Interrupt(10), Say("!say Yes?")),
        """
        user: !call wait
        agent: [interrupted]
        call wait {}: One moment, please. [heard: One moment]
        tool failed: Cancelled: the caller interrupted before it finished.
        = interrupted (1)
        user: !say Yes?
        agent: Yes?
        = end_turn (1)
        """,
    ),
    Scenario(
        "max_steps",
        (Say('!call look {"q":"a"} !then !call look {"q":"b"}'), Say("!say Yes.")),
        """
        user: !call look {"q":"a"} !then !call look {"q":"b"}
        agent:
        call look {"q":"a"}: One moment, please.
        tool: found a
        agent:
        call look {"q":"b"}: One moment, please.
        tool failed: Not run: no more tool calls are allowed in this turn. Answer with what you have.
        = max_steps (2)
        user: !say Yes.
        agent: Yes.
        = end_turn (1)
        """,
        agent={"max_steps": 2},
    ),
)
