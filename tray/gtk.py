"""Linux: what of pystray's icon is ours, because its own closes an open menu and leaves files.

The menu is one ``Gtk.Menu`` for the whole life, brought up to date line by line: a line that stays
keeps its widget, and so its id on the bus; one that is open stays open. The pictures lie in a
folder of ours, which is removed at the end and emptied at the start.
"""

import hashlib
import importlib
import io
import logging
import shutil
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any

log = logging.getLogger(__name__)

PROGRAM = "gemini-api-proxy"
"""Also the name of the desktop entry, by which panels and task bars find the icon."""
TITLE = "Gemini API Proxy"
ASSETS = Path(__file__).resolve().parents[1] / "assets"
_SERVICE = "org.freedesktop.Notifications"
NOTIFY = (_SERVICE, "/org/freedesktop/Notifications", _SERVICE, "Notify")
NOTIFY_TIMEOUT_MS = 500


class UnusableError(Exception):
    """There is a toolkit but nothing to show a tray with; the message says what is missing."""


def check() -> None:
    """Look for the screen and the session bus. Raises ``UnusableError``, or ``ImportError``.

    pystray finds out about either only while it runs, with a traceback.
    """
    gi = importlib.import_module("gi")
    gi.require_version("Gtk", "3.0")
    glib = importlib.import_module("gi.repository.GLib")
    introduce(glib)
    if not importlib.import_module("gi.repository.Gtk").init_check()[0]:
        raise UnusableError("the display cannot be opened")
    try:
        session_bus()
    except glib.Error as error:
        raise UnusableError("there is no D-Bus session") from error


def introduce(glib: Any) -> None:
    """Our name in place of ``main.py``, before GTK opens the display."""
    glib.set_prgname(PROGRAM)
    glib.set_application_name(TITLE)


def session_bus() -> Any:
    gio = importlib.import_module("gi.repository.Gio")
    return gio.bus_get_sync(gio.BusType.SESSION)


def notification(title: str, message: str, instead_of: int = 0) -> Any:
    """What the *Desktop Notifications Specification* asks for; ``instead_of``: an earlier one."""
    glib = importlib.import_module("gi.repository.GLib")
    hints = {"desktop-entry": glib.Variant("s", PROGRAM)}
    told: tuple[Any, ...] = (
        TITLE,
        instead_of,
        str(ASSETS / "icon.png"),
        title,
        message,
        [],
        hints,
        -1,
    )
    return glib.Variant("(susssasa{sv}i)", told)


def notify_now(title: str, message: str) -> None:
    """From a process without a loop. Raises ``GLib.Error``."""
    note = notification(title, message)
    session_bus().call_sync(*NOTIFY, note, None, 0, NOTIFY_TIMEOUT_MS, None)


def icon_class(pystray: Any) -> Any:
    """pystray's class for either backend, with our parts before its own."""
    return type("Icon", (_Ours, pystray.Icon), {})


def _in_loop(work: Callable[..., None]) -> Callable[..., None]:
    """``work``, done by GTK's loop in the order of the calls."""

    def later(*given: object) -> None:
        def once() -> bool:
            work(*given)
            return False

        importlib.import_module("gi.repository.GLib").idle_add(once)

    return later


