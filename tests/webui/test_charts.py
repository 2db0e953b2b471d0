"""Usage as geometry."""

from datetime import date
from typing import Any

import pytest

from webui import charts


def row(bucket: str, model: str, requests: int, outcome: str = "ok", **more: Any) -> charts.Row:
    tokens = dict.fromkeys(
        ("input_tokens", "output_tokens", "cached_tokens", "thought_tokens", "estimated_requests"),
        0,
    )
    base = {"bucket": bucket, "model": model, "client": "c", "outcome": outcome}
    return {**base, "requests": requests, "latency_ms": 100 * requests, **tokens, **more}


def chart(*rows: charts.Row) -> charts.Chart:
    buckets = {"1": "one", "2": "two", "3": "three"}
    return charts.stacked(
        rows, "model", buckets, title="T", unit="requests", measure=charts.requests_of
    )


def test_stacks_stand_on_each_other_and_do_not_overlap() -> None:
    drawn = chart(row("1", "a", 3), row("1", "b", 1), row("2", "a", 2))
    assert drawn.names == ("a", "b")
    assert drawn.top == 4
    assert drawn.total == 6
    first, second, third = drawn.bars
    assert first.y + first.height == charts.HEIGHT
    assert second.y + second.height == first.y
    assert second.y == 0
    assert third.height == 50
    assert third.x > first.x
    assert first.title == "one, a: 3 requests"


@pytest.mark.parametrize(
    ("highest", "top"), [(0, 0), (1, 1), (3, 4), (9, 10), (10, 10), (26, 30), (872_931, 1_000_000)]
)
def test_the_scale_ends_at_a_round_number(highest: int, top: int) -> None:
    assert charts.rounded_up(highest) == top


def test_many_names_are_drawn_as_five() -> None:
    drawn = chart(*(row("2", f"m{number}", 10 - number) for number in range(8)))
    assert drawn.names == ("m0", "m1", "m2", "m3", "other")
    assert drawn.table[1] == ("two", (10, 9, 8, 7, 6 + 5 + 4 + 3))


def test_nothing_draws_nothing() -> None:
    drawn = chart()
    assert drawn.bars == ()
    assert drawn.top == 0
    assert drawn.ticks == ("one", "two", "three")


def test_the_parts_of_a_chart_sum_to_the_total() -> None:
    rows = [row(str(number % 3 + 1), f"m{number % 7}", number) for number in range(40)]
    assert chart(*rows).total == charts.totals(rows).requests


@pytest.mark.parametrize(("days", "first", "last"), [(1, "00:00", "23:00"), (7, "26 Feb", "4 Mar")])
def test_buckets_end_today(days: int, first: str, last: str) -> None:
    labels = list(charts.buckets_of(days, date(2026, 3, 4)).values())
    assert (labels[0], labels[-1]) == (first, last)
    assert len(labels) == (24 if days == 1 else days)


def test_totals_tell_failed_from_cancelled() -> None:
    rows = [row("1", "a", 5), row("1", "a", 2, "cancelled"), row("1", "a", 3, "rate_limit")]
    sums = charts.totals(rows)
    assert (sums.requests, sums.failed, sums.cancelled, sums.mean_ms) == (10, 3, 2, 100)
    assert charts.totals([]).mean_ms is None


def test_shares_are_of_the_busiest() -> None:
    lines = charts.shares([row("1", "a", 1), row("1", "", 4, "upstream")], "model")
    assert [(line.name, line.requests, line.failed, line.percent) for line in lines] == [
        ("none", 4, 4, 100.0),
        ("a", 1, 0, 25.0),
    ]
