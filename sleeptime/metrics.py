"""What the worker measures of itself, for Prometheus. No label names a user or an agent."""

from typing import Literal

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram, start_http_server

Outcome = Literal["done", "empty", "failed", "buried", "left"]
_LONG = (0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 15, 30, 60, 120)
_LAGS = (0.05, 0.1, 0.5, 1, 5, 15, 60, 300, 900, 3600, 14_400, 86_400)


class Metrics:
    """The metrics of one worker, kept in `registry`."""

    def __init__(self, registry: CollectorRegistry) -> None:
        self.registry = registry
        self._duration = Histogram(
            "voice_sleeptime_job_seconds", "A delivery of a memory job, taken to finished.", ("outcome",),
            buckets=_LONG, registry=registry,
        )  # fmt: skip
        self._jobs = Counter(
            "voice_sleeptime_jobs_total", "Deliveries of memory jobs by outcome.", ("outcome",), registry=registry
        )
        self._lag = Histogram(
            "voice_memory_lag_seconds", "From the last message of a job to its memory.", buckets=_LAGS,
            registry=registry,
        )  # fmt: skip
        self._running = Gauge("voice_sleeptime_running", "Memory jobs held by this worker.", registry=registry)

    def held(self, jobs: int) -> None:
        """So many jobs are held just now."""
        self._running.set(jobs)

    def ended(self, outcome: Outcome, seconds: float) -> None:
        """A delivery is over."""
        self._jobs.labels(outcome).inc()
        self._duration.labels(outcome).observe(seconds)

    def remembered(self, lag_s: float) -> None:
        """A message's memory was written so many seconds after it was said."""
        self._lag.observe(lag_s)

    def serve(self, port: int) -> None:
        """Show the metrics at http://127.0.0.1:PORT/metrics. Raises OSError if the port is taken."""
        start_http_server(port, addr="127.0.0.1", registry=self.registry)
