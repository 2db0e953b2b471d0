"""macOS through stand-ins: pystray's own code for it, on AppKit objects that note their thread."""

import importlib
import io
import signal
import sys
import threading
from collections.abc import Callable
from queue import SimpleQueue
from types import ModuleType, SimpleNamespace
from typing import Any

import pytest
from PIL import Image

from tests.support import HANGS_S
from tests.tray.platforms import module_on
from tray.menu import Action, Item, Notice

MAIN = Notice("Signed in", "you is used from now on.")


class Threads:
    """Every touch of AppKit: (what, the thread's id)."""

    def __init__(self) -> None:
        self.touched: list[tuple[str, int]] = []

    def note(self, what: str) -> None:
        self.touched.append((what, threading.get_ident()))


class Kit:
    """Any AppKit object or class: every attribute of it can be called, and gives another."""

    def __init__(self, threads: Threads, name: str) -> None:
        self._threads, self._name = threads, name
        self._set: dict[str, Any] = {}

    def __getattr__(self, name: str) -> Any:
        made = Kit(self._threads, f"{self._name}.{name}")
        setattr(self, name, made)
        return made

    def __call__(self, *given: Any) -> Any:
        self._threads.note(self._name)
        self._set["last"] = given
        if self._name.endswith("thickness"):
            return 22.0
        return self._set.setdefault("answer", Kit(self._threads, f"{self._name}()"))


class Loop:
    """The main thread's: ``NSApplication.run``, ``callAfter`` and ``callLater``."""

    def __init__(self) -> None:
        self.jobs: SimpleQueue[Callable[[], None] | None] = SimpleQueue()
        self.later: list[Callable[[], None]] = []

    def run(self) -> None:
        while (job := self.jobs.get(timeout=HANGS_S)) is not None:
            job()


class Object:
    """``NSObject``."""

    @classmethod
    def alloc(cls) -> Any:
        return cls()

    def init(self) -> Any:
        return self


class Mac:
    """``tray.icon`` on macOS, with pystray's own backend over the stand-ins."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.threads, self.loop = Threads(), Loop()
        self.kit = Kit(self.threads, "AppKit")
        self.app = self.kit.NSApplication.sharedApplication()
        self.app.run = self.loop.run
        self.app.stop_ = self._stopped
        self.handlers: dict[int, Callable[..., None]] = {}
        mach = SimpleNamespace(
            signal=lambda number, handler: self.handlers.update({number: handler}),
            getsignal=lambda _: None,
        )
        helper = SimpleNamespace(
            callAfter=self.loop.jobs.put, callLater=lambda _s, work: self.loop.later.append(work)
        )
        tools = ModuleType("PyObjCTools")
        tools.MachSignals, tools.AppHelper = mach, helper  # type: ignore[attr-defined]
        objc = SimpleNamespace(namedSelector=lambda _: lambda method: method)
        foundation = SimpleNamespace(NSObject=Object, NSData=lambda data: data)
        for name, stand_in in {
            "PyObjCTools": tools,
            "PyObjCTools.MachSignals": mach,
            "PyObjCTools.AppHelper": helper,
            "objc": objc,
            "AppKit": self.kit,
            "Foundation": foundation,
        }.items():
            monkeypatch.setitem(sys.modules, name, stand_in)
        monkeypatch.setenv("PYSTRAY_BACKEND", "dummy")
        pystray = importlib.import_module("pystray")
        monkeypatch.delitem(sys.modules, "pystray._darwin", raising=False)
        self.backend = importlib.import_module("pystray._darwin")
        monkeypatch.delitem(sys.modules, "pystray._darwin")
        self.module = module_on(monkeypatch, "darwin", "tray.icon")
        self.chosen: SimpleQueue[Action] = SimpleQueue()
        there = SimpleNamespace(
            Icon=self.backend.Icon, Menu=pystray.Menu, MenuItem=pystray.MenuItem
        )
        self.icon = self.module.Icon(there, self.chosen.put)

    def _stopped(self, *_: object) -> None:
        self.threads.note("AppKit.stop_")
        self.loop.jobs.put(None)

    def run(self, script: Callable[[], None]) -> None:
        """Run the icon here, with ``script`` in another thread, as the app's worker is."""
        worker = threading.Thread(target=script)
        worker.start()
        self.icon.run(lambda _: None)
        worker.join()


