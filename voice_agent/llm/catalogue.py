"""From a model's name in an agent's definition to the model itself."""

from urllib.parse import urlsplit

from voice_agent.clock import Clock
from voice_agent.config import Settings
from voice_agent.llm.base import Model, ModelError
from voice_agent.llm.capabilities import Capabilities
from voice_agent.llm.provider import OpenAICompatible
from voice_agent.llm.simulated.answer import Pace
from voice_agent.llm.simulated.model import SimulatedModel
from voice_agent.llm.wire import Endpoint, Http, Pool


class Catalogue:
    """The models that the settings allow. One connection pool per provider and key; capability records are shared."""

    def __init__(self, settings: Settings, clock: Clock, http: Http) -> None:
        self._settings = settings
        self._clock = clock
        self._capabilities = Capabilities()
        self._openai = Pool(http, Endpoint("openai", settings.openai_base_url, settings.openai_api_key))

    def check(self, name: str) -> str | None:
        """Why there is no such model (which setting is missing or wrong), or None if it can be opened."""
        if name == "simulated":
            return None
        provider, _, model = name.partition("/")
        if provider != "openai":
            return f"there is no model provider {provider!r}: known are openai/NAME and simulated"
        if not model:
            return "openai/NAME: the model's name is missing"
        return _key_fault(name, self._settings.openai_api_key) or _url_fault(self._settings.openai_base_url)

    def open(self, name: str) -> Model:
        """The model of that name. Raises ModelError with what `check` says."""
        fault = self.check(name)
        if fault is not None:
            raise ModelError(fault)
        if name == "simulated":
            pace = Pace(self._settings.simulated_first_token_ms, self._settings.simulated_token_ms)
            return SimulatedModel(pace, self._clock)
        return OpenAICompatible(self._openai, name, name.partition("/")[2], self._capabilities)


def _key_fault(name: str, key: str | None) -> str | None:
    if not key:
        return f"{name} needs an API key: set OPENAI_API_KEY (any text for a server that asks for none)"
    if not (key.isascii() and key.isprintable()) or " " in key:
        return "OPENAI_API_KEY holds a character that no key has (a space, a line break, a letter outside ASCII)"
    return None


def _url_fault(url: str) -> str | None:
    try:
        parts = urlsplit(url)
        is_http = parts.scheme in ("http", "https") and bool(parts.hostname)
    except ValueError:
        is_http = False
    return None if is_http else "OPENAI_BASE_URL is no http or https URL"
