"""The client's answers to what a turn asks of it: results of the tools that it runs, and a person's decisions."""

import msgspec

from voice_agent.events import ApprovalGiven, Failed, ToolReturned
from voice_agent.live_turn import LiveTurn, Sink
from voice_agent.tools.outcome import as_text, cut


def pass_on(answer: ToolReturned | ApprovalGiven, live: LiveTurn | None, sink: Sink) -> None:
    """Hand it to the live turn, if that waits for it; the client is told why not. To repeat one is harmless."""
    wanted = "result" if isinstance(answer, ToolReturned) else "decision"
    standing = live.turn.standing(answer.call_id) if live else None
    if live is None or standing is None or (wanted, standing.pending) == ("result", "decision"):
        _refuse(sink, f"no call {answer.call_id!r} waits for a {wanted}")
    elif isinstance(answer, ApprovalGiven):
        if standing.pending == wanted:
            live.work.inbox.put(answer)
    elif standing.spec is None or standing.spec.client_timeout_s is None:
        _refuse(sink, f"the call {answer.call_id!r} is run by the gateway and not by the client")
    elif standing.pending == wanted:
        text = cut(as_text(answer.output), standing.spec.client_char_limit)
        live.work.inbox.put(msgspec.structs.replace(answer, output=text))


def _refuse(sink: Sink, why: str) -> None:
    sink.emit(Failed("unknown_id", why, field="call_id"))
