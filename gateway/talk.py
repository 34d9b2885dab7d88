"""A conversation as the terminal client follows it, without input or output: what to print, what to send, when to go.

Each method takes something that happened and returns what to do about it; `chat.py` does it.
"""

import json
import unicodedata
from collections import deque
from typing import Any, Literal

import msgspec

from gateway.questions import Question, Questions

Style = Literal["reply", "aside", "notice", "tool", "ask", "note", "error", "prompt"]
PROMPT = "you> "
_STYLES: dict[str, Style] = {"utterance": "aside", "filler": "aside", "notice": "notice"}
_PREFIXES: dict[Style, str] = {"aside": "~ ", "notice": "! ", "tool": "* ", "ask": "? ", "note": "- ", "error": "! "}
_NEVER_A_TURN = {"bad_frame", "unknown_type", "bad_field"}


class Piece(msgspec.Struct, frozen=True):
    """Text to print as it is, newlines included, and what kind of text it is."""

    text: str
    style: Style


class Todo(msgspec.Struct, frozen=True):
    """What to do now: print, then send."""

    pieces: tuple[Piece, ...] = ()
    frames: tuple[dict[str, Any], ...] = ()


class Talk:
    """Follows one session. `person` is at the keyboard: show a prompt and timings, let typing interrupt.

    Otherwise the lines come from a program or a file, and each waits for the answer to the one before. While a call
    asks something of the person, a line is the answer to that, and not words for the agent.
    `resume` and `last_seq` are what a reconnect needs, `done` says that nothing is left to wait for.
    """

    def __init__(self, turn_ids: str, *, person: bool) -> None:
        self._turn_ids = turn_ids
        self._person = person
        self._sent = 0
        self._waiting: deque[str] = deque()
        self._pending: dict[str, Any] | None = None  # the last user.text that has no answer yet
        self._merged_into: str | None = None  # the turn it may have joined, if nothing had been said in that one
        self._live: str | None = None  # the turn that is under way, until it has said all
        self._shown = 0
        self._interrupted = False
        self._questions = Questions()
        self._shown_question: Question | None = None
        self._column: Style | None = None  # the style of the unfinished line, if the cursor is not at its start
        self._news: tuple[str, ...] | None = None  # labels of memory that changed while the agent spoke
        self._eof = False
        self.resume: str | None = None
        self.last_seq = 0
        self.done = False

    # ---- what the person or the program does ----

    def line(self, text: str) -> Todo:
        """A line was entered."""
        self._column = None if self._person else self._column
        if not text.strip():
            return Todo(self._prompt() if self._live is None or self._questions.first else ())
        self._waiting.append(text)
        return self._go_on()

    def end_of_input(self) -> Todo:
        """No line will come any more: leave, after the answer to the last one."""
        self._eof = True
        return self._go_on()

    def ctrl_c(self) -> Todo:
        """Interrupt the agent; leave if it is silent, or was interrupted already."""
        if self._live is None or self._interrupted:
            return Todo(self._fresh_line(), self._leave())
        self._interrupted = True
        self._questions.close_all()
        frame = {"type": "user.interrupt", "turn_id": self._live, "heard": {"chars": self._shown}}
        return Todo(frames=(frame,))

    # ---- what the connection does ----

    def dropped(self) -> Todo:
        """The socket is gone; the session may go on over another."""
        return Todo(self._note("connection lost, trying again", "note"))

    def lost(self) -> Todo:
        """The session is gone for good; what follows is a new one."""
        self.resume, self.last_seq = None, 0
        self._live = self._pending = None
        self._questions.close_all()
        return Todo(self._note("the call could not be resumed, calling anew", "note"))

    def event(self, event: dict[str, Any]) -> Todo:
        """An event of the gateway arrived. One that was seen before a reconnect is left out."""
        seq = event.get("seq")
        if isinstance(seq, int):
            if seq <= self.last_seq:
                return Todo()
            self.last_seq = seq
        todo = self._happened(event)
        if event.get("type") == "speech.delta":
            return todo
        more = self._go_on()
        return Todo(todo.pieces + more.pieces, todo.frames + more.frames)

    # ---- how ----

    def _happened(self, event: dict[str, Any]) -> Todo:
        match event.get("type"):
            case "session.ready":
                self.resume = event.get("resume_token")
                # Unanswered words go again: their turn id makes that harmless, and they may have been lost on the way.
                again = (self._pending,) if self._pending else ()
                return Todo(self._prompt(), again + self._questions.given)
            case "turn.started":
                self._live, self._shown, self._interrupted = event["turn_id"], 0, False
                return Todo()
            case "speech.delta":
                return Todo(self._speech(event))
            case "turn.spoken":
                return self._spoken(event["turn_id"])
            case "turn.ended":
                return self._ended(event)
            case "session.ended":
                self.done = True
                return Todo(self._note(f"call ended: {event.get('reason')}", "note"))
            case "error":
                return self._error(event)
            case "memory.updated":
                return Todo(self._remembered(event))
            case "approval.request" | "tool.request":
                self._questions.ask(event)
                return Todo()
            case other:
                return Todo(self._aside(other, event))

    def _spoken(self, turn: str) -> Todo:
        """All is on the screen: to the gateway, that is as good as heard."""
        seen = self._live == turn and self._shown > 0 and not self._interrupted
        self._live = None
        frames = ({"type": "playback", "turn_id": turn, "done": True},) if seen else ()
        return Todo((*self._fresh_line(), *self._tell_news()), frames)

    def _speech(self, event: dict[str, Any]) -> tuple[Piece, ...]:
        style = _STYLES.get(event.get("kind", ""), "reply")
        if event.get("turn_id") == self._live:
            self._shown += len(event["text"])
        text = printable(event["text"])
        if self._column == style:
            return (Piece(text, style),)
        start = self._fresh_line()
        self._column = style
        return (*start, Piece(_PREFIXES.get(style, "") + text, style))

    def _aside(self, kind: object, event: dict[str, Any]) -> tuple[Piece, ...]:
        match kind:
            case "tool.started":
                self._questions.close(event["call_id"])
                arguments = json.dumps(event.get("arguments"), ensure_ascii=False)
                return self._note(f"{event['name']} {arguments}", "tool")
            case "tool.finished":
                self._questions.close(event["call_id"])
                # What was denied or cancelled before it began took no time.
                took = f", {event['duration_ms']:.0f} ms" if event["duration_ms"] else ""
                return self._note(f"{event['name']}: {event['status']}{took}", "tool")
            case "session.going_away":
                return self._note("the gateway is going away, the call moves", "note")
            case _:
                return ()

    def _remembered(self, event: dict[str, Any]) -> tuple[Piece, ...]:
        self._news = tuple(dict.fromkeys([*(self._news or ()), *map(str, event.get("labels") or ())]))
        if self._live is not None and self._column not in (None, "prompt"):
            return ()  # no sentence of the agent's is broken for it
        # It comes when it is ready, mostly while the person is at the prompt, which then goes below it.
        silent = self._live is None and self._pending is None
        return self._tell_news() + (self._prompt() if silent else ())

    def _tell_news(self) -> tuple[Piece, ...]:
        labels, self._news = self._news, None
        if labels is None:
            return ()
        return self._note(f"memory updated: {', '.join(labels)}" if labels else "memory updated", "note")

    def _ended(self, event: dict[str, Any]) -> Todo:
        turn, reason = event["turn_id"], event.get("reason")
        self._questions.close_turn(turn)
        if turn == self._live:
            self._live = None
        mine = self._pending is not None and turn == self._pending["turn_id"]
        if mine or (turn == self._merged_into and reason != "interrupted"):
            self._pending = None
        pieces = [*self._fresh_line(), *self._tell_news()]
        if reason != "end_turn":
            pieces += self._note(
                f"{reason}, heard {len(event['heard'])} of {len(event['generated'])} characters", "note"
            )
        elif self._person and (first := (event.get("latency") or {}).get("first_speech")) is not None:
            pieces += self._note(f"first words after {first:.0f} ms", "note")
        return Todo((*pieces, *self._prompt()))

    def _error(self, event: dict[str, Any]) -> Todo:
        if event.get("code") in _NEVER_A_TURN and self._live is None:
            self._pending = None
        pieces = self._note(f"{event.get('code')}: {event.get('message')}", "error")
        if self._live is None and self._pending is None:
            pieces += self._prompt()
        return Todo(pieces)

    def _go_on(self) -> Todo:
        """Ask what is to be asked, and send what may be sent now."""
        pieces: list[Piece] = []
        frames: list[dict[str, Any]] = []
        while (question := self._questions.first) is not None:
            if question is not self._shown_question:
                pieces += self._note(question.words(), "ask")
                self._shown_question = question
            if self._waiting and self.resume is not None:
                frame = self._questions.answer(question, self._waiting.popleft())
                if frame is None:
                    pieces += self._note("that is neither yes nor no; Ctrl-C interrupts instead", "note")
                else:
                    frames.append(frame)
            elif self._eof:
                frames.append(self._questions.give_up(question))
            else:
                pieces += self._prompt()
                break
        else:
            frames += (*self._next(), *self._leave_if_over())
        return Todo((*pieces,), (*frames,))

    def _next(self) -> tuple[dict[str, Any], ...]:
        """The next line's frames, if it is its turn. Speech it cuts off gets a mark of what was seen of it first."""
        busy = not self._person and (self._live is not None or self._pending is not None)
        if not self._waiting or self.resume is None or busy:
            return ()
        self._sent += 1
        text = {"type": "user.text", "text": self._waiting.popleft(), "turn_id": f"{self._turn_ids}-{self._sent}"}
        self._merged_into = self._live if self._shown == 0 else None
        self._pending = text
        if self._live is None or self._shown == 0:
            return (text,)
        return ({"type": "playback", "turn_id": self._live, "chars": self._shown}, text)

    def _leave_if_over(self) -> tuple[dict[str, Any], ...]:
        over = self._eof and not self.done and not self._waiting and self._pending is None
        return self._leave() if over else ()

    def _leave(self) -> tuple[dict[str, Any], ...]:
        self.done = True
        return ({"type": "session.end"},)

    def _fresh_line(self) -> tuple[Piece, ...]:
        if self._column is None:
            return ()
        style, self._column = self._column, None
        return (Piece("\n", style),)

    def _note(self, text: str, style: Style) -> tuple[Piece, ...]:
        return (*self._fresh_line(), Piece(f"{_PREFIXES[style]}{printable(text)}\n", style))

    def _prompt(self) -> tuple[Piece, ...]:
        if not self._person or self._eof or self._column == "prompt":
            return ()
        start, question = self._fresh_line(), self._questions.first
        self._column = "prompt"
        return (*start, Piece(question.prompt() if question else PROMPT, "prompt"))


def printable(text: str) -> str:
    """The text without control characters, so that no agent can steer the terminal."""
    return "".join(char for char in text if char in "\n\t" or unicodedata.category(char) != "Cc")
