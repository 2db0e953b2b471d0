"""Run the benchmark: ``python -m tests.perf [--quick] [--only NAME] [--json FILE]``."""

import argparse
import json
import platform
import sys
import tempfile
from collections.abc import Iterator, Sequence
from contextlib import ExitStack
from dataclasses import asdict
from pathlib import Path
from typing import TextIO

from tests.perf.processes import MEASURABLE, helper, proxy
from tests.perf.scenarios import TRANSLATED, Bench, Row, memory

HEAD = (
    "| scenario | dialect | unit | min | median | max | x pump | p50/p99 first ms | p99 delay ms |"
)


def arguments() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="python -m tests.perf", description=__doc__)
    parser.add_argument("--quick", action="store_true", help="about a minute")
    parser.add_argument("--only", action="append", metavar="NAME", help="scenarios that start so")
    parser.add_argument("--dialect", action="append", choices=TRANSLATED)
    parser.add_argument("--rounds", type=int, help="rounds against the byte pump")
    parser.add_argument("--leak-requests", type=int, default=100_000)
    parser.add_argument("--json", type=Path, help="write one JSON line per scenario here")
    return parser


def main(argv: Sequence[str] | None = None) -> int:
    """Print the table as it grows; 1 when a load failed."""
    options = arguments().parse_args(argv)
    if not MEASURABLE:
        print("The benchmark reads /proc and runs on Linux only.", file=sys.stderr)
        return 1
    print(f"{platform.platform()}, Python {platform.python_version()}\n\n{HEAD}")
    print("| --- " * HEAD.count(" | ") + "| --- |", flush=True)
    broken: list[str] = []
    with ExitStack() as stack:
        lines = stack.enter_context(options.json.open("w")) if options.json else None
        for row in rows(options):
            show(row, lines)
            broken += row.problems
    for problem in dict.fromkeys(broken):
        print(f"FAILED: {problem}", file=sys.stderr)
    return 1 if broken else 0


def rows(options: argparse.Namespace) -> Iterator[Row]:
    """All that was asked for, in order."""
    quick = options.quick

    def wanted(name: str) -> bool:
        if options.only:
            return any(name.startswith(start) for start in options.only)
        return not quick or name in ("json c=16", "agent c=4", "burst c=16", "paced c=16")

    with ExitStack() as stack:
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory()))
        upstream = stack.enter_context(helper("tests.perf.upstream"))
        bench = Bench(
            server=stack.enter_context(proxy(upstream.port, folder)),
            pump=stack.enter_context(helper("tests.perf.pump", str(upstream.port))),
            upstream=upstream,
            rounds=options.rounds or (1 if quick else 5),
            seconds=0.7 if quick else 3.0,
            idle_s=3 if quick else 60,
            leak_requests=500 if quick else options.leak_requests,
            leak_aborts=30 if quick else 1_000,
            starts=1 if quick else 5,
        )
        dialects = tuple(options.dialect or TRANSLATED)
        if wanted("start") or quick:
            yield from bench.start()
        if wanted("idle") or quick:
            yield memory(bench.server, "idle")
            yield from bench.idle()
        yield from bench.loads(dialects, wanted)
        if wanted("ladder"):
            yield from map(bench.ladder, dialects)
        yield memory(bench.server, "after load")
        if wanted("leak") or quick:
            yield bench.leak()


def show(row: Row, lines: TextIO | None) -> None:
    """One line of the table, and of the file."""
    details = row.details or {}
    ratio = "" if row.ratio is None else f"{row.ratio:.1f}"
    firsts = f"{details['first_p50_ms']} / {details['first_p99_ms']}" if details else ""
    delay = details.get("delay_p99_ms", "") or ""
    figures = [f"{figure:.3g}" for figure in (min(row.values), row.median, max(row.values))]
    cells = (row.scenario, row.dialect, row.unit, *figures, ratio, firsts, str(delay))
    print("| " + " | ".join(cells) + " |", flush=True)
    if lines is not None:
        python = f"{platform.python_implementation()} {platform.python_version()}"
        facts = {"machine": platform.platform(), "python": python}
        lines.write(json.dumps({**asdict(row), **facts}) + "\n")


if __name__ == "__main__":
    sys.exit(main())
