"""What is measured (docs/performance.md has the words)."""

import tempfile
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from pathlib import Path
from statistics import median

from tests.perf.load import Plan
from tests.perf.pace import pace_us
from tests.perf.processes import Process, Summary, load, spawn

TRANSLATED = ("openai", "anthropic", "responses")
EVENTS, INTERVAL_MS = 100, 20
MOST_DELAY_MS, MOST_FIRST_MS = 50.0, 500.0
SECOND_THOUGHTS = 3
LADDER = (32, 64, 96, 128, 192, 256)


@dataclass(frozen=True, slots=True)
class Row:
    """One line of the table; ``values`` of all rounds in ``unit``, ``ratios`` to the pump,
    ``paces`` to what Python cost just then."""

    scenario: str
    dialect: str
    unit: str
    values: tuple[float, ...]
    ratios: tuple[float, ...] = ()
    details: Summary | None = None
    problems: tuple[str, ...] = ()
    paces: tuple[float, ...] = ()

    @property
    def median(self) -> float:
        return median(self.values)

    @property
    def ratio(self) -> float | None:
        return median(self.ratios) if self.ratios else None


@dataclass(frozen=True, slots=True, kw_only=True)
class Bench:
    """The running processes, and how much of everything is done."""

    server: Process
    pump: Process
    upstream: Process
    rounds: int
    seconds: float
    """Of each load that counts in time."""
    idle_s: float
    leak_requests: int
    leak_aborts: int
    starts: int
    too_slow: Callable[[Row], bool] = lambda _row: False
    """Whether a row wants a second look."""

    def loads(self, dialects: tuple[str, ...], wanted: Callable[[str], bool]) -> Iterator[Row]:
        """The scenarios that are a load, interleaved with the pump under the same load."""
        for name, per, plan in self._plans():
            if not wanted(name):
                continue
            for dialect in dialects:
                warm = replace(plan, dialect=dialect, seconds=0.3, interval_ms=0)
                self.measured(self.server, warm, per)
                yield self._row(name, dialect, per, plan)

    def _plans(self) -> Iterator[tuple[str, str, Plan]]:
        json = Plan(port=0, dialect="", streams=1, count=100_000, seconds=self.seconds)
        for streams in (1, 16, 64):
            yield f"json c={streams}", "request", replace(json, streams=streams)
        yield "agent c=4", "request", replace(json, streams=4, size="agent")
        burst = replace(json, events=EVENTS)
        for streams in (1, 16):
            yield f"burst c={streams}", "event", replace(burst, streams=streams)
        for streams in (4, 16, 64):
            paced = replace(burst, streams=streams, count=streams, interval_ms=INTERVAL_MS)
            yield f"paced c={streams}", "event", replace(paced, seconds=10)

    def _row(self, name: str, dialect: str, per: str, plan: Plan) -> Row:
        costs: list[float] = []
        ratios: list[float] = []
        paces: list[float] = []
        problems: list[str] = []
        rounds: list[Summary] = []
        while len(rounds) < self.rounds or self._again(name, dialect, ratios, paces):
            floor, _ = self.measured(self.pump, replace(plan, dialect="gemini"), per)
            before = pace_us()
            cost, details = self.measured(self.server, replace(plan, dialect=dialect), per)
            cost_us = cost * 1e3 if per == "request" else cost
            costs.append(cost)
            ratios.append(cost / floor)
            paces.append(cost_us / median((before, pace_us())))
            rounds.append(details)
            problems += failures(details)
        unit = "ms/request" if per == "request" else "us/event"
        rounds.sort(key=lambda details: details["first_p99_ms"])
        middle = rounds[len(rounds) // 2]
        figures = tuple(costs), tuple(ratios), middle, tuple(problems), tuple(paces)
        return Row(name, dialect, unit, *figures)

    def _again(self, name: str, dialect: str, ratios: list[float], paces: list[float]) -> bool:
        """Whether a cost too high to be true gets another round: other work may be to blame."""
        row = Row(name, dialect, "", (), tuple(ratios), paces=tuple(paces))
        return self.too_slow(row) and len(ratios) < self.rounds + SECOND_THOUGHTS

    def measured(self, process: Process, plan: Plan, per: str) -> tuple[float, Summary]:
        """CPU of one load per request (ms) or per event (us)."""
        process.settle()
        before = process.cpu_s()
        done = load(replace(plan, port=process.port))
        process.settle()
        used = process.cpu_s() - before
        if per == "request":
            return used * 1e3 / max(1, int(done["requests"])), done
        return used * 1e6 / max(1, int(done["events"])), done

    def ladder(self, dialect: str) -> Row:
        """The most paced streams within the limits."""
        held = 0
        details: Summary = {}
        for streams in LADDER:
            plan = Plan(
                port=self.server.port,
                dialect=dialect,
                streams=streams,
                count=streams * 2,
                seconds=10,
                events=EVENTS,
                interval_ms=INTERVAL_MS,
            )
            self.server.settle()
            details = load(plan)
            late = float(details["delay_p99_ms"]) >= MOST_DELAY_MS
            if failures(details) or late or float(details["first_p99_ms"]) >= MOST_FIRST_MS:
                break
            held = streams
        return Row("ladder", dialect, "streams", (held,), details=details)

    def start(self) -> Iterator[Row]:
        """From spawn to the first answer of ``/health``."""
        cpus, walls = [], []
        for _ in range(self.starts):
            with tempfile.TemporaryDirectory() as folder:
                began = time.monotonic()
                process, child = spawn(self.upstream.port, Path(folder))
                walls.append(time.monotonic() - began)
                cpus.append(process.cpu_s())
                child.terminate()
                child.wait(60)
        yield Row("start", "", "s CPU", tuple(cpus))
        yield Row("start, wall time", "", "s", tuple(walls))

    def idle(self) -> Iterator[Row]:
        """Context switches of a server nobody asks, and its memory."""
        self.server.settle()
        time.sleep(1)
        before = self.server.switches()
        time.sleep(self.idle_s)
        switches = (self.server.switches() - before) / self.idle_s
        yield Row("idle", "", "switches/s", (switches,))

    def leak(self) -> Row:
        """Memory before and after many requests and abandoned streams."""
        json = Plan(
            port=self.server.port,
            dialect="openai",
            streams=16,
            count=self.leak_requests,
            seconds=900,
        )
        aborts = replace(
            json, count=self.leak_aborts, events=EVENTS, interval_ms=INTERVAL_MS, abort_after=3
        )
        problems = failures(load(replace(json, count=min(2_000, self.leak_requests))))
        self.server.settle()
        before = self.server.rss_mb()
        problems += failures(load(json)) + failures(load(aborts))
        self.server.settle()
        grown = self.server.rss_mb() - before
        return Row("leak", "openai", "MB", (grown,), problems=tuple(problems))


def memory(server: Process, when: str) -> Row:
    return Row(f"memory {when}", "", "MB", (server.rss_mb(),))


def failures(done: Summary) -> list[str]:
    """What makes a load void."""
    found = []
    if done["errors"]:
        found.append(f"{done['errors']} errors: {done['first_error']}")
    if done["missing"]:
        found.append(f"{done['missing']} events missing")
    if not done["requests"]:
        found.append("nothing was answered")
    return found
