"""Golden transcripts: their notation, and how one is played against a gateway."""

import json
from collections import deque
from itertools import groupby
from pathlib import Path
from typing import Any

from tests.gateways import Caller


class Transcript:
    """One golden: `>` is sent, `<` must come next, `close` ends it; `@` gives fields of the agent that is called.

    Neighbours `<a` and `<b` are two strands: each comes in its order, one beside the other. Numbers are checked by the
    caller and left out here. `"*"` stands for any value, `"$x"` for the value that `$x` had where it came first. Speech
    is written whole, however many pieces it comes in.
    """

    def __init__(self, path: Path) -> None:
        lines = path.read_text(encoding="utf-8").splitlines()
        self._lines = [line.partition(" ")[::2] for line in lines if line and line[0] not in "#@"]
        self.agent: dict[str, Any] = {
            k: v for line in lines if line[:1] == "@" for k, v in json.loads(line[1:]).items()
        }
        self._known: dict[str, Any] = {}

    async def play(self, caller: Caller) -> None:
        for mark, lines in groupby(self._lines, key=lambda line: line[0][:1]):
            match mark:
                case ">":
                    for _, rest in lines:
                        frame = {name: self._known.get(str(value), value) for name, value in json.loads(rest).items()}
                        await caller.socket.send(json.dumps(frame))
                case "<":
                    strands: dict[str, deque[dict[str, Any]]] = {}
                    for strand, rest in lines:
                        if strand == "<" or "<" in strands:
                            await self._expect(caller, strands)
                        strands.setdefault(strand, deque()).append(json.loads(rest))
                    await self._expect(caller, strands)
                case _:
                    assert [await caller.closed()] == [int(rest) for _, rest in lines]
                    return
        assert await caller.settle() == 0, caller.events[-1]

    async def _expect(self, caller: Caller, strands: dict[str, deque[dict[str, Any]]]) -> None:
        """Read until nothing is left of the strands."""
        while any(strands.values()):
            heads = [strand for strand in strands.values() if strand]
            frame = {name: value for name, value in (await caller.next()).items() if name != "seq"}
            if frame["type"] == "speech.delta":
                await self._hear_out(caller, frame, max(len(head[0].get("text", "")) for head in heads))
            found = next((strand for strand in heads if self._matches(strand[0], frame)), None)
            assert found is not None, f"{frame} came, not {[head[0] for head in heads]}"
            found.popleft()
        strands.clear()

    async def _hear_out(self, caller: Caller, frame: dict[str, Any], length: int) -> None:
        """Add the pieces that follow, up to the length of the text that is expected."""
        while len(frame["text"]) < length:
            more = await caller.next()
            assert (more["type"], more["turn_id"], more["kind"]) == ("speech.delta", frame["turn_id"], frame["kind"])
            frame["text"] += more["text"]

    def _matches(self, expected: Any, given: Any) -> bool:
        if expected == "*":
            return given is not None
        if isinstance(expected, str) and expected.startswith("$"):
            return bool(self._known.setdefault(expected, given) == given)
        if isinstance(expected, dict) and isinstance(given, dict):
            if expected.get("type") != given.get("type") or expected.keys() != given.keys():
                return False
            return all(self._matches(expected[key], given[key]) for key in given)
        return bool(expected == given)
