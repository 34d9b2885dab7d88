"""Chat Completions: OpenAI's older wire format, which every compatible server speaks."""

from voice_agent.llm.base import WireFormat
from voice_agent.llm.chat_completions.request import chat_fields
from voice_agent.llm.chat_completions.stream import ChatDecoder

FORMAT = WireFormat(
    path="/chat/completions",
    models="/models",
    fields=chat_fields,
    decoder=ChatDecoder,
    droppable=(
        "max_completion_tokens", "max_tokens", "parallel_tool_calls", "reasoning_effort", "response_format",
        "stream_options", "temperature", "tool_choice",
    ),
)  # fmt: skip
