"""Words and answers that meet a turn which waits for its client: which fit, and what is said of the others."""

from collections.abc import Mapping
from dataclasses import dataclass

from msgspec.structs import replace

from gateway.errors import Conflict, InvalidRequest
from voice_agent.agent import Fault, ToolSpec
from voice_agent.events import ToolReturned
from voice_agent.runs.answers import Answer, calls_in, standing
from voice_agent.store.runs import Suspended
from voice_agent.suspension import Suspension
from voice_agent.tools.outcome import as_text, cut


@dataclass(frozen=True)
class Given:
    """An answer to a pending call, and where in the request its call is named: a JSON pointer."""

    answer: Answer
    path: str


def ids_of(given: tuple[Given, ...]) -> frozenset[str]:
    """The calls that are answered."""
    return frozenset(each.answer.call_id for each in given)


def concerned(waiting: Suspended | None, given: tuple[Given, ...]) -> bool:
    """Whether any of the answers is to a call of the turn that waits."""
    if waiting is None:
        return False
    return bool(ids_of(given) & calls_in((*waiting.suspension.done, *waiting.suspension.step)))


def awaited(suspension: Suspension, given: tuple[Given, ...]) -> tuple[Answer, ...]:
    """Those that the turn waits for; it has the others already. Raises InvalidRequest for those it can't have."""
    faults = []
    for each in given:
        match standing(suspension, each.answer):
            case "unknown":
                faults.append(_unknown(suspension, each))
            case "early":
                faults.append(Fault(each.path, f"the call {each.answer.call_id!r} waits for a decision first"))
            case _:
                pass
    if faults:
        raise InvalidRequest(*faults)
    return tuple(each.answer for each in given if standing(suspension, each.answer) == "awaited")


def as_results(
    answers: tuple[Answer, ...], suspension: Suspension, tools: Mapping[str, ToolSpec]
) -> tuple[Answer, ...]:
    """The answers with what tools returned as the model is to read it, cut to the tool's limit."""
    names = {call.call_id: call.name for call in suspension.pending}

    def fitted(answer: Answer) -> Answer:
        spec = tools.get(names[answer.call_id])
        if not isinstance(answer, ToolReturned) or spec is None:
            return answer
        return replace(answer, output=cut(as_text(answer.output), spec.client_char_limit))

    return tuple(map(fitted, answers))


def refuse_words(waiting: Suspended | None) -> None:
    """Raises Conflict if a turn waits, naming its run and its calls."""
    if waiting is not None:
        raise Conflict(
            f"run {waiting.ref.session_id!r} waits for answers to {_pending(waiting.suspension)}: "
            "answer them, or cancel the run"
        )


def refuse_answers(waiting: Suspended | None, given: tuple[Given, ...]) -> None:
    """Raises what is wrong with answers of which no run knows the calls: always."""
    if waiting is None:
        raise Conflict("no run of this user waits for an answer")
    raise InvalidRequest(*(_unknown(waiting.suspension, each) for each in given))


def _unknown(suspension: Suspension, given: Given) -> Fault:
    return Fault(given.path, f"no call {given.answer.call_id!r} is pending; pending: {_pending(suspension)}")


def _pending(suspension: Suspension) -> str:
    return ", ".join(call.call_id for call in suspension.pending)
