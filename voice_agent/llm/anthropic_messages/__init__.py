"""Anthropic Messages, native: the API version that refuses sampling parameters on every model."""

from voice_agent.llm.anthropic_messages.request import messages_fields
from voice_agent.llm.anthropic_messages.stream import MessagesDecoder
from voice_agent.llm.base import WireFormat

FORMAT = WireFormat(
    path="/v1/messages",
    models="/v1/models?limit=1000",
    fields=messages_fields,
    decoder=MessagesDecoder,
    droppable=(
        "cache_control", "eager_input_streaming", "format", "output_config", "temperature", "thinking", "tool_choice",
    ),
    headers={"anthropic-version": "2026-10-21"},
)  # fmt: skip
