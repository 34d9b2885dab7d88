"""A call at the terminal as Talk follows it, with everything that it printed and sent."""

from typing import Any

from gateway.talk import Talk, Todo

READY = {"type": "session.ready", "resume_token": "r-1", "resumed": False}


class Call:
    """A Talk with events numbered as the gateway numbers them, and everything it printed and sent."""

    def __init__(self, *, person: bool = True) -> None:
        self.talk = Talk("t", person=person)
        self.printed = ""
        self.sent: list[dict[str, Any]] = []
        self._seq = 0

    def take(self, todo: Todo) -> Todo:
        self.printed += "".join(piece.text for piece in todo.pieces)
        self.sent += todo.frames
        return todo

    def event(self, what: str, /, **fields: Any) -> Todo:
        self._seq += 1
        return self.take(self.talk.event({"type": what, "seq": self._seq, **fields}))

    def over(self) -> bool:
        return self.talk.done

    def ready(self) -> None:
        self.take(self.talk.event(READY))

    def line(self, text: str) -> None:
        self.take(self.talk.line(text))

    def say(self, text: str, turn: str = "t-1", kind: str = "reply") -> Todo:
        return self.event("speech.delta", turn_id=turn, text=text, kind=kind)

    def end(self, turn: str = "t-1", reason: str = "end_turn", heard: str = "", generated: str = "") -> Todo:
        return self.event("turn.ended", turn_id=turn, reason=reason, heard=heard, generated=generated)
