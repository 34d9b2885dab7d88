"""Prometheus metrics: an observer of what turns tell, and of what a gateway and its store measure beside them."""

from typing import assert_never

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram, generate_latest

from voice_agent.events import (
    ApprovalNeeded,
    ClientToolNeeded,
    Failed,
    Flushed,
    MemoryUpdated,
    SessionEnded,
    Spoke,
    ToolCalled,
    ToolFinished,
    TurnEnded,
    TurnEvent,
    TurnHeard,
    TurnSpoken,
    TurnStarted,
)
from voice_agent.messages import Latency, Usage

_QUICK = (0.00025, 0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5)
_SPOKEN = (0.05, 0.1, 0.2, 0.3, 0.4, 0.5, 0.75, 1, 1.5, 2, 3, 5, 10, 20)
_LONG = (0.01, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 15, 30, 60, 120)
_MOST_TOOLS = 200


class Telemetry:
    """The metrics of one process, kept in `registry`. No label ever names a user, an agent or a session."""

    def __init__(self, registry: CollectorRegistry) -> None:
        self._registry = registry
        self._tools: set[str] = set()

        def histogram(name: str, help_text: str, buckets: tuple[float, ...], labels: tuple[str, ...] = ()) -> Histogram:
            return Histogram(f"voice_{name}_seconds", help_text, labels, buckets=buckets, registry=registry)

        def counter(name: str, help_text: str, labels: tuple[str, ...] = ()) -> Counter:
            return Counter(f"voice_{name}_total", help_text, labels, registry=registry)

        self._first_speech = histogram("first_speech", "User text received to first words sent.", _SPOKEN)
        self._first_reply = histogram("first_reply", "User text received to first words of the reply sent.", _SPOKEN)
        self._gateway = histogram("gateway_overhead", "Time of a turn that waited for nothing outside.", _QUICK)
        self._total = histogram("turn", "User text received to the turn's end.", _LONG)
        self._tool = histogram("tool", "Duration of tool calls.", _LONG, ("tool", "status"))
        self._commit = histogram("commit", "A turn's end to its being stored.", _QUICK)
        self._barge_in = histogram(
            "barge_in", "Interruption read to speech stopped and unsent words taken back.", _QUICK
        )
        self._turns = counter("turns", "Turns by how they ended.", ("reason",))
        self._tokens = counter("tokens", "Tokens as reported by providers.", ("kind",))
        self._speculations = counter("speculations", "Interim texts that were thought about.", ("outcome",))
        self._wasted = counter("wasted_tokens", "Tokens, as reported, that no turn had a use for.", ("kind",))
        self._requests = counter("model_requests", "Requests sent to models, those that were lost included.", ("kind",))
        self._errors = counter("errors", "Errors told to clients.", ("code",))
        self._open_circuits = Gauge(
            "voice_open_circuits", "Whether a model keeps failing.", ("model",), registry=registry
        )
        self._sessions = Gauge("voice_sessions", "Sessions open in this process.", registry=registry)

    def observe(self, event: TurnEvent) -> None:
        """Count what an event tells; cheap for those that come once per token."""
        match event:
            case Spoke() | Flushed() | TurnStarted() | TurnSpoken() | TurnHeard() | MemoryUpdated() | SessionEnded():
                pass
            case ApprovalNeeded():
                pass
            case ToolCalled(name=name) | ClientToolNeeded(name=name):
                if len(self._tools) < _MOST_TOOLS:
                    self._tools.add(name)
            case ToolFinished(name=name, status=status, duration_ms=duration):
                # A refused call bears whatever name the model made up; only tools that have run are named.
                label = name if name in self._tools else "other"
                self._tool.labels(label, status).observe(duration / 1000)
            case Failed(code=code):
                self._errors.labels(code).inc()
            case TurnEnded(reason=reason, usage=usage, latency=latency):
                self._turns.labels(reason).inc()
                self._count_tokens(usage, self._tokens)
                self._count_requests(usage)
                self._time_turn(latency)
            case _:
                assert_never(event)

    def session_opened(self) -> None:
        """A session lives in this process from now on."""
        self._sessions.inc()

    def session_closed(self) -> None:
        """It does no more."""
        self._sessions.dec()

    def circuit(self, model: str, opens: bool) -> None:
        """A model keeps failing, or is back."""
        self._open_circuits.labels(model).set(int(opens))

    def speculation(self, outcome: str, wasted: Usage) -> None:
        """An interim text was thought about (`adopted`, `discarded`, `failed`); so much of it was for nothing."""
        self._speculations.labels(outcome).inc()
        self._count_tokens(wasted, self._wasted)

    def barge_in_seconds(self, seconds: float) -> None:
        """An interruption was obeyed so many seconds after it was read: no speech follows it."""
        self._barge_in.observe(seconds)

    def render(self) -> bytes:
        """Everything in the registry, as text (prometheus_client.CONTENT_TYPE_LATEST)."""
        return generate_latest(self._registry)

    def _count_tokens(self, usage: Usage, tokens: Counter) -> None:
        kinds = {
            "input": usage.input_tokens,
            "output": usage.output_tokens,
            "cached_input": usage.cached_input_tokens,
            "cache_write": usage.cache_write_tokens,
            "reasoning": usage.reasoning_tokens,
        }
        for kind, count in kinds.items():
            if count is not None:
                tokens.labels(kind).inc(count)

    def _count_requests(self, usage: Usage) -> None:
        """Every step has one first request; what is more was sent beside it or after it."""
        first = min(usage.steps, usage.attempts)
        kinds = {"first": first, "hedge": usage.hedges, "again": usage.attempts - usage.hedges - first}
        for kind, count in kinds.items():
            if count > 0:
                self._requests.labels(kind).inc(count)

    def _time_turn(self, latency: Latency) -> None:
        if latency.first_speech is not None:
            self._first_speech.observe(latency.first_speech / 1000)
        if latency.first_reply is not None:
            self._first_reply.observe(latency.first_reply / 1000)
        self._gateway.observe(latency.gateway / 1000)
        for part in latency.parts:
            if part.name == "store":
                self._commit.observe(part.ms / 1000)
        self._total.observe(latency.total / 1000)
