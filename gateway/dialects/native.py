"""The native protocol `voice.v1`: JSON text frames to user events, turn events to JSON text frames."""

import re
from typing import Any, assert_never

import msgspec

from gateway.dialects import native_frames as frames
from gateway.dialects.base import FrameError
from gateway.dialects.client_tools import ClientTools, client_tools
from voice_agent import events as ev
from voice_agent.agent_parts import LANGUAGE_PATTERN
from voice_agent.messages import Usage

SUBPROTOCOL = "voice.v1"

_decoder = msgspec.json.Decoder(frames.ClientFrame)
_encoder = msgspec.json.Encoder()


class Options(msgspec.Struct, frozen=True):
    """How the call is to be talked, from the next turn on: the fields of a Manner that are to change."""

    changes: dict[str, Any]


Decoded = ev.UserEvent | ClientTools | Options | frames.Ping
_END = ("turn_id", "reason", "heard", "generated", "usage", "latency")
_NOTHING = Usage()
_DIGITS = re.compile(r"[0-9*#A-D]{1,64}")
_PATH = re.compile(r" - at `\$\.?([^`]*)`$")
_MISSING = re.compile(r"Object missing required field `([^`]*)`$")


def decode(frame: str, max_text_chars: int) -> list[Decoded]:
    """The user events of a frame, or what else it brings. Raises FrameError."""
    try:
        parsed: frames.ClientFrame = _decoder.decode(frame)
    except msgspec.ValidationError as fault:
        raise _fault(str(fault)) from None
    except (msgspec.DecodeError, UnicodeEncodeError, RecursionError) as fault:
        raise FrameError("bad_frame", f"the frame is not JSON: {fault}") from None
    return _events(parsed, max_text_chars)


def _events(frame: frames.ClientFrame, max_chars: int) -> list[Decoded]:
    match frame:
        case frames.UserText(text=text, final=final, turn_id=turn_id, revision=revision):
            # A recogniser that has nothing yet says so with an empty interim text.
            return [ev.UserSpoke(_checked(text, max_chars, may_be_empty=not final), final, turn_id, revision)]
        case frames.UserInterrupt(heard=heard, turn_id=turn_id):
            return [ev.UserInterrupted(_mark(heard, "heard"), turn_id)]
        case frames.UserDtmf(digits=digits):
            if not _DIGITS.fullmatch(digits):
                raise FrameError("bad_field", "`digits` takes 1 to 64 of 0 to 9, *, #, A to D", "digits")
            return [ev.UserPressed(digits)]
        case frames.Playback(turn_id=turn_id, chars=chars, ms=ms, done=done):
            if chars is None and ms is None:
                if not done:
                    raise FrameError("bad_field", "playback needs `chars` or `ms`, or `done: true`", "chars")
                return [ev.PlaybackMoved(turn_id, done=True)]
            return [ev.PlaybackMoved(turn_id, _mark(frames.HeardMark(chars=chars, ms=ms), "chars"), done)]
        case frames.ToolResult(call_id=call_id, output=output, is_error=is_error):
            text = output if isinstance(output, str) else _encoder.encode(output).decode()
            return [ev.ToolReturned(call_id, text, "error" if is_error else "ok")]
        case frames.ToolApproval(call_id=call_id, approved=approved, reason=reason):
            said = None if reason is None else _checked(reason, max_chars, "reason", may_be_empty=True)
            return [ev.ApprovalGiven(call_id, approved, said)]
        case frames.ContextAdd(text=text):
            return [ev.ContextAdded(_checked(text, max_chars))]
        case frames.AgentSay(text=text, interruptible=interruptible):
            return [ev.SayRequested(_checked(text, max_chars), interruptible=interruptible)]
        case frames.SessionConfigure():
            return _configured(frame, max_chars)
        case frames.SessionEnd(reason=reason):
            return [ev.UserLeft(reason or "client")]
        case frames.Ping():
            return [frame]
        case _:
            assert_never(frame)


def _configured(frame: frames.SessionConfigure, max_chars: int) -> list[Decoded]:
    """Language and variables are facts about the call, told to the agent like any other."""
    facts = []
    if frame.language is not None:
        facts.append(f"The caller's language is {frame.language}.")
    if frame.variables:
        known = _encoder.encode(frame.variables).decode()
        facts.append(f"About this call: {_checked(known, max_chars, 'variables')}")
    tools = [] if frame.client_tools is None else [client_tools(frame.client_tools)]
    changes: dict[str, Any] = {}
    if frame.language is not None:
        if not re.fullmatch(LANGUAGE_PATTERN, frame.language):
            raise FrameError("bad_field", "`language` is a tag of BCP 47, as `en` or `pt-BR`", "language")
        changes["language"] = frame.language
    if frame.min_words_to_interrupt is not None:
        changes["min_words"] = frame.min_words_to_interrupt
    if frame.speech is not msgspec.UNSET:
        changes["spoken"] = frame.speech == "spoken"
    if frame.group is not msgspec.UNSET:
        changes["sentences"] = frame.group == "sentence"
    options = [Options(changes)] if changes else []
    return [*tools, *options, *([ev.ContextAdded(" ".join(facts))] if facts else [])]


