"""Scenarios in which the model reasons before it acts."""

from tests.scenarios.script import Say, Scenario

THINKING = (
    Scenario(
        "thinking before a tool",
        (Say('!think Tea it is. !call look {"q":"tea"} !then !say Tea is at five.'), Say("!say Yes.")),
        """
        user: !think Tea it is. !call look {"q":"tea"} !then !say Tea is at five.
        agent thinks:
        call look {"q":"tea"}: One moment, please.
        tool: found tea
        agent: Tea is at five.
        = end_turn (2)
        user: !say Yes.
        agent: Yes.
        = end_turn (1)
        """,
        agent={"reasoning": "low"},
    ),
    Scenario(
        "thinking in every step of three",
        (Say('!think 1 !call look {"q":"a"} !then !think 2 !say Hm. !call look {"q":"b"} !then !think 3 !say Done.'),),
        """
        user: !think 1 !call look {"q":"a"} !then !think 2 !say Hm. !call look {"q":"b"} !then !think 3 !say Done.
        agent thinks:
        call look {"q":"a"}: One moment, please.
        tool: found a
        agent thinks: Hm.
        call look {"q":"b"}: One moment, please. [heard: ]
        tool: found b
        agent thinks: Done.
        = end_turn (3)
        """,
        agent={"reasoning": "low"},
    ),
    Scenario(
        "thinking nobody may read",
        (Say('!redact Secret. !call look {"q":"tea"} !then !say Tea is at five.'),),
        """
        user: !redact Secret. !call look {"q":"tea"} !then !say Tea is at five.
        agent thinks:
        call look {"q":"tea"}: One moment, please.
        tool: found tea
        agent: Tea is at five.
        = end_turn (2)
        """,
        agent={"reasoning": "low"},
    ),
)
