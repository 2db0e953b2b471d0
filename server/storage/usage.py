"""The usage log: one entry per client request, and what pages and scrapers read of it.

``record`` is called in one place (the pipeline's ``finally``), is synchronous and never waits: it
updates the metrics, tells the change feed and queues the row. Daily totals are kept beside the
rows, so that a page costs the same with a million entries.
"""

import asyncio
import contextlib
import json
import time
from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass, fields
from datetime import date, datetime, timedelta
from itertools import accumulate, takewhile
from operator import attrgetter
from pathlib import Path
from typing import Any

from server.gemini.types import Usage
from server.limits import DROPPED_CHARS, NAMES_COUNTED
from server.storage.database import Store
from server.storage.metrics import Metrics, Names

RECENT = 100
FEED_LENGTH = 256


@dataclass(frozen=True, slots=True, kw_only=True)
class Entry:
    """One finished client request."""

    id: str
    started: float
    """Unix seconds."""
    dialect: str
    operation: str
    client: str
    """The program that called, as far as its User-Agent says."""
    asked: str
    """The model name the client asked for."""
    model: str
    """The Gemini id; empty when the request failed before one was chosen."""
    served: str = ""
    """The model that answered, where it was another."""
    instead_of: str = ""
    """The model that a name meant first, and that is refused to the credential."""
    upstream: str
    outcome: str
    """``ok``, ``cancelled``, or the kind of the error."""
    usage: Usage
    latency_ms: int
    first_token_ms: int | None
    queue_wait_ms: int
    attempts: int
    """Requests sent upstream for it."""
    stream: bool
    mock: bool
    error: str | None
    dropped: tuple[str, ...] = ()
    """What of the request was not passed on (``x-proxy-dropped``): each path once."""


_SCHEMA = """
CREATE TABLE IF NOT EXISTS entries (
    number INTEGER PRIMARY KEY, id TEXT, started REAL, dialect TEXT, operation TEXT, client TEXT,
    asked TEXT, model TEXT, upstream TEXT, outcome TEXT, input_tokens INTEGER,
    output_tokens INTEGER, cached_tokens INTEGER, thought_tokens INTEGER, estimated INTEGER,
    latency_ms INTEGER, first_token_ms INTEGER, queue_wait_ms INTEGER, attempts INTEGER,
    stream INTEGER, mock INTEGER, error TEXT
);
CREATE INDEX IF NOT EXISTS entries_started ON entries (started);
CREATE TABLE IF NOT EXISTS days (
    day TEXT, dialect TEXT, client TEXT, model TEXT, upstream TEXT, outcome TEXT,
    requests INTEGER, input_tokens INTEGER, output_tokens INTEGER, cached_tokens INTEGER,
    thought_tokens INTEGER, estimated_requests INTEGER, latency_ms INTEGER, attempts INTEGER,
    PRIMARY KEY (day, dialect, client, model, upstream, outcome)
);
CREATE TABLE IF NOT EXISTS losses (id TEXT PRIMARY KEY, dropped TEXT);
CREATE TRIGGER IF NOT EXISTS losses_end AFTER DELETE ON entries
    BEGIN DELETE FROM losses WHERE id = old.id; END;
CREATE TABLE IF NOT EXISTS answers (id TEXT PRIMARY KEY, served TEXT, instead_of TEXT);
CREATE TRIGGER IF NOT EXISTS answers_end AFTER DELETE ON entries
    BEGIN DELETE FROM answers WHERE id = old.id; END;
"""
_ADD_LOSSES = "INSERT OR REPLACE INTO losses VALUES (?, ?)"
_RECENT = """
SELECT entries.*, losses.dropped, answers.served, answers.instead_of
FROM entries LEFT JOIN losses USING (id) LEFT JOIN answers USING (id)
ORDER BY number DESC LIMIT ?
"""
_ADD_DAY = """
INSERT INTO days VALUES (?, ?, ?, ?, ?, ?, 1, ?, ?, ?, ?, ?, ?, ?)
ON CONFLICT DO UPDATE SET
    requests = requests + 1,
    input_tokens = input_tokens + excluded.input_tokens,
    output_tokens = output_tokens + excluded.output_tokens,
    cached_tokens = cached_tokens + excluded.cached_tokens,
    thought_tokens = thought_tokens + excluded.thought_tokens,
    estimated_requests = estimated_requests + excluded.estimated_requests,
    latency_ms = latency_ms + excluded.latency_ms,
    attempts = attempts + excluded.attempts
"""
_TOTALS = """
    sum(requests) AS requests, sum(input_tokens) AS input_tokens,
    sum(output_tokens) AS output_tokens, sum(cached_tokens) AS cached_tokens,
    sum(thought_tokens) AS thought_tokens, sum(estimated_requests) AS estimated_requests,
    sum(CASE outcome WHEN 'ok' THEN requests ELSE 0 END) AS successful,
    sum(CASE outcome WHEN 'cancelled' THEN requests ELSE 0 END) AS cancelled,
    sum(attempts) AS attempts, sum(latency_ms) AS latency_ms
"""


