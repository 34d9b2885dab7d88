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
from voice_agent.turn import Turn
from voice_agent.work import Agenda, Work


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

    def is_aside(self, event: ev.UserSpoke, min_words: int | None) -> bool:
        """Whether words that are said while the agent is heard, or had just been, are not meant to interrupt it."""
        was_heard = self._floor.agent_speaks or (self._rest is not None and self._rest.over_speech)
        least = self._settings.min_words_to_interrupt if min_words is None else min_words
        return was_heard and not interrupts(event.text, least, self._settings.backchannels, final=event.final)

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
        over_speech, leaves = self._floor.agent_speaks, self._floor.voice.leaving
        work = live.work if live is not None else self._agenda.answer
        if work is not None and turn_id in (None, work.turn_id):
            self.spoke()
            rest = self._cut_in(live, work, event)
        elif tails := self._marks.interrupted(turn_id, event.heard):
            rest = self._rest_of([tail.turn for tail in tails])
            self.spoke()
            if work is not None:  # something else is being said, or will be
                rest.close()
                return
        else:
            return
        rest.over_speech, rest.leaves = rest.over_speech or over_speech, rest.leaves or leaves
        self._keep_rest(rest)

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
        return None if rest is None else rest.to_say()

    def forget_rest(self) -> None:
        """What was interrupted is not to be said any more."""
        if self._rest is not None:
            self._rest.close()
        self._rest = self._floor.resume_at = None

    def _rest_of(self, turns: list[Turn]) -> Rest:
        """Of turns that were to be heard further. If they were cut into a moment ago, it is what was left then."""
        rest, self._rest = self._rest, None
        if rest is not None and (not rest.turns or rest.turns[-1] is turns[-1]):
            return rest.widened(turns)
        if rest is not None:
            rest.close()
        return Rest(turns[0].setup.turn_id, turns)

    def _keep_rest(self, rest: Rest) -> None:
        if not self._settings.resume_after_ms or rest.to_say() is None:
            rest.close()
            return
        self._rest = rest
        self._floor.resume_in(self._settings.resume_after_ms / 1000)
        self._agenda.wake()

    def _cut_in(self, live: LiveTurn | None, work: Work, event: ev.UserInterrupted) -> Rest:
        reply = live.model.detach() if live is not None and live.model is not None else None
        self._cut(live, event)
        return Rest(work.turn_id, (), asks=True) if live is None else Rest.of_live(live.turn, reply)

    def _cut(self, live: LiveTurn | None, event: ev.UserInterrupted) -> None:
        """No more words join what is cut into."""
        if live is not None:
            work = live.work = replace(live.work, cut=True)
        elif self._agenda.answer is not None:
            work = self._agenda.answer = replace(self._agenda.answer, cut=True)
        else:
            return
        work.inbox.put(msgspec.structs.replace(event, unsent=self._sink.recall(work.turn_id)))
