"""What the models of tests have in common: the parts of a model that hardly a test asks for."""

from voice_agent.llm.base import Preview
from voice_agent.messages import ModelRequest


class Unseen:
    """A model with nothing to warm, and that nobody looks at before it is asked."""

    async def warm(self) -> None:
        """Nothing to warm."""

    def preview(self, request: ModelRequest) -> Preview:
        raise AssertionError("nobody was to look at this model's requests")