@pytest.fixture
def mac(monkeypatch: pytest.MonkeyPatch) -> Mac:
    return Mac(monkeypatch)


ITEMS = (Item("Open", Action("open", "/")), None, Item("More", children=(Item("Told"),)))


def test_appkit_is_touched_on_the_main_thread_only(mac: Mac) -> None:
    def script() -> None:
        for number in range(3):
            mac.icon.show("running", f"tip {number}", ITEMS[:number])
            mac.icon.notify(MAIN)
        mac.icon.show("problem", "tip", ITEMS)
        mac.icon.stop()

    mac.run(script)
    assert {"AppKit.stop_", "AppKit.NSMenu.alloc"} <= {name for name, _ in mac.threads.touched}
    assert any("setToolTip_" in name for name, _ in mac.threads.touched)
    others = [w for w, thread in mac.threads.touched if thread != threading.get_ident()]
    assert others == []


def test_a_second_double_click_opens_the_window(mac: Mac) -> None:
    mac.run(mac.icon.stop)
    (delegate,) = mac.app.setDelegate_._set["last"]
    assert delegate.applicationShouldHandleReopen_hasVisibleWindows_(None, False) is False
    assert mac.chosen.get_nowait() == Action("open", "/")


def test_a_log_off_waits_until_the_app_has_ended(mac: Mac) -> None:
    def end() -> None:
        assert mac.chosen.get(timeout=HANGS_S) == Action("quit")
        mac.icon.stop()

    mac.run(mac.icon.stop)
    mac.icon._ended.clear()
    (delegate,) = mac.app.setDelegate_._set["last"]
    worker = threading.Thread(target=end)
    worker.start()
    delegate.applicationWillTerminate_(None)
    assert mac.icon._ended.is_set()
    worker.join()


def test_nothing_comes_from_script_editor(mac: Mac, monkeypatch: pytest.MonkeyPatch) -> None:
    asked: list[object] = []
    monkeypatch.setattr(mac.backend.subprocess, "check_call", asked.append)
    mac.icon.notify(MAIN)
    assert asked == []


def test_a_menu_is_not_made_anew_while_it_is_open(mac: Mac) -> None:
    shown = mac.icon._icon
    shown._run = mac.loop.run
    mac.icon.show("running", "tip", ITEMS)
    mac.loop.jobs.put(None)
    mac.loop.run()
    held = shown._menu_handle
    delegate = mac.module.mac.application_events(shown)
    delegate.menuWillOpen_(None)
    mac.icon.show("running", "tip", ITEMS[:1])
    mac.loop.jobs.put(None)
    mac.loop.run()
    assert shown._menu_handle is held
    delegate.menuDidClose_(None)
    assert shown._menu_handle is held  # AppKit reports the chosen item after that
    mac.loop.later.pop()()
    assert shown._menu_handle is not held


def test_the_picture_is_a_template_of_full_resolution(mac: Mac) -> None:
    shown = mac.icon._icon
    shown._assert_image()
    image = mac.kit.NSImage.alloc()
    (data,) = image.initWithData_._set["last"]
    assert Image.open(io.BytesIO(data)).size == (64, 64)
    assert image.initWithData_(b"").setSize_._set["last"] == ((22.0, 22.0),)
    assert image.initWithData_(b"").setTemplate_._set["last"] == (True,)
    assert mac.module.theme() == "light"


def test_signals_are_heard_inside_the_loop(mac: Mac) -> None:
    numbers: list[int] = []
    mac.module._watch_signals(numbers.append)
    assert mac.handlers == {}  # pystray sets its own at the start of the loop
    mac.loop.jobs.put(None)
    mac.loop.run()
    for number in (signal.SIGTERM, signal.SIGHUP):
        mac.handlers[number](number)
    assert numbers == [signal.SIGTERM, signal.SIGHUP]
