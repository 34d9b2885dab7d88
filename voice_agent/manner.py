"""How one call is talked: the options of its session, which its front end may change at any time."""

from typing import NamedTuple

from voice_agent.speech.form import SpeechForm


class Manner(NamedTuple):
    """`spoken` and `sentences`: see SpeechForm. `language`: a BCP 47 tag, None: the agent's first.

    `min_words`: with fewer the caller does not interrupt; None: as the agent says.
    """

    spoken: bool = False
    sentences: bool = False
    language: str | None = None
    min_words: int | None = None

    @property
    def form(self) -> SpeechForm:
        """How what is written is said."""
        return SpeechForm(self.spoken, self.sentences)


PLAIN = Manner()
