"""Scenarios in which the provider fails, or ends its reply in another way than it should."""

from tests.scenarios.script import Say, Scenario

NOTICE = "Sorry, I lost my train of thought. Could you say that again?"
_AFTER = """
        user: !say Yes.
        agent: Yes.
        = end_turn (1)
        """
_SEATS = {
    "type": "object",
    "properties": {"seats": {"type": "integer"}},
    "required": ["seats"],
    "additionalProperties": False,
}


def _fails(name: str, directive: str, error: str) -> Scenario:
    """The provider answers with no reply at all; the call goes on."""
    return Scenario(
        name,
        (Say(f"!fault {directive}"), Say("!say Yes.")),
        f"""
        user: !fault {directive}
        agent: {NOTICE}
        = llm_api_error (1)
        {_AFTER.strip()}
        """,
        errors=(f"PROVIDER {error}",),
    )


def _breaks_off(name: str, directive: str, error: str) -> Scenario:
    """Half of the reply comes, then no more; what was said stays said."""
    return Scenario(
        name,
        (Say(f"!say One two three four. !fault {directive}"), Say("!say Yes.")),
        f"""
        user: !say One two three four. !fault {directive}
        agent: One two
        agent: {NOTICE}
        = llm_api_error (1)
        {_AFTER.strip()}
        """,
        errors=(error,),
        agent={"voice": {"stall_timeout_ms": 1000}} if directive == "stall" else {},
    )


def _ends(name: str, directive: str, reason: str, **by_nature: dict[str, str]) -> Scenario:
    """Half of the reply comes, then a clean end for a reason of its own."""
    return Scenario(
        name,
        (Say(f"!say One two three four. !fault {directive}"), Say("!say Yes.")),
        f"""
        user: !say One two three four. !fault {directive}
        agent: One two
        = {reason} (1)
        {_AFTER.strip()}
        """,
        nature=by_nature,
    )


FAULTS = (
    _fails("HTTP 401", "401", "refused the API key (HTTP 401)"),
    _fails("HTTP 429", "429", "limits the rate of requests (HTTP 429)"),
    _fails("HTTP 500", "500", "has a fault of its own (HTTP 500)"),
    _fails("HTTP 529", "529", "is overloaded (HTTP 529)"),
    _breaks_off("a cut stream", "cut", "PROVIDER cut its reply off"),
    _breaks_off("a chunk that is no JSON", "malformed", "PROVIDER sent something that is no reply"),
    _breaks_off("a stall", "stall", "the model sent nothing for 1 s"),
    Scenario(
        "a stream cut in an argument",
        (Say('!call look {"q":"a rather long question"} !fault cut'), Say("!say Yes.")),
        f"""
        user: !call look {{"q":"a rather long question"}} !fault cut
        agent:
        call look {{"malformed_arguments":"{{\\"pre_exec_msg\\":\\"One moment, p"}}: One moment, p
        tool failed: Not run: the model failed first.
        agent: {NOTICE}
        = llm_api_error (1)
        {_AFTER.strip()}
        """,
        errors=("PROVIDER cut its reply off",),
        nature={"HTTP": {r"{\"pre_exec_msg\":\"One moment, p": r"{\"q\":\"a rath"}},
    ),
    Scenario(
        "a request that is too long",
        (Say("!fault overflow"), Say("!say Yes.")),
        f"""
        user: !fault overflow
        agent: {NOTICE}
        = context_window_overflow (1)
        {_AFTER.strip()}
        """,
        errors=("PROVIDER says that the conversation is too long for the model",),
    ),
    Scenario(
        "words that are not what was asked for",
        (Say("!say I am no JSON.", {"response_format": _SEATS}), Say('!say {"seats":2}', {"response_format": _SEATS})),
        """
        user: !say I am no JSON.
        agent: I am no JSON.
        = invalid_llm_response (1)
        user: !say {"seats":2}
        agent: {"seats":2}
        = end_turn (1)
        """,
        errors=(
            "the reply does not fit response_format: it is no JSON: JSON is malformed: invalid character (byte 0)",
        ),
    ),
    Scenario(
        "a document in place of a stream",
        (Say('!call look {"q":"tea"} !fault nonsse !then !say Tea is at five. !fault nonsse'),),
        """
        user: !call look {"q":"tea"} !fault nonsse !then !say Tea is at five. !fault nonsse
        agent:
        call look {"q":"tea"}: One moment, please.
        tool: found tea
        agent: Tea is at five.
        = end_turn (2)
        """,
    ),
    Scenario(
        "an empty reply",
        (Say("!fault empty"), Say("!say Yes.")),
        f"""
        user: !fault empty
        = end_turn (1)
        {_AFTER.strip()}
        """,
    ),
    Scenario(
        "max_tokens",
        (Say("!say One two three four five."), Say("!say Yes.")),
        f"""
        user: !say One two three four five.
        agent: One two three
        = max_tokens (1)
        {_AFTER.strip()}
        """,
        agent={"max_output_tokens": 3},
    ),
    # Anthropic has one name for both.
    _ends("content_filter", "content_filter", "content_filter", messages={"= content_filter": "= refusal"}),
    _ends("refusal", "refusal", "refusal"),
)
