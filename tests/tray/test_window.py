"""What the window process decides by itself; the window is tested in ``tests/desktop``."""

import ctypes
import sys
import threading
from pathlib import Path
from types import SimpleNamespace

import pytest

from tests.tray.platforms import Registry, module_on
from tray.instance import Desk, Message, Peer
from tray.window import CHANNEL, NO_WINDOW, WEBVIEW2, is_foreign, run, without_ticket

HOME = "http://192.168.1.7:8081/"


@pytest.mark.parametrize(
    ("url", "foreign"),
    [
        ("http://127.0.0.1:9000/x", False),
        ("http://[::1]:8081/", False),
        ("http://localhost:8081/", False),
        ("http://192.168.1.7:8081/settings", False),
        ("about:blank", False),
        ("", False),
        ("https://accounts.google.com/o/oauth2/v2/auth?client_id=x", True),
        ("http://192.168.1.8/", True),
        ("https://127.0.0.1.evil.example/", True),
    ],
)
def test_only_pages_of_this_machine_are_shown(url: str, *, foreign: bool) -> None:
    assert is_foreign(url, HOME) is foreign


def test_a_ticket_is_never_told() -> None:
    assert without_ticket("http://127.0.0.1:1/login?ticket=a&to=/") == "http://127.0.0.1:1/login"
    assert without_ticket("http://127.0.0.1:1/?days=7") == "http://127.0.0.1:1/?days=7"


def test_without_a_tray_there_is_no_window(tmp_path: Path) -> None:
    assert run(tmp_path, {}) == NO_WINDOW
    assert run(tmp_path, {CHANNEL: "1:x"}) == NO_WINDOW


def test_without_a_web_view_the_tray_is_told(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sys.modules, "webview", None)
    desk, told, over = Desk(tmp_path), list[Message](), threading.Event()

    def attend(peer: Peer) -> None:
        peer.send({"url": "http://127.0.0.1:1/"})
        told.extend(peer.messages())
        over.set()

    desk.open(on_show=lambda: None, on_window=attend)
    try:
        assert run(tmp_path, {CHANNEL: desk.address}) == NO_WINDOW
        assert over.wait(5)
    finally:
        desk.close()
    assert "webview" in told[0]["failed"]


@pytest.mark.parametrize(
    ("root", "path", "version", "there"),
    [
        (Registry.HKEY_LOCAL_MACHINE, rf"SOFTWARE\WOW6432Node\{WEBVIEW2}", "131.0.2903", True),
        (Registry.HKEY_LOCAL_MACHINE, rf"SOFTWARE\{WEBVIEW2}", "131.0.2903", True),
        (Registry.HKEY_CURRENT_USER, rf"Software\{WEBVIEW2}", "131.0.2903", True),
        (Registry.HKEY_CURRENT_USER, rf"Software\{WEBVIEW2}", "0.0.0.0", False),  # noqa: S104
        (Registry.HKEY_CURRENT_USER, rf"Software\{WEBVIEW2}", "", False),
        (Registry.HKEY_CURRENT_USER, "elsewhere", "131.0.2903", False),
    ],
)
def test_windows_without_webview2_has_no_window(
    monkeypatch: pytest.MonkeyPatch, root: int, path: str, version: str, *, there: bool
) -> None:
    registry = Registry()
    registry.held[root, path] = {"pv": version}
    window = module_on(monkeypatch, "win32", "tray.window", winreg=registry)
    assert window.has_webview2() is there


def test_windows_says_so_before_any_page_is_tried(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    window = module_on(monkeypatch, "win32", "tray.window", winreg=Registry(), webview=None)
    said: list[Message] = []
    peer = SimpleNamespace(send=said.append)
    assert window._show(peer, "http://127.0.0.1:1/", tmp_path) == NO_WINDOW
    assert "WebView2" in said[0]["failed"]


def test_windows_groups_tray_and_window(monkeypatch: pytest.MonkeyPatch) -> None:
    names: list[str] = []
    shell = SimpleNamespace(SetCurrentProcessExplicitAppUserModelID=names.append)
    monkeypatch.setattr(ctypes, "windll", SimpleNamespace(shell32=shell), raising=False)
    module_on(monkeypatch, "win32", "tray.window", winreg=Registry()).name_process()
    assert names == ["GeminiApiProxy"]
