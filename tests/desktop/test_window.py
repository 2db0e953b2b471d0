"""The real window: our own pages, and the system's browser for everything else."""

import os
import re
import signal
import socket
import subprocess
import sys
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, suppress
from functools import partial
from pathlib import Path

import httpx
import pytest

from server.host.control import Controller
from server.host.runtime import Server
from server.settings.load import load
from tests.desktop.conftest import MAIN, Starter
from tests.desktop.google import client_file, environment, google_at
from tests.desktop.panel import until
from tests.google.google import FakeGoogle
from tests.support import HANGS_S, free_port
from tray.instance import Desk
from tray.opener import Opener
from tray.standin import StandIn
from webui.pages import create_pages


@contextmanager
def serving(folder: Path, **environ: str) -> Iterator[Controller]:
    """A server in this process, asked to start."""
    given = {"DATA_DIR": str(folder), "HOST": "127.0.0.1"}
    more = {"PORT": str(free_port()), "UPSTREAM": "demo", **environ}
    controller = Controller(lambda: load(given, more), lambda found: Server(found, create_pages))
    controller.start()
    try:
        yield controller
    finally:
        controller.quit()
        controller.join()


def running(controller: Controller) -> str:
    """Where the server is, once it runs."""
    until(lambda: controller.status.phase == "running")
    return controller.status.base_url


def asked(opener: Opener, script: str) -> object:
    return opener.evaluate(script, timeout_s=HANGS_S)


@contextmanager
def window(
    start: Starter, folder: Path, admit: Callable[[str], str] = str, **environ: str
) -> Iterator[Opener]:
    """An opener of real windows; ``environ`` is theirs."""
    desk = Desk(folder)

    def spawn(command: Sequence[str], given: dict[str, str]) -> "subprocess.Popen[bytes]":
        channel = {name: given[name] for name in given if name.startswith("GEMINI_PROXY")}
        return subprocess.Popen(command, env={**start.environ, **channel, **environ})

    command = [sys.executable, str(MAIN), "--window", "--data-dir", str(folder)]
    opener = Opener(command, desk.address, admit=admit, spawn=spawn)
    desk.open(on_show=lambda: None, on_window=opener.attend)
    try:
        yield opener
    finally:
        opener.close()
        desk.close()


@pytest.fixture
def taken(tmp_path: Path) -> Path:
    """What the stand-in for the system's browser was asked to open."""
    program = tmp_path / "browser"
    program.write_text(f'#!/bin/sh\necho "$1" >> "{tmp_path}/taken"\n')
    program.chmod(0o700)
    return tmp_path / "taken"


def test_sign_in_happens_in_the_systems_browser_and_the_window_goes_on(
    start: Starter, tmp_path: Path, taken: Path
) -> None:
    google = FakeGoogle()
    with google_at(google) as base_url:
        more = environment(base_url, client_file(google, base_url, tmp_path / "data"))
        with (
            serving(tmp_path / "data", **more) as controller,
            window(start, tmp_path / "data", BROWSER=str(tmp_path / "browser")) as opener,
        ):
            page = running(controller) + "/setup"
            opener.open(page)
            assert opener.loaded.wait(HANGS_S)
            click = "document.querySelector('#google-sign-in').click(); 1"
            assert asked(opener, click) == 1
            (address,) = until(lambda: taken.read_text().split())
            assert address.startswith(base_url)
            assert asked(opener, "location.href") == page
            told = "document.getElementById('waiting').hidden"
            assert asked(opener, told) is False
            with httpx.Client(trust_env=False, follow_redirects=True) as browser:
                assert "Signed in" in browser.get(address).text
            said = "document.querySelector('main').innerText"
            until(lambda: "Sign out" in str(asked(opener, said)))
            assert asked(opener, "location.href") == page


def test_where_a_key_is_asked_for_the_window_is_let_in(start: Starter, tmp_path: Path) -> None:
    with (
        serving(tmp_path / "data", API_KEY="not-for-the-window") as controller,
        window(start, tmp_path / "data", controller.admit) as opener,
    ):
        page = running(controller) + "/settings"
        assert httpx.get(page, trust_env=False).status_code == 401
        opener.open(page)
        assert opener.loaded.wait(HANGS_S)
        assert asked(opener, "document.querySelector('h1').innerText") == "Settings"
        assert asked(opener, "location.href") == page
        assert asked(opener, "document.cookie") == ""
        assert "ticket" not in opener.shown
        opener.turn(running(controller) + "/help")
        until(lambda: asked(opener, "location.pathname + document.title[0]") == "/helpH")


