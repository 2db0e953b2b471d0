"""Memory is given back after a load, once, and only when nothing is under way."""

import asyncio
import sys

import pytest

from server import memory
from server.memory import Memory, trimmer


@pytest.fixture
def trims(monkeypatch: pytest.MonkeyPatch) -> list[float]:
    monkeypatch.setattr(memory, "QUIET_S", 0.05)
    return []


def a_memory(trims: list[float], *, busy: bool = False) -> Memory:
    return Memory(lambda: busy, lambda: trims.append(asyncio.get_running_loop().time()))


async def test_once_after_the_last_request_however_many_there_were(trims: list[float]) -> None:
    quiet = a_memory(trims)
    for _ in range(10):
        quiet.quiet()
        await asyncio.sleep(0.01)
    ended = asyncio.get_running_loop().time()
    await asyncio.sleep(0.3)
    assert len(trims) == 1
    assert trims[0] >= ended
    quiet.quiet()
    await asyncio.sleep(0.3)
    assert len(trims) == 2


async def test_never_while_something_is_under_way(trims: list[float]) -> None:
    a_memory(trims, busy=True).quiet()
    await asyncio.sleep(0.2)
    assert trims == []


@pytest.mark.skipif(sys.platform != "linux", reason="glibc's own")
def test_glibc_can_be_asked() -> None:
    trim = trimmer()
    assert trim is None or trim() in (0, 1)
