"""The tray icon: the only importer of pystray.

pystray 0.19.5 has traps; each cure stands beside a comment that names its symptom.
"""

import contextlib
import importlib
import logging
import os
import signal
import sys
import threading
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

from tray import gtk, mac, windows
from tray.ends import ends
from tray.glyph import Theme, glyph
from tray.menu import APP_NAME, Action, Item, Notice, Shape, clamp

log = logging.getLogger(__name__)

SESSION_END_S = 5.0
"""How long a log-off waits for the server to stop; Windows gives as much."""

WORDS: dict[Shape, str] = {
    "running": "running",
    "busy": "requests wait, or a limit is reached",
    "attention": "needs attention",
    "stopped": "stopped",
    "problem": "not started",
}
"""The icon, for those who do not see it."""

TITLE_LIMIT, MESSAGE_LIMIT = 63, 255
"""UTF-16 units of a Windows balloon; pystray raises on more."""


class NoToolkitError(Exception):
    """No tray here; the message names the package to install, or says there is no display."""

    def __init__(self, message: str, *, has_display: bool = True) -> None:
        super().__init__(message)
        self.has_display = has_display


class Icon:
    """What the app shows. ``run`` belongs on the main thread; the rest may come from any."""

    def __init__(
        self, pystray: Any, on_action: Callable[[Action], None], pictures: Path | None = None
    ) -> None:
        """``pystray`` is what ``load`` gave.

        ``on_action`` is called on the desktop's thread and must return at once. ``pictures``: a
        folder for what Linux wants as files; it is emptied now and removed at the end.
        """
        self._pystray = pystray
        self._on_action = on_action
        self._stopping = False
        self._ended = threading.Event()
        self._shape: Shape = "stopped"
        self._items: tuple[Item | None, ...] | None = None
        made = _icon_class(pystray)
        if pictures is not None:
            gtk.remove_pictures(pictures)
            made.pictures = pictures
        made.description = f"{APP_NAME}: {WORDS['stopped']}"
        made.on_end = staticmethod(self._end)
        made.on_reopen = staticmethod(lambda: on_action(Action("open", "/")))
        self._icon = made("gemini-api-proxy", glyph("stopped", theme=theme()), APP_NAME)

    def run(self, on_signal: Callable[[int], None]) -> None:
        """Show the icon until ``stop``; ``on_signal`` gets SIGINT, SIGTERM and SIGHUP."""

        def show(icon: Any) -> None:
            icon.visible = True
            if self._stopping:  # asked before pystray ran, which then hears nothing
                icon.stop()

        def visible(icon: Any) -> None:  # in a thread of pystray's
            _on_ui_thread(lambda: show(icon))

        _watch_signals(on_signal)
        try:
            self._icon.run(visible)
        except Exception:
            # Without a notification service, GTK's _finalize raises ServiceUnknown at the end.
            if not self._stopping:
                raise
            log.debug("The tray ended with an error", exc_info=True)

    def stop(self) -> None:
        self._stopping = True
        self._ended.set()
        self._icon.stop()

    def _end(self, wait: bool) -> None:
        """The system ends the session, or asks the app to close."""
        self._on_action(Action("quit"))
        if wait:
            self._ended.wait(SESSION_END_S)

    def show(self, shape: Shape, tooltip: str, items: tuple[Item | None, ...]) -> None:
        """Show a new state. What is the same as before is left alone."""
        _on_ui_thread(lambda: self._show(shape, tooltip, items))

    def notify(self, notice: Notice) -> None:
        """Best effort; may block (macOS runs a program for it)."""
        # A title is always given: without one, pystray's macOS code fails on None.
        with contextlib.suppress(Exception):
            self._icon.notify(
                clamp(notice.message, MESSAGE_LIMIT), clamp(notice.title, TITLE_LIMIT)
            )

    def _show(self, shape: Shape, tooltip: str, items: tuple[Item | None, ...]) -> None:
        if shape != self._shape or sys.platform == "win32":  # there the theme may have changed
            self._shape = shape
            self._icon.description = f"{APP_NAME}: {WORDS[shape]}"
            self._icon.icon = glyph(shape, theme=theme())
        if tooltip != self._icon.title:
            self._icon.title = tooltip
        if items != self._items:
            self._items = items
            self._icon.menu = self._menu(items)

    def _menu(self, items: tuple[Item | None, ...]) -> Any:
        return self._pystray.Menu(*(self._item(item) for item in items))

    def _item(self, item: Item | None) -> Any:
        if item is None:
            return self._pystray.Menu.SEPARATOR
        made = self._made(item)
        made.identity = item.identity
        return made

    def _made(self, item: Item) -> Any:
        pystray = self._pystray
        if item.children:
            return pystray.MenuItem(item.text, self._menu(item.children), enabled=item.enabled)
        checked = item.checked
        return pystray.MenuItem(
            item.text,
            self._callback(item.action),
            checked=None if checked is None else lambda _: checked,
            radio=item.radio,
            default=item.default,
            enabled=item.enabled,
        )

    def _callback(self, action: Action | None) -> Callable[[Any, Any], None]:
        def chosen(_icon: Any, _item: Any) -> None:
            if action is not None:
                self._on_action(action)

        return chosen


