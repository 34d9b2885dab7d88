"""What an agent's calls ask of the person at the terminal: whether one may run, or what came of one that they run.

They are asked one after another, in the order in which they came; a line typed meanwhile is the answer to the first.
"""

import json
import re
from typing import Any

import msgspec

Frame = dict[str, Any]
_YES = re.compile(r"\s*(?:y|yes|ok|okay)[.!]?\s*", re.IGNORECASE)
_NO = re.compile(r"\s*(?:n|no)(?:[\s,.:;!-]+(?P<why>.*))?", re.IGNORECASE | re.DOTALL)
_FAILED = re.compile(r"\s*!\s*(?P<why>.*)", re.DOTALL)


class Question(msgspec.Struct, frozen=True):
    """One pending call, of an `approval.request` (`decides`) or a `tool.request`."""

    turn_id: str
    call_id: str
    name: str
    arguments: Any
    decides: bool

    def words(self) -> str:
        """The call as it is shown."""
        return f"{self.name} {json.dumps(self.arguments, ensure_ascii=False)}"

    def prompt(self) -> str:
        """What stands before the answer."""
        return "allow this (y, or n REASON)? " if self.decides else "you run this; its result (or ! REASON): "

    def answer(self, line: str) -> Frame | None:
        """The frame that a line comes to; None for one that is neither yes nor no."""
        if not self.decides:
            failed = _FAILED.fullmatch(line)
            return self._result(line, False) if failed is None else self._result(failed["why"] or "It failed.", True)
        if _YES.fullmatch(line):
            return self._decision(approved=True)
        if denied := _NO.fullmatch(line):
            why = (denied["why"] or "").strip()
            return self._decision(approved=False) | ({"reason": why} if why else {})
        return None

    def nobody(self) -> Frame:
        """The frame where nobody is left to answer."""
        why = "There is nobody at the terminal."
        return self._decision(approved=False) | {"reason": why} if self.decides else self._result(why, True)

    def _decision(self, *, approved: bool) -> Frame:
        return {"type": "tool.approval", "call_id": self.call_id, "approved": approved}

    def _result(self, output: str, is_error: bool) -> Frame:
        # As text, so that the model reads just what was typed.
        return {"type": "tool.result", "call_id": self.call_id, "output": output, "is_error": is_error}


class Questions:
    """Those that are open, and those whose answer has shown no effect yet: call id -> question and answer."""

    def __init__(self) -> None:
        self._asked: dict[str, tuple[Question, Frame | None]] = {}

    @property
    def first(self) -> Question | None:
        """The one that is being asked."""
        return next((question for question, frame in self._asked.values() if frame is None), None)

    @property
    def given(self) -> tuple[Frame, ...]:
        """Answers that may have been lost on their way: to send one again is harmless."""
        return tuple(frame for _, frame in self._asked.values() if frame is not None)

    def ask(self, event: dict[str, Any]) -> None:
        """An `approval.request` or a `tool.request` came; the second is what becomes of an approved call."""
        turn, call, name, decides = (
            event["turn_id"],
            event["call_id"],
            event["name"],
            event["type"] == "approval.request",
        )
        self._asked[call] = Question(turn, call, name, event.get("arguments"), decides), None

    def answer(self, question: Question, line: str) -> Frame | None:
        """The frame to send; None for a line that is no answer, and the question stays."""
        frame = question.answer(line)
        self._asked[question.call_id] = question, frame
        return frame

    def give_up(self, question: Question) -> Frame:
        """The frame to send where nobody is left to answer."""
        frame = question.nobody()
        self._asked[question.call_id] = question, frame
        return frame

    def close(self, call_id: str) -> None:
        """The call goes on, or is over."""
        self._asked.pop(call_id, None)

    def close_turn(self, turn_id: str) -> None:
        """The turn is over, and its calls with it."""
        self._asked = {call: asked for call, asked in self._asked.items() if asked[0].turn_id != turn_id}

    def close_all(self) -> None:
        """Nothing is asked any more."""
        self._asked.clear()
