"""What form speech is to have: the options of a session."""

from typing import NamedTuple


class SpeechForm(NamedTuple):
    """`spoken`: without what is only for the eye. `sentences`: in pieces that end where a sentence or clause does."""

    spoken: bool = False
    sentences: bool = False


RAW = SpeechForm()
