"""What one turn needs to know before it begins."""

import msgspec

from voice_agent.agent import ToolSpec
from voice_agent.events import SpeechKind
from voice_agent.fillers import Fillers
from voice_agent.messages import Message
from voice_agent.prompt import Prompt
from voice_agent.rules.book import Rulebook
from voice_agent.speaking_rate import SpeakingRate
from voice_agent.speech.form import RAW, SpeechForm


class TurnSetup(msgspec.Struct, frozen=True):
    """What a turn needs to know. Times are seconds; `wall_offset` added to `now` gives the time.

    `opening` holds the message(s) that the turn answers. `words` makes it a turn of fixed speech that asks no model.
    `call_prefix` keeps tool call ids (`call_PREFIX_N`, at most 40 characters) apart from those of other turns.
    `rules` say which of `tools` may be called when. `suspends`: nobody is there to wait for, so calls that wait for the
    client end the turn as soon as nothing else can go on. `form`: how what is written is said, `rate`: how fast;
    `free_at`: when what was said before the turn will have been heard, on the clock. `fillers` are said while the
    caller waits, where the turn does not suspend. `before`: calls and results of the turn that this one goes on with,
    which count as its own.
    """

    turn_id: str
    prompt: Prompt
    history: tuple[Message, ...]
    opening: tuple[Message, ...]
    tools: dict[str, ToolSpec]
    rules: Rulebook
    call_prefix: str
    received_at: float
    wall_offset: float = 0.0
    revision: int = 0
    resumes: str | None = None
    max_steps: int = 10
    stall_s: float = 20.0
    failure_notice: str = ""
    words: tuple[str, SpeechKind] | None = None
    suspends: bool = False
    form: SpeechForm = RAW
    rate: SpeakingRate = msgspec.field(default_factory=SpeakingRate)
    free_at: float = 0.0
    fillers: Fillers | None = None
    before: tuple[Message, ...] = ()
