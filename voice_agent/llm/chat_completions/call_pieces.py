"""Which tool call a streamed piece belongs to: servers number, name and identify calls in many ways."""

from typing import Any

import msgspec

from voice_agent.events import ToolCallDelta
from voice_agent.llm import faults


class _Call:
    def __init__(self, index: int, call_id: str | None) -> None:
        self.index = index
        self.id = call_id
        self.name: str | None = None
        self.pieces: list[str] = []


class CallPieces:
    """Gives every call of one reply an index of its own, 0, 1, 2 … in the order in which they open.

    The wire index comes first, the id second (OCI sends a new id with each piece). A piece with a name opens a call
    unless it repeats the name of the one it would continue (Ollama numbers all its parallel calls 0).
    """

    def __init__(self) -> None:
        self._calls: list[_Call] = []
        self._by_index: dict[int, _Call] = {}
        self._by_id: dict[str, _Call] = {}
        self.latest: int | None = None

    def __len__(self) -> int:
        return len(self._calls)

    def feed(self, index: int | None, call_id: str | None, name: str | None, arguments: Any) -> list[ToolCallDelta]:
        """The delta this piece makes; none if it adds nothing, or while its call has no name yet."""
        piece = _as_json_text(arguments)
        call = self._continued(index, call_id, name)
        if call is None or (name and _opens_another(call, call_id, name)):
            call = self._open(index, call_id)
        self.latest = call.index
        opening = bool(name) and call.name is None
        if opening:
            call.name = name
            piece = "".join(call.pieces) + piece
            call.pieces = []
        if piece:
            call.pieces.append(piece)
        if opening:
            return [ToolCallDelta(index=call.index, id=call.id, name=call.name, json=piece)]
        return [ToolCallDelta(index=call.index, json=piece)] if piece and call.name is not None else []

    def finish(self) -> list[ToolCallDelta]:
        """An empty object for every call that was given no arguments at all."""
        return [ToolCallDelta(index=call.index, json="{}") for call in self._calls if call.name and not call.pieces]

    @property
    def nameless(self) -> bool:
        """Whether some call never got its name."""
        return any(call.name is None for call in self._calls)

    def _continued(self, index: int | None, call_id: str | None, name: str | None) -> _Call | None:
        same_id = self._by_id.get(call_id) if call_id else None
        if index is None:
            return same_id or (self._calls[-1] if self._calls else None)
        if same_id is not None and not name:
            return same_id
        return self._by_index.get(index)

    def _open(self, index: int | None, call_id: str | None) -> _Call:
        call = _Call(len(self._calls), call_id)
        self._calls.append(call)
        if index is not None:
            self._by_index[index] = call
        if call_id:
            self._by_id[call_id] = call
        return call


def _opens_another(call: _Call, call_id: str | None, name: str) -> bool:
    if call.name is None:
        return False
    if call_id and call.id and call_id != call.id:
        return True
    if name != call.name:
        return True
    # The same name again: a server that repeats it with every piece, or a second call to the same tool.
    return bool(call.pieces) and call.pieces[-1].endswith("}") and _is_complete("".join(call.pieces))


def _is_complete(text: str) -> bool:
    try:
        msgspec.json.decode(text)
    except faults.NOT_JSON:
        return False
    return True


def _as_json_text(arguments: Any) -> str:
    if arguments is None:
        return ""
    return arguments if isinstance(arguments, str) else msgspec.json.encode(arguments).decode()
