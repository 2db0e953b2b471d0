"""``make soak``: mixed dialects, faults, clients that leave, starts and stops; bounded.

    python -m tests.soak --requests 20000 --minutes 10

Everything runs in one process, over sockets: the server in its own thread, the fake Google in
another, clients in the main one. What is asserted: memory, open files, threads and tasks stay flat
after the first cycle, and the accounts are exact: a row for every request, and in the row of every
answer that was read to its end the tokens that this answer told.
"""

import argparse
import asyncio
import gc
import os
import random
import re
import sys
import tempfile
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

import httpx

from server.host.gateway import Gateway
from server.host.runtime import Server
from server.settings.load import Settings
from tests.faults import BODIES, at_once, request_of
from tests.google import failures
from tests.google.failures import Failure
from tests.google.google import FakeGoogle
from tests.google.serving import serving
from tests.google.wire import Framing
from tests.support import HANGS_S, free_port, old_google
from webui.pages import create_pages

KEY = "fake-gemini-api-key"
CLIENTS = 12
MEMORY_MIB = 24.0
"""How much the process may grow after its first cycle (allocators keep what they had)."""

MOST_TASKS = 10
"""Tasks of a server whose clients have all gone."""

FAULTS: tuple[Failure, ...] = (
    failures.internal(),
    failures.unavailable(),
    failures.html(),
    failures.capacity(),
    failures.error_event(1),
    failures.connection_cut(0),
    failures.connection_cut(1),
    failures.truncated(1),
    failures.malformed_function_call(),
    failures.no_finish_reason(),
    failures.no_usage(),
    failures.framed(Framing(split_bytes=3, newline="\r\n")),
    failures.framed(Framing(gzip=True)),
    failures.quota_exhausted(),
    failures.validation_required(),
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Limits:
    """Where a soak ends: whichever comes first."""

    requests: int
    seconds: float
    cycles: int
    """Starts and stops of the server."""


@dataclass(slots=True)
class Report:
    """What came of it; ``problems`` is empty when all is well."""

    requests: int = 0
    left: int = 0
    statuses: dict[int, int] = field(default_factory=dict)
    memory: list[float] = field(default_factory=list)
    told: dict[str, int] = field(default_factory=dict)
    """Tokens by request id, as clients were told them in this cycle."""
    compared: int = 0
    """Answers whose tokens were compared with their rows."""
    problems: list[str] = field(default_factory=list)


def soak(folder: Path, limits: Limits, seed: int = 0) -> Report:
    """Run cycles within ``limits`` and compare the process before and after each."""
    report = Report()
    chance = random.Random(seed)
    before: tuple[int, int] | None = None
    with fake_google() as (google, base):
        for cycle in range(limits.cycles):
            share = Limits(
                requests=limits.requests // limits.cycles,
                seconds=limits.seconds / limits.cycles,
                cycles=1,
            )
            settings = settings_for(folder / f"cycle-{cycle}", base)
            _one_cycle(settings, google, share, chance, report)
            gc.collect()
            after = (open_files(), threading.active_count())
            report.memory.append(memory_mib())
            if before is not None and (after[0] > before[0] + 2 or after[1] > before[1]):
                report.problems.append(f"files and threads grew from {before} to {after}")
            before = before or after
    if len(report.memory) > 1 and report.memory[-1] > report.memory[0] + MEMORY_MIB:
        report.problems.append(f"memory grew: {report.memory} MiB")
    return report


def _one_cycle(
    settings: Settings,
    google: FakeGoogle,
    share: Limits,
    chance: random.Random,
    report: Report,
) -> None:
    """Start a server, use it, check its accounts, stop it."""
    server = Server(settings, create_pages)
    gateway = server.start()
    report.told.clear()
    gateway.pipeline.sleep = at_once
    google.requests.clear()
    google._plans.clear()
    try:
        sent = asyncio.run(_clients(settings.port, google, share, chance, report))
        _settle(gateway, report)
        _check_accounts(gateway, google, sent, report)
        _check_tokens(gateway, report)
        tasks = server.submit(count_tasks()).result(HANGS_S)
        if tasks > MOST_TASKS:
            report.problems.append(f"{tasks} tasks are left with nothing to do")
    finally:
        server.stop()


async def _clients(
    port: int, google: FakeGoogle, share: Limits, chance: random.Random, report: Report
) -> int:
    """So many clients, each asking one thing after another. Returns how many requests were sent."""
    end = time.monotonic() + share.seconds
    left = iter(range(share.requests))
    sent = 0

    async def client(http: httpx.AsyncClient) -> None:
        nonlocal sent
        for _ in left:
            if time.monotonic() > end:
                return
            if chance.random() < 0.3:
                google.fail(chance.choice(FAULTS))
            sent += 1
            await _one_request(http, chance, report)

    base = f"http://127.0.0.1:{port}"
    async with httpx.AsyncClient(base_url=base, timeout=HANGS_S, trust_env=False) as http:
        await asyncio.gather(*(client(http) for _ in range(CLIENTS)))
    report.requests += sent
    return sent


async def _one_request(http: httpx.AsyncClient, chance: random.Random, report: Report) -> None:
    """One request in any dialect; one in ten leaves once the answer has begun."""
    stream = chance.random() < 0.7
    path, body = request_of(chance.choice(list(BODIES)), stream=stream)
    async with http.stream("POST", path, json=body) as answer:
        report.statuses[answer.status_code] = report.statuses.get(answer.status_code, 0) + 1
        if answer.status_code not in (200, 403, 429, 502, 503, 529):
            report.problems.append(f"{path} answered {answer.status_code}")
        if chance.random() < 0.1:
            report.left += 1
            return
        text = (await answer.aread()).decode()
        tokens = tokens_in(text)
        if tokens is not None:
            report.told[answer.headers["x-request-id"]] = tokens


def _settle(gateway: Gateway, report: Report) -> None:
    """Wait until the server has noticed that every client is gone."""
    end = time.monotonic() + HANGS_S
    while gateway.pipeline.live and time.monotonic() < end:
        time.sleep(0.02)
    if gateway.pipeline.live:
        report.problems.append(f"{len(gateway.pipeline.live)} requests never ended")


def _check_accounts(gateway: Gateway, google: FakeGoogle, sent: int, report: Report) -> None:
    usage = gateway.usage._summary()
    upstream = len(google.calls("streamGenerateContent")) + len(google.calls("generateContent"))
    for what, counted, real in (
        ("rows", usage["total_requests"], sent),
        ("upstream requests", usage["upstream_requests"], upstream),
        ("requests in flight", gateway.metrics.in_flight, 0),
        ("requests queued", gateway.throttle.state().waiting, 0),
    ):
        if counted != real:
            report.problems.append(f"{what}: {counted} counted, {real} real")


def _check_tokens(gateway: Gateway, report: Report) -> None:
    """A client is told what its answer cost; the row has every attempt, so it may hold more."""
    rows = gateway.usage._store.read(
        "SELECT id, input_tokens + output_tokens, attempts FROM entries"
    )
    kept = {row[0]: (row[1], row[2]) for row in rows}
    wrong = {
        name: n
        for name, n in report.told.items()
        if name not in kept or n > kept[name][0] or (kept[name][1] == 1 and n != kept[name][0])
    }
    report.compared += len(report.told)
    if wrong:
        report.problems.append(f"{len(wrong)} answers told other tokens than their rows: {wrong}")


def tokens_in(text: str) -> int | None:
    """The tokens an answer tells at its end, in any dialect; None when it tells none."""
    if totals := re.findall(r'"(?:total_tokens|totalTokenCount)":(\d+)', text):
        return int(totals[-1])
    inputs = re.findall(r'"input_tokens":(\d+)', text)
    outputs = re.findall(r'"output_tokens":(\d+)', text)
    ended = '"error"' not in text
    return int(inputs[-1]) + int(outputs[-1]) if inputs and outputs and ended else None


async def count_tasks() -> int:
    """Tasks in the loop this runs in, besides itself, once it has settled."""
    for _ in range(100):
        if len(asyncio.all_tasks()) - 1 <= MOST_TASKS:
            break
        await asyncio.sleep(0.05)
    return len(asyncio.all_tasks()) - 1


@contextmanager
def fake_google() -> Iterator[tuple[FakeGoogle, str]]:
    """The fake on a socket, in a thread and loop of its own."""
    google = old_google(api_keys={KEY})
    ready, stop = threading.Event(), asyncio.Event()
    started: list[tuple[str, asyncio.AbstractEventLoop]] = []

    async def main() -> None:
        async with serving(google.handle) as base:
            started.append((base, asyncio.get_running_loop()))
            ready.set()
            await stop.wait()

    thread = threading.Thread(target=lambda: asyncio.run(main()), name="google")
    thread.start()
    ready.wait(HANGS_S)
    base, loop = started[0]
    try:
        yield google, base
    finally:
        loop.call_soon_threadsafe(stop.set)
        thread.join(HANGS_S)


def settings_for(folder: Path, google: str) -> Settings:
    """A server of its own, on the Gemini API at ``google``."""
    return Settings(
        data_dir=folder,
        token_file=folder / "google_token.json",
        port=free_port(),
        host=("127.0.0.1",),
        upstream="gemini-api",
        gemini_api_key=KEY,
        google_gemini_base_url=google,
    )


def open_files() -> int:
    """Open file descriptors; 0 where nobody says."""
    return len(os.listdir("/proc/self/fd")) if sys.platform == "linux" else 0  # noqa: PTH208


def memory_mib() -> float:
    """Resident memory; 0 where nobody says."""
    if sys.platform != "linux":
        return 0.0
    pages = int(Path("/proc/self/statm").read_text("ascii").split()[1])
    return round(pages * os.sysconf("SC_PAGE_SIZE") / 1024 / 1024, 1)


def main() -> int:
    """Run within the limits of the command line; 0 when nothing was found."""
    parser = argparse.ArgumentParser(prog="python -m tests.soak", description=__doc__)
    parser.add_argument("--requests", type=int, default=20_000)
    parser.add_argument("--minutes", type=float, default=10)
    parser.add_argument("--cycles", type=int, default=5)
    parser.add_argument("--seed", type=int, default=0)
    given = parser.parse_args()
    limits = Limits(requests=given.requests, seconds=given.minutes * 60, cycles=given.cycles)
    began = time.monotonic()
    with tempfile.TemporaryDirectory() as folder:
        report = soak(Path(folder), limits, given.seed)
    lines = [
        f"{report.requests} requests in {time.monotonic() - began:.0f} s, {report.left} cut short",
        f"statuses {dict(sorted(report.statuses.items()))}, memory {report.memory} MiB",
        f"{report.compared} answers told the tokens of their rows",
        *(report.problems or ["Nothing grew, and every request is accounted for."]),
    ]
    sys.stdout.write("\n".join(lines) + "\n")
    return 1 if report.problems else 0


if __name__ == "__main__":
    sys.exit(main())
