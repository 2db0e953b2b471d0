"""Windows through stand-ins: messages sent to pystray's own window procedure."""

import ctypes
import importlib
import sys
import threading
from collections.abc import Callable
from pathlib import Path
from queue import SimpleQueue
from types import SimpleNamespace
from typing import Any

import pytest

from tests.support import HANGS_S
from tests.tray.platforms import Registry, module_on
from tray.menu import Action, Item

WINDOW = 77
CLOSE, QUERY_END, END, POWER, NOTIFY, RIGHT = 0x10, 0x11, 0x16, 0x218, 0x800 - 1, 0x205
ISS = Path(__file__).parents[2] / "package" / "windows.iss"
SYSTEM = 4711
"""What the system answers by itself."""


class Record(ctypes.Structure):
    """Any record of the system's; what is in it, no test asks."""

    _fields_ = (("number", ctypes.c_int),)

    def __init__(self, **_: object) -> None:
        super().__init__()


class User:
    """``pystray._util.win32``: notes what is asked of it."""

    WM_DISPLAYCHANGE, WM_STOP, WM_NOTIFY, WM_TASKBARCREATED = 0x7E, 0x801, NOTIFY, 0xC001
    WNDCLASSEX = MENUITEMINFO = NOTIFYICONDATAW = Record
    WM_NCCREATE, WM_CREATE, WM_LBUTTONUP, WM_RBUTTONUP = 0x81, 1, 0x202, RIGHT

    def __init__(self) -> None:
        self.asked: list[str] = []
        self.menus = 0
        self.while_open: Callable[[], None] = lambda: None

    def WNDPROC(self, procedure: Any) -> Any:  # noqa: N802  # the system's names
        return procedure

    def CreatePopupMenu(self) -> int:  # noqa: N802
        self.menus += 1
        return self.menus

    def DestroyMenu(self, menu: int) -> None:  # noqa: N802
        self.asked.append(f"destroy {menu}")

    def TrackPopupMenuEx(self, *_: Any) -> int:  # noqa: N802
        self.while_open()
        return 1

    def DefWindowProc(self, *_: Any) -> int:  # noqa: N802
        return SYSTEM

    def __getattr__(self, name: str) -> Any:
        return 0 if "_" in name else lambda *_, **__: WINDOW


class Windows:
    """``tray.icon`` on Windows over pystray's own backend."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.user = User()
        monkeypatch.setenv("PYSTRAY_BACKEND", "dummy")
        pystray = importlib.import_module("pystray")
        util = importlib.import_module("pystray._util")
        monkeypatch.setattr(util, "win32", self.user, raising=False)
        monkeypatch.setitem(sys.modules, "pystray._util.win32", self.user)
        monkeypatch.delitem(sys.modules, "pystray._win32", raising=False)
        self.backend = importlib.import_module("pystray._win32")
        del self.backend.Icon.__del__  # needs the system when the test is over
        monkeypatch.setattr(pystray, "_win32", self.backend, raising=False)
        monkeypatch.setattr(self.backend.Icon, "_assert_icon_handle", lambda _: None)
        monkeypatch.setattr(self.backend.Icon, "_message", lambda *_, **__: None)
        module_on(monkeypatch, "win32", "tray.windows")
        self.module = module_on(monkeypatch, "win32", "tray.icon", winreg=Registry())
        self.chosen: SimpleQueue[Action] = SimpleQueue()
        there = SimpleNamespace(
            Icon=self.backend.Icon, Menu=pystray.Menu, MenuItem=pystray.MenuItem
        )
        self.icon = self.module.Icon(there, self.chosen.put)
        self.inner = self.icon._icon
        self.inner._hwnd = WINDOW
        monkeypatch.setitem(self.backend.Icon._HWND_TO_ICON, WINDOW, self.inner)

    def send(self, message: int, first: int = 0, second: int = 0) -> int:
        """``SendMessage`` to the icon's window."""
        answer: int = self.backend._dispatcher(WINDOW, message, first, second)
        return answer


@pytest.fixture
def windows(monkeypatch: pytest.MonkeyPatch) -> Windows:
    return Windows(monkeypatch)


def test_a_log_off_is_allowed_and_waits_for_the_end(windows: Windows) -> None:
    assert windows.send(QUERY_END) == 1
    assert windows.chosen.empty()  # another program may still object
    assert windows.send(END, 0) == 0
    assert windows.chosen.empty()

    def end() -> None:
        assert windows.chosen.get(timeout=HANGS_S) == Action("quit")
        windows.icon.stop()

    worker = threading.Thread(target=end)
    worker.start()
    assert windows.send(END, 1) == 0
    assert windows.icon._ended.is_set()
    worker.join()


def test_close_quits_the_app(windows: Windows) -> None:
    assert windows.send(CLOSE) == 0
    assert windows.chosen.get_nowait() == Action("quit")


def test_what_is_not_ours_is_the_systems(windows: Windows) -> None:
    assert windows.send(POWER) == SYSTEM


def test_an_open_menu_is_not_destroyed(windows: Windows) -> None:
    windows.icon.show("running", "tip", (Item("One", Action("quit")),))
    first = windows.inner._menu_handle
    windows.user.asked.clear()

    def meanwhile() -> None:
        windows.icon.show("running", "tip", (Item("Other", Action("stop")),))
        assert windows.user.asked == []
        assert windows.inner._menu_handle is first

    windows.user.while_open = meanwhile
    windows.send(NOTIFY, 0, RIGHT)
    assert windows.chosen.get_nowait() == Action("quit")  # what the user saw
    assert windows.user.asked == [f"destroy {first[0]}"]


def test_the_installer_knows_the_mutex_and_ends_both_programs() -> None:
    from tray.windows import MUTEX  # noqa: PLC0415

    text = ISS.read_text("utf-8")
    assert f"AppMutex={MUTEX}\n" in text
    for program in ("Gemini API Proxy.exe", "gemini-api-proxy.exe"):
        assert f'#define Program "{program}"' in text or f'#define Console "{program}"' in text
    assert text.count("taskkill.exe") == 2
