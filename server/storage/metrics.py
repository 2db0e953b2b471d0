"""Numbers for Prometheus (``GET /metrics``): plain counts, put into its format when it asks.

``prometheus_client`` is imported with the first scrape; most servers never see one.
"""

from bisect import bisect_left
from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from server.gemini.types import Usage
from server.limits import NAMES_COUNTED

if TYPE_CHECKING:
    from prometheus_client import Metric

CONTENT_TYPE = "text/plain; version=0.0.4; charset=utf-8"

_LATENCY_BUCKETS = (0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0, 60.0, 120.0, 300.0, 600.0)
_BOUNDS = (*map(str, _LATENCY_BUCKETS), "+Inf")


class Names:
    """Names that clients choose: the first are counted by themselves, the rest share one."""

    def __init__(self) -> None:
        self._known: set[str] = set()

    def counted_as(self, name: str) -> str:
        """``name``, or ``other``."""
        if name not in self._known:
            if len(self._known) >= NAMES_COUNTED:
                return "other"
            self._known.add(name)
        return name


@dataclass(slots=True)
class _Durations:
    """How long the requests of one dialect took."""

    total_s: float = 0.0
    counts: list[int] = field(default_factory=lambda: [0] * len(_BOUNDS))
    """Requests in each bucket alone; the last is beyond all bounds."""


class Metrics:
    """Counters and gauges of one server."""

    def __init__(self) -> None:
        self.in_flight = 0
        """Requests being answered, waiting ones included."""
        self.queued: Callable[[], int] = int
        """Tells how many requests wait for their turn."""
        self._models = Names()
        self._requests: Counter[tuple[str, str, str, str]] = Counter()
        self._tokens: Counter[tuple[str, str]] = Counter()
        self._durations: dict[str, _Durations] = {}

    def finished(
        self,
        *,
        dialect: str,
        upstream: str,
        model: str,
        outcome: str,
        usage: Usage,
        latency_s: float,
    ) -> None:
        """Count one finished request."""
        model = self._models.counted_as(model)
        self._requests[dialect, upstream, model, outcome] += 1
        durations = self._durations.get(dialect)
        if durations is None:
            durations = self._durations[dialect] = _Durations()
        durations.total_s += latency_s
        durations.counts[bisect_left(_LATENCY_BUCKETS, latency_s)] += 1
        for kind, tokens in (
            ("input", usage.prompt_tokens),
            ("cached", usage.cached_tokens),
            ("output", usage.output_tokens),
            ("thought", usage.thoughts_tokens),
        ):
            if tokens:
                self._tokens[model, kind] += tokens

    def render(self) -> bytes:
        """The text format, ``CONTENT_TYPE``."""
        from prometheus_client import CollectorRegistry, generate_latest  # noqa: PLC0415  # see top

        registry = CollectorRegistry()
        registry.register(self)
        return generate_latest(registry)

    def collect(self) -> "Iterator[Metric]":
        """All numbers as they are now; ``prometheus_client`` calls this."""
        from prometheus_client.core import (  # noqa: PLC0415  # see top
            CounterMetricFamily,
            GaugeMetricFamily,
            HistogramMetricFamily,
        )

        requests = CounterMetricFamily(
            "gemini_proxy_requests",
            "Client requests by outcome",
            labels=["dialect", "upstream", "model", "outcome"],
        )
        for labels, count in list(self._requests.items()):
            requests.add_metric(labels, count)
        yield requests
        tokens = CounterMetricFamily(
            "gemini_proxy_tokens",
            "Tokens by kind (cached is part of input, thought part of output)",
            labels=["model", "kind"],
        )
        for labels_of_tokens, count in list(self._tokens.items()):
            tokens.add_metric(labels_of_tokens, count)
        yield tokens
        latency = HistogramMetricFamily(
            "gemini_proxy_request_seconds", "Client request duration", labels=["dialect"]
        )
        for dialect, durations in list(self._durations.items()):
            counts = list(durations.counts)
            summed = [(bound, sum(counts[: i + 1])) for i, bound in enumerate(_BOUNDS)]
            latency.add_metric([dialect], summed, durations.total_s)
        yield latency
        yield GaugeMetricFamily(
            "gemini_proxy_requests_in_flight",
            "Requests being answered, waiting ones included",
            value=self.in_flight,
        )
        yield GaugeMetricFamily(
            "gemini_proxy_requests_queued",
            "Requests waiting for their turn",
            value=self.queued(),
        )
