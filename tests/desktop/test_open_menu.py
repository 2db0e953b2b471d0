"""A menu that is open while an agent works: every line stays, and means what it says."""

import signal
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

import httpx
import pytest

from tests.desktop.conftest import Program, Starter, chat
from tests.desktop.test_tray import JSON, ready, wait
from tests.support import HANGS_S

if TYPE_CHECKING:
    from tests.desktop.panel import Panel

A_SECOND = 10
"""Requests."""


@contextmanager
def agent(program: Program) -> Iterator[list[int]]:
    """Ten requests a second until the end; the status of each answer."""
    done, answers = threading.Event(), list[int]()

    def work() -> None:
        with httpx.Client(trust_env=False, timeout=HANGS_S) as http:
            while not done.wait(1 / A_SECOND):
                url = program.url + "/v1/chat/completions"
                answers.append(http.post(url, content=chat("hi"), headers=JSON).status_code)

    thread = threading.Thread(target=work)
    thread.start()
    try:
        yield answers
    finally:
        done.set()
        thread.join()


def test_requests_change_nothing_in_an_open_menu(panel: "Panel", start: Starter) -> None:
    with start("--hidden") as program:
        ready(panel, program)
        with agent(program) as answers:
            wait(lambda: len(answers) > 3)
            opened = panel.open_menu()
            panel.menu_changes.clear()
            wait(lambda: len(answers) > 30)
            assert panel.menu_changes == []
            assert panel.open_menu() == opened
            panel.choose(opened["Queue when rate limited"])
            wait(lambda: panel.entry("Queue when rate limited").get("toggle-state") == 1)
        assert set(answers) == {200}
        assert program.http.get(program.url + "/health").json()["wait_mode"] is True


def test_a_line_keeps_its_id_through_every_state(panel: "Panel", start: Starter) -> None:
    """What is no longer offered goes, and its id with it; what stays can still be clicked."""
    from gi.repository import GLib  # noqa: PLC0415  # the system's

    with start("--hidden") as program:
        ready(panel, program)
        opened = panel.open_menu()
        panel.choose(opened["Stop server"])
        wait(lambda: not program.answers() and "Start server" in panel.labels())
        stopped = panel.open_menu()
        kept = opened.keys() & stopped.keys()
        assert {"Open dashboard", "Restart server", "Start at login", "Quit", "Help"} <= kept
        assert {label: opened[label] for label in kept} == {n: stopped[n] for n in kept}
        with pytest.raises(GLib.Error, match="does not refer to a menu item"):
            panel.choose(opened["Stop server"])
        panel.choose(opened["Start at login"])
        wait(lambda: panel.entry("Start at login").get("toggle-state") == 1)
        panel.choose(stopped["Start server"])
        wait(program.answers)
        wait(lambda: panel.says("Stop server"))
        assert [n for n, e in panel.entries() if e.get("label") == "Quit"] == [opened["Quit"]]


def test_the_icon_is_ours_described_and_leaves_no_file(
    panel: "Panel", start: Starter, tmp_path: Path
) -> None:
    (tmp_path / "tmp").mkdir()
    with start("--hidden", TMPDIR=str(tmp_path / "tmp")) as program:
        ready(panel, program)
        wait(lambda: panel.icon()["IconAccessibleDesc"] == "Gemini API Proxy: running")
        shown = Path(panel.icon()["IconName"])
        assert shown.parent == program.folder / "icons"
        assert shown.is_file()
        program.process.kill()
        program.process.wait()
        assert list((tmp_path / "tmp").iterdir()) == []
    (program.folder / "icons" / "left.png").write_bytes(b"")
    panel.items.clear()
    with start("--hidden", port=program.port) as again:
        ready(panel, again)
        assert not (program.folder / "icons" / "left.png").exists()
        panel.click("Quit")
        assert again.process.wait(HANGS_S) == 0
    assert not (program.folder / "icons").exists()


def test_a_notification_carries_our_name_and_icon(panel: "Panel", start: Starter) -> None:
    panel.senders.clear()
    with start("--hidden") as program:
        ready(panel, program)
        (program.folder / "settings.toml").write_text('WAIT_MODE = "maybe"\n')
        panel.click("Restart server")
        wait(lambda: panel.senders)
        name, icon, entry = panel.senders[0]
        assert (name, entry) == ("Gemini API Proxy", "gemini-api-proxy")
        assert Path(icon).is_file()


def test_a_first_launch_that_hangs_is_told_within_three_seconds(
    panel: "Panel", start: Starter
) -> None:
    with start("--hidden") as program:
        ready(panel, program)
        program.process.send_signal(signal.SIGSTOP)
        panel.notes.clear()
        began = time.monotonic()
        second = program.again()
        took = time.monotonic() - began
        program.process.send_signal(signal.SIGCONT)
        assert second.returncode == 1
        assert "does not answer" in second.stderr
        assert "does not answer" in panel.notes[0][1]
        assert took < 4  # of which the start of the program itself
