"""When a reply has come to something: its first speakable character, or a call of which no utterance is expected."""

from collections.abc import Sequence

from voice_agent import events as ev
from voice_agent.messages import ToolSchema
from voice_agent.prompt import UTTERANCE_FIELD
from voice_agent.utterance import ArgumentScanner


def tools_that_speak(tools: Sequence[ToolSchema]) -> frozenset[str]:
    """The names of those tools whose calls are to open with an utterance."""
    return frozenset(tool.name for tool in tools if UTTERANCE_FIELD in tool.parameters.get("properties", {}))


class Ear:
    """Listens to one reply, of which the calls of these tools open with an utterance. Reasoning is not useful."""

    def __init__(self, speaking: frozenset[str]) -> None:
        self._speaking = speaking
        self._scanners: dict[int, ArgumentScanner] = {}

    def is_useful(self, event: ev.ModelEvent) -> bool:
        """Whether this event, after those before it, can be heard or acted on; so can the end of a reply."""
        match event:
            case ev.TextDelta(text=text):
                return _is_speakable(text)
            case ev.ToolCallDelta():
                return self._acts(event)
            case ev.ModelFinished():
                return True
            case _:
                return False

    def _acts(self, delta: ev.ToolCallDelta) -> bool:
        scanner = self._scanners.get(delta.index)
        if scanner is None:
            if delta.name not in self._speaking:
                return True
            scanner = self._scanners[delta.index] = ArgumentScanner(UTTERANCE_FIELD)
        said = scanner.feed(delta.json)
        return scanner.complete or _is_speakable(said)


def _is_speakable(text: str) -> bool:
    return any(map(str.isalnum, text))
