"""Scenarios of speech: turns, greetings, facts, and callers who cut in or hang up."""

from tests.scenarios.script import End, Greeted, Interrupt, Murmur, Note, Played, Say, Scenario, Start, Unasked

_RESUMES = {"resume_after_ms": 200}
_LONG = "!say Considering everything carefully, nothing extraordinary happened. !token_ms 200"
_THERE = "Are you still there?"
_SILENCE = (
    "[The caller has said nothing for 0.1 seconds. Say one short thing that keeps the call going,"
    " or ask whether they are still there.]"
)

SPEECH = (
    Scenario(
        "a plain turn",
        (Say("!say Good morning."),),
        """
        user: !say Good morning.
        agent: Good morning.
        = end_turn (1)
        """,
    ),
    Scenario(
        "several turns",
        (Say("My name is Ada."), Say("What is my name?"), Say("Thank you.")),
        """
        user: My name is Ada.
        agent: Nice to meet you, Ada.
        = end_turn (1)
        user: What is my name?
        agent: Your name is Ada.
        = end_turn (1)
        user: Thank you.
        agent: You are welcome.
        = end_turn (1)
        """,
    ),
    Scenario(
        "a greeting first",
        (Greeted(), Say("!say We are open.")),
        """
        agent: Welcome to the bakery.
        = end_turn (0)
        user: !say We are open.
        agent: We are open.
        = end_turn (1)
        """,
        agent={"greeting": "Welcome to the bakery."},
    ),
    Scenario(
        "a fact that the client adds",
        (Say("!say Yes?"), Note("It rains."), Say("!say Take an umbrella.")),
        """
        user: !say Yes?
        agent: Yes?
        = end_turn (1)
        note: It rains.
        = end_turn (0)
        user: !say Take an umbrella.
        agent: Take an umbrella.
        = end_turn (1)
        """,
    ),
    Scenario(
        "barge-in in speech",
        (Start("!say One two three four five six. !fault stall", said="One two three"), Interrupt(7), Say("!say Yes?")),
        """
        user: !say One two three four five six. !fault stall
        agent: One two three [heard: One two] [interrupted]
        = interrupted (1)
        user: !say Yes?
        agent: Yes?
        = end_turn (1)
        """,
    ),
    Scenario(
        "barge-in before a word",
        (Start("!say Well. !first_token_ms 60000"), Interrupt(0), Say("!say Yes?")),
        """
        user: !say Well. !first_token_ms 60000
        agent: [interrupted]
        = interrupted (1)
        user: !say Yes?
        agent: Yes?
        = end_turn (1)
        """,
    ),
    Scenario(
        "a mark after the end",
        (Say("!say One two three four."), Played(7), Say("!say And then five.")),
        """
        user: !say One two three four.
        agent: One two three four. [heard: One two] [interrupted]
        = end_turn (1)
        user: !say And then five.
        agent: And then five.
        = end_turn (1)
        """,
    ),
    Scenario(
        "a false alarm in speech",
        (
            Start("!say One two three four five six. !token_ms 400", said="One two three"),
            Interrupt(7),
            Unasked(" three four five six."),
            Say("!say Yes."),
        ),
        """
        user: !say One two three four five six. !token_ms 400
        agent: One two three [heard: One two] [interrupted]
        = interrupted (1)
        note: [It was no interruption. You went on.]
        agent:  three four five six.
        = end_turn (1)
        user: !say Yes.
        agent: Yes.
        = end_turn (1)
        """,
        agent={"voice": _RESUMES},
    ),
    Scenario(
        "a false alarm after the end",
        (Say("!say One two three four."), Interrupt(7), Unasked(" three four."), Say("!say Yes.")),
        """
        user: !say One two three four.
        agent: One two three four. [heard: One two] [interrupted]
        = end_turn (1)
        note: [It was no interruption. You went on.]
        agent:  three four.
        = end_turn (0)
        user: !say Yes.
        agent: Yes.
        = end_turn (1)
        """,
        agent={"voice": _RESUMES},
    ),
    Scenario(
        "a false alarm in a tool",
        (
            Start("!call wait !then !say So.", said="One moment, please.", tool="wait"),
            Interrupt(10),
            Unasked("So."),
            Say("!say Yes."),
        ),
        """
        user: !call wait !then !say So.
        agent: [interrupted]
        call wait {}: One moment, please. [heard: One moment]
        tool failed: Cancelled: the caller interrupted before it finished.
        = interrupted (1)
        note: [It was no interruption. Go on.]
        agent: So.
        = end_turn (1)
        user: !say Yes.
        agent: Yes.
        = end_turn (1)
        """,
        agent={"voice": _RESUMES},
    ),
    Scenario(
        "a sign that the caller listens",
        (Start(_LONG, said="Considering everything"), Murmur("Uh-huh."), End(), Say("!say Yes.")),
        f"""
        user: {_LONG}
        agent: Considering everything carefully, nothing extraordinary happened.
        = end_turn (1)
        note: While you spoke, the caller said: "Uh-huh."
        = end_turn (0)
        user: !say Yes.
        agent: Yes.
        = end_turn (1)
        """,
        agent={"voice": {"backchannels": ["uh-huh"]}},
    ),
    Scenario(
        "a caller who is silent",
        (Say("!say Yes?"), Unasked(_THERE), Unasked(_THERE), Say("!say So.")),
        f"""
        user: !say Yes?
        agent: Yes?
        = end_turn (1)
        note: {_SILENCE}
        agent: {_THERE}
        = end_turn (1)
        note: {_SILENCE}
        agent: {_THERE}
        = end_turn (1)
        user: !say So.
        agent: So.
        = end_turn (1)
        """,
        agent={"voice": {"idle_reminder_s": 0.1}},
    ),
    Scenario(
        "hanging up in a turn",
        (Start("!say Well. !first_token_ms 60000"),),
        """
        user: !say Well. !first_token_ms 60000
        agent: [interrupted]
        = cancelled (1)
        """,
    ),
)
