"""What runs are made from: the agent's equipment for one, its record as it begins, and what it is to do."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from dataclasses import replace as copy
from typing import Any

from msgspec.structs import replace

from gateway.dialects.client_tools import read_tools
from gateway.equipment import Collaborators, Equipment
from gateway.errors import InvalidRequest
from voice_agent.agent import Agent, Fault
from voice_agent.messages import Message
from voice_agent.resumption import Resumed
from voice_agent.run_record import RunOptions, RunRecord
from voice_agent.runs.account import Account
from voice_agent.runs.filing import Order
from voice_agent.runs.measured import MeasuredModel
from voice_agent.store.base import TurnRef
from voice_agent.store.runs import Suspended
from voice_agent.tool_definitions import ClientTool
from voice_agent.tools.outward import Outward
from voice_agent.tools.schema import SchemaError, check_of
from voice_agent.wiring import Wiring

_DAY_S = 86_400.0
Check = Callable[[dict[str, Any]], str | None]


@dataclass(frozen=True)
class Asked:
    """Who asks which agent for a run, and how it is to be done."""

    agent_id: str
    user: str
    options: RunOptions
    background: bool = False


@dataclass(frozen=True)
class Plan:
    """All that a run is made from, but for its place among the turns."""

    order: Order
    account: Account
    wiring: Wiring


class Orders:
    """Records are kept for `kept_days`, and no longer than the agent keeps anything. `traced`: every run is."""

    def __init__(self, parts: Collaborators, kept_days: float, *, traced: bool) -> None:
        self._parts = parts
        self.kept_s = kept_days * _DAY_S
        self._traced = traced

    def begun(self, asked: Asked, agent: Agent, ref: TurnRef, words: tuple[str, ...], outward: Outward) -> Plan:
        """A run that answers these words. Raises ModelError, Conflict, InvalidRequest."""
        clock = self._parts.clock
        at = round(clock.wall(), 3)
        record = replace(_record_of(ref, at), background=asked.background, options=asked.options)
        opening = tuple(Message(role="user", text=text, at=at) for text in words)
        return self._plan(agent, record, Order(ref, opening, clock.now(), self._kept_s(agent)), outward)

    def resumed(
        self, asked: Asked, agent: Agent, waiting: Suspended, record: RunRecord | None, outward: Outward
    ) -> Plan:
        """A run that goes on, as it was asked for at first where nothing else is asked for now; no answers yet."""
        suspension = waiting.suspension
        record = record or _record_of(waiting.ref, suspension.opening[0].at)
        options = _merged(record.options, asked.options)
        messages = (*suspension.opening, *suspension.done, *suspension.step)
        record = replace(record, background=asked.background, options=options, messages=messages)
        now, kept_s = self._parts.clock.now(), self._kept_s(agent)
        order = Order(waiting.ref, suspension.opening, now, kept_s, Resumed(suspension, ()))
        return self._plan(agent, record, order, outward)

    def _kept_s(self, agent: Agent) -> float:
        days = agent.retention_days
        return self.kept_s if days is None else min(self.kept_s, days * _DAY_S)

    def _plan(self, agent: Agent, record: RunRecord, order: Order, outward: Outward) -> Plan:
        parts, options, ref = self._parts, record.options, order.ref
        account = Account(replace(record, slot=parts.owner.slot, incarnation=parts.owner.incarnation))
        observe = account.traced if options.trace or self._traced else None
        equipment = Equipment(parts, outward, agent, ref.pair.user, ref.session_id, observe)
        tools, check, faults = checked(options.client_tools, options.response_format, equipment.has)
        if faults:
            raise InvalidRequest(*faults)
        order = copy(order, check=check, max_steps=options.max_steps)
        wiring = equipment.wiring(tools, speaks=False, response_format=options.response_format)
        model = MeasuredModel(wiring.model, equipment.model, account, parts.clock)
        return Plan(order, account, copy(wiring, model=model))


def _record_of(ref: TurnRef, at: float) -> RunRecord:
    return RunRecord(
        id=ref.session_id,
        agent=ref.pair.agent,
        user=ref.pair.user,
        turn_id=ref.turn_id,
        status="running",
        slot="",
        incarnation="",
        created_at=at,
    )


def checked(
    tools: Sequence[Any], schema: dict[str, Any] | None, taken: Callable[[str], bool] = lambda _: False
) -> tuple[tuple[ClientTool, ...], Check | None, list[Fault]]:
    """A client's own tools, what finds faults in an object by the `response_format`, and all that is wrong with both.

    `taken`: whether a name is another tool's.
    """
    brought, found = read_tools(tools, taken)
    faults = [Fault(f"/client_tools{fault.path}", fault.message) for fault in found]
    check = None
    if schema is not None and schema.get("type") != "object":
        faults.append(Fault("/response_format/type", 'it has to be "object"'))
    elif schema is not None:
        try:
            check = check_of(schema)
        except SchemaError as error:
            faults += [Fault(f"/response_format{fault.path}", fault.message) for fault in error.faults]
    return brought, check, faults


def _merged(first: RunOptions, now: RunOptions) -> RunOptions:
    """What holds for a run that goes on: what is asked for now, else what was asked for at first."""
    return RunOptions(
        max_steps=now.max_steps or first.max_steps,
        client_tools=now.client_tools or first.client_tools,
        response_format=now.response_format or first.response_format,
        trace=now.trace or first.trace,
    )
