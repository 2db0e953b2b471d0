"""Ends of every kind: killed, quit in mid-stream, restarted by a page, in the way of a port."""

import os
import re
import signal
import socket
import time
from contextlib import ExitStack
from pathlib import Path
from typing import TYPE_CHECKING, Any

from tests.desktop.conftest import Program, Starter, chat
from tests.desktop.google import endless
from tests.desktop.test_tray import JSON, RUNNING, ready, shown, wait
from tests.support import HANGS_S, free_port

if TYPE_CHECKING:
    from tests.desktop.panel import Panel


def stream(program: Program, stack: ExitStack) -> list[str]:
    """An answer that has begun; its lines, once it has ended."""
    url, body = program.url + "/v1/chat/completions", chat("hi", stream=True)
    answer = stack.enter_context(program.http.stream("POST", url, content=body, headers=JSON))
    lines = answer.iter_lines()
    first = next(lines)
    rest: list[str] = [first]
    stack.callback(lambda: rest.extend(lines))
    return rest


def test_the_tooltip_says_what_runs_and_quit_ends_streams_at_once(
    panel: "Panel", start: Starter
) -> None:
    with endless() as google, start("--hidden", **google) as program:
        ready(panel, program)
        with ExitStack() as stack:
            answers = [stream(program, stack) for _ in range(3)]
            wait(lambda: "3 running" in panel.icon()["Title"])
            panel.click("Quit")
            assert program.process.wait(HANGS_S) == 0
        for lines in answers:
            assert "The proxy was stopped while it was answering." in "".join(lines)


def test_a_killed_app_leaves_nothing_in_the_way_of_the_next(panel: "Panel", start: Starter) -> None:
    port = free_port()
    with start(port=port) as program:
        ready(panel, program)
        wait(lambda: shown(program, 1))
        (window,) = program.windows()
        program.process.kill()
        program.process.wait()
        wait(lambda: ended(window))
    assert (program.folder / "instance.json").exists()
    panel.items.clear()
    with start("--hidden", port=port) as program:
        ready(panel, program)
        assert program.again().returncode == 0


def ended(process: int) -> bool:
    """Whether it has; it stays a zombie where nobody adopts it."""
    try:
        return ") Z " in Path(f"/proc/{process}/stat").read_text()
    except FileNotFoundError:
        return True


def test_a_port_in_the_way_is_shown_in_the_window_too(panel: "Panel", start: Starter) -> None:
    port = free_port()
    with (
        socket.create_server(("127.0.0.1", port)),
        start(port=port, HOST="127.0.0.1") as program,
    ):
        wait(lambda: shown(program, 1))
        assert panel.says(f"Port {port} in use")
        offer = next(label for label in panel.labels() if label.startswith("Use port"))
        free = int(offer.split()[2])
        panel.click(offer)
        wait(
            lambda: program.answers(free) and f"The window shows 127.0.0.1:{free}" in program.log()
        )


def test_our_own_holder_of_a_port_is_named(panel: "Panel", start: Starter) -> None:
    with start("--hidden") as first:
        ready(panel, first)
        elsewhere = str(first.folder.parent / "other")
        panel.items.clear()
        with start("--hidden", "--data-dir", elsewhere, port=first.port) as second:
            wait(lambda: panel.items and panel.says("Gemini API Proxy is already running there."))
            assert second.process.poll() is None
        assert first.answers()


def test_a_port_saved_on_the_page_moves_the_server_and_the_window(
    panel: "Panel", start: Starter
) -> None:
    new = free_port()
    with start() as program:
        ready(panel, program)
        wait(lambda: shown(program, 1))
        page = program.url + "/settings"
        found = re.search(r'name="token" value="([^"]*)"', program.http.get(page).text)
        assert found
        token = found[1]
        saved = {"token": token, "PORT": str(new)}
        assert program.http.post(page, data=saved).status_code == 303
        sure = {"token": token, "action": "restart", "sure": "yes"}
        assert program.http.post(page, data=sure).status_code == 200
        wait(lambda: program.answers(new) and panel.says(f"{RUNNING}{new}"))
        wait(lambda: f"The window shows 127.0.0.1:{new}" in program.log())
        assert not program.answers()
        assert panel.notes == []


def test_a_window_is_let_in_where_a_key_is_asked_for(panel: "Panel", start: Starter) -> None:
    """The browser takes its place, where there can be no window, and is let in as well."""
    folder = start.data.parent
    browser = folder / "browser"
    browser.write_text(f'#!/bin/sh\necho "$1" > "{folder}/opened"\n')
    browser.chmod(0o700)
    (folder / "webview").mkdir()
    (folder / "webview" / "__init__.py").write_text("raise ImportError('no web view here')\n")
    more: dict[str, Any] = {
        "BROWSER": str(browser),
        "PYTHONPATH": str(folder),
        "API_KEY": "a-key-of-the-user",
    }
    with start("--hidden", **more) as program:
        wait(lambda: panel.items and panel.says(RUNNING))
        assert program.http.get(program.url + "/settings").status_code == 401
        panel.click("Settings…")
        opened = folder / "opened"
        wait(lambda: opened.exists() and opened.read_text())
        assert program.http.get(opened.read_text().strip()).headers["location"] == "/settings"
        assert program.http.get(program.url + "/settings").status_code == 200
        assert "ticket" not in program.log()


IDLE_S = 3.0


def wake_ups(process: int) -> int:
    """How often any thread of it has gone to sleep so far."""
    threads = Path(f"/proc/{process}/task").glob("*/status")
    found = (re.search(r"\nvoluntary_ctxt_switches:\s*(\d+)", t.read_text()) for t in threads)
    return sum(int(one[1]) for one in found if one)


def rests(process: int) -> bool:
    """Whether it wakes up once a second at most, for a while."""
    before = wake_ups(process)
    time.sleep(IDLE_S)
    return wake_ups(process) - before <= IDLE_S


def test_an_idle_app_sleeps_and_is_small(panel: "Panel", start: Starter) -> None:
    """After a request and a window, both of them over."""
    with start() as program:
        ready(panel, program)
        wait(lambda: shown(program, 1))
        (window,) = program.windows()
        os.kill(window, signal.SIGTERM)
        wait(lambda: program.windows() == [])
        ask = program.url + "/v1/chat/completions"
        assert program.http.post(ask, content=chat("hi"), headers=JSON).status_code == 200
        program.http.close()
        wait(lambda: panel.labels()[-1] == "Quit")
        wait(lambda: rests(program.process.pid))
        sizes = Path(f"/proc/{program.process.pid}/smaps_rollup").read_text()
        pss = re.search(r"\nPss:\s*(\d+) kB", sizes)
        assert pss
        assert int(pss[1]) < 100_000
