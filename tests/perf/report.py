"""What a run leaves behind: a row on the screen, the page ``docs/performance.md``, and the ratios
that later runs are compared with (``recorded.json``)."""

import datetime
import json
import os
import platform
import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from importlib.metadata import version
from pathlib import Path
from statistics import median

from tests.perf.scenarios import Row

HEAD = (
    "| scenario | dialect | unit | min | median | max | x pump | p50/p99 first ms | p99 delay ms |"
)
RULE = "| --- " * HEAD.count(" | ") + "| --- |"

RECORDED = Path(__file__).with_name("recorded.json")
PAGE = Path(__file__).parents[2] / "docs" / "performance.md"
MOST = 2.0
"""Ratios beyond so many times the recorded ones fail the quick run: next to the byte pump and next
to Python's pace. On a busy machine the pump forwards more at once, and each event costs it less."""

Recorded = dict[str, dict[str, float]]
"""``pump`` and ``pace`` -> scenario and dialect -> ratio."""

_PLACE = re.compile(r"(<!-- measured -->\n).*(<!-- end of measured -->)", re.DOTALL)


def line(row: Row) -> str:
    """``row`` as a line of the table."""
    details = row.details or {}
    ratio = "" if row.ratio is None else f"{row.ratio:.1f}"
    firsts = f"{details['first_p50_ms']} / {details['first_p99_ms']}" if details else ""
    delay = details.get("delay_p99_ms", "") or ""
    figures = [f"{figure:.3g}" for figure in (min(row.values), row.median, max(row.values))]
    cells = (row.scenario, row.dialect, row.unit, *figures, ratio, firsts, str(delay))
    return "| " + " | ".join(cells) + " |"


# The guard of the quick run


def key(row: Row) -> str:
    return f"{row.scenario} {row.dialect}"


def recorded() -> Recorded:
    """The ratios of the last full run."""
    if not RECORDED.exists():
        return {}
    ratios: Recorded = json.loads(RECORDED.read_text("utf-8"))
    return ratios


def too_slow(row: Row, known: Recorded) -> str | None:
    """Says so when every round of ``row`` cost more than ``MOST`` times what is recorded."""
    before = {name: known.get(name, {}).get(key(row)) for name in ("pump", "pace")}
    told = []
    for (name, was), now in zip(before.items(), (row.ratios, row.paces), strict=True):
        if was is None or not now or min(now) <= was * MOST:
            return None
        told.append(f"{min(now):.3g} times the {name} (recorded: {was:.3g})")
    return f"{key(row)}: {', '.join(told)}"


# The page


@dataclass(frozen=True, slots=True)
class Target:
    """One line of the targets: ``figure`` picks what is compared from the rows."""

    name: str
    scenario: str
    must: float
    goal: float
    figure: Callable[[Row], float] = lambda row: row.median
    more_is_better: bool = False

    def told(self, rows: Sequence[Row]) -> str | None:
        """As a line of the table: the worse of the OpenAI and the Anthropic dialect counts."""
        judged = ("", "openai", "anthropic")
        found = [
            self.figure(row)
            for row in rows
            if row.scenario == self.scenario and row.dialect in judged
        ]
        if not found:
            return None
        worst = min(found) if self.more_is_better else max(found)
        sign = -1 if self.more_is_better else 1
        met = "goal" if worst * sign <= self.goal * sign else "must"
        met = met if worst * sign <= self.must * sign else "**missed**"
        return f"| {self.name} | {self.must:g} | {self.goal:g} | {worst:.3g} | {met} |"


def _detail(name: str) -> Callable[[Row], float]:
    return lambda row: float((row.details or {}).get(name, 0))


TARGETS = (
    Target("ms CPU per 3 KB request, 16 at once", "json c=16", 1.5, 1.0),
    Target("ms CPU per 190 KB agent request", "agent c=4", 6, 4.5),
    Target("µs CPU per burst event", "burst c=16", 50, 30),
    Target("µs CPU per paced event, 64 streams", "paced c=64", 220, 170),
    Target("ms to the first event, 4 streams, p50", "paced c=4", 4, 2, _detail("first_p50_ms")),
    Target("ms to the first event, 4 streams, p99", "paced c=4", 10, 5, _detail("first_p99_ms")),
    Target("ms delay of an event, 64 streams, p99", "paced c=64", 20, 10, _detail("delay_p99_ms")),
    Target("paced streams within the limits", "ladder", 96, 192, more_is_better=True),
    Target("MB resident, idle", "memory idle", 55, 45),
    Target("MB resident, after load", "memory after load", 70, 55),
    Target("s CPU from start to `/health`", "start", 0.8, 0.45),
    Target("context switches a second, idle", "idle", 1, 0),
    Target("MB grown by the leak scenario", "leak", 5, 0, lambda row: max(0.0, row.median)),
)


def write(rows: Sequence[Row]) -> None:
    """Put the figures of a full run into the page and into ``recorded.json``."""
    known = recorded()
    for row in rows:
        for name, ratios in (("pump", row.ratios), ("pace", row.paces)):
            if ratios:
                known.setdefault(name, {})[key(row)] = round(median(ratios), 3)
    RECORDED.write_text(json.dumps(known, indent=1, sort_keys=True) + "\n", "utf-8")
    targets = [told for target in TARGETS if (told := target.told(rows))]
    text = "\n".join(
        [
            conditions(),
            "",
            "| metric | must | goal | measured | met |",
            "| --- | --- | --- | --- | --- |",
            *targets,
            "",
            HEAD,
            RULE,
            *map(line, rows),
            "",
        ]
    )
    page = PAGE.read_text("utf-8")
    PAGE.write_text(_PLACE.sub(lambda found: found[1] + text + found[2], page), "utf-8")


def conditions() -> str:
    """Machine, versions and how busy the machine was."""
    day = datetime.datetime.now(datetime.UTC).date().isoformat()
    versions = ", ".join(f"{name} {version(name)}" for name in ("hypercorn", "httptools", "httpx"))
    return (
        f"{day}; {os.cpu_count()} cores, {platform.platform()}; "
        f"{platform.python_implementation()} {platform.python_version()}, {versions}; "
        f"load average {os.getloadavg()[1]:.1f} over five minutes, the benchmark's own included."
    )
