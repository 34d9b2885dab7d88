"""The scenarios, each with what it has to leave behind, written by hand."""

from tests.scenarios.faults import FAULTS
from tests.scenarios.script import Goodbye, Greeted, Interrupt, Note, Played, Say, Scenario, Start
from voice_agent.rules import RunFirst

_SPEECH = (
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
        "hanging up in a turn",
        (Start("!say Well. !first_token_ms 60000"),),
        """
        user: !say Well. !first_token_ms 60000
        agent: [interrupted]
        = cancelled (1)
        """,
    ),
)

_TOOLS = (
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
        "the agent hangs up",
        (Say("!call end_call"), Goodbye()),
        """
        user: !call end_call
        agent:
        call end_call {}: Goodbye, talk to you soon!
        tool: The call ends after the goodbye.
        = tool_rule (1)
        """,
        agent={"tools": ["end_call"]},
    ),
    Scenario(
        "memory search",
        (Say('!call search_memory {"convo_keyword_queries":["parrot"]} !then !say Coco.'),),
        """
        user: !call search_memory {"convo_keyword_queries":["parrot"]} !then !say Coco.
        agent:
        call search_memory {"convo_keyword_queries":["parrot"]}: One moment, please.
        tool: {"time":"Monday 2026-01-05 10:00","speaker":"office","source":"document","text":"Their parrot is Coco."}
        agent: Coco.
        = end_turn (2)
        """,
        agent={"tools": ["search_memory"]},
        documents=("Their parrot is Coco.",),
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
    Scenario(
        "words where a rule forces a call",
        (Say("!say I would rather talk."),),
        """
        user: !say I would rather talk.
        agent: I would rather talk.
        note: [An answer in words does not count here. Call look.]
        agent:
        call look {"q":"news"}: One moment, please.
        tool: found news
        agent: Here is what I found: found news
        = end_turn (3)
        """,
        rules=(RunFirst(tool="look", args={"q": "news"}),),
    ),
)

_REASONING = (
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

SCENARIOS: tuple[Scenario, ...] = (*_SPEECH, *_TOOLS, *_REASONING, *FAULTS)