def theme() -> Theme:
    """Of the panel: known on Windows; macOS colours the dark glyph itself; elsewhere unknown."""
    if sys.platform == "darwin":
        return "light"
    elif sys.platform == "win32":  # noqa: RET505  # mypy: code after a platform return is dead
        import winreg  # noqa: PLC0415

        path = r"Software\Microsoft\Windows\CurrentVersion\Themes\Personalize"
        try:
            with winreg.OpenKey(winreg.HKEY_CURRENT_USER, path) as key:
                value, _ = winreg.QueryValueEx(key, "SystemUsesLightTheme")
        except OSError:
            return "any"
        return "light" if value else "dark"
    else:
        return "any"


def load() -> Any:
    """pystray with a usable backend. Raises ``NoToolkitError``.

    Importing it fails with more than ImportError where there is no display.
    """
    if sys.platform == "win32":
        import ctypes  # noqa: PLC0415

        # Before any window of this process. Older Windows lack them: a blurred icon.
        with contextlib.suppress(OSError, AttributeError):
            ctypes.windll.shell32.SetCurrentProcessExplicitAppUserModelID("GeminiApiProxy")
        with contextlib.suppress(OSError, AttributeError):
            windows.hold_mutex()
        with contextlib.suppress(OSError, AttributeError):
            ctypes.windll.user32.SetProcessDpiAwarenessContext(ctypes.c_void_p(-4))
    if sys.platform in ("win32", "darwin"):
        try:
            return importlib.import_module("pystray")
        except Exception as error:
            raise NoToolkitError(f"No tray here: {error}") from error
    else:
        return _load_gtk()


@contextlib.contextmanager
def _without_opengl() -> Iterator[None]:
    """A menu needs none, and GTK would load 30 MB of it when it opens the display."""
    os.environ["GDK_GL"] = "disable"
    try:
        yield
    finally:
        del os.environ["GDK_GL"]  # the window process may want it


def _pystray_on_gtk() -> Any:
    """pystray with a backend of GTK's, or None. Raises ``NoToolkitError`` for a dead display."""
    try:
        gtk.check()
    except gtk.UnusableError as error:
        raise NoToolkitError(f"No tray: {error}; the dashboard opens in your browser.") from error
    except (ImportError, ValueError) as error:
        log.debug("GTK cannot be used: %s", error)
    # xorg, pystray's last resort, shows an icon that answers no click: worse than none.
    chosen = os.environ.get("PYSTRAY_BACKEND")
    for backend in (chosen,) if chosen in ("appindicator", "gtk") else ("appindicator", "gtk"):
        os.environ["PYSTRAY_BACKEND"] = str(backend)
        try:
            return importlib.import_module("pystray")
        except Exception as error:  # noqa: BLE001  # display, typelib, gi: each fails differently
            log.debug("pystray's %s backend cannot be used: %s", backend, error)
            for name in [name for name in sys.modules if name.split(".")[0] == "pystray"]:
                del sys.modules[name]
    return None


def _load_gtk() -> Any:
    if not (os.environ.get("DISPLAY") or os.environ.get("WAYLAND_DISPLAY")):
        raise NoToolkitError("No display: running without a tray.", has_display=False)
    with _without_opengl():
        pystray = _pystray_on_gtk()
    if pystray is not None:
        return pystray
    packaged = getattr(sys, "frozen", False)  # brings PyGObject along
    first, again = ("", "") if packaged else ("python3-gi, ", " and run make setup again")
    raise NoToolkitError(
        f"No tray: install {first}gir1.2-gtk-3.0, gir1.2-ayatanaappindicator3-0.1 and "
        f"gir1.2-webkit2-4.1 (Debian's names){again}; the dashboard opens in your browser."
    )


def _icon_class(pystray: Any) -> Any:
    if sys.platform == "darwin":
        return mac.icon_class(pystray)
    elif sys.platform == "win32":  # noqa: RET505  # mypy: code after a platform return is dead
        return windows.icon_class(pystray)
    else:
        return gtk.icon_class(pystray)


def _on_ui_thread(work: Callable[[], None]) -> None:
    """macOS touches AppKit in the caller's thread; the other backends post to theirs."""
    if sys.platform == "darwin":
        mac.on_main_thread(work)
    else:
        work()


def _watch_signals(on_signal: Callable[[int], None]) -> None:
    """GTK resets SIGINT and lets SIGTERM kill without clean-up; its loop must hear of both."""
    numbers = ends()
    if sys.platform == "win32":
        for number in numbers:
            signal.signal(number, lambda got, _frame: on_signal(got))
    elif sys.platform == "darwin":
        mach = importlib.import_module("PyObjCTools.MachSignals")

        def watch_here() -> None:
            for number in numbers:
                mach.signal(number, lambda got, *_: on_signal(got))

        # Python's own handlers wait for the AppKit loop to return; and inside the loop, so after
        # pystray has set a handler that ends the process on the spot.
        _on_ui_thread(watch_here)
    else:
        glib = importlib.import_module("gi.repository.GLib")

        def watch() -> bool:
            for number in numbers:
                glib.unix_signal_add(glib.PRIORITY_HIGH, number, on_signal, number)
            return False

        glib.idle_add(watch)  # inside the loop: after pystray has reset SIGINT
