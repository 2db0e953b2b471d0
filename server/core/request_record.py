"""One client request from its first byte to its usage entry: the facts, gathered as they appear."""

import re
import time
from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import lru_cache
from time import monotonic

from server.core.throttle import Ticket
from server.errors import ProxyError
from server.gemini.types import Call, EmbedCall, Usage
from server.limits import CLIENT_CHARS
from server.redaction import blank_shapes
from server.storage.usage import Entry


@dataclass(slots=True, kw_only=True)
class Exchange:
    """What headers, pages and the usage log need to know about one request."""

    id: str
    dialect: str
    operation: str
    client: str
    asked: str = ""
    model: str = ""
    served: str = ""
    """The model that answered, where Google names another than ``model``."""
    instead_of: str = ""
    """The model that was meant first, and is refused to this credential."""
    upstream: str = ""
    stream: bool = False
    mock: bool = False
    attempts: int = 0
    tickets: list[Ticket] = field(default_factory=list)
    """Its places in the queue, one for each choice."""
    dropped: tuple[str, ...] = ()
    outcome: str = "ok"
    error: str | None = None
    retry_after_s: float | None = None
    """When the client was told to come back, where it was refused."""
    usage_by_request: dict[int, Usage] = field(default_factory=dict)
    """Tokens of each request sent upstream, by its number; a failed attempt is billed as well."""
    first_token_s: float | None = None
    started: float = field(default_factory=time.time)
    began: float = field(default_factory=monotonic)

    def accept(self, call: Call | EmbedCall) -> None:
        """The body was understood. A key typed where a model's name belongs is not kept."""
        self.asked = blank_shapes(call.model)
        self.dropped = call.dropped
        self.stream = isinstance(call, Call) and call.stream

    def answered(self) -> None:
        """The first piece of the answer is here."""
        if self.first_token_s is None:
            self.first_token_s = monotonic() - self.began

    def fail(self, error: ProxyError) -> None:
        self.outcome, self.error = error.kind, error.message
        self.retry_after_s = error.retry_after_s

    @property
    def queue_wait_s(self) -> float:
        """Seconds spent waiting for a turn so far."""
        return max((ticket.waited_s for ticket in self.tickets), default=0.0)

    @property
    def usage(self) -> Usage:
        """Tokens of every request sent upstream for it: each choice, each attempt."""
        return sum(self.usage_by_request.values(), Usage())

    def entry(self) -> Entry:
        """The one usage entry of this request, as of now."""
        first = self.first_token_s
        return Entry(
            id=self.id,
            started=self.started,
            dialect=self.dialect,
            operation=self.operation,
            client=self.client,
            asked=self.asked,
            model=blank_shapes(self.model),
            served=self.served,
            instead_of=self.instead_of,
            upstream=self.upstream,
            outcome=self.outcome,
            usage=self.usage,
            latency_ms=round((monotonic() - self.began) * 1000),
            first_token_ms=None if first is None else round(first * 1000),
            queue_wait_ms=round(self.queue_wait_s * 1000),
            attempts=self.attempts,
            stream=self.stream,
            mock=self.mock,
            error=self.error,
            dropped=tuple(dict.fromkeys(self.dropped)),
        )


def client_name(headers: Mapping[str, str]) -> str:
    """The calling program, from the first word of its User-Agent without the version."""
    return _program(headers.get("user-agent", ""))


@lru_cache(maxsize=64)  # few programs call, and each many times
def _program(agent: str) -> str:
    words = re.match(r"\s*([^\s(]+)", agent)
    if words is None:
        return "unknown"
    name = words[1].rsplit("/", 1)
    whole = name[0] if len(name) == 2 and name[1][:1].isdigit() else words[1]
    return blank_shapes(whole)[:CLIENT_CHARS]
