"""Clients: keep-alive connections that ask, count stamps and measure delays.

``python -m tests.perf.load '{json}'`` does one ``Plan`` and prints one ``Result`` as JSON. Every
plan ends by itself: after ``count`` requests or ``seconds``, whichever comes first, and at the
latest a minute later.
"""

import asyncio
import json
import re
import sys
import time
from collections.abc import Sequence
from dataclasses import asdict, dataclass, field

from tests.perf import bodies

_STAMP = re.compile(rb"@(\d{20})@")
_TAIL = 32
_LAST_CHUNK = b"\r\n0\r\n\r\n"


@dataclass(frozen=True, kw_only=True)
class Plan:
    """One load."""

    port: int
    dialect: str
    streams: int
    """Connections, each with one request at a time."""
    count: int
    seconds: float
    size: str = "small"
    events: int = 0
    """Expected in every stream; 0: the answer is one JSON body."""
    interval_ms: int = 0
    abort_after: int = 0
    """Events after which the client leaves; 0: it stays to the end."""


@dataclass
class Result:
    """What came of it."""

    requests: int = 0
    """Answered to the end (or left, where leaving was the plan)."""
    events: int = 0
    errors: int = 0
    missing: int = 0
    seconds: float = 0.0
    delays_ms: list[float] = field(default_factory=list)
    first_ms: list[float] = field(default_factory=list)
    first_error: str = ""


@dataclass
class Load:
    """A plan being carried out."""

    plan: Plan
    result: Result = field(default_factory=Result)
    started: int = 0
    open: int = 0

    def __post_init__(self) -> None:
        plan = self.plan
        model = bodies.model_name(plan.events or 1, plan.interval_ms)
        self.request = bodies.request(plan.dialect, model, stream=plan.events > 0, size=plan.size)
        self.finished = asyncio.Event()

    async def run(self) -> Result:
        loop = asyncio.get_running_loop()
        began = time.monotonic()
        self.ends_at = began + self.plan.seconds
        # Streams begin spread over one interval, so that they do not march in step.
        spread = self.plan.interval_ms / 1000 / self.plan.streams
        for _ in range(self.plan.streams):
            await loop.create_connection(lambda: Client(self), "127.0.0.1", self.plan.port)
            await asyncio.sleep(spread)
        try:
            await asyncio.wait_for(self.finished.wait(), self.plan.seconds + 60)
        except TimeoutError:
            self.fail("the load did not end")
        self.result.seconds = time.monotonic() - began
        return self.result

    def may_start(self) -> bool:
        going = self.started < self.plan.count and time.monotonic() < self.ends_at
        self.started += going
        return going

    def fail(self, why: str) -> None:
        self.result.errors += 1
        self.result.first_error = self.result.first_error or why


class Client(asyncio.Protocol):
    """One connection: the next request goes out when the last answer has ended."""

    def __init__(self, load: Load) -> None:
        self.load, self.plan, self.result = load, load.plan, load.result
        self._busy = False

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        assert isinstance(transport, asyncio.Transport)
        self.transport = transport
        self.load.open += 1
        self._next()

    def connection_lost(self, exc: Exception | None) -> None:
        if self._busy:
            self.load.fail("the connection broke")
        self.load.open -= 1
        if self.plan.abort_after and self.load.may_start():
            self.load.started -= 1
            loop = asyncio.get_running_loop()
            self._again = loop.create_task(
                loop.create_connection(lambda: Client(self.load), "127.0.0.1", self.plan.port)
            )
        elif self.load.open == 0:
            self.load.finished.set()

    def _next(self) -> None:
        self._tail, self._head, self._left = b"", b"", -1
        self._events, self._last = 0, 0
        self._busy = self.load.may_start()
        if self._busy:
            self._asked = time.monotonic_ns()
            self.transport.write(self.load.request)
        else:
            self.transport.close()

    def data_received(self, data: bytes) -> None:
        now = time.monotonic_ns()
        if not self._busy:
            return
        if self._left < 0 and not self._tail:
            data = self._read_head(self._head + data)
            if not data and not self._tail:
                return
        window = self._tail[-_TAIL:] + data
        if self.plan.events:
            self._stamps(window, now)
        self._tail = window[-_TAIL:]
        self._left -= len(data)
        chunked_end = self._left < 0 and self._tail.endswith(_LAST_CHUNK)
        if self.plan.abort_after and self._events >= self.plan.abort_after:
            self._busy = False
            self.result.requests += 1
            self.transport.abort()
        elif chunked_end or self._left == 0:
            self._end(now)

    def _read_head(self, data: bytes) -> bytes:
        """Read the head once it is whole; returns what follows it."""
        head, blank, rest = data.partition(b"\r\n\r\n")
        if not blank:
            self._head = data
            return b""
        if b" 200" not in head[:16]:
            self.load.fail(data[:300].decode("latin-1"))
        length = re.search(rb"content-length: *(\d+)", head, re.I)
        self._left = int(length[1]) if length else -1
        self._tail = b"\r\n"
        return rest

    def _stamps(self, window: bytes, now: int) -> None:
        # An answer repeated at the end (Responses) has old stamps: each event counts once.
        for found in _STAMP.finditer(window):
            stamp = int(found[1])
            if stamp > self._last:
                self._last = stamp
                self._events += 1
                self.result.delays_ms.append((now - stamp) / 1e6)
                if self._events == 1:
                    self.result.first_ms.append((now - self._asked) / 1e6)

    def _end(self, now: int) -> None:
        self.result.requests += 1
        self.result.events += self._events
        if not self.plan.events:
            self.result.first_ms.append((now - self._asked) / 1e6)
        self.result.missing += max(0, self.plan.events - self._events)
        self._next()


def percentile(values: Sequence[float], share: float) -> float:
    """The value below which ``share`` of them lie; 0 for none."""
    ordered = sorted(values)
    return ordered[min(len(ordered) - 1, int(len(ordered) * share))] if ordered else 0.0


def summary(result: Result) -> dict[str, float | int | str]:
    """The result with percentiles in place of lists."""
    values = asdict(result)
    delays, firsts = values.pop("delays_ms"), values.pop("first_ms")
    return values | {
        f"{name}_p{share}_ms": round(percentile(times, share / 100), 3)
        for name, times in (("delay", delays), ("first", firsts))
        for share in (50, 99)
    }


async def _run(plan: Plan) -> Result:
    return await Load(plan).run()


if __name__ == "__main__":
    done = asyncio.run(_run(Plan(**json.loads(sys.argv[1]))))
    print(json.dumps(summary(done)), flush=True)  # noqa: T201
