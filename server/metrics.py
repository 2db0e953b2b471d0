"""Numbers for Prometheus (``GET /metrics``)."""

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram, generate_latest

from server.gemini.types import Usage

CONTENT_TYPE = "text/plain; version=0.0.4; charset=utf-8"

_LATENCY_BUCKETS = (0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30, 60, 120, 300, 600)


class Metrics:
    """Counters and gauges of one server, in a registry of its own."""

    def __init__(self) -> None:
        self._registry = CollectorRegistry()
        self._requests = Counter(
            "gemini_proxy_requests",
            "Client requests by outcome",
            ["dialect", "upstream", "model", "outcome"],
            registry=self._registry,
        )
        self._tokens = Counter(
            "gemini_proxy_tokens",
            "Tokens by kind (cached is part of input, thought part of output)",
            ["model", "kind"],
            registry=self._registry,
        )
        self._latency = Histogram(
            "gemini_proxy_request_seconds",
            "Client request duration",
            ["dialect"],
            buckets=_LATENCY_BUCKETS,
            registry=self._registry,
        )
        self.in_flight = Gauge(
            "gemini_proxy_requests_in_flight",
            "Requests being answered, waiting ones included",
            registry=self._registry,
        )
        self.queued = Gauge(
            "gemini_proxy_requests_queued",
            "Requests waiting for their turn",
            registry=self._registry,
        )

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
        self._requests.labels(dialect, upstream, model, outcome).inc()
        self._latency.labels(dialect).observe(latency_s)
        for kind, tokens in (
            ("input", usage.prompt_tokens),
            ("cached", usage.cached_tokens),
            ("output", usage.output_tokens),
            ("thought", usage.thoughts_tokens),
        ):
            if tokens:
                self._tokens.labels(model, kind).inc(tokens)

    def render(self) -> bytes:
        """The text format, ``CONTENT_TYPE``."""
        return generate_latest(self._registry)
