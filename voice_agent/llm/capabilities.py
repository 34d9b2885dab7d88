"""What a model at an address can take: by its name, by its provider's list, by configuration, by what it refused."""

import re
from collections.abc import Mapping
from typing import Any, Literal

import msgspec

from voice_agent.messages import ModelRequest, ToolChoice

Api = Literal["chat", "messages", "responses"]
MaxTokensField = Literal["max_completion_tokens", "max_tokens"]

# facts of November 2026; whatever is not known here is learned from a refusal.
_NO_EFFORT_WITH_TOOLS = re.compile(r"(?:^|/)gpt-(?:5\.[4-9]|[6-9])(?![0-9])")
_TOOLS_IN_RESPONSES_ONLY = re.compile(r"(?:^|/)gpt-6(?:-astra|\.1-sol)")
_ALWAYS_THINKS = re.compile(r"opus-5-5|(?:fable|mythos)-5")
_THINKS_BETWEEN_TOOLS = re.compile(r"sonnet-5-5")
_THINKS_UNLESS_TOLD = re.compile(r"haiku-5-5|opus-5|sonnet-5")
_THINKS_WHEN_TOLD = re.compile(r"claude-3|(?:opus|sonnet|haiku)-4")
_CONTENT = ("input", "messages", "system", "tools")
_OPENAI_URL = "https://api.openai.com/"


