"""Work that must not hold up the event loop, in threads that nothing has to wait for.

The executor that asyncio offers is shared by everything, and the program cannot end before its
threads do. Here a thread lives as long as its work, their number is bounded, and the end of the
program abandons them.
"""

import asyncio
import contextlib
import contextvars
import socket
import sys
import threading
from collections.abc import Callable
from functools import partial
from typing import Any, TypeVar, cast
from weakref import WeakKeyDictionary

from server.limits import LOOKUPS_AT_ONCE

T = TypeVar("T")

SWITCH_S = 0.0005
"""How long a thread may keep the interpreter from the event loop, which asks for it with every
read and write; Python's own 5 ms would make twenty streams stutter beside one large body."""

Found = list[tuple[Any, ...]]
"""What ``socket.getaddrinfo`` gives."""


class Aside:
    """At most ``most`` threads at a time; further work waits for its turn."""

    def __init__(self, most: int, name: str) -> None:
        self._free = asyncio.Semaphore(most)
        self._name = name

    async def run(self, work: Callable[[], T]) -> T:
        """What ``work`` returns or raises, done in a thread and in the caller's context.

        Whoever stops waiting leaves the thread behind; it counts until its work ends.
        """
        await self._free.acquire()
        loop = asyncio.get_running_loop()
        answer: asyncio.Future[T] = loop.create_future()
        given = (contextvars.copy_context(), work, loop, partial(self._settle, answer))
        try:
            threading.Thread(target=_do, args=given, name=self._name, daemon=True).start()
        except RuntimeError as error:
            self._free.release()
            raise OSError(f"no thread can be started: {error}") from error
        del given, work
        try:
            return await answer
        finally:
            del answer  # see ``_do``

    def _settle(
        self, answer: "asyncio.Future[T]", value: T | None, error: Exception | None
    ) -> None:
        self._free.release()
        if answer.done():  # whoever asked has left
            return
        if error is None:
            answer.set_result(cast("T", value))
        else:
            answer.set_exception(error)


def _do(
    context: contextvars.Context,
    work: Callable[[], T],
    loop: asyncio.AbstractEventLoop,
    settle: Callable[[T | None, Exception | None], None],
) -> None:
    """The thread: ``work``, and the loop's news of how it ended."""
    value, error = None, None
    try:
        value = context.run(work)
    except Exception as failure:  # noqa: BLE001  # whoever waits must hear of any
        error = failure
    with contextlib.suppress(RuntimeError):  # the loop has been closed meanwhile
        loop.call_soon_threadsafe(settle, value, error)
    # An error knows this frame by its traceback, and through it the future that holds the error: a
    # circle, which would keep a body of megabytes until the garbage collector comes by.
    del context, work, settle, value, error


_BY_LOOP: WeakKeyDictionary[asyncio.AbstractEventLoop, Aside] = WeakKeyDictionary()


async def off_loop(work: Callable[[], T], *, when: bool = True) -> T:
    """What ``work`` returns or raises. It may take long, and is then (``when``) done in a thread.

    There is one such thread, because only one can compute at a time anyway: two would take the
    processor from the loop twice.
    """
    if not when:
        return work()
    loop = asyncio.get_running_loop()
    if loop not in _BY_LOOP:
        _BY_LOOP[loop] = Aside(1, "off-loop")
        sys.setswitchinterval(SWITCH_S)
    return await _BY_LOOP[loop].run(work)


class Lookups:
    """``socket.getaddrinfo`` without blocking. A silent name server keeps a thread for ten seconds
    and more, and nothing can call it back."""

    def __init__(
        self, look_up: Callable[..., Found] = socket.getaddrinfo, most: int = LOOKUPS_AT_ONCE
    ) -> None:
        self._look_up = look_up
        self._aside = Aside(most, "look-up")

    async def getaddrinfo(self, host: Any, port: Any, **more: int) -> Found:
        """The addresses of ``host``; ``more`` as asyncio's own. Raises ``OSError``."""
        return await self._aside.run(lambda: self._look_up(host, port, **more))


def look_up_aside(loop: asyncio.AbstractEventLoop) -> None:
    """Let everything that connects in ``loop`` look names up this way."""
    loop.getaddrinfo = Lookups().getaddrinfo  # type: ignore[method-assign]
