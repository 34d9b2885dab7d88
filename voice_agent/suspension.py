"""A turn that ended with calls pending: all that it is rebuilt from, as it is told, stored and shown to who answers.

How it goes on (`Resumed`), and how it is closed without its model (`cancelled`), is in `resumption`.
"""

from typing import Any, Literal

import msgspec

from voice_agent.messages import Message, Usage


class PendingCall(msgspec.Struct, frozen=True):
    """A call that waits for the client: for a person's decision, or for the result of a tool that the client runs.

    `arguments` are the validated ones, without the utterance.
    """

    call_id: str
    name: str
    arguments: dict[str, Any]
    waits_for: Literal["decision", "result"]


class Suspension(msgspec.Struct, frozen=True, omit_defaults=True):
    """A suspended turn.

    `opening` is what the turn answers, `done` its whole steps, `step` the one under way: its assistant message and the
    results so far, in call order. A call of the step that has no result and is not in `pending` waits for the others.
    `broken_rule`: a rule set arguments that do not fit, so that the turn cannot go on when the step is whole.
    """

    opening: tuple[Message, ...]
    done: tuple[Message, ...]
    step: tuple[Message, ...]
    pending: tuple[PendingCall, ...]
    usage: Usage
    broken_rule: str | None = None