class UsageLog:
    """Entries in ``usage.sqlite3``, totals by day, and a live feed of changes."""

    def __init__(self, data_dir: Path, metrics: Metrics) -> None:
        self.metrics = metrics
        self._store = Store(data_dir / "usage.sqlite3", _SCHEMA)
        self._clients, self._models = Names(), Names()
        self._feeds: set[asyncio.Queue[dict[str, Any]]] = set()

    @property
    def persistent(self) -> bool:
        return self._store.persistent

    def record(self, entry: Entry, retry_after_s: float | None = None) -> None:
        """Write the one entry of a request. ``retry_after_s``: for the feed, of a refusal."""
        self.metrics.finished(
            dialect=entry.dialect,
            upstream=entry.upstream,
            model=entry.model,
            outcome=entry.outcome,
            usage=entry.usage,
            latency_s=entry.latency_ms / 1000,
        )
        lost = [(_ADD_LOSSES, (entry.id, kept_names(entry.dropped)))] if entry.dropped else []
        client = self._clients.counted_as(entry.client)
        model = self._models.counted_as(entry.model)
        self._store.write(
            _insert(entry), *_insert_answer(entry), _add_to_day(entry, client, model), *lost
        )
        if self._feeds:
            self.publish({"type": "finished", "retry_after_s": retry_after_s, **public(entry)})

    def publish(self, change: dict[str, Any]) -> None:
        """Tell every open feed; a feed that does not keep up loses its oldest news."""
        for feed in self._feeds:
            if feed.full():
                feed.get_nowait()
            feed.put_nowait(change)

    @contextlib.contextmanager
    def feed(self) -> Iterator["asyncio.Queue[dict[str, Any]]"]:
        """A queue of changes: ``{"type": "started" | "finished", "id": ..., ...}``."""
        queue: asyncio.Queue[dict[str, Any]] = asyncio.Queue(FEED_LENGTH)
        self._feeds.add(queue)
        try:
            yield queue
        finally:
            self._feeds.discard(queue)

    async def summary(self) -> dict[str, Any]:
        """The body of ``GET /usage``; includes everything recorded before the call."""
        return await asyncio.to_thread(self._summary)

    async def slices(self, days: int) -> list[dict[str, Any]]:
        """What charts are drawn from: one row per bucket, model, client and outcome.

        ``bucket`` is an hour (``00`` to ``23``) for one day, which is today; otherwise a day.
        """
        return await asyncio.to_thread(self._slices, days)

    def close(self) -> None:
        """Commit everything; called once, at stop."""
        self._store.close()

    def _summary(self) -> dict[str, Any]:
        self._store.flush()
        read = self._store.read
        total = read(f"SELECT {_TOTALS} FROM days")[0]  # noqa: S608  # constant text
        today = read("SELECT sum(requests) FROM days WHERE day = ?", (_day(time.time()),))[0][0]
        recent = read(_RECENT, (RECENT,))
        requests = total["requests"] or 0
        successful, cancelled = total["successful"] or 0, total["cancelled"] or 0
        return {
            "total_requests": requests,
            "successful_requests": successful,
            "failed_requests": requests - successful - cancelled,
            "cancelled_requests": cancelled,
            "requests_today": today or 0,
            "total_input_tokens": total["input_tokens"] or 0,
            "total_output_tokens": total["output_tokens"] or 0,
            "total_cached_tokens": total["cached_tokens"] or 0,
            "total_thought_tokens": total["thought_tokens"] or 0,
            "estimated_requests": total["estimated_requests"] or 0,
            "upstream_requests": total["attempts"] or 0,
            "requests_by_model": self._count_by("model"),
            "requests_by_client": self._count_by("client"),
            "requests_by_dialect": self._count_by("dialect"),
            "requests_by_upstream": self._count_by("upstream"),
            "recent_requests": [_row_public(dict(row)) for row in recent],
        }

    def _count_by(self, column: str) -> dict[str, int]:
        rows = self._store.read(
            f"SELECT {column}, sum(requests) FROM days WHERE {column} != '' "  # noqa: S608
            f"GROUP BY {column} ORDER BY 2 DESC LIMIT {2 * NAMES_COUNTED}"
        )
        return {row[0]: row[1] for row in rows}

    def _slices(self, days: int) -> list[dict[str, Any]]:
        self._store.flush()
        today = datetime.now().astimezone().date()
        if days == 1:
            rows = self._store.read(_TODAY, (midnight(today),))
        else:
            first = today - timedelta(days=days - 1)
            rows = self._store.read(_DAYS, (first.isoformat(),))
        return [dict(row) for row in rows]


