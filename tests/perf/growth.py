"""Whether cost stays flat: in recorded requests, open streams, and the length of a conversation."""

import sqlite3
import tempfile
import time
import urllib.request
from collections.abc import Iterator
from contextlib import closing
from dataclasses import replace
from pathlib import Path

from server.storage.metrics import Metrics
from server.storage.usage import UsageLog
from tests.perf.load import Plan
from tests.perf.processes import Process, proxy
from tests.perf.scenarios import EVENTS, INTERVAL_MS, Bench, Row, failures

ROWS = (0, 10_000, 1_000_000)
STREAMS = (16, 64, 128, 256)
CHARS = (3_000, 30_000, 190_000, 1_000_000, 4_000_000)

_FILL = """
WITH RECURSIVE numbers(n) AS (SELECT 1 UNION ALL SELECT n + 1 FROM numbers WHERE n < ?)
INSERT INTO entries (id, started, dialect, operation, client, asked, model, upstream, outcome,
    input_tokens, output_tokens, cached_tokens, thought_tokens, estimated, latency_ms,
    first_token_ms, queue_wait_ms, attempts, stream, mock)
SELECT 'req_' || n, unixepoch() - n * 20, 'openai-chat', 'generate', 'editor-' || (n % 5), 'gpt-5',
    'gemini-2.5-pro', 'gemini-api', 'ok', 700, 25, 0, 0, 0, 900, 300, 0, 1, 1, 0 FROM numbers
"""
_SUM = """
INSERT INTO days
SELECT date(started, 'unixepoch', 'localtime'), dialect, client, model, upstream, outcome, count(*),
    sum(input_tokens), sum(output_tokens), 0, 0, 0, sum(latency_ms), count(*)
FROM entries GROUP BY 1, 2, 3, 4, 5, 6
"""


def growth(bench: Bench) -> Iterator[Row]:
    """Every curve, point by point."""
    for rows in ROWS:
        yield from in_history(bench, rows)
    paced = Plan(port=0, dialect="anthropic", streams=1, count=1, seconds=10, events=EVENTS)
    for streams in STREAMS:
        plan = replace(paced, streams=streams, count=streams, interval_ms=INTERVAL_MS)
        yield point(bench, bench.server, f"growth streams={streams}", "us/event", plan)
    for chars in CHARS:
        count = max(4, min(400, 8_000_000 // chars))
        plan = replace(paced, streams=2, count=count, events=0, size=str(chars))
        yield point(bench, bench.server, f"growth body={chars // 1000} kB", "ms/request", plan)


def in_history(bench: Bench, rows: int) -> Iterator[Row]:
    """A server that has already recorded so many requests."""
    with tempfile.TemporaryDirectory() as folder:
        fill(Path(folder), rows)
        with proxy(bench.upstream.port, Path(folder)) as server:
            plan = Plan(port=0, dialect="openai", streams=16, count=1_500, seconds=30)
            bench.measured(server, replace(plan, count=200), "request")
            yield point(bench, server, f"growth rows={rows}", "ms/request", plan)
            yield Row(f"growth /usage rows={rows}", "", "ms", tuple(usage_ms(server, 5)))


def fill(folder: Path, rows: int) -> None:
    """A usage database with ``rows`` requests, one every 20 s until now."""
    UsageLog(folder, Metrics()).close()
    with closing(sqlite3.connect(folder / "usage.sqlite3")) as database, database:
        if rows:
            database.execute(_FILL, (rows,))
            database.execute(_SUM)


def usage_ms(server: Process, times: int) -> Iterator[float]:
    """How long ``/usage`` takes, in milliseconds of wall time."""
    for _ in range(times):
        began = time.monotonic()
        with urllib.request.urlopen(f"http://127.0.0.1:{server.port}/usage", timeout=30) as answer:
            answer.read()
        yield (time.monotonic() - began) * 1e3


def point(bench: Bench, server: Process, name: str, unit: str, plan: Plan) -> Row:
    """One point of a curve: the same load a few times."""
    costs, problems = [], []
    for _ in range(min(bench.rounds, 3)):
        cost, details = bench.measured(server, plan, unit.partition("/")[2])
        costs.append(cost)
        problems += failures(details)
    return Row(name, plan.dialect, unit, tuple(costs), details=details, problems=tuple(problems))
