"""One stretch of speech on its way out: written text in, pieces of what is to be said out, and the way back."""

from voice_agent.speech.form import SpeechForm
from voice_agent.speech.offsets import OffsetMap
from voice_agent.speech.sentences import Sentences
from voice_agent.speech.spoken_text import SpokenText
from voice_agent.speech.symbols import WORDS


class Shaper:
    """Pieces may be let go later than they were fed; what never was is in `written`, but was not said.

    A sentence of the spoken form has words in it: what is left without any, like a last newline, is never let go.
    """

    def __init__(self, form: SpeechForm) -> None:
        self._spoken = SpokenText() if form.spoken else None
        self._sentences = Sentences() if form.sentences else None
        self._let_go = OffsetMap()  # from what was let go to what the spoken form is
        self._written: list[str] = []

    @property
    def written(self) -> str:
        """All that was fed."""
        return "".join(self._written)

    def feed(self, text: str) -> list[str]:
        """Take the next piece of the written text; returns what is to be said now."""
        self._written.append(text)
        said = self._spoken.feed(text) if self._spoken else text
        if self._sentences:
            return self._with_words(self._sentences.feed(said))
        return [said] if said else []

    def flush(self) -> list[str]:
        """The text is complete, or something else comes before it goes on: returns what is left to be said."""
        said = self._spoken.flush() if self._spoken else ""
        if self._sentences:
            return self._with_words([*self._sentences.feed(said), *self._sentences.flush()])
        return [said] if said else []

    def heard(self, chars: int) -> str:
        """The part of the written text that the first `chars` code points of what was said stand for."""
        if not self._spoken:
            return self.written[:chars]
        spoken = self._let_go.written_for(chars) if self._sentences else chars
        return self.written[: self._spoken.offsets.written_for(spoken)]

    def _with_words(self, pieces: list[str]) -> list[str]:
        """Those of the pieces that are let go."""
        if not self._spoken:
            return pieces
        kept: list[str] = []
        for piece in pieces:
            has_words = WORDS.search(piece)
            self._let_go.add(len(piece) if has_words else 0, len(piece))
            if has_words:
                kept.append(piece)
        return kept
