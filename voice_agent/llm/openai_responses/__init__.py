"""OpenAI Responses over HTTP, for the models that take tools nowhere else."""

from voice_agent.llm.base import WireFormat
from voice_agent.llm.openai_responses.request import responses_fields
from voice_agent.llm.openai_responses.stream import ResponsesDecoder

FORMAT = WireFormat(
    path="/responses",
    models="/models",
    fields=responses_fields,
    decoder=ResponsesDecoder,
    droppable=(
        "format", "include", "max_output_tokens", "parallel_tool_calls", "reasoning", "store", "temperature",
        "tool_choice",
    ),
)  # fmt: skip
