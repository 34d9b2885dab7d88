"""The calls of a turn so far as its rules see them, read off the messages that the turn leaves."""

from collections.abc import Iterable

import msgspec

from voice_agent.messages import Message


class Past(msgspec.Struct, frozen=True):
    """Names in call order. `succeeded`: calls that brought a result, `output` being the last one's.

    `ran`: all calls that were started, those under way too. A call that failed has run and leaves the order as it was,
    so that the model can mend it; a call that was refused, by whatever or whomever, has not run.
    """

    succeeded: tuple[str, ...] = ()
    output: str = ""
    ran: tuple[str, ...] = ()

    @property
    def last(self) -> str | None:
        """The call that decides what may follow; None at the start."""
        return self.succeeded[-1] if self.succeeded else None


def read_past(messages: Iterable[Message]) -> Past:
    """The calls that these messages of one turn hold, with their results."""
    names: dict[str, str] = {}
    succeeded, ran, output = list[str](), list[str](), ""
    for message in messages:
        names.update((call.id, call.name) for call in message.tool_calls)
        name = names.get(message.tool_call_id or "")
        if message.role != "tool" or name is None or message.refused:
            continue
        ran.append(name)
        if not message.failed:
            succeeded.append(name)
            output = message.text
    return Past(tuple(succeeded), output, tuple(ran))
