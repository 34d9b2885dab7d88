"""Who has the floor: until when the agent is heard, how long the caller has been silent, and what is due then."""

from typing import Literal

from voice_agent.agent import Agent
from voice_agent.clock import Clock
from voice_agent.heard import Ledger
from voice_agent.reminder import Reminder
from voice_agent.speaking_rate import SpeakingRate
from voice_agent.voice import Voice

Due = Literal["hang up", "remind", "resume", "consolidate"]


class Floor:
    """One session's. `resume_at`: when an interruption of which no words came turns out to have been none.

    `attended`: somebody is there to hear. Times are the clock's `now`, in seconds.
    """

    def __init__(self, agent: Agent, clock: Clock) -> None:
        self._clock = clock
        self._idle_after_s = agent.sleeptime.idle_after_s
        self._idle_at: float | None = None
        self._reminder = Reminder(agent.voice.idle_reminder_s)
        self.voice = Voice(clock)
        self.rate = SpeakingRate()
        self.resume_at: float | None = None
        self.attended = True

    @property
    def agent_speaks(self) -> bool:
        """Whether the agent is heard, as far as is known."""
        return self.voice.until > self._clock.now()

    def attend(self, *, there: bool) -> None:
        """Somebody is there to hear, or nobody is any more."""
        self.attended = there
        self._reminder.back(self._clock.now())

    def caller_did(self) -> None:
        """The caller has spoken, or begun to; pressed a key, cut in."""
        self.voice.last_turn = None  # whoever still speaks is not hung up on
        self._reminder.caller_did(self._clock.now())

    def caller_listens(self) -> None:
        """The caller has given a sign of it, which takes the floor from nobody."""
        self._reminder.caller_did(self._clock.now())

    def resume_in(self, seconds: float) -> None:
        """An interruption has come, which counts if words follow until then."""
        self.resume_at = self._clock.now() + seconds

    def began(self, ledger: Ledger) -> None:
        """A turn has begun, whose speech is counted there."""
        self.voice.says(ledger)
        self._reminder.began()

    def turn_ended(self, outliving: int, *, answers: bool) -> None:
        """It is over, but for so many of its tools. After an answer it counts for how long nothing more is asked."""
        now = self._clock.now()
        for _ in range(outliving):
            self._reminder.began()
        self._reminder.ended(now)
        if answers:
            self._idle_at = now + self._idle_after_s

    def tool_ended(self) -> None:
        """One of those is over, too."""
        self._reminder.ended(self._clock.now())

    def due_in(self) -> float | None:
        """Seconds until `on_time` has something to say, if nothing comes before."""
        return min((seconds for _, seconds in self._dues()), default=None)

    def on_time(self) -> Due | None:
        """What is due now, if anything is; it is told once."""
        due = next((what for what, seconds in self._dues() if seconds <= 0), None)
        match due:
            case "resume":
                self.resume_at = None
            case "remind":
                self._reminder.gave()
            case "consolidate":
                self._idle_at = None
        return due

    def _dues(self) -> list[tuple[Due, float]]:
        """What is awaited, and in how many seconds."""
        now = self._clock.now()
        moments: list[tuple[Due, float | None]] = [
            ("hang up", self.voice.hang_up_in()),
            ("resume", None if self.resume_at is None else self.resume_at - now),
            ("remind", self._reminder.due_in(self.voice.until, now) if self.attended else None),
            ("consolidate", None if self._idle_at is None else self._idle_at - now),
        ]
        return [(what, max(0.0, seconds)) for what, seconds in moments if seconds is not None]
