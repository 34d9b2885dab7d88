"""One interim text that is thought about: the turn that runs ahead, unheard, and what a turn takes over from it."""

import asyncio
from collections.abc import Callable
from math import inf
from typing import Literal, NamedTuple

from msgspec.structs import replace

from voice_agent.clock import Clock
from voice_agent.events import SaveStep, ToolFinished, TurnEvent, UserSpoke
from voice_agent.llm.base import Speaker
from voice_agent.messages import Usage
from voice_agent.run import Inbox, run_turn
from voice_agent.speculation.adoption import AdoptingModel, AdoptingTools
from voice_agent.speculation.recording import Recording, RecordingModel, RecordingTools
from voice_agent.tools.base import ToolRunner
from voice_agent.turn import Turn
from voice_agent.turn_setup import TurnSetup

Outcome = Literal["adopted", "discarded", "failed"]
Report = Callable[[Outcome, Usage], None]
_FULL_STOPS = ".。｡．।\u06d4"  # noqa: RUF001 - of other scripts, the last of which is the Arabic one


class Plan(NamedTuple):
    """What a turn that answered the interim text would be made with now."""

    setup: TurnSetup
    model: Speaker
    tools: ToolRunner


def plain(text: str) -> str:
    """What of a text counts when an interim one is compared with a final one: a question mark does."""
    return " ".join(text.casefold().split()).rstrip(_FULL_STOPS + " ")


class Speculation:
    """Work on the interim text `spoke`: it tells nobody, stores nothing, and runs only tools without effects.

    A turn that adopts it is an ordinary one, with the same `call_prefix`, that answers the `final` text; when it is
    over, it calls `close`. `report` is told once how it ended, and what of it was for nothing.
    """

    def __init__(self, spoke: UserSpoke, plan: Plan, clock: Clock, tasks: asyncio.TaskGroup, report: Report) -> None:
        self.spoke = spoke
        self.call_prefix = plan.setup.call_prefix
        self._turn_id = plan.setup.turn_id
        self._report: Report | None = report
        self._recording = Recording()
        self._clock = clock
        model = RecordingModel(plan.model, self._recording, tasks, clock)
        tools = RecordingTools(plan.tools, plan.setup.tools, self._recording, tasks)
        running = run_turn(Turn(_unheard(plan.setup)), model, tools, Inbox(), _Nobody(), clock)
        self._ahead = tasks.create_task(running)

    def adopt(self, final: UserSpoke) -> bool:
        """If the final text is this one: ask for nothing more ahead, and let go on what was asked for.

        A turn may be named late, but a text without a name is none of a turn that has one: its words may yet come.
        """
        is_its = self.spoke.turn_id in (None, final.turn_id) and plain(final.text) == plain(self.spoke.text)
        if not is_its or not self._recording.usable:
            return False
        self._recording.detach()
        self._ahead.cancel()
        return True

    def final(self, final: UserSpoke) -> UserSpoke:
        """The final text in the words that were thought about; a turn without a name has the one its tools knew."""
        return replace(final, text=self.spoke.text, turn_id=final.turn_id or self._turn_id)

    def model(self, model: Speaker) -> Speaker:
        """`model`, which is not asked again for what it was asked ahead."""
        return AdoptingModel(model, self._recording, self._clock)

    def tools(self, runner: ToolRunner) -> ToolRunner:
        """`runner`, which does not run again what was run ahead."""
        return AdoptingTools(runner, self._recording)

    def close(self) -> None:
        """Stop all that no turn has asked for."""
        report, self._report = self._report, None
        if report is None:
            return
        self._ahead.cancel()
        recording = self._recording
        recording.drop()
        report("adopted" if recording.taken else "failed" if recording.failed else "discarded", recording.spent)


def _unheard(setup: TurnSetup) -> TurnSetup:
    """For a turn that nobody hears: the client, who is not asked, is never late."""
    tools = {
        name: spec if spec.client_timeout_s is None else replace(spec, client_timeout_s=inf)
        for name, spec in setup.tools.items()
    }
    return replace(setup, tools=tools)


class _Nobody:
    """Listens to a turn that tells nobody."""

    def on_event(self, event: TurnEvent) -> None:
        pass

    def on_step(self, step: SaveStep) -> None:
        pass

    def on_late(self, finished: ToolFinished, output: str) -> None:
        pass
