"""The usage log: one entry per request, true totals, and a feed of changes."""

import asyncio
import sqlite3
import stat
import time
from collections.abc import Callable, Iterator
from dataclasses import replace
from datetime import date, datetime
from pathlib import Path

import pytest

from server.gemini.types import Usage
from server.limits import NAMES_COUNTED
from server.storage.metrics import Metrics
from server.storage.usage import Entry, UsageLog, _day, midnight
from tests.support import HANGS_S


def entry(number: int = 1, *, outcome: str = "ok", usage: Usage | None = None) -> Entry:
    return Entry(
        id=f"req_{number}",
        started=time.time(),
        dialect="anthropic",
        operation="generate",
        client="claude-cli",
        asked="claude-opus-5-5",
        model="gemini-2.5-pro",
        upstream="demo",
        outcome=outcome,
        usage=usage or Usage(10, 4, 3, 2),
        latency_ms=120,
        first_token_ms=30,
        queue_wait_ms=0,
        attempts=1,
        stream=True,
        mock=False,
        error=None if outcome == "ok" else "it broke",
    )


async def test_an_entry_shows_at_once_under_the_original_names(tmp_path: Path) -> None:
    log = UsageLog(tmp_path, Metrics())
    log.record(entry(1))
    log.record(entry(2, outcome="upstream"))
    log.record(entry(3, outcome="cancelled"))
    summary = await log.summary()
    log.close()
    assert summary["total_requests"] == 3
    assert summary["successful_requests"] == 1
    assert summary["failed_requests"] == 1
    assert summary["cancelled_requests"] == 1
    assert summary["requests_today"] == 3
    assert (summary["total_input_tokens"], summary["total_output_tokens"]) == (30, 15)
    assert (summary["total_cached_tokens"], summary["total_thought_tokens"]) == (12, 6)
    assert summary["requests_by_model"] == {"gemini-2.5-pro": 3}
    newest = summary["recent_requests"][0]
    assert (newest["id"], newest["success"], newest["outcome"]) == ("req_3", False, "cancelled")
    assert (newest["input_tokens"], newest["output_tokens"]) == (10, 5)
    assert newest["timestamp"].startswith("20")


async def test_totals_survive_a_restart_and_add_up_over_two_servers(tmp_path: Path) -> None:
    first, second = UsageLog(tmp_path, Metrics()), UsageLog(tmp_path, Metrics())
    first.record(entry(1))
    second.record(entry(2))
    await first.summary()
    await second.summary()
    assert (await first.summary())["total_requests"] == 2
    first.close()
    second.close()
    third = UsageLog(tmp_path, Metrics())
    assert (await third.summary())["total_requests"] == 2
    third.close()


async def test_estimates_are_marked(tmp_path: Path) -> None:
    log = UsageLog(tmp_path, Metrics())
    log.record(entry(usage=Usage(5, 0, 1, 0, estimated=True)))
    summary = await log.summary()
    log.close()
    assert summary["estimated_requests"] == 1
    assert summary["recent_requests"][0]["estimated"] is True


async def test_the_feed_tells_of_every_change_and_forgets_the_oldest(tmp_path: Path) -> None:
    log = UsageLog(tmp_path, Metrics())
    with log.feed() as feed:
        for number in range(300):
            log.record(entry(number))
        assert feed.qsize() == 256
        assert (await asyncio.wait_for(feed.get(), HANGS_S))["id"] == "req_44"
    log.record(entry(301))
    assert feed.qsize() == 255
    log.close()


async def test_the_file_is_private(tmp_path: Path) -> None:
    log = UsageLog(tmp_path, Metrics())
    log.close()
    assert stat.S_IMODE((tmp_path / "usage.sqlite3").stat().st_mode) == 0o600


async def test_a_damaged_file_is_set_aside_not_lost(tmp_path: Path) -> None:
    (tmp_path / "usage.sqlite3").write_bytes(b"this is not a database" * 100)
    log = UsageLog(tmp_path, Metrics())
    log.record(entry())
    assert log.persistent
    assert (await log.summary())["total_requests"] == 1
    log.close()
    assert len(list(tmp_path.glob("usage.sqlite3.corrupt-*"))) == 1