class Capability(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """The record of one model at one address.

    `api`: the wire format it is spoken to in. `effort_with_tools`: the only effort it takes beside tools over Chat
    Completions; with `responses_for_effort`, a request that asks for another goes to Responses instead.
    `max_tokens_field`: Chat Completions' name for the output limit. `sampling`: takes a temperature. `thinking_off`:
    how a Messages model is told not to think (`omit`: it does not think unless told to). `forced_call`: whether a tool
    call can be demanded, `named_call`: that of one tool by its name. `replay`: kinds of opaque parts a Chat Completions
    model wants back in the live turn. `max_output` and `context_window`: tokens, where they are known. `refused`:
    request fields, nested ones too, that it has refused and that are left out since.
    """

    api: Api = "chat"
    effort_with_tools: str | None = None
    responses_for_effort: bool = False
    max_tokens_field: MaxTokensField = "max_completion_tokens"
    sampling: bool = True
    thinking_off: Literal["omit", "disabled", "between_tools", "impossible"] = "omit"
    forced_call: Literal["always", "thinking_off", "never"] = "always"
    named_call: bool = True
    replay: frozenset[str] = frozenset()
    max_output: int | None = None
    context_window: int | None = None
    refused: frozenset[str] = frozenset()

    def api_for(self, request: ModelRequest) -> Api:
        """The wire format for this request."""
        reasons = bool(request.tools) and request.reasoning not in (None, self.effort_with_tools)
        return "responses" if self.responses_for_effort and reasons else self.api

    def tool_choice(self, wanted: ToolChoice, *, thinks: bool = False) -> ToolChoice:
        """What it can be asked for in place of `wanted`: one tool, else `required`, else `auto`."""
        if wanted in ("auto", "none"):
            return wanted
        if self.forced_call == "never" or (self.forced_call == "thinking_off" and thinks):
            return "auto"
        return wanted if self.named_call else "required"

    def without(self, field: str) -> "Capability":
        """The record of a model that refuses a field: the output limit goes by its other name, others are left out."""
        if field == "max_completion_tokens" and self.api == "chat":
            return msgspec.structs.replace(self, max_tokens_field="max_tokens")
        return msgspec.structs.replace(self, refused=self.refused | {field})

    def moved(self, api: Api) -> "Capability":
        """The record of a model that is to be spoken to in another wire format."""
        return msgspec.structs.replace(self, api=api, responses_for_effort=False)


class Capabilities:
    """The records of this process: the same model may take less at another address, or in another wire format there.

    `api` is everywhere what the provider speaks by default; `base_url` and `api` together are its address.
    """

    def __init__(self) -> None:
        self._records: dict[tuple[str, Api, str], Capability] = {}
        self._configured: dict[tuple[str, Api, str], dict[str, Any]] = {}
        self._told: set[tuple[str, Api]] = set()

    def of(self, base_url: str, model: str, api: Api = "chat") -> Capability:
        """The record as it is known now."""
        where = (base_url, api, model)
        record = self._records.get(where)
        if record is None:
            known = _by_name(base_url, model, api)
            record = self._records[where] = msgspec.structs.replace(known, **self._configured.get(where, {}))
        return record

    def configure(self, base_url: str, model: str, fields: dict[str, Any], api: Api = "chat") -> None:
        """Set fields of a record by hand (as JSON has them): they win over name and list, and lose to a refusal."""
        record = msgspec.convert(fields, Capability)
        self._configured[base_url, api, model] = {name: getattr(record, name) for name in fields}

    def told(self, base_url: str, api: Api = "chat") -> bool:
        """Whether the provider at this address has told of its models."""
        return (base_url, api) in self._told

    def tell(self, base_url: str, api: Api, models: Mapping[str, dict[str, Any]]) -> None:
        """Fill the records of an address with what its list of models tells: fields by model. None if it is empty."""
        if models:
            self._told.add((base_url, api))
        for model, fields in models.items():
            # A list tells which ways of thinking a model takes, and not that it does without when it is told nothing.
            silent = "thinking_off" in fields and _THINKS_WHEN_TOLD.search(_plain(model))
            known = {**fields, "thinking_off": "omit"} if silent else fields
            told = {**known, **self._configured.get((base_url, api, model), {})}
            record = self.of(base_url, model, api)
            # A refusal that came before the list still holds.
            told["refused"] = record.refused | told.get("refused", frozenset())
            self._records[base_url, api, model] = msgspec.structs.replace(record, **told)

    def learn(self, base_url: str, model: str, record: Capability, api: Api = "chat") -> None:
        """Remember what a model has shown that it takes."""
        self._records[base_url, api, model] = record


def refused_field(message: str, param: str, droppable: tuple[str, ...], body: bytes) -> str | None:
    """The droppable field, among those the body holds, that a provider's refusal names; None if it names none."""
    sent = [field for field in droppable if f'"{field}":'.encode() in body]
    path = re.split(r"[.\[\]]+", param)
    is_content = path[0] in _CONTENT
    named = next((field for field in (path[-1:] if is_content else path) if field in sent), None)
    if named or is_content:
        # What is wrong with the content, such as a tool's schema, may well be told in words that are fields' names.
        return named
    return next((field for field in sent if re.search(rf"\b{field}\b", message)), None)


def _plain(model: str) -> str:
    """The name as the rules know it: resellers write opus-5.5."""
    return model.lower().replace(".", "-")


def _by_name(base_url: str, model: str, api: Api) -> Capability:
    name = model.lower()
    if api == "messages":
        return _messages_model(_plain(model))
    is_openai = base_url.startswith(_OPENAI_URL)
    if api == "responses" or (is_openai and _TOOLS_IN_RESPONSES_ONLY.search(name)):
        return Capability(api="responses", sampling=not _NO_EFFORT_WITH_TOOLS.search(name))
    if "deepseek" in name:
        return Capability(replay=frozenset({"reasoning_content"}))
    if "gemini" in name:
        return Capability(replay=frozenset({"thought_signature"}))
    if _NO_EFFORT_WITH_TOOLS.search(name):
        return Capability(effort_with_tools="none", responses_for_effort=is_openai)
    return Capability()


def _messages_model(name: str) -> Capability:
    """Sampling is refused at any value since API version 2026-10-21 (facts/providers.md, section 2)."""
    if _ALWAYS_THINKS.search(name):
        return Capability(api="messages", sampling=False, thinking_off="impossible", forced_call="never")
    if _THINKS_BETWEEN_TOOLS.search(name):
        return Capability(api="messages", sampling=False, thinking_off="between_tools", forced_call="never")
    off: Literal["disabled", "omit"] = "disabled" if _THINKS_UNLESS_TOLD.search(name) else "omit"
    return Capability(api="messages", sampling=False, thinking_off=off, forced_call="thinking_off")
