"""Memory is given back after a load, once, and only when nothing is under way."""

import sys
from collections.abc import Callable

import pytest

from server.host.memory import QUIET_S, Memory, one_arena, trimmer


class Loop:
    """An event loop's clock and timers, as far as they are used; time passes when it is told."""

    def __init__(self) -> None:
        self.now = 0.0
        self.timers: list[tuple[float, Callable[[], None]]] = []

    def time(self) -> float:
        return self.now

    def call_later(self, delay_s: float, work: Callable[[], None]) -> object:
        self.timers.append((self.now + delay_s, work))
        return work

    def pass_by(self, delay_s: float) -> None:
        end = self.now + delay_s
        while self.timers and self.timers[0][0] <= end:  # there is one at most
            self.now, work = self.timers.pop(0)
            work()
        self.now = end


@pytest.fixture
def loop(monkeypatch: pytest.MonkeyPatch) -> Loop:
    made = Loop()
    monkeypatch.setattr("server.host.memory.asyncio.get_running_loop", lambda: made)
    return made


def test_once_after_the_last_request_however_many_there_were(loop: Loop) -> None:
    trims: list[float] = []
    memory = Memory(lambda: False, lambda: trims.append(loop.now))
    for _ in range(10):
        memory.quiet()
        loop.pass_by(QUIET_S / 4)
    ended = loop.now - QUIET_S / 4
    loop.pass_by(60)
    assert trims == [ended + QUIET_S]
    assert loop.timers == []
    memory.quiet()
    loop.pass_by(60)
    assert len(trims) == 2


def test_never_while_something_is_under_way(loop: Loop) -> None:
    trims: list[float] = []
    Memory(lambda: True, lambda: trims.append(loop.now)).quiet()
    loop.pass_by(60)
    assert trims == []


@pytest.mark.skipif(sys.platform != "linux", reason="glibc's own")
def test_glibc_can_be_asked() -> None:
    trim = trimmer()
    assert trim is None or trim() is None


def test_threads_share_one_arena_where_glibc_is() -> None:
    assert one_arena() == (trimmer() is not None)
