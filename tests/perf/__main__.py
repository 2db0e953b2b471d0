"""Run the benchmark: ``python -m tests.perf [--quick] [--only NAME] [--json FILE] [--write]``."""

import argparse
import json
import platform
import sys
import tempfile
import time
from collections.abc import Iterator, Sequence
from contextlib import ExitStack
from dataclasses import asdict
from functools import partial
from pathlib import Path
from typing import TextIO

from server.host.memory import QUIET_S
from tests.perf import report
from tests.perf.growth import growth
from tests.perf.processes import MEASURABLE, helper, proxy
from tests.perf.scenarios import TRANSLATED, Bench, Row, memory

QUICK = ("start", "idle", "json c=16", "agent c=4", "burst c=16", "paced c=16", "leak")


def arguments() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="python -m tests.perf", description=__doc__)
    parser.add_argument("--quick", action="store_true", help="about a minute")
    parser.add_argument("--only", action="append", metavar="NAME", help="scenarios that start so")
    parser.add_argument("--dialect", action="append", choices=TRANSLATED)
    parser.add_argument("--rounds", type=int, help="rounds against the byte pump")
    parser.add_argument("--leak-requests", type=int, default=100_000)
    parser.add_argument(
        "--write", action="store_true", help="put the figures into docs/performance.md"
    )
    parser.add_argument("--json", type=Path, help="write one JSON line per scenario here")
    return parser


def main(argv: Sequence[str] | None = None) -> int:
    """Print the table as it grows; 1 when a load failed."""
    options = arguments().parse_args(argv)
    if not MEASURABLE:
        print("The benchmark reads /proc and runs on Linux only.", file=sys.stderr)
        return 1
    print(f"{report.conditions()}\n\n{report.HEAD}\n{report.RULE}", flush=True)
    broken: list[str] = []
    done: list[Row] = []
    known = report.recorded()
    with ExitStack() as stack:
        lines = stack.enter_context(opened(options.json)) if options.json else None
        for row in rows(options):
            show(row, lines)
            done.append(row)
            broken += row.problems
            if options.quick and (slow := report.too_slow(row, known)):
                broken.append(slow)
    if options.write and not broken:
        report.write(done)
    for problem in dict.fromkeys(broken):
        print(f"FAILED: {problem}", file=sys.stderr)
    return 1 if broken else 0


def opened(path: Path) -> TextIO:
    path.parent.mkdir(parents=True, exist_ok=True)
    return path.open("w", encoding="utf-8")


def judged(known: report.Recorded, row: Row) -> bool:
    return report.too_slow(row, known) is not None


def rows(options: argparse.Namespace) -> Iterator[Row]:
    """All that was asked for, in order."""
    quick = options.quick

    def wanted(name: str) -> bool:
        if options.only:
            return any(name.startswith(start) for start in options.only)
        return not quick or name in QUICK

    with ExitStack() as stack:
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory()))
        upstream = stack.enter_context(helper("tests.perf.upstream"))
        bench = Bench(
            server=stack.enter_context(proxy(upstream.port, folder)),
            pump=stack.enter_context(helper("tests.perf.pump", str(upstream.port))),
            upstream=upstream,
            rounds=options.rounds or (1 if quick else 3),
            seconds=0.7 if quick else 1.5,
            idle_s=3 if quick else 60,
            leak_requests=500 if quick else options.leak_requests,
            leak_aborts=30 if quick else 1_000,
            starts=1 if quick else 5,
            too_slow=partial(judged, report.recorded()) if quick else lambda _row: False,
        )
        dialects = tuple(options.dialect or TRANSLATED)
        if wanted("start"):
            yield from bench.start()
        if wanted("idle"):
            yield memory(bench.server, "idle")
            yield from bench.idle()
        yield from bench.loads(dialects, wanted)
        bench.server.settle()
        time.sleep(QUIET_S + 1)  # what a user sees who looks afterwards
        yield memory(bench.server, "after load")
        if wanted("leak"):
            yield bench.leak()
        if wanted("ladder"):
            yield from map(bench.ladder, dialects)
            yield memory(bench.server, "after the ladder")
        if wanted("growth"):
            yield from growth(bench)


def show(row: Row, lines: TextIO | None) -> None:
    """One line of the table, and of the file."""
    print(report.line(row), flush=True)
    if lines is not None:
        python = f"{platform.python_implementation()} {platform.python_version()}"
        facts = {"machine": platform.platform(), "python": python}
        lines.write(json.dumps({**asdict(row), **facts}) + "\n")


if __name__ == "__main__":
    sys.exit(main())
