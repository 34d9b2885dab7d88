"""What a model at an address can take in a Chat Completions request: rules by its name, and what it refused."""

import re

import msgspec

# These refuse function tools with any effort but `none`, and some count an absent field as their default effort.
_NO_EFFORT_WITH_TOOLS = re.compile(r"(?:^|/)gpt-(?:5\.[4-9]|[6-9])(?![0-9])")
_DROPPABLE = (
    "max_completion_tokens", "parallel_tool_calls", "reasoning_effort", "stream_options", "temperature", "tool_choice",
)  # fmt: skip


class Capability(msgspec.Struct, frozen=True):
    """The record of one model at one address.

    `effort_with_tools`: the only effort it takes beside tools. `replay`: kinds of opaque parts it wants back in the
    live turn. `refused`: request fields that it has refused and that are left out since.
    """

    effort_with_tools: str | None = None
    replay: frozenset[str] = frozenset()
    refused: frozenset[str] = frozenset()


class Capabilities:
    """The records of this process, one per (base URL, model): the same name may take less at another address."""

    def __init__(self) -> None:
        self._records: dict[tuple[str, str], Capability] = {}

    def of(self, base_url: str, model: str) -> Capability:
        """The record as it is known now."""
        return self._records.get((base_url, model)) or _by_name(model)

    def refuse(self, base_url: str, model: str, field: str) -> None:
        """Remember that this field is refused."""
        record = self.of(base_url, model)
        self._records[base_url, model] = msgspec.structs.replace(record, refused=record.refused | {field})


def refused_field(message: str, param: str, sent: frozenset[str]) -> str | None:
    """The droppable field, among those sent, that a provider's refusal names; None if it names none."""
    if param in _DROPPABLE and param in sent:
        return param
    for field in _DROPPABLE:
        if field in sent and re.search(rf"\b{field}\b", message):
            return field
    return None


def _by_name(model: str) -> Capability:
    name = model.lower()
    if "deepseek" in name:
        return Capability(replay=frozenset({"reasoning_content"}))
    if "gemini" in name:
        return Capability(replay=frozenset({"thought_signature"}))
    return Capability(effort_with_tools="none" if _NO_EFFORT_WITH_TOOLS.search(name) else None)
