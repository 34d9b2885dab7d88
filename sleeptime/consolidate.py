"""One job: one turn of the sleeptime agent over what the pair's log has to tell, and its outcome in one step.

All or nothing: a turn that comes to no proper end has no effects, and the job fails. Proper ends are the call that
finishes, and words in its place once at least one block was rewritten, for the rules ask for no more.
"""

import asyncio
import secrets
from collections.abc import Callable
from functools import partial

import msgspec
from pydantic import ValidationError

from sleeptime.draft import Draft
from sleeptime.patience import patiently
from sleeptime.prompts import SYSTEM, opening
from sleeptime.task import Task, read_task
from sleeptime.tools import RULES, RULES_WITHOUT_BLOCKS, sleeptime_tools
from voice_agent import events as ev
from voice_agent.agent import Agent
from voice_agent.clock import Clock
from voice_agent.llm.base import Model, ModelError
from voice_agent.messages import Message
from voice_agent.prompt import Prompt, build_prompt
from voice_agent.run import Inbox, run_turn
from voice_agent.store.base import Directory, Pair
from voice_agent.store.memory import Job, JobResult, MemoryStore
from voice_agent.tools.base import TurnContext
from voice_agent.tools.registry import ToolRegistry
from voice_agent.turn import Turn
from voice_agent.turn_setup import TurnSetup

MOST_CONFLICTS = 3
MAX_STEPS = 15
STALL_S = 60.0


class JobFailed(Exception):
    """A delivery that came to nothing; the message is the reason, as people are shown it."""


class Done(msgspec.Struct, frozen=True):
    """What a finished job has left: how many lines it dealt with, which blocks it wrote, seconds since the last line.

    `lag_s` is None if there was nothing to deal with.
    """

    lines: int
    labels: tuple[str, ...]
    lag_s: float | None


class Consolidator:
    """Turns a pair's conversation into memory. `open_model` opens a model by its name, `job_s` bounds a turn."""

    def __init__(
        self, memory: MemoryStore, directory: Directory, open_model: Callable[[str], Model], default_model: str,
        clock: Clock, job_s: float,
    ) -> None:  # fmt: skip
        self._memory = memory
        self._directory = directory
        self._open_model = open_model
        self._default_model = default_model
        self._clock = clock
        self._job_s = job_s
        self._drafts: dict[str, Draft] = {}
        self._tools = ToolRegistry(sleeptime_tools(self._drafts))

    async def run(self, job: Job) -> Done:
        """Do the job, waiting for a store that is away. Raises JobFailed; then it had no effect."""
        agent = await self._agent(job.pair)
        for _ in range(MOST_CONFLICTS):
            task = read_task(agent, await patiently(partial(self._memory.read_memory, job.pair)))
            result = await self._think(job, agent, task)
            if await patiently(partial(self._memory.finish_job, job, result)) is not None:
                lag_s = self._clock.wall() - task.lines[-1].at if task.lines else None
                return Done(len(task.lines), tuple(block.label for block in result.blocks), lag_s)
        raise JobFailed(f"the memory was changed {MOST_CONFLICTS} times while it was being rewritten")

    async def _agent(self, pair: Pair) -> Agent:
        row = await patiently(partial(self._directory.read_agent, pair.agent))
        if row is None:
            raise JobFailed(f"there is no agent {pair.agent!r}")
        try:
            return Agent.model_validate_json(row.document)
        except ValidationError:
            raise JobFailed(f"the definition of agent {pair.agent!r} is not valid") from None

    async def _think(self, job: Job, agent: Agent, task: Task) -> JobResult:
        """The agent's turn; without a line to deal with there is none."""
        draft = Draft(task)
        if task.lines:
            turn_id = secrets.token_hex(8)
            self._drafts[turn_id] = draft
            try:
                async with asyncio.timeout(self._job_s):
                    await self._turn(job, agent, task, turn_id)
            except TimeoutError:
                raise JobFailed(f"the model took longer than {self._job_s:g} s") from None
            finally:
                del self._drafts[turn_id]
        return draft.result(job.id, self._clock.wall())

    async def _turn(self, job: Job, agent: Agent, task: Task, turn_id: str) -> None:
        name = agent.sleeptime_model(self._default_model)
        try:
            model = self._open_model(name)
        except ModelError as fault:
            raise JobFailed(str(fault)) from None
        names = self._tools.names()
        setup = TurnSetup(
            turn_id=turn_id,
            prompt=self._prompt(agent, name),
            history=(),
            opening=(Message(role="user", text=opening(task), at=self._clock.wall()),),
            tools=self._tools.specs(names),
            call_prefix=turn_id,
            received_at=self._clock.now(),
            max_steps=MAX_STEPS,
            stall_s=STALL_S,
            rules=RULES if any(not block.definition.read_only for block in task.blocks) else RULES_WITHOUT_BLOCKS,
        )
        pair = job.pair
        context = TurnContext(
            agent_id=pair.agent, user=pair.user, session_id=job.id, turn_id=turn_id, timezone=agent.timezone
        )
        end = _End()
        await run_turn(Turn(setup), model, self._tools.runner(names, self._clock, context), Inbox(), end, self._clock)
        if end.reason not in ("tool_rule", "end_turn"):
            raise JobFailed(end.fault or f"the model's turn ended as {end.reason}")

    def _prompt(self, agent: Agent, name: str) -> Prompt:
        _, _, wire_name = name.partition("/")
        sleeper = Agent(id=agent.id, name=agent.name, system=SYSTEM)
        return build_prompt(sleeper, wire_name or name, self._tools.specs(self._tools.names()), ())


class _End:
    """Listens to a turn for how it ends."""

    def __init__(self) -> None:
        self.reason: ev.EndReason = "error"
        self.fault: str | None = None

    def on_event(self, event: ev.TurnEvent) -> None:
        if isinstance(event, ev.Failed):
            self.fault = event.message
        elif isinstance(event, ev.TurnEnded):
            self.reason = event.reason
            if event.reason == "max_steps":
                self.fault = f"the model did not finish in {MAX_STEPS} steps"

    def on_step(self, step: ev.SaveStep) -> None:
        """Nothing of the turn is kept but its outcome."""

    def on_late(self, finished: ev.ToolFinished, output: str) -> None:
        """No tool outlives the turn."""
