"""Scenarios with a tool of every kind there is, wherever it runs; those that the client runs are in `asking`."""

from typing import Any

from tests.scenarios.outside import HOOKS
from tests.scenarios.script import Goodbye, Interrupt, Say, Scenario

_BOOK: dict[str, Any] = {
    "type": "webhook",
    "name": "book",
    "description": "Books seats.",
    "parameters": {"type": "object", "properties": {"seats": {"type": "integer"}}, "required": ["seats"]},
    "url": f"{HOOKS}/book",
}


def _calls(name: str, tool: str, arguments: str, result: str, **agent: Any) -> Scenario:
    """A call whose result is `result`; a failed one's begins with "failed"."""
    words = f"!call {tool} {arguments} !then !say So."
    return Scenario(
        name,
        (Say(words),),
        f"""
        user: {words}
        agent:
        call {tool} {arguments}: One moment, please.
        tool{"" if result.startswith("failed") else ":"} {result}
        agent: So.
        = end_turn (2)
        """,
        agent={"tools": [tool]} | agent,
    )


KINDS = (
    _calls("a function in a thread", "ponder", '{"q":"tea"}', "pondered tea"),
    _calls("a function in a process", "compute", '{"q":"tea"}', "computed tea"),
    _calls("a webhook", "book", '{"seats":2}', '{"booked":2}', tools=[_BOOK]),
    _calls(
        "a webhook that fails",
        "book",
        '{"seats":2}',
        'failed: the webhook answered 409: {"detail":"sold out"}',
        tools=[_BOOK | {"url": f"{HOOKS}/fails"}],
    ),
    _calls(
        "a webhook that redirects to a private address",
        "book",
        '{"seats":2}',
        "failed: the webhook answered with a redirect (307), which is not followed",
        tools=[_BOOK | {"url": f"{HOOKS}/moves"}],
    ),
    _calls(
        "a webhook that answers with bytes that are not UTF-8",
        "book",
        '{"seats":2}',
        "gr\ufffd\ufffde",
        tools=[_BOOK | {"url": f"{HOOKS}/garbles"}],
    ),
    _calls("a tool of an MCP server", "near__echo", '{"text":"tea"}', "tea"),
    _calls("a tool of an MCP server that fails", "near__fail", "{}", "failed: Error executing tool fail"),
    _calls("a tool of an MCP server over HTTP", "far__echo", '{"text":"tea","times":2}', "teatea"),
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
        "barge-in in the goodbye",
        (Say("!call end_call"), Interrupt(8), Say("!say Yes?")),
        """
        user: !call end_call
        agent: [interrupted]
        call end_call {}: Goodbye, talk to you soon! [heard: Goodbye,]
        tool: The call ends after the goodbye.
        = tool_rule (1)
        user: !say Yes?
        agent: Yes?
        = end_turn (1)
        """,
        agent={"tools": ["end_call"]},
    ),
    Scenario(
        "the agent puts the caller through",
        (Say('!call transfer_call {"to":"sales"}'), Goodbye("transfer")),
        """
        user: !call transfer_call {"to":"sales"}
        agent:
        call transfer_call {"to":"sales"}: One moment, please.
        tool: The caller is put through to sales after these words.
        = tool_rule (1)
        """,
        agent={"tools": ["transfer_call"]},
    ),
    _calls("the agent presses keys", "send_digits", '{"digits":"12#"}', "The keys 1 2 # are pressed."),
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
)
