"""Instructions of one request and one event, which a busy machine does not change.

``python -m tests.perf.instructions [--against FOLDER]`` runs the edge in a process of its own under
``valgrind --tool=callgrind``: requests go in as ASGI, the upstream is ``tests.perf.upstream`` over
loopback. Only what the loop's thread does within the measured requests counts; Hypercorn does not.
``--against``: a checkout of another commit, measured the same way. Linux, with valgrind and a
Python that has its symbols.
"""

import argparse
import asyncio
import gc
import os
import re
import subprocess
import sys
import tempfile
from collections.abc import Coroutine
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, cast

from server.dialects import DIALECTS as ALL
from server.edge.app import Edge
from server.host.gateway import Gateway
from server.host.local_endpoints import Behind
from server.host.runtime import SELDOM
from server.settings.load import Settings
from tests.perf import bodies
from tests.perf.processes import helper

ROOT = Path(__file__).parents[2]
EVENTS = 100
DIALECTS = ("openai", "anthropic", "responses")


@dataclass(frozen=True, slots=True, kw_only=True)
class Case:
    """One figure: ``requests`` of a kind are measured, after ``warm`` that are not."""

    name: str
    requests: int
    warm: int = 6
    size: str = "small"
    events: int = 0
    interval_ms: int = 0


CASES = (
    Case(name="json", requests=40),
    Case(name="agent", requests=10, size="agent"),
    Case(name="burst", requests=10, events=EVENTS),
    Case(name="paced", requests=1, warm=1, events=EVENTS, interval_ms=50),
)


class Asking:
    """Puts one case's request into the edge, as often as wanted."""

    def __init__(self, edge: Edge, dialect: str, case: Case) -> None:
        self._edge, self._case = edge, case
        model = bodies.model_name(case.events or 1, case.interval_ms)
        whole = bodies.request(dialect, model, stream=case.events > 0, size=case.size)
        head, _, self._body = whole.partition(b"\r\n\r\n")
        first, *lines = head.split(b"\r\n")
        self._path = first.split()[1]
        self._headers = [(k.lower(), v.strip()) for k, v in (x.split(b":", 1) for x in lines)]

    async def ask(self, times: int) -> None:
        for _ in range(times):
            status, events = await self._once()
            if status != 200 or events != self._case.events:
                raise RuntimeError(f"status {status}, {events} events of {self._case.events}")

    async def _once(self) -> tuple[int, int]:
        """The status and the number of stamped events."""
        body: list[bytes] = [self._body]
        open_for_ever = asyncio.get_running_loop().create_future()
        status, sent = 0, bytearray()

        async def receive() -> dict[str, Any]:
            if not body:
                await open_for_ever
            return {"type": "http.request", "body": body.pop(), "more_body": False}

        async def send(message: dict[str, Any]) -> None:
            nonlocal status
            status = message.get("status", status)
            sent.extend(message.get("body", b""))

        await self._edge(self._scope(), receive, send)
        stamps = set(re.findall(rb"@\d{20}@", sent)) if self._case.events else ()
        return status, len(stamps)

    def _scope(self) -> dict[str, Any]:
        return {
            "type": "http",
            "http_version": "1.1",
            "asgi": {"version": "3.0"},
            "method": "POST",
            "scheme": "http",
            "path": self._path.decode(),
            "raw_path": self._path,
            "query_string": b"",
            "root_path": "",
            "headers": list(self._headers),
            "client": ("127.0.0.1", 50_000),
            "server": ("127.0.0.1", 4000),
            "extensions": {},
        }


def child(port: int, dialect: str, name: str, data_dir: str) -> None:
    """What valgrind runs: only what happens within ``sys.call_tracing`` is counted."""
    case = next(case for case in CASES if case.name == name)
    folder = Path(data_dir)
    settings = Settings(data_dir=folder, token_file=folder / "google_token.json")
    settings = replace(
        settings,
        upstream="gemini-api",
        gemini_api_key="perf",
        google_gemini_base_url=f"http://127.0.0.1:{port}",
    )
    with asyncio.Runner() as runner:
        loop = runner.get_loop()

        async def ready() -> Any:
            gateway = Gateway(settings)
            behind = Behind(gateway, cast("Any", None))
            edge = Edge(gateway.pipeline, gateway.access, ALL, behind, gateway.responses)
            return gateway, Asking(edge, dialect, case)

        gateway, asking = loop.run_until_complete(ready())
        gc.freeze()
        gc.set_threshold(*SELDOM)
        loop.run_until_complete(asking.ask(case.warm))
        gc.collect()
        measured(loop, asking.ask(case.requests))
        loop.run_until_complete(gateway.aclose())


def measured(loop: asyncio.AbstractEventLoop, work: Coroutine[Any, Any, None]) -> None:
    """Nothing else calls this function of Python's, so valgrind can be asked to count from here."""
    sys.call_tracing(loop.run_until_complete, (work,))


def instructions(root: Path, port: int, dialect: str, case: Case) -> float:
    """Of one request, or one event, of the code in ``root``; in thousands."""
    with tempfile.TemporaryDirectory() as folder:
        out = Path(folder, "callgrind")
        command = [
            *("valgrind", "--tool=callgrind", "--toggle-collect=_PyEval_CallTracing"),
            *(f"--callgrind-out-file={out}", sys.executable, "-P", __file__, "--child"),
            *(str(port), dialect, case.name, folder),
        ]
        environment = {
            "PATH": os.environ["PATH"],
            "PYTHONPATH": str(root),
            "PYTHONHASHSEED": "0",
            "HOME": folder,
        }
        done = subprocess.run(
            command, cwd=root, env=environment, capture_output=True, text=True, check=False
        )
        found = re.search(r"^(?:totals|summary): (\d+)", out.read_text("utf-8"), re.M)
        if done.returncode or found is None:
            raise RuntimeError(done.stderr[-2000:])
        return int(found[1]) / case.requests / max(1, case.events) / 1000


def main() -> None:
    """Print one line per case and dialect."""
    parser = argparse.ArgumentParser(prog="python -m tests.perf.instructions", description=__doc__)
    parser.add_argument("--against", type=Path, help="a checkout to compare with")
    parser.add_argument("--only", action="append", choices=[case.name for case in CASES])
    parser.add_argument("--dialect", action="append", choices=DIALECTS)
    options = parser.parse_args()
    print("| thousand instructions | dialect | before | now | |\n| --- | --- | --- | --- | --- |")  # noqa: T201
    with helper("tests.perf.upstream") as upstream:
        for case in CASES:
            for dialect in options.dialect or DIALECTS:
                if options.only and case.name not in options.only:
                    continue
                now = instructions(ROOT, upstream.port, dialect, case)
                line = f"| {case.name} | {dialect} |"
                if options.against:
                    before = instructions(options.against.resolve(), upstream.port, dialect, case)
                    line += f" {before:.1f} | {now:.1f} | {100 * (now / before - 1):+.1f} % |"
                else:
                    line += f" | {now:.1f} | |"
                print(line, flush=True)  # noqa: T201


if __name__ == "__main__":
    if sys.argv[1:2] == ["--child"]:
        child(int(sys.argv[2]), *sys.argv[3:])
    else:
        main()
