"""What a provider's list of models tells of them, as fields of their capability records."""

from typing import Any

import msgspec

from voice_agent.llm.faults import NOT_JSON


def read_models(body: bytes) -> dict[str, dict[str, Any]]:
    """Fields by model, from the answer to a GET of the list; models and fields of which it tells nothing are left out.

    Anthropic tells output limit, context window, ways of thinking and whether a schema is taken; vLLM
    (`max_model_len`), Groq (`context_window`) and OpenRouter (`context_length`, `supported_parameters`) tell of theirs;
    OpenAI tells only names.
    """
    try:
        listed = msgspec.json.decode(body)
    except NOT_JSON:
        return {}
    models = listed.get("data") if isinstance(listed, dict) else None
    told = {}
    for model in models if isinstance(models, list) else ():
        if isinstance(model, dict) and isinstance(model.get("id"), str) and (fields := _fields(model)):
            told[model["id"]] = fields
    return told


def _fields(model: dict[str, Any]) -> dict[str, Any]:
    numbers = {
        "context_window": ("max_input_tokens", "max_model_len", "context_window", "context_length"),
        "max_output": ("max_tokens", "max_completion_tokens"),
    }
    fields: dict[str, Any] = {}
    for name, keys in numbers.items():
        known = (value for key in keys if type(value := model.get(key)) is int and value > 0)  # True is no number
        if (value := next(known, None)) is not None:
            fields[name] = value
    takes = model.get("supported_parameters")
    if isinstance(takes, list):
        optional = {
            "temperature": "temperature",
            "tool_choice": "tool_choice",
            "reasoning": "reasoning_effort",
            "structured_outputs": "response_format",
        }
        fields["refused"] = frozenset(field for listed, field in optional.items() if listed not in takes)
    capabilities = model.get("capabilities")
    if isinstance(capabilities, dict):
        if (off := _thinking_off(capabilities.get("thinking"))) is not None:
            fields["thinking_off"] = off
        structured = capabilities.get("structured_outputs")
        if isinstance(structured, dict) and structured.get("supported") is False:
            fields["refused"] = frozenset({"format"})
    return fields


def _thinking_off(thinking: Any) -> str | None:
    """How thinking is switched off, of models that say which ways they take and think unless told."""
    types = thinking.get("types") if isinstance(thinking, dict) else None
    if not isinstance(types, dict):
        return None
    takes = {name for name, told in types.items() if isinstance(told, dict) and told.get("supported")}
    if not takes:
        return "omit"
    return next((way for way in ("disabled", "between_tools") if way in takes), "impossible")
