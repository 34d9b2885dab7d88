"""Who cuts into what a session says: barge-ins, words that are none, false alarms, and how far playback is."""

from dataclasses import replace

import msgspec

from voice_agent import events as ev
from voice_agent.agent_parts import Voice as VoiceSettings
from voice_agent.false_alarm import Rest
from voice_agent.floor import Floor
from voice_agent.interruption import interrupts
from voice_agent.live_turn import LiveTurn, Sink
from voice_agent.marks import Marks
from voice_agent.past_turns import PastTurns
from voice_agent.work import Agenda


class Interruptions:
    """One session's. `settings` are its agent's."""

    def __init__(
        self, marks: Marks, past: PastTurns, sink: Sink, agenda: Agenda, floor: Floor, settings: VoiceSettings
    ) -> None:
        self._marks = marks
        self._past = past
        self._sink = sink
        self._agenda = agenda
        self._floor = floor
        self._settings = settings
        self._rest: Rest | None = None

    def is_aside(self, text: str, min_words: int | None) -> bool:
        """Whether these words, said while the agent is heard, are not meant to interrupt it."""
        least = self._settings.min_words_to_interrupt if min_words is None else min_words
        return self._floor.agent_speaks and not interrupts(text, least, self._settings.backchannels)

    def spoke(self) -> None:
        """The caller speaks: nobody is hung up on, and what was interrupted stays so."""
        self.forget_rest()
        self._floor.caller_did()
        self._agenda.wake()

    def talked_over(self, live: LiveTurn | None) -> None:
        """The caller's next words are here."""
        if live is not None:
            self._cut(live, ev.UserInterrupted())
        else:
            self._marks.talked_over()

    def interrupted(self, live: LiveTurn | None, event: ev.UserInterrupted) -> None:
        """The front end says that the caller cuts in: into the live turn, the answer about to begin, or one before."""
        turn_id = self._past.resolve(event.turn_id)
        work = live.work if live else self._agenda.answer
        if work is not None and turn_id in (None, work.turn_id):
            self.forget_rest()
            self._keep_rest(self._cut(live, event))
        elif tails := self._marks.interrupted(turn_id, event.heard):
            self.spoke()
            self._keep_rest(Rest.of_ended([tail.turn for tail in tails]))

    def played(self, live: LiveTurn | None, event: ev.PlaybackMoved) -> str | None:
        """How far the caller has heard a turn; returns how the call ends, if its last words were heard."""
        turn_id = self._past.resolve(event.turn_id)
        if live is not None and turn_id == live.work.turn_id:
            live.work.inbox.put(event)
        elif self._marks.played(event, turn_id):
            self._agenda.wake()
            if event.done and turn_id == self._floor.voice.last_turn:
                return self._floor.voice.then
        return None

    def take_rest(self) -> Rest | None:
        """What is to be said after all, if there is something."""
        rest, self._rest = self._rest, None
        return None if rest is None or rest.empty else rest

    def forget_rest(self) -> None:
        """What was interrupted is not to be said any more."""
        if self._rest is not None:
            self._rest.close()
        self._rest = self._floor.resume_at = None

    def _keep_rest(self, rest: Rest | None) -> None:
        self._rest = rest
        if rest is not None:
            self._floor.resume_in(self._settings.resume_after_ms / 1000)
            self._agenda.wake()

    def _cut(self, live: LiveTurn | None, event: ev.UserInterrupted) -> Rest | None:
        """No more words join what is cut into. Returns what was left of a live turn, if it may turn out to go on."""
        reply = live.model.detach() if live is not None and live.model is not None else None
        if live is not None:
            work = live.work = replace(live.work, cut=True)
        elif self._agenda.answer is not None:
            work = self._agenda.answer = replace(self._agenda.answer, cut=True)
        else:
            return None
        work.inbox.put(msgspec.structs.replace(event, unsent=self._sink.recall(work.turn_id)))
        return None if live is None else Rest.of_live(live.turn, reply)
