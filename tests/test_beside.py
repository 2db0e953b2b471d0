"""Two hundred hostile requests beside twenty honest streams: nobody honest notices.

Linux only: it reads ``/proc``. What the machine itself adds is measured by the same streams without
the program between, at the same moments; a machine that has more to do than processors is given so
much more time; and one good round of three is enough, after one that fills what is filled once.
"""

import asyncio
import json
import os
import re
import sys
import time
from pathlib import Path

import pytest

from tests.perf.processes import MEASURABLE, Process, helper, proxy

pytestmark = pytest.mark.skipif(not MEASURABLE, reason="reads /proc: Linux only")

HONEST, HOSTILE = 20, 200
LATE_S = 0.25
"""No event of an honest stream may be later than this, on a machine that has nothing else to do."""
MEMORY_MB = 30
ROUNDS = 3
STAMP = re.compile(rb"@(\d{20})@")
PATH = "/v1beta/models/gemini-perf-e100000-i100:streamGenerateContent?alt=sse"
BODY = b'{"contents": [{"role": "user", "parts": [{"text": "Hello"}]}]}'


async def stream(port: int, late: list[tuple[float, float]]) -> None:
    """Read an answer without end; notes when each event came, and how late."""
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    head = f"POST {PATH} HTTP/1.1\r\nHost: 127.0.0.1\r\nContent-Type: application/json\r\n"
    writer.write(f"{head}Content-Length: {len(BODY)}\r\n\r\n".encode() + BODY)
    try:
        while data := await reader.read(65_536):
            now = time.monotonic()
            late += [(now, now - int(stamp) / 1e9) for stamp in STAMP.findall(data)]
    finally:
        writer.close()


async def attacked(port: int) -> dict[str, int]:
    """Send the hostile requests; how many were answered with each status."""
    command = ("-m", "tests.hostile", str(port), str(HOSTILE))
    root = Path(__file__).parents[1]
    pipe = asyncio.subprocess.PIPE
    child = await asyncio.create_subprocess_exec(sys.executable, *command, stdout=pipe, cwd=root)
    said, _ = await child.communicate()
    statuses: dict[str, int] = json.loads(said.splitlines()[-1])
    return statuses


async def beside(server: Process, upstream: Process) -> float:
    """Seconds by which the latest honest event was later than the machine made it."""
    through: list[tuple[float, float]] = []
    direct: list[tuple[float, float]] = []
    streams = [
        asyncio.create_task(stream(port, late))
        for port, late in [(server.port, through)] * HONEST + [(upstream.port, direct)] * 2
    ]
    try:
        while len(through) < 5 * HONEST:  # noqa: ASYNC110  # grows with every event
            await asyncio.sleep(0.1)
        through.clear()
        statuses = await attacked(server.port)
    finally:
        for one in streams:
            one.cancel()
        await asyncio.gather(*streams, return_exceptions=True)
    assert sum(statuses.values()) == HOSTILE
    assert set(statuses) <= {"200", "400", "404", "413", "503"}
    assert len(through) > HONEST * 5
    return max(late - noise(direct, at) for at, late in through)


def noise(direct: list[tuple[float, float]], at: float) -> float:
    """How late events without the program between were around this moment."""
    return max((late for when, late in direct if abs(when - at) < 1), default=0.0)


def threads(server: Process) -> int:
    return len(os.listdir(f"/proc/{server.pid}/task"))  # noqa: PTH208


async def test_hostile_requests_are_not_felt_by_honest_streams(tmp_path: Path) -> None:
    allowed_s = LATE_S * max(1.0, os.getloadavg()[0] / (os.cpu_count() or 1))
    with helper("tests.perf.upstream") as upstream, proxy(upstream.port, tmp_path) as server:
        await beside(server, upstream)
        told = []
        for _ in range(ROUNDS):
            await asyncio.to_thread(server.settle)
            memory_mb, count = server.rss_mb(), threads(server)
            late_s = await beside(server, upstream)
            await asyncio.to_thread(server.settle)
            await asyncio.sleep(1.5)  # what a load has left is given back a second later
            grown_mb, left = server.rss_mb() - memory_mb, threads(server) - count
            if late_s < allowed_s and grown_mb < MEMORY_MB and left <= 0:
                return
            told.append(f"late by {late_s:.2f} s, grown by {grown_mb:.0f} MB, {left} threads left")
        pytest.fail(f"allowed {allowed_s:.2f} s; " + "; ".join(told))
