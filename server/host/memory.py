"""Gives memory back to the system once a load is over.

glibc keeps what was freed for the next request, and after a crowd that is several megabytes. One
look some seconds after the last request returns them; a server at rest has no timer.
"""

import asyncio
import ctypes
import gc
import sys
from collections.abc import Callable

QUIET_S = 1.0
"""Without a request for this long, a load is over."""


_ARENA_MAX = -8
"""``M_ARENA_MAX`` of glibc's ``mallopt``."""


def one_arena() -> bool:
    """Let every thread of this process take its memory from one place: ``malloc_trim`` gives back
    the ends of no other. Threads that Python runs one at a time lose nothing by it."""
    if not sys.platform.startswith("linux"):
        return False
    choose = getattr(ctypes.CDLL(None), "mallopt", None)
    return choose is not None and choose(_ARENA_MAX, 1) == 1


def trimmer() -> Callable[[], object] | None:
    """glibc's ``malloc_trim(0)``, which takes a few milliseconds; None where there is none."""
    if not sys.platform.startswith("linux"):
        return None
    trim = getattr(ctypes.CDLL(None), "malloc_trim", None)
    if trim is None:
        return None

    def give_back() -> None:
        gc.collect()  # circles that errors leave may hold whole bodies
        trim(0)

    return give_back


class Memory:
    """Told whenever the last request under way has ended."""

    def __init__(self, is_busy: Callable[[], bool], trim: Callable[[], object] | None) -> None:
        self._is_busy = is_busy
        self._trim = trim
        self._looking: asyncio.TimerHandle | None = None
        self._quiet_since = 0.0

    def quiet(self) -> None:
        """Nothing is under way now."""
        loop = asyncio.get_running_loop()
        self._quiet_since = loop.time()
        if self._looking is None and self._trim is not None:
            self._looking = loop.call_later(QUIET_S, self._look)

    def _look(self) -> None:
        self._looking = None
        loop = asyncio.get_running_loop()
        left = self._quiet_since + QUIET_S - loop.time()
        if self._is_busy() or self._trim is None:
            return  # the end of what is under way will tell
        if left > 0:
            self._looking = loop.call_later(left, self._look)
        else:
            self._trim()
