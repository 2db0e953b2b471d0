"""The real program on a private desktop: the test reads its menu and clicks in it."""

import os
import signal
import socket
import subprocess
from collections.abc import Callable
from functools import partial
from typing import TYPE_CHECKING

import httpx
import pytest

from tests.desktop.conftest import Program, Starter, chat
from tests.desktop.google import endless
from tests.support import HANGS_S, free_port

if TYPE_CHECKING:
    from tests.desktop.panel import Panel

JSON = {"content-type": "application/json"}
RUNNING = "Running on 127.0.0.1:"


def wait(look: Callable[[], object]) -> None:
    from tests.desktop.panel import until  # noqa: PLC0415  # needs gi

    until(look)


def shown(program: Program, times: int) -> bool:
    """Whether the window has told so often that a page is loaded."""
    return program.log().count("The window shows") >= times


def ready(panel: "Panel", program: Program) -> None:
    wait(lambda: program.answers() and panel.says(RUNNING))


def test_the_menu_stops_and_starts_the_server_with_streams_open(
    panel: "Panel", start: Starter
) -> None:
    with endless() as google, start("--hidden", **google) as program:
        ready(panel, program)
        icon = panel.icon()["IconName"]
        asked = chat("hi", stream=True)
        with program.http.stream(
            "POST", program.url + "/v1/chat/completions", content=asked, headers=JSON
        ) as answer:
            lines = answer.iter_lines()
            next(lines)
            wait(lambda: "1 running" in panel.icon()["Title"])
            panel.click("Stop server")
            rest = "".join(lines)
        assert "The proxy was stopped while it was answering." in rest
        assert "[DONE]" not in rest
        wait(lambda: panel.says("Start server") and not program.answers())
        assert panel.icon()["IconName"] != icon
        assert not panel.entry("Connect an app").get("enabled", True)
        panel.click("Start server")
        ready(panel, program)


def test_wait_mode_in_the_menu_changes_what_the_next_request_meets(
    panel: "Panel", start: Starter
) -> None:
    with start("--hidden", RATE_LIMIT="1.5") as program:
        ready(panel, program)

        def ask() -> httpx.Response:
            url = program.url + "/v1/chat/completions"
            return program.http.post(url, content=chat("hi"), headers=JSON)

        def waited() -> bool:
            answer = ask()
            assert answer.status_code == 200
            return float(answer.headers.get("x-queue-wait-ms", 0)) > 0

        wait(lambda: ask().status_code == 429)  # at the second, unless the machine is very slow
        panel.click("Queue when rate limited")
        wait(lambda: panel.entry("Queue when rate limited").get("toggle-state") == 1)
        wait(waited)
        assert program.http.get(program.url + "/health").json()["wait_mode"] is True
        panel.click("Off")
        wait(lambda: program.http.get(program.url + "/health").json()["rate_limit"] == 0)


def test_addresses_and_diagnostics_are_copied(panel: "Panel", start: Starter) -> None:
    with start("--hidden") as program:
        ready(panel, program)
        read = [program.command[0], "-c", _CLIPBOARD]
        for label, text in (("OpenAI:", "/v1"), ("Anthropic:", "")):
            panel.click(label)
            wait(partial(_copied, read, program, program.url + text))
        panel.click("Copy diagnostics")
        wait(lambda: f"{program.port} is held by Gemini API" in _output(read, program.environ))


def _copied(read: list[str], program: Program, text: str) -> bool:
    return _output(read, program.environ) == text


_CLIPBOARD = """
import gi
gi.require_version("Gtk", "3.0")
from gi.repository import Gdk, Gtk
print(Gtk.Clipboard.get(Gdk.SELECTION_CLIPBOARD).wait_for_text())
"""


def _output(command: list[str], environ: dict[str, str]) -> str:
    return subprocess.run(
        command, env=environ, capture_output=True, text=True, timeout=HANGS_S, check=False
    ).stdout.strip()


def test_the_window_opens_closes_and_dies_without_harm(panel: "Panel", start: Starter) -> None:
    with start("--hidden") as program:
        ready(panel, program)
        assert program.windows() == []
        for times, end in enumerate((signal.SIGKILL, signal.SIGTERM), start=1):
            panel.click("Open dashboard")
            wait(partial(shown, program, times))
            (window,) = program.windows()
            panel.click("Open dashboard")
            os.kill(window, end)
            wait(lambda: program.windows() == [])
            assert program.answers()
        assert panel.says(RUNNING)


def test_a_second_launch_opens_the_window_of_the_first(panel: "Panel", start: Starter) -> None:
    with start("--hidden") as program:
        ready(panel, program)
        second = program.again()
        assert second.returncode == 0
        assert "already running" in second.stdout
        wait(program.windows)
        assert program.process.poll() is None
        assert len({owner for owner, _ in panel.items}) == 1


def test_a_taken_port_is_told_and_the_free_one_taken_on_request(
    panel: "Panel", start: Starter
) -> None:
    port = free_port()
    with (
        socket.create_server(("127.0.0.1", port)),
        start("--hidden", port=port, HOST="127.0.0.1") as program,
    ):
        wait(lambda: panel.items and panel.says(f"Port {port} in use"))
        assert panel.says("Another program listens there.")
        wait(lambda: panel.notes)
        assert f"Port {port} on 127.0.0.1 is in use" in panel.notes[0][1]
        offer = next(label for label in panel.labels() if label.startswith("Use port"))
        free = int(offer.split()[2])
        panel.click(offer)
        wait(lambda: program.answers(free) and panel.says(f"{RUNNING}{free}"))
        assert f"PORT = {free}" in (program.folder / "settings.toml").read_text()
        assert len(panel.notes) == 1


def test_a_bad_settings_file_keeps_the_tray_and_says_so(panel: "Panel", start: Starter) -> None:
    with start("--hidden") as program:
        ready(panel, program)
        file = program.folder / "settings.toml"
        file.write_text('WAIT_MODE = "maybe"\n')
        panel.click("Restart server")
        wait(lambda: panel.says("WAIT_MODE: 'maybe' (from settings.toml)"))
        file.unlink()
        panel.click("Start server")
        ready(panel, program)


def test_start_at_login_is_read_from_the_system(panel: "Panel", start: Starter) -> None:
    with start("--hidden") as program:
        ready(panel, program)
        panel.click("Start at login")
        wait(lambda: panel.entry("Start at login").get("toggle-state") == 1)
        entries = list(program.folder.parent.rglob("autostart/*.desktop"))
        assert len(entries) == 1
        assert "--hidden" in entries[0].read_text()


@pytest.mark.parametrize(("number", "code"), [(None, 0), (signal.SIGTERM, 0), (signal.SIGINT, 130)])
def test_quit_frees_the_port_and_takes_the_window_along(
    panel: "Panel", start: Starter, number: signal.Signals | None, code: int
) -> None:
    with start("--hidden") as program:
        ready(panel, program)
        panel.click("Open dashboard")
        wait(program.windows)
        if number is None:
            panel.click("Quit")
        else:
            program.process.send_signal(number)
        assert program.process.wait(HANGS_S) == code
        wait(lambda: program.windows() == [])
        with socket.create_server(("127.0.0.1", program.port)):
            pass
        assert not (program.folder / "instance.json").exists()


def test_the_self_test_passes(start: Starter) -> None:
    with start("--self-test") as program:
        assert program.process.wait(3 * HANGS_S) == 0
