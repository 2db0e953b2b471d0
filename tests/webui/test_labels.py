"""Numbers and moments as a person reads them."""

from datetime import datetime, timedelta

import pytest

from webui import labels


@pytest.mark.parametrize(
    ("number", "text"),
    [(0, "0"), (950, "950"), (1234, "1.2k"), (48_211, "48k"), (3_100_000, "3.1M"), (2e9, "2.0G")],
)
def test_short_numbers(number: float, text: str) -> None:
    assert labels.short(number) == text


@pytest.mark.parametrize(
    ("milliseconds", "text"),
    [(None, "–"), (0, "0 ms"), (840, "840 ms"), (12_400, "12.4 s"), (123_000, "2 min 3 s")],
)
def test_durations(milliseconds: float | None, text: str) -> None:
    assert labels.duration(milliseconds) == text


@pytest.mark.parametrize(
    ("seconds", "text"),
    [
        (-3, "now"),
        (40, "in 40 s"),
        (720, "in 12 min"),
        (5 * 3600 + 720, "in 5 h 12 min"),
        (3 * 86_400, "in 3 days"),
    ],
)
def test_countdowns(seconds: float, text: str) -> None:
    assert labels.countdown(seconds) == text


def test_counts_and_plurals() -> None:
    assert labels.count(1_234_567) == "1,234,567"
    assert labels.plural(1, "request") == "1 request"
    assert labels.plural(1200, "request") == "1,200 requests"


def test_a_moment_says_its_day_only_when_that_is_not_today() -> None:
    now = datetime.fromisoformat("2026-11-24T12:00:00+00:00").astimezone()
    today = now.replace(hour=9, minute=5, second=7)
    assert labels.moment(today.isoformat(), now) == "09:05:07"
    earlier = today - timedelta(days=2)
    assert labels.moment(earlier.isoformat(), now) == f"{earlier.day} Nov 09:05:07"


def test_every_way_to_end_has_words() -> None:
    assert labels.outcome("rate_limit") == "limited"
    assert labels.outcome("broken_answer") == "broken answer"
    assert labels.outcome("") == ""
