"""What the built program weighs and how fast it is there: ``python -m tests.package.measure``.

For the report of ``make bench`` and ``make package``; Linux only (it plays the desktop panel).
"""

import argparse
import os
import statistics
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import httpx

from package import ROOT
from package.__main__ import built, program, size_mb
from package.screen import screen
from tests.support import HANGS_S, free_port

RUNS = 5
TIMEOUT_S = 60.0
ASK = {"model": "gpt-4o", "messages": [{"role": "user", "content": "hi"}]}


def main() -> int:
    """Prints a table; 1 when the program did not come up."""
    parser = argparse.ArgumentParser(prog="python -m tests.package.measure", description=__doc__)
    parser.add_argument("--dist", type=Path, default=ROOT / "dist")
    dist = parser.parse_args().dist
    if sys.platform != "linux" or not built(dist).is_dir():
        print(f"{built(dist)}: nothing to measure; make package builds it (Linux only).")
        return 0
    print("| the packaged app | unit | min | median | max |\n| --- | --- | --- | --- | --- |")
    show("size on disk", "MB", [size_mb(built(dist))])
    with screen({"PATH": os.environ["PATH"]}) as environ:
        os.environ["DBUS_SESSION_BUS_ADDRESS"] = environ["DBUS_SESSION_BUS_ADDRESS"]
        from tests.desktop.panel import Panel  # noqa: PLC0415  # joins the bus when imported

        panel = Panel()
        figures: dict[str, list[float]] = {"tray": [], "health": [], "answer": [], "memory": []}
        for _ in range(RUNS):
            panel.items.clear()
            started_once(program(dist), environ, lambda: bool(panel.items), figures)
    if any(len(values) < RUNS for values in figures.values()):
        print(f"Not there after {TIMEOUT_S:g} s: {figures}", file=sys.stderr)
        return 1
    show("start to icon in the tray", "s", figures["tray"])
    show("start to first /health", "s", figures["health"])
    show("start to first answer of a model (demo)", "s", figures["answer"])
    show("memory, tray and server, idle (PSS)", "MB", figures["memory"])
    return 0


def started_once(
    command: Path,
    environ: dict[str, str],
    in_tray: Callable[[], bool],
    figures: dict[str, list[float]],
) -> None:
    """One start in a folder of its own; adds to ``figures``."""
    with tempfile.TemporaryDirectory() as folder, httpx.Client(trust_env=False) as http:
        port = free_port()
        more = {"HOME": folder, "UPSTREAM": "demo", "PORT": str(port), "XDG_RUNTIME_DIR": folder}
        url = f"http://127.0.0.1:{port}"

        def answered(method: str, path: str, body: object = None) -> bool:
            try:
                return http.request(method, url + path, json=body).status_code == 200
            except httpx.TransportError:
                return False

        waited: dict[str, Callable[[], bool]] = {
            "tray": in_tray,
            "health": lambda: answered("GET", "/health"),
            "answer": lambda: answered("POST", "/v1/chat/completions", ASK),
        }

        def watch(name: str) -> None:
            while not waited[name]():
                if time.perf_counter() - began > TIMEOUT_S:
                    return
                time.sleep(0.002)
            figures[name].append(time.perf_counter() - began)

        threads = [threading.Thread(target=watch, args=(name,)) for name in waited]
        began = time.perf_counter()
        with running([str(command), "--hidden"], {**environ, **more}) as process:
            for thread in threads:
                thread.start()
            for thread in threads:
                thread.join()
            time.sleep(2)  # what the start threw away is given back
            figures["memory"].append(memory_mb(process.pid))


@contextmanager
def running(command: list[str], environ: dict[str, str]) -> "Iterator[subprocess.Popen[bytes]]":
    quiet = subprocess.DEVNULL
    process = subprocess.Popen(command, env=environ, cwd="/", stdout=quiet, stderr=quiet)
    try:
        yield process
    finally:
        process.terminate()
        process.wait(HANGS_S)


def memory_mb(pid: int) -> float:
    """Its own pages, and its share of those it has in common with others."""
    lines = Path(f"/proc/{pid}/smaps_rollup").read_text().splitlines()
    return sum(int(line.split()[1]) for line in lines if line.startswith("Pss:")) / 1024


def show(name: str, unit: str, values: list[float]) -> None:
    figures = (min(values), statistics.median(values), max(values))
    print(f"| {name} | {unit} | " + " | ".join(f"{figure:.3g}" for figure in figures) + " |")


if __name__ == "__main__":
    sys.exit(main())