def _checked(text: str, max_chars: int, field: str = "text", *, may_be_empty: bool = False) -> str:
    if len(text) > max_chars:
        raise FrameError("bad_field", f"the text has {len(text)} characters, at most {max_chars} are taken", field)
    if not may_be_empty and not text.strip():
        raise FrameError("bad_field", "the text is empty", field)
    return text


def _mark(heard: frames.HeardMark | None, field: str) -> ev.Mark | None:
    if heard is None:
        return None
    given = [name for name in ("chars", "text", "ms") if getattr(heard, name) is not None]
    if len(given) != 1:
        raise FrameError("bad_field", "a mark is one of `chars`, `text` and `ms`", field)
    return ev.Mark(chars=heard.chars, text=heard.text, ms=heard.ms)


def _fault(message: str) -> FrameError:
    """msgspec's words with the field taken out of them."""
    found = _PATH.search(message)
    path = found.group(1) if found else ""
    plain = _PATH.sub("", message)
    if path == "type" and plain.startswith("Invalid value"):
        return FrameError("unknown_type", f"there is no frame of type {plain[len('Invalid value ') :][:80]}", "type")
    missing = _MISSING.match(plain)
    if missing and missing.group(1) == "type":
        return FrameError("bad_frame", "the frame has no `type`", "type")
    if missing:
        path = f"{path}.{missing.group(1)}" if path else missing.group(1)
        return FrameError("bad_field", f"the field `{path}` is missing", path)
    if not path:
        return FrameError("bad_frame", f"the frame is no JSON object with a `type`: {plain}")
    return FrameError("bad_field", f"`{path}`: {plain}", path)


# ---- gateway to client ----


def ready(fields: dict[str, Any]) -> str:
    """The first frame of every attachment: no `seq`."""
    return _text({"type": "session.ready", **fields})


def pong(ping: frames.Ping) -> str:
    """The answer to a ping: no `seq`."""
    return _text({"type": "pong", "id": ping.id})


class _SpeechDelta(msgspec.Struct, tag_field="type", tag="speech.delta"):
    """The one frame that comes once per token: a Struct is written several times as fast as a dict."""

    seq: int
    turn_id: str
    text: str
    kind: str


def encode(event: ev.TurnEvent, seq: int) -> str:
    """An event as its frame."""
    match event:
        case ev.Spoke(turn_id=turn_id, text=text, kind=kind):
            return _encoder.encode(_SpeechDelta(seq, turn_id, text, kind)).decode()
        case ev.Flushed(turn_id=turn_id, kind=kind):
            fields: dict[str, Any] = {"type": "speech.flush", "seq": seq, "turn_id": turn_id, "kind": kind}
        case ev.TurnStarted(turn_id=turn_id, revision=revision):
            fields = {"type": "turn.started", "seq": seq, "turn_id": turn_id, "revision": revision}
            fields |= {} if event.resumes is None else {"resumes": event.resumes}
        case ev.ToolCalled():
            fields = {"type": "tool.started", "seq": seq} | msgspec.structs.asdict(event)
        case ev.ApprovalNeeded():
            fields = {"type": "approval.request", "seq": seq} | msgspec.structs.asdict(event)
        case ev.ClientToolNeeded():
            fields = {"type": "tool.request", "seq": seq} | msgspec.structs.asdict(event)
        case ev.ToolFinished():
            fields = {"type": "tool.finished", "seq": seq} | msgspec.structs.asdict(event)
        case ev.TurnSpoken(turn_id=turn_id):
            fields = {"type": "turn.spoken", "seq": seq, "turn_id": turn_id}
        case ev.TurnEnded():
            names = _END if event.wasted == _NOTHING else (*_END, "wasted")
            fields = {"type": "turn.ended", "seq": seq} | {name: getattr(event, name) for name in names}
        case ev.TurnHeard(turn_id=turn_id, heard=heard):
            fields = {"type": "turn.heard", "seq": seq, "turn_id": turn_id, "heard": heard}
        case ev.Failed():
            given = {name: value for name, value in msgspec.structs.asdict(event).items() if value is not None}
            fields = {"type": "error", "seq": seq} | given
        case ev.MemoryUpdated(version=version, labels=labels, lag_ms=lag_ms):
            fields = {"type": "memory.updated", "seq": seq, "version": version, "labels": labels, "lag_ms": lag_ms}
        case ev.SessionEnded(reason=reason):
            fields = {"type": "session.ended", "seq": seq, "reason": reason}
        case _:
            assert_never(event)
    return _text(fields)


def _text(fields: dict[str, Any]) -> str:
    return _encoder.encode(fields).decode()
