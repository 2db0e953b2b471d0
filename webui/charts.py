"""Usage as geometry: stacked bars and shares, drawn by the templates as inline SVG.

Pure. A chart is drawn on a canvas of its own units that the page stretches; its words stand beside
it in HTML, and every chart has its numbers as a table too (docs/decisions/0007).
"""

from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import date, timedelta
from typing import Any

HEIGHT = 100.0
STEP = 10.0
BAR_WIDTH = 7.0
SERIES = 5
"""More than these are drawn as one, named ``other``."""

Row = dict[str, Any]


@dataclass(frozen=True, slots=True)
class Bar:
    """One rectangle."""

    x: float
    y: float
    height: float
    series: int
    title: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Chart:
    """Stacked bars over time."""

    title: str
    unit: str
    names: tuple[str, ...]
    """What each series is; its index is its colour."""
    buckets: tuple[str, ...]
    bars: tuple[Bar, ...]
    table: tuple[tuple[str, tuple[int, ...]], ...]
    """Bucket -> one number for each series."""
    top: int
    """Of the scale: round, and no lower than the highest stack."""

    @property
    def width(self) -> float:
        return STEP * len(self.buckets)

    @property
    def total(self) -> int:
        return sum(sum(numbers) for _, numbers in self.table)

    @property
    def ticks(self) -> tuple[str, ...]:
        """Three labels for the axis: first, middle, last."""
        return (self.buckets[0], self.buckets[len(self.buckets) // 2], self.buckets[-1])


@dataclass(frozen=True, slots=True, kw_only=True)
class Share:
    """One line of a breakdown."""

    name: str
    requests: int
    failed: int
    input_tokens: int
    output_tokens: int
    estimated: int
    """Requests whose tokens are an estimate."""
    percent: float
    """Of the largest line's requests."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Totals:
    """The sums of a period."""

    requests: int
    failed: int
    cancelled: int
    input_tokens: int
    output_tokens: int
    cached_tokens: int
    thought_tokens: int
    estimated: int
    """Requests whose tokens are an estimate."""
    mean_ms: float | None


def totals(rows: Sequence[Row]) -> Totals:
    """Everything in one line."""

    def of(name: str, *outcomes: str) -> int:
        return sum(row[name] or 0 for row in rows if not outcomes or row["outcome"] in outcomes)

    requests = of("requests")
    cancelled = of("requests", "cancelled")
    return Totals(
        requests=requests,
        failed=requests - cancelled - of("requests", "ok"),
        cancelled=cancelled,
        input_tokens=of("input_tokens"),
        output_tokens=of("output_tokens"),
        cached_tokens=of("cached_tokens"),
        thought_tokens=of("thought_tokens"),
        estimated=of("estimated_requests"),
        mean_ms=of("latency_ms") / requests if requests else None,
    )


def buckets_of(days: int, today: date) -> dict[str, str]:
    """Every bucket of a period, oldest first, with its label."""
    if days == 1:
        return {f"{hour:02}": f"{hour:02}:00" for hour in range(24)}
    wanted = [today - timedelta(days=back) for back in range(days - 1, -1, -1)]
    return {day.isoformat(): f"{day.day} {day:%b}" for day in wanted}


def tokens_of(row: Row) -> int:
    """Input and output of a row together."""
    return (row["input_tokens"] or 0) + (row["output_tokens"] or 0)


def requests_of(row: Row) -> int:
    return int(row["requests"])


def stacked(
    rows: Sequence[Row],
    column: str,
    buckets: dict[str, str],
    *,
    title: str,
    unit: str,
    measure: Callable[[Row], int],
) -> Chart:
    """A chart of ``measure`` by ``column`` over ``buckets``."""
    sums: Counter[str] = Counter()
    cells: Counter[tuple[str, str]] = Counter()
    for row in rows:
        name = row[column] or "none"
        sums[name] += measure(row)
        cells[name, row["bucket"]] += measure(row)
    ranked = [name for name, number in sums.most_common() if number]
    named = ranked if len(ranked) <= SERIES else ranked[: SERIES - 1]
    rest = ranked[len(named) :]
    groups = [(name, (name,)) for name in named] + ([("other", tuple(rest))] if rest else [])
    table = tuple(
        (label, tuple(sum(cells[name, bucket] for name in members) for _, members in groups))
        for bucket, label in buckets.items()
    )
    top = rounded_up(max((sum(numbers) for _, numbers in table), default=0))
    names = tuple(name for name, _ in groups)
    return Chart(
        title=title,
        unit=unit,
        names=names,
        buckets=tuple(buckets.values()),
        bars=tuple(_bars(table, names, unit, top)),
        table=table,
        top=top,
    )


def rounded_up(number: int) -> int:
    """The next number that is round, and whose half is a whole one."""
    size: int = 10 ** (len(str(number)) - 1)
    steps = (0, 1, 2, 4, 6, 8, 10) if size == 1 else (1, 2, 3, 4, 5, 6, 8, 10)
    return next(step * size for step in steps if step * size >= number)


def _bars(
    table: Sequence[tuple[str, tuple[int, ...]]], names: Sequence[str], unit: str, top: int
) -> list[Bar]:
    bars = []
    for index, (label, numbers) in enumerate(table):
        floor = HEIGHT
        for series, number in enumerate(numbers):
            if number:
                height = HEIGHT * number / top
                floor -= height
                title = f"{label}, {names[series]}: {number:,} {unit}"
                x = index * STEP + (STEP - BAR_WIDTH) / 2
                bars.append(Bar(x, round(floor, 2), round(height, 2), series, title))
    return bars


def shares(rows: Sequence[Row], column: str) -> tuple[Share, ...]:
    """Lines by ``column``, busiest first."""
    lines: dict[str, Counter[str]] = {}
    for row in rows:
        line = lines.setdefault(row[column] or "none", Counter())
        line["requests"] += row["requests"]
        line["failed"] += row["requests"] if row["outcome"] not in ("ok", "cancelled") else 0
        line["input"] += row["input_tokens"] or 0
        line["output"] += row["output_tokens"] or 0
        line["estimated"] += row["estimated_requests"] or 0
    most = max((line["requests"] for line in lines.values()), default=1)
    ranked = sorted(lines.items(), key=lambda item: (-item[1]["requests"], item[0]))
    return tuple(
        Share(
            name=name,
            requests=line["requests"],
            failed=line["failed"],
            input_tokens=line["input"],
            output_tokens=line["output"],
            estimated=line["estimated"],
            percent=round(100 * line["requests"] / most, 1),
        )
        for name, line in ranked
    )