async def test_a_folder_that_cannot_be_used_costs_persistence_not_service(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("in the way")
    log = UsageLog(tmp_path / "file", Metrics())
    log.record(entry())
    assert not log.persistent
    assert (await log.summary())["total_requests"] == 1
    log.close()


async def test_committed_rows_are_whole(tmp_path: Path) -> None:
    log = UsageLog(tmp_path, Metrics())
    log.record(entry())
    await log.summary()
    with sqlite3.connect(tmp_path / "usage.sqlite3") as connection:
        rows = connection.execute("SELECT count(*) FROM entries").fetchone()
        days = connection.execute("SELECT sum(requests) FROM days").fetchone()
    connection.close()
    log.close()
    assert rows == days == (1,)


@pytest.mark.parametrize("outcome", ["ok", "upstream"])
async def test_metrics_count_requests_and_tokens(tmp_path: Path, outcome: str) -> None:
    metrics = Metrics()
    log = UsageLog(tmp_path, metrics)
    log.record(entry(outcome=outcome))
    log.close()
    text = metrics.render().decode()
    assert f'outcome="{outcome}"' in text
    assert 'gemini_proxy_tokens_total{kind="input",model="gemini-2.5-pro"} 10.0' in text


def test_durations_are_counted_into_every_bucket_they_fit() -> None:
    metrics = Metrics()
    for seconds in (0.05, 0.1, 0.3, 700.0):
        count(metrics, "gemini-2.5-pro", seconds)
    text = metrics.render().decode()
    named = 'gemini_proxy_request_seconds_bucket{dialect="anthropic",le="%s"} %s'
    for bound, requests in (("0.1", 2.0), ("0.25", 2.0), ("0.5", 3.0), ("600.0", 3.0)):
        assert named % (bound, requests) in text
    assert named % ("+Inf", 4.0) in text
    assert 'gemini_proxy_request_seconds_count{dialect="anthropic"} 4.0' in text
    assert 'gemini_proxy_request_seconds_sum{dialect="anthropic"} 700.45' in text


def test_clients_that_make_up_models_do_not_make_the_metrics_grow() -> None:
    metrics = Metrics()
    for number in range(NAMES_COUNTED + 100):
        count(metrics, f"gemini-{number}", 1.0)
    text = metrics.render().decode()
    assert text.count("gemini_proxy_requests_total{") == NAMES_COUNTED + 1
    assert 'model="other",outcome="ok",upstream="demo"} 100.0' in text


def count(metrics: Metrics, model: str, seconds: float) -> None:
    metrics.finished(
        dialect="anthropic",
        upstream="demo",
        model=model,
        outcome="ok",
        usage=Usage(),
        latency_s=seconds,
    )


@pytest.mark.parametrize("days", [1, 7, 30])
async def test_slices_sum_to_what_was_recorded(tmp_path: Path, days: int) -> None:
    log = UsageLog(tmp_path, Metrics())
    old = replace(entry(9), started=time.time() - 40 * 86_400)
    for one in (entry(1), entry(2), entry(3, outcome="upstream"), old):
        log.record(one)
    rows = await log.slices(days)
    log.close()
    assert {row["outcome"]: row["requests"] for row in rows} == {"ok": 2, "upstream": 1}
    assert sum(row["input_tokens"] for row in rows) == 30
    assert sum(row["latency_ms"] for row in rows) == 360
    assert {len(row["bucket"]) for row in rows} == {2 if days == 1 else 10}


@pytest.fixture
def zone(monkeypatch: pytest.MonkeyPatch) -> Iterator[Callable[[str], None]]:
    """Puts this process into a time zone."""

    def move(name: str) -> None:
        monkeypatch.setenv("TZ", name)
        time.tzset()

    yield move
    monkeypatch.undo()
    time.tzset()


@pytest.mark.skipif(not hasattr(time, "tzset"), reason="Windows has one zone for all programs")
@pytest.mark.parametrize(
    ("name", "day", "begins"),
    [
        ("Europe/Berlin", date(2026, 3, 29), "2026-03-28T23:00:00+00:00"),
        ("Europe/Berlin", date(2026, 10, 25), "2026-10-24T22:00:00+00:00"),
        ("America/Santiago", date(2026, 9, 6), "2026-09-06T04:00:00+00:00"),
        ("America/Havana", date(2026, 11, 1), "2026-11-01T04:00:00+00:00"),
        ("Pacific/Apia", date(2026, 11, 28), "2026-11-27T11:00:00+00:00"),
    ],
)
def test_a_day_begins_at_its_own_midnight(
    zone: Callable[[str], None], name: str, day: date, begins: str
) -> None:
    """In the afternoon of a day that changes the clocks, "today" began an hour off (A16)."""
    zone(name)
    moment = datetime.fromisoformat(begins).timestamp()
    assert midnight(day) == moment
    assert _day(moment) == day.isoformat()
    assert _day(moment - 1) < day.isoformat()


async def test_clients_that_make_up_names_do_not_make_the_totals_grow(tmp_path: Path) -> None:
    log = UsageLog(tmp_path, Metrics())
    for number in range(NAMES_COUNTED + 50):
        log.record(replace(entry(1), client=f"tool-{number}", model=f"gemini-{number}"))
    summary = await log.summary()
    log.close()
    for counts in (summary["requests_by_client"], summary["requests_by_model"]):
        assert len(counts) == NAMES_COUNTED + 1
        assert counts["other"] == 50
