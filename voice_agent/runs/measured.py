"""A model whose replies are measured: when each was asked for, when its first token came, and how it ended."""

from collections.abc import Callable

from voice_agent import events as ev
from voice_agent.clock import Clock
from voice_agent.llm.base import Model, Preview
from voice_agent.messages import ModelBusy, ModelRequest
from voice_agent.runs.account import Account

_LAST = (ev.ModelFinished, ev.ModelFailed)


class MeasuredModel:
    """The model as it is; what its replies take goes into the account before anybody acts on them."""

    def __init__(self, model: Model, name: str, account: Account, clock: Clock) -> None:
        self._model = model
        self._name = name
        self._account = account
        self._clock = clock

    async def reply(self, request: ModelRequest, emit: Callable[[ev.ModelEvent], None]) -> None:
        """See `Model.reply`."""
        account, clock, silent = self._account, self._clock, True

        def take(event: ev.ModelEvent) -> None:
            nonlocal silent
            if silent and isinstance(event, ev.TextDelta | ev.ToolCallDelta):
                silent = False
                account.first_token(clock.now())
            elif isinstance(event, ModelBusy) and event.model is not None:
                account.answers(event.model)
            elif isinstance(event, _LAST):
                account.replied(event, clock.now())
            emit(event)

        account.asked(self._name, round(clock.wall(), 3), clock.now())
        try:
            await self._model.reply(request, take)
        finally:
            account.returned(clock.now())

    async def warm(self) -> None:
        """See `Model.warm`."""
        await self._model.warm()

    def preview(self, request: ModelRequest) -> Preview:
        """See `Model.preview`."""
        return self._model.preview(request)
