"""Threads that nothing waits for, and names looked up in them."""

import asyncio
import contextlib
import gc
import socket
import subprocess
import sys
import threading
import time
import weakref
from contextvars import ContextVar
from functools import partial

import pytest

from server.aside import Aside, Lookups, look_up_aside, off_loop
from tests.support import HANGS_S

word: ContextVar[str] = ContextVar("word")


async def test_work_is_done_in_a_thread_and_in_the_callers_context() -> None:
    aside = Aside(1, "test")
    word.set("said")
    name, heard = await aside.run(lambda: (threading.current_thread().name, word.get()))
    assert (name, heard) == ("test", "said")

    def fails() -> None:
        raise KeyError("told")

    with pytest.raises(KeyError, match="told"):
        await aside.run(fails)


async def test_no_more_at_once_than_allowed_even_when_those_who_asked_have_left() -> None:
    aside, go, running = Aside(2, "test"), threading.Event(), []

    def work() -> None:
        running.append(threading.current_thread())
        go.wait(HANGS_S)

    asking = [asyncio.create_task(aside.run(work)) for _ in range(20)]
    await asyncio.sleep(0.05)
    for task in asking[:10]:
        task.cancel()
    await asyncio.sleep(0.05)
    assert len(running) == 2
    go.set()
    await asyncio.gather(*asking, return_exceptions=True)
    assert len(running) == 12  # eight left before their turn
    assert await aside.run(lambda: 1) == 1


async def test_a_name_server_that_is_silent_holds_up_nothing_else() -> None:
    go = threading.Event()

    def silent(*_asked: object, **_more: object) -> list[tuple[object, ...]]:
        go.wait(HANGS_S)
        return []

    lookups = Lookups(silent, most=4)
    asking = [asyncio.create_task(lookups.getaddrinfo(f"{n}.example", 80)) for n in range(60)]
    await asyncio.sleep(0.05)
    assert sum(thread.name == "look-up" for thread in threading.enumerate()) == 4
    assert await asyncio.wait_for(asyncio.to_thread(lambda: "served"), HANGS_S) == "served"
    for task in asking:
        task.cancel()
    go.set()
    await asyncio.gather(*asking, return_exceptions=True)


async def test_connections_look_their_names_up_this_way() -> None:
    look_up_aside(asyncio.get_running_loop())
    async with await asyncio.start_server(lambda _r, w: w.close(), "127.0.0.1", 0) as server:
        port = server.sockets[0].getsockname()[1]
        reader, writer = await asyncio.open_connection("localhost", port, family=2)
        assert await reader.read() == b""
        writer.close()
    with pytest.raises(socket.gaierror):
        await asyncio.open_connection("nothing.invalid", port)


def test_the_end_of_the_program_abandons_what_still_looks_up() -> None:
    program = """
import asyncio, time
from server.aside import Lookups

async def main():
    asking = [asyncio.create_task(Lookups(lambda *a, **m: time.sleep(600)).getaddrinfo("a", 1))
              for _ in range(5)]
    await asyncio.sleep(0.2)

asyncio.run(main())
"""
    began = time.monotonic()
    subprocess.run([sys.executable, "-c", program], check=True, timeout=HANGS_S)
    assert time.monotonic() - began < HANGS_S / 2


async def test_what_takes_long_leaves_the_loop_and_one_after_the_other() -> None:
    at_once, most = 0, 0
    guard = threading.Lock()

    def work() -> str:
        nonlocal at_once, most
        with guard:
            at_once += 1
            most = max(most, at_once)
        time.sleep(0.002)
        with guard:
            at_once -= 1
        return threading.current_thread().name

    assert await off_loop(lambda: threading.current_thread().name, when=False) == "MainThread"
    assert set(await asyncio.gather(*(off_loop(work) for _ in range(20)))) == {"off-loop"}
    assert most == 1


async def test_what_was_worked_on_is_free_once_it_has_failed() -> None:
    """No circle of error, frame and future keeps it until the garbage collector comes by."""

    class Body:
        pass

    def fail(body: Body) -> None:
        raise KeyError(str(body))

    gc.disable()
    try:
        body = Body()
        seen = weakref.ref(body)
        with contextlib.suppress(KeyError):
            await off_loop(partial(fail, body))
        del body
        await asyncio.sleep(0.05)
        assert seen() is None
    finally:
        gc.enable()
