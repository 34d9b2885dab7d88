"""The messages of a request in the shape Anthropic demands: by turns, results first, unique ids, no empty text."""

import logging
import re
from typing import Any, NamedTuple

import msgspec

from voice_agent.llm.anthropic_messages.thoughts import Thought, thoughts_of
from voice_agent.llm.transcript import Kept, Line, Result, lines
from voice_agent.messages import ModelRequest
from voice_agent.prompt import provider_arguments

_OPENING = "[the call begins]"
_SILENCE = "[the caller says nothing]"
_NOT_IN_IDS = re.compile(r"[^a-zA-Z0-9_-]")

Block = dict[str, Any]
_log = logging.getLogger(__name__)


class _Ids:
    """Ids as the API takes them: of few characters, and each given once in a request."""

    def __init__(self, given: dict[str, int] | None = None) -> None:
        self._given = given or {}

    def copy(self) -> "_Ids":
        return _Ids(dict(self._given))

    def new(self, wanted: str) -> str:
        name = base = _NOT_IN_IDS.sub("_", wanted) or "_"
        while name in self._given:
            self._given[base] += 1
            name = f"{base}_{self._given[base]}"
        self._given[name] = 0
        return name


class _Messages:
    """Messages under construction: neighbours of one role become one message. `called` are the tools' names."""

    def __init__(self) -> None:
        self.done: list[dict[str, Any]] = []
        self.called: dict[str, None] = {}
        self.ids = _Ids()

    def copy(self) -> "_Messages":
        """To go on with: what may still be changed, which is the last message, is not shared."""
        copied = _Messages()
        copied.done = self.done[:-1] + [
            {**message, "content": [dict(block) for block in message["content"]]} for message in self.done[-1:]
        ]
        copied.called, copied.ids = dict(self.called), self.ids.copy()
        return copied

    def add(self, role: str, blocks: list[Block]) -> None:
        if not blocks:
            return
        if not self.done and role == "assistant":
            self.add("user", [_text(_OPENING)])
        if self.done and self.done[-1]["role"] == role:
            self.done[-1]["content"] += blocks
        else:
            self.done.append({"role": role, "content": blocks})

    @property
    def last(self) -> Block | None:
        return self.done[-1]["content"][-1] if self.done else None


class Conversation(NamedTuple):
    """A request's messages, the blocks at which a cached prefix may end, and the names of the tools that were called.

    The borders are the last block of the history and the last of the live turn.
    """

    messages: list[dict[str, Any]]
    borders: list[Block]
    called: tuple[str, ...]


def conversation(request: ModelRequest, maker: str, kept: Kept) -> Conversation:
    """The live turn after the history. Its thinking goes back complete or not at all.

    What follows a block that was left out is refused (facts/providers.md, section 2.5).
    """
    messages = kept.history(request.history, maker, _Messages, _add).copy()
    border = messages.last
    live = tuple(lines(request.turn, maker, is_live=True))
    thoughts = _thoughts(live, maker)
    for place, line in enumerate(live):
        _add(messages, line, thoughts.get(place, ()))
    borders = [border, messages.last] if border is not messages.last else [border]
    if not messages.done or messages.done[-1]["role"] == "assistant":
        # A last message of the assistant's would be one for the model to go on with, which new models refuse.
        messages.add("user", [_text(_SILENCE if messages.done else _OPENING)])
    return Conversation(messages.done, [block for block in borders if block is not None], tuple(messages.called))


def _thoughts(live: tuple[Line, ...], maker: str) -> dict[int, tuple[Thought, ...]]:
    """The thoughts to replay, by the place of their line: none at all if one of them lacks its signature."""
    replies = [place for place, line in enumerate(live) if line.message.role == "assistant"]
    thoughts = {place: thoughts_of(live[place].opaque) for place in replies}
    broken = [place for place in replies if not all(thought.whole for thought in thoughts[place])]
    if not broken:
        return thoughts
    if broken[0] == replies[-1]:
        # Said when it is new, not again with every further step of the turn.
        _log.warning("%s sent thinking without its signature: none of this turn's goes back", maker)
    return {}


def _add(messages: _Messages, line: Line, thoughts: tuple[Thought, ...] = ()) -> None:
    if line.message.role != "assistant":
        messages.add("user", _spoken(line.text))
        return
    made = [(result, messages.ids.new(result.call.id)) for result in line.results]
    messages.called |= dict.fromkeys(result.call.name for result in line.results)
    calls = [_call(result, call_id) for result, call_id in made]
    messages.add("assistant", _spoken(line.before) + _in_order(line.text, calls, thoughts))
    messages.add("user", [_result(result, call_id) for result, call_id in made])


def _in_order(text: str, calls: list[Block], thoughts: tuple[Thought, ...]) -> list[Block]:
    """Thoughts where they were thought, text before calls otherwise; no thought comes last, which would be refused."""
    if not thoughts:
        return _spoken(text) + calls
    blocks: list[Block] = []
    after_text = after_calls = 0
    for thought in thoughts:
        blocks += _spoken(text[after_text : thought.after_text]) + calls[after_calls : thought.after_calls]
        after_text, after_calls = max(after_text, thought.after_text), max(after_calls, thought.after_calls)
        blocks.append(thought.block)
    blocks += _spoken(text[after_text:]) + calls[after_calls:]
    kept = max((place + 1 for place, block in enumerate(blocks) if block["type"] in ("text", "tool_use")), default=0)
    return blocks[:kept]


def _spoken(text: str) -> list[Block]:
    return [_text(text)] if text.strip() else []


def _text(text: str) -> Block:
    return {"type": "text", "text": text}


def _call(result: Result, call_id: str) -> Block:
    arguments = msgspec.json.decode(provider_arguments(result.call))
    return {"type": "tool_use", "id": call_id, "name": result.call.name, "input": arguments}


def _result(result: Result, call_id: str) -> Block:
    block = {"type": "tool_result", "tool_use_id": call_id, "content": result.text}
    return {**block, "is_error": True} if result.failed else block