class _Ours:
    """The parts; ``pictures`` and ``description`` are set before the icon is shown."""

    pictures: Path
    """The folder for them: ours alone."""
    description: str = TITLE
    """The icon in words, for who does not see it."""
    menu: Any
    icon: Any
    title: str
    _mark_ready: Callable[[], None]
    _icon_path: str | None
    _icon_valid: bool
    _loop: Any
    _appindicator: Any = None
    _status_icon: Any = None
    _lines: "Lines | None" = None
    _menu_handle: Any
    _note = 0

    def _initialize(self) -> None:
        # pystray's own resets SIGINT and makes a notifier that needs temporary files.
        self._mark_ready()

    @_in_loop
    def _update_menu(self) -> None:
        if self._lines is None:
            self._lines = Lines(lambda chosen: chosen(self))
            self._menu_handle = self._lines.widget
        self._lines.update(self.menu)

    @_in_loop
    def _show(self) -> None:
        self._draw()
        if self._appindicator is None:
            self._status_icon.set_visible(True)
            return
        indicator = importlib.import_module(type(self._appindicator).__module__)
        self._appindicator.set_menu(self._menu_handle)
        self._appindicator.set_title(self.title)
        self._appindicator.set_status(indicator.IndicatorStatus.ACTIVE)

    @_in_loop
    def _update_icon(self) -> None:
        self._draw()

    def _draw(self) -> None:
        buffer = io.BytesIO()
        self.icon.save(buffer, "png")
        picture = buffer.getvalue()
        # Named after its content: panels keep a picture by its path.
        path = self.pictures / f"{hashlib.sha256(picture).hexdigest()[:16]}.png"
        if not path.exists():
            self.pictures.mkdir(mode=0o700, parents=True, exist_ok=True)
            path.write_bytes(picture)
        self._icon_path, self._icon_valid = str(path), True
        if self._appindicator is not None:
            self._appindicator.set_icon_full(self._icon_path, self.description)
        else:
            self._status_icon.set_from_file(self._icon_path)

    @_in_loop
    def _update_title(self) -> None:
        if self._appindicator is not None:
            self._appindicator.set_title(self.title)
        else:
            self._status_icon.set_title(self.title)
            self._status_icon.set_tooltip_text(self.title)

    @_in_loop
    def _notify(self, message: str, title: str) -> None:
        glib = importlib.import_module("gi.repository.GLib")

        def sent(bus: Any, answer: Any) -> None:
            try:
                (self._note,) = bus.call_finish(answer).unpack()
            except glib.Error as error:  # no desktop service for it
                log.debug("The notification was not taken: %s", error)

        note = notification(title, message, self._note)
        session_bus().call(*NOTIFY, note, None, 0, -1, None, sent)

    def _finalize(self) -> None:
        remove_pictures(self.pictures)


def remove_pictures(folder: Path) -> None:
    """What this run, or one that was killed, has left there."""
    shutil.rmtree(folder, ignore_errors=True)


class Lines:
    """One level of the menu."""

    def __init__(self, choose: Callable[[Any], None]) -> None:
        """``choose`` gets the pystray item of a line that was activated."""
        self._gtk = importlib.import_module("gi.repository.Gtk")
        self._choose = choose
        self._held: dict[tuple[str, int], _Line] = {}
        self.widget = self._gtk.Menu.new()

    def update(self, items: Iterable[Any]) -> None:
        """Show ``items``: what stays is changed in place, the rest comes and goes around it."""
        wanted = numbered(items)
        for key in [key for key in self._held if key not in wanted]:
            self._held.pop(key).widget.destroy()
        for place, (key, item) in enumerate(wanted.items()):
            line = self._held.get(key)
            if line is None:
                line = self._held[key] = _Line(self._gtk, self._choose, item)
                self.widget.insert(line.widget, place)
                line.widget.show()
            line.update(item)


def numbered(items: Iterable[Any]) -> dict[tuple[str, int], Any]:
    """Each item under its identity; equal ones are told apart by their order."""
    found: dict[tuple[str, int], Any] = {}
    for item in items:
        name = getattr(item, "identity", "separator")
        number = sum(name == known for known, _ in found)
        found[name, number] = item
    return found


class _Line:
    """One line: made once, changed in place."""

    def __init__(self, gtk: Any, choose: Callable[[Any], None], item: Any) -> None:
        self._choose = choose
        self._item = item
        self._below: Lines | None = None
        self._handler = 0
        self.widget = self._made(gtk, item)

    def _made(self, gtk: Any, item: Any) -> Any:
        if not hasattr(item, "identity"):
            return gtk.SeparatorMenuItem()
        if item.checked is not None:
            widget = gtk.CheckMenuItem.new_with_label(item.text)
            widget.set_draw_as_radio(item.radio)
        else:
            widget = gtk.MenuItem.new_with_label(item.text)
        if item.submenu:
            self._below = Lines(self._choose)
            widget.set_submenu(self._below.widget)
        else:
            self._handler = widget.connect("activate", self._activated)
        return widget

    def update(self, item: Any) -> None:
        self._item = item
        if not hasattr(item, "identity"):
            return
        if self.widget.get_label() != item.text:
            self.widget.set_label(item.text)
        if self.widget.get_sensitive() != item.enabled:
            self.widget.set_sensitive(item.enabled)
        if self._below is not None:
            self._below.update(item.submenu)
        self._check()

    def _check(self) -> None:
        checked = self._item.checked
        if checked is not None and self.widget.get_active() != checked:
            # GTK takes this for a click.
            with self.widget.handler_block(self._handler):
                self.widget.set_active(checked)

    def _activated(self, _widget: Any) -> None:
        self._check()  # the mark follows the state, not the click
        self._choose(self._item)