_TODAY = """
SELECT strftime('%H', started, 'unixepoch', 'localtime') AS bucket, model, client, outcome,
    count(*) AS requests, sum(input_tokens) AS input_tokens, sum(output_tokens) AS output_tokens,
    sum(cached_tokens) AS cached_tokens, sum(thought_tokens) AS thought_tokens,
    sum(estimated) AS estimated_requests, sum(latency_ms) AS latency_ms
FROM entries WHERE started >= ? GROUP BY 1, 2, 3, 4
"""
_DAYS = """
SELECT day AS bucket, model, client, outcome, sum(requests) AS requests,
    sum(input_tokens) AS input_tokens, sum(output_tokens) AS output_tokens,
    sum(cached_tokens) AS cached_tokens, sum(thought_tokens) AS thought_tokens,
    sum(estimated_requests) AS estimated_requests, sum(latency_ms) AS latency_ms
FROM days WHERE day >= ? GROUP BY 1, 2, 3, 4
"""


def public(entry: Entry) -> dict[str, Any]:
    """An entry as ``/usage`` and the feed show it; the first names are the original program's."""
    values = asdict(entry)
    usage: Usage = entry.usage
    del values["usage"]
    return _row_public(
        {
            **values,
            "input_tokens": usage.prompt_tokens,
            "output_tokens": usage.output_tokens,
            "cached_tokens": usage.cached_tokens,
            "thought_tokens": usage.thoughts_tokens,
            "estimated": usage.estimated,
            "dropped": kept_names(entry.dropped),
        }
    )


def kept_names(names: Sequence[str]) -> str:
    """A JSON list of the names, as long as one may be; the last is then ``+N``."""
    ends = accumulate(len(name) + 4 for name in names)
    whole = sum(1 for _ in takewhile(lambda end: end <= DROPPED_CHARS, ends))
    rest = [f"+{len(names) - whole}"] if whole < len(names) else []
    return json.dumps([*names[:whole], *rest])


def _row_public(row: dict[str, Any]) -> dict[str, Any]:
    started = datetime.fromtimestamp(row.pop("started")).astimezone()
    row.pop("number", None)
    return {
        "timestamp": started.isoformat(timespec="milliseconds"),
        "success": row["outcome"] == "ok",
        **row,
        "served": row.get("served") or row["model"],
        "instead_of": row.get("instead_of") or "",
        **{flag: bool(row[flag]) for flag in ("estimated", "stream", "mock")},
        "dropped": json.loads(row["dropped"] or "[]"),
    }


def _insert(entry: Entry) -> tuple[str, tuple[Any, ...]]:
    usage = entry.usage
    return _ADD, (
        *_facts(entry),
        usage.prompt_tokens,
        usage.output_tokens,
        usage.cached_tokens,
        usage.thoughts_tokens,
        usage.estimated,
    )


_ANSWER = ("served", "instead_of")
"""Columns of a table of their own: earlier versions that share the folder know only the others."""
_FACTS = tuple(f.name for f in fields(Entry) if f.name not in ("usage", "dropped", *_ANSWER))
_TOKENS = ("input_tokens", "output_tokens", "cached_tokens", "thought_tokens", "estimated")
_facts = attrgetter(*_FACTS)
_ADD = (
    f"INSERT INTO entries ({', '.join(_FACTS + _TOKENS)}) "  # noqa: S608
    f"VALUES ({', '.join('?' * len(_FACTS + _TOKENS))})"
)


def _insert_answer(entry: Entry) -> list[tuple[str, tuple[Any, ...]]]:
    """Who answered, where that is not simply the model asked for."""
    if not (entry.served or entry.instead_of):
        return []
    values = (entry.id, entry.served, entry.instead_of)
    return [("INSERT OR REPLACE INTO answers VALUES (?, ?, ?)", values)]


def _add_to_day(entry: Entry, client: str, model: str) -> tuple[str, tuple[Any, ...]]:
    usage = entry.usage
    return _ADD_DAY, (
        _day(entry.started),
        entry.dialect,
        client,
        model,
        entry.upstream,
        entry.outcome,
        usage.prompt_tokens,
        usage.output_tokens,
        usage.cached_tokens,
        usage.thoughts_tokens,
        int(usage.estimated),
        entry.latency_ms,
        entry.attempts,
    )


def midnight(day: date) -> float:
    """The Unix time at which a local day begins, by the rules of the zone on that day.

    The first of two midnights, or the first moment of a day that has none.
    """
    return datetime(day.year, day.month, day.day).timestamp()  # noqa: DTZ001  # local on purpose


def _day(moment: float) -> str:
    """The local calendar day of a Unix time."""
    return time.strftime("%Y-%m-%d", time.localtime(moment))
