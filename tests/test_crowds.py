"""Many at once, and for long: then every counter is back at zero and every request counted."""

import asyncio
import gc
import os
import random
import re
import sys
from collections import Counter
from pathlib import Path

import httpx
import pytest

from tests.faults import ENDS, ask, clocked, request_of, until
from tests.google import failures
from tests.rig import Rig, running
from tests.soak import Limits, soak
from tests.support import HANGS_S

GAUGES = ("gemini_proxy_requests_in_flight", "gemini_proxy_requests_queued")


def open_files() -> int:
    return len(os.listdir("/proc/self/fd")) if sys.platform == "linux" else 0  # noqa: PTH208


async def gauges(rig: Rig) -> list[float]:
    text = (await rig.http.get("/metrics")).text
    return [float(re.findall(rf"^{name} (\S+)$", text, re.MULTILINE)[0]) for name in GAUGES]


async def one_client(rig: Rig, http: httpx.AsyncClient, number: int, *, leaves: bool) -> str:
    """Stream one answer; ``leaves``: only up to a random moment. What the client would count."""
    dialect = list(ENDS)[number % len(ENDS)]
    path, body = request_of(dialect, stream=True)
    reading = asyncio.create_task(read_all(http, path, body, ENDS[dialect]))
    if leaves:
        await asyncio.sleep(random.uniform(0, 0.6))
        reading.cancel()
    return (await asyncio.gather(reading, return_exceptions=True))[0] or "cut"  # type: ignore[return-value]


async def read_all(http: httpx.AsyncClient, path: str, body: object, end: str) -> str:
    async with http.stream("POST", path, json=body) as answer:
        text = "".join([piece async for piece in answer.aiter_text()])
    return "ok" if end in text else "broken"


async def test_200_streams_a_quarter_of_them_cancelled(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    async with running(tmp_path) as rig:
        await ask(rig, "openai", stream=True)
        await rig.usage()
        rig.google.flavour = "word " * 20
        rig.google.chunk_delay_s = 0.02
        tasks, files = len(asyncio.all_tasks()), open_files()
        limits = httpx.Limits(max_connections=None, max_keepalive_connections=0)
        async with httpx.AsyncClient(
            base_url=rig.url, limits=limits, timeout=HANGS_S, trust_env=False
        ) as http:
            leaving = set(random.sample(range(200), 50))
            outcomes = await asyncio.gather(
                *(one_client(rig, http, n, leaves=n in leaving) for n in range(200))
            )
        await until(lambda: not rig.gateway.pipeline.live)
        stayed = [outcome for n, outcome in enumerate(outcomes) if n not in leaving]
        assert Counter(stayed) == {"ok": 150}
        assert await gauges(rig) == [0, 0]
        usage = await rig.usage()
        generated = rig.google.calls("streamGenerateContent")
        recorded = Counter(usage["requests_by_dialect"])
        assert usage["total_requests"] == recorded.total()
        assert usage["upstream_requests"] == len(generated)
        assert 151 <= usage["successful_requests"] <= usage["total_requests"] <= 201
        assert usage["failed_requests"] == 0
        assert all(entry.ended.is_set() for entry in generated)
        gc.collect()
        await until(lambda: len(asyncio.all_tasks()) <= tasks + 1)
        assert rig.gateway.throttle.state().waiting == 0
        assert not rig.edge._running
        assert open_files() <= files + 3
        assert [r for r in caplog.records if r.name == "asyncio" and r.levelname == "ERROR"] == []


async def test_a_queue_under_pressure_loses_and_forgets_nobody(tmp_path: Path) -> None:
    async with running(tmp_path, rate_limit_s=2.0, wait_mode=True, queue_limit=10) as rig:
        clock = clocked(rig)
        asking = [asyncio.create_task(ask(rig, "openai")) for _ in range(30)]
        await until(lambda: sum(task.done() for task in asking) == 20)
        assert rig.gateway.throttle.state().waiting == 10
        await clock.advance(20)
        answers = await asyncio.gather(*asking)
        codes = Counter(answer.status_code for answer in answers)
        assert codes == {200: 11, 429: 19}
        refused = [answer for answer in answers if answer.status_code == 429]
        assert {answer.headers["retry-after"] for answer in refused} == {"22"}
        assert await gauges(rig) == [0, 0]
        usage = await rig.usage()
        assert usage["total_requests"] == 30
        assert usage["upstream_requests"] == len(rig.sent) == codes[200]


async def test_lists_and_counts_never_wait_behind_the_queue(tmp_path: Path) -> None:
    async with running(tmp_path, rate_limit_s=30, wait_mode=True) as rig:
        clocked(rig)
        await ask(rig, "openai")
        waiting = [asyncio.create_task(ask(rig, "openai")) for _ in range(5)]
        await until(lambda: rig.gateway.throttle.state().waiting == 5)
        _, body = request_of("anthropic", stream=False)
        assert (await rig.http.get("/v1/models")).status_code == 200
        counted = await rig.http.post("/v1/messages/count_tokens", json=body)
        assert rig.gateway.throttle.state().waiting == 5
        assert counted.json()["input_tokens"] > 0
        for task in waiting:
            task.cancel()
        await asyncio.gather(*waiting, return_exceptions=True)
        await until(lambda: rig.gateway.throttle.state().waiting == 0)


async def test_tokens_summed_are_tokens_served(tmp_path: Path) -> None:
    async with running(tmp_path) as rig:
        rig.gateway.pipeline.sleep = lambda _s: asyncio.sleep(0)
        served = 0
        for number in range(12):
            if number % 4 == 3:
                rig.google.fail(failures.unavailable())
            answer = await ask(rig, "openai")
            served += answer.json()["usage"]["total_tokens"]
        usage = await rig.usage()
        assert usage["total_input_tokens"] + usage["total_output_tokens"] == served
        assert usage["total_requests"] == 12
        assert usage["upstream_requests"] == 15


@pytest.mark.skipif(sys.platform == "win32", reason="open files are counted on POSIX")
def test_a_short_soak_leaves_nothing_behind(tmp_path: Path) -> None:
    """The short form of ``make soak``."""
    report = soak(tmp_path, Limits(requests=600, seconds=120, cycles=2))
    assert report.problems == []
    assert report.requests >= 100
