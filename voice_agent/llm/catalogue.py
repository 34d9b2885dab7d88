"""From a model's name in an agent's definition to the model itself."""

import logging
from collections.abc import Callable, Mapping

from voice_agent.clock import Clock
from voice_agent.config import Settings
from voice_agent.llm.base import Model, ModelError
from voice_agent.llm.capabilities import Capabilities
from voice_agent.llm.observed import Observe, ObservedPool
from voice_agent.llm.provider import ProviderModel
from voice_agent.llm.providers import Provider, fault_of, key_of, read_providers
from voice_agent.llm.race.form import Form
from voice_agent.llm.race.model import Runner
from voice_agent.llm.simulated.answer import Pace
from voice_agent.llm.simulated.model import SimulatedModel
from voice_agent.llm.wire import Http, Pool

log = logging.getLogger(__name__)


def model_fault(name: str, providers: Mapping[str, Provider], settings: Settings) -> str | None:
    """Why there is no such model (which setting is missing or wrong), or None if it can be opened."""
    if name == "simulated":
        return None
    provider, _, model = name.partition("/")
    if provider not in providers:
        known = ", ".join(f"{known}/NAME" for known in providers)
        return f"there is no model provider {provider!r}: known are {known} and simulated"
    if not model:
        return f"{provider}/NAME: the model's name is missing"
    return fault_of(name, providers[provider], key_of(providers[provider], settings))


class Catalogue:
    """The models that the settings allow. One connection pool per provider and key; what is known of models is shared.

    `on_circuit` is told of a model that keeps failing (True), and when it answers again. Raises ConfigError if the file
    of providers is wrong.
    """

    def __init__(
        self, settings: Settings, clock: Clock, http: Http, on_circuit: Callable[[str, bool], None] = lambda *_: None
    ) -> None:
        self._on_circuit = on_circuit
        self._forms: dict[str, Form] = {}
        self._settings = settings
        self._clock = clock
        self._capabilities = Capabilities()
        self._providers = read_providers(settings)
        self._pools: dict[str, Pool] = {}
        for name, provider in self._providers.items():
            endpoint = provider.endpoint(name, key_of(provider, settings))
            self._pools[name] = Pool(http, endpoint)
            for model, fields in provider.models.items():
                self._capabilities.configure(endpoint.base_url, model, fields, provider.api)

    def check(self, name: str) -> str | None:
        """See `model_fault`."""
        return model_fault(name, self._providers, self._settings)

    def context_window(self, name: str) -> int | None:
        """Tokens that the model takes, as far as that is known by now: by the settings, or its provider's list."""
        provider, _, model = name.partition("/")
        if provider not in self._pools:
            return None
        endpoint = self._pools[provider].endpoint
        return self._capabilities.of(endpoint.base_url, model, endpoint.api).context_window

    def runner(self, name: str, observe: Observe | None = None) -> Runner:
        """The model of that name as one of a chain. Raises as `open`."""
        model = self.open(name, observe)
        if name not in self._forms:
            self._forms[name] = Form(lambda opens: self._circuit(name, opens))
        return Runner(name, model, self._forms[name])

    def _circuit(self, name: str, opens: bool) -> None:
        log.warning("%s %s", name, "keeps failing: others are asked, where there are" if opens else "is back")
        self._on_circuit(name, opens)

    def open(self, name: str, observe: Observe | None = None) -> Model:
        """The model of that name. Raises ModelError with what `check` says.

        Each of its exchanges with the provider is handed to `observe` when it is over, given up or not.
        """
        fault = self.check(name)
        if fault is not None:
            raise ModelError(fault)
        if name == "simulated":
            pace = Pace(self._settings.simulated_first_token_ms, self._settings.simulated_token_ms)
            return SimulatedModel(pace, self._clock, observe)
        provider, _, model = name.partition("/")
        pool = self._pools[provider]
        return ProviderModel(pool if observe is None else ObservedPool(pool, observe), name, model, self._capabilities)