def test_a_stopped_server_is_mended_in_the_window(start: Starter, tmp_path: Path) -> None:
    port = free_port()
    with (
        socket.create_server(("127.0.0.1", port)),
        serving(tmp_path / "data", PORT=str(port)) as controller,
        window(start, tmp_path / "data", controller.admit) as opener,
    ):
        until(lambda: controller.status.trouble)
        trouble = controller.status.trouble
        assert trouble is not None
        stand_in = StandIn(
            lambda: controller.status, lambda action: controller.accept_port(int(action.value or 0))
        )
        opener.open(stand_in.address)
        assert opener.loaded.wait(HANGS_S)
        said = str(asked(opener, "document.body.innerText"))
        assert f"Port {port} in use" in said
        assert "Another program listens there." in said
        assert f"Use port {trouble.free_port} instead" in said
        asked(opener, "document.querySelector('button').click()")
        until(lambda: opener.shown == f"http://127.0.0.1:{trouble.free_port}/")
        stand_in.close()


def test_a_foreign_page_goes_to_the_systems_browser(
    start: Starter, tmp_path: Path, taken: Path
) -> None:
    with (
        serving(tmp_path / "data") as controller,
        window(start, tmp_path / "data", BROWSER=str(tmp_path / "browser")) as opener,
    ):
        page = running(controller) + "/help"
        opener.open(page)
        assert opener.loaded.wait(HANGS_S)
        asked(opener, "document.querySelector('a[href^=https]').click()")
        (address,) = until(lambda: taken.read_text().split())
        assert address.startswith("https://")
        assert asked(opener, "location.href") == page


def page_processes(window: int) -> list[int]:
    """Process ids of WebKit's page processes below ``window``."""
    parents = {}
    for folder in Path("/proc").glob("[0-9]*"):
        with suppress(OSError):
            fields = (folder / "stat").read_text().rpartition(")")[2].split()
            if fields[0] != "Z":
                parents[int(folder.name)] = (int(fields[1]), (folder / "comm").read_text())
    found, level = [], {window}
    while level := {pid for pid, (parent, _) in parents.items() if parent in level}:
        found += [pid for pid in level if parents[pid][1].startswith("WebKitWebProces")]
    return found


def another(window: int, drawing: list[int]) -> bool:
    """Whether it has a page process, and not that one."""
    return page_processes(window) not in ([], drawing)


def test_a_page_that_dies_is_shown_once_more_and_then_in_the_browser(
    start: Starter, tmp_path: Path, taken: Path, caplog: pytest.LogCaptureFixture
) -> None:
    browsed: list[str] = []
    with (
        serving(tmp_path / "data") as controller,
        window(start, tmp_path / "data") as opener,
    ):
        opener._browse = browsed.append
        page = running(controller) + "/help"
        opener.open(page)
        assert opener.loaded.wait(HANGS_S)
        process = opener._process
        assert process is not None
        for last in (False, True):
            drawing = until(lambda: page_processes(process.pid))
            os.kill(drawing[0], signal.SIGKILL)
            if not last:
                until(partial(another, process.pid, drawing))
                until(lambda: asked(opener, "document.title[0]") == "H")
        assert until(lambda: browsed) == [page]
        until(lambda: not opener.is_open)
    assert [r.levelname for r in caplog.records if "has died" in r.message] == ["WARNING"] * 2


def test_the_window_carries_our_name_and_icon(start: Starter, tmp_path: Path, screen: str) -> None:
    with (
        serving(tmp_path / "data") as controller,
        window(start, tmp_path / "data") as opener,
    ):
        opener.open(running(controller) + "/help")
        assert opener.loaded.wait(HANGS_S)
        listed = subprocess.run(
            ["xwininfo", "-root", "-tree", "-display", screen],
            capture_output=True,
            text=True,
            check=True,
        ).stdout
        number = re.search(r'(0x[0-9a-f]+) "Gemini API Proxy"', listed)
        assert number, listed
        told = subprocess.run(
            ["xprop", "-display", screen, "-id", number[1], "WM_CLASS", "_NET_WM_ICON"],
            capture_output=True,
            text=True,
            check=True,
        ).stdout
        assert '"gemini-api-proxy", "Gemini-api-proxy"' in told
        assert "Icon (" in told or "= 0x" in told or "_NET_WM_ICON(CARDINAL) =" in told
