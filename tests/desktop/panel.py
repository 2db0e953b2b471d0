"""The test plays the desktop: it shows the tray menu, takes notifications, and clicks.

It owns ``org.kde.StatusNotifierWatcher`` and ``org.freedesktop.Notifications`` on a private session
bus, and drives the real menu through ``com.canonical.dbusmenu``.
"""

import threading
import time
from collections.abc import Callable, Iterator
from typing import Any, TypeVar

from gi.repository import Gio, GLib

from tests.support import HANGS_S

T = TypeVar("T")


_WATCHER = """
<node><interface name="org.kde.StatusNotifierWatcher">
  <method name="RegisterStatusNotifierItem"><arg type="s" direction="in"/></method>
  <method name="RegisterStatusNotifierHost"><arg type="s" direction="in"/></method>
  <property name="RegisteredStatusNotifierItems" type="as" access="read"/>
  <property name="IsStatusNotifierHostRegistered" type="b" access="read"/>
  <property name="ProtocolVersion" type="i" access="read"/>
</interface></node>
"""
_NOTIFICATIONS = """
<node><interface name="org.freedesktop.Notifications">
  <method name="Notify">
    <arg type="s" direction="in"/><arg type="u" direction="in"/><arg type="s" direction="in"/>
    <arg type="s" direction="in"/><arg type="s" direction="in"/><arg type="as" direction="in"/>
    <arg type="a{sv}" direction="in"/><arg type="i" direction="in"/><arg type="u" direction="out"/>
  </method>
  <method name="CloseNotification"><arg type="u" direction="in"/></method>
  <method name="GetCapabilities"><arg type="as" direction="out"/></method>
  <method name="GetServerInformation">
    <arg type="s" direction="out"/><arg type="s" direction="out"/>
    <arg type="s" direction="out"/><arg type="s" direction="out"/>
  </method>
</interface></node>
"""
_WATCHED = {
    "RegisteredStatusNotifierItems": ("as", []),
    "IsStatusNotifierHostRegistered": ("b", True),
    "ProtocolVersion": ("i", 0),
}

Entry = dict[str, Any]


def until(look: Callable[[], T], *, timeout_s: float = HANGS_S) -> T:
    """The first thing ``look`` gives that is true; what it raises meanwhile counts as not yet."""
    end = time.monotonic() + timeout_s
    seen: object = None
    while time.monotonic() < end:
        try:
            found = look()
        except (GLib.Error, LookupError, StopIteration, OSError) as error:
            seen = error
        else:
            if found:
                return found
            seen = found
        time.sleep(0.03)
    raise AssertionError(f"still not there after {timeout_s:g} s; last seen: {seen!r}")


class Panel:
    """One desktop panel for the whole test run."""

    def __init__(self) -> None:
        self.items: list[tuple[str, str]] = []
        """(bus name, object path) of every tray icon that has registered."""
        self.notes: list[tuple[str, str]] = []
        """(title, text) of every notification."""
        self.senders: list[tuple[str, str, str]] = []
        """(program, icon, desktop entry) of every notification."""
        self.menu_changes: list[str] = []
        """The signals of every menu: ``LayoutUpdated``, ``ItemsPropertiesUpdated``."""
        self._bus = Gio.bus_get_sync(Gio.BusType.SESSION)
        self._bus.set_exit_on_close(False)  # else GDBus ends the test run with the bus
        self._serve("/StatusNotifierWatcher", _WATCHER, self._on_watcher, _watched)
        self._serve("/org/freedesktop/Notifications", _NOTIFICATIONS, self._on_note, None)
        for name in ("org.kde.StatusNotifierWatcher", "org.freedesktop.Notifications"):
            Gio.bus_own_name_on_connection(self._bus, name, 0, None, None)
        self._bus.signal_subscribe(
            None, "com.canonical.dbusmenu", None, None, None, 0, self._on_menu_change
        )
        threading.Thread(target=GLib.MainLoop().run, daemon=True).start()

    def icon(self) -> Entry:
        """The properties of the newest tray icon."""
        owner, path = self.items[-1]
        found = self._call(
            owner,
            path,
            "org.freedesktop.DBus.Properties.GetAll",
            GLib.Variant("(s)", ("org.kde.StatusNotifierItem",)),
        )
        properties: Entry = found[0]
        return properties

    def entries(self) -> list[tuple[int, Entry]]:
        """Every line of the menu, submenus included, as (id, properties)."""
        arguments = GLib.Variant("(iias)", (0, -1, []))
        _, root = self._menu_call("GetLayout", arguments)
        return list(_flat(root))

    def labels(self) -> list[str]:
        """What the menu says, from top to bottom."""
        return [_label(entry) for _, entry in self.entries() if "label" in entry]

    def says(self, text: str) -> bool:
        return any(text in label for label in self.labels())

    def entry(self, label: str) -> Entry:
        """The line that starts with ``label``."""
        return next(e for _, e in self.entries() if _label(e).startswith(label))

    def click(self, label: str) -> None:
        """Choose the line that starts with ``label``, as soon as it is there and enabled."""

        def try_it() -> bool:
            found = [
                number
                for number, entry in self.entries()
                if _label(entry).startswith(label) and entry.get("enabled", True)
            ]
            if not found:
                return False
            # Ids change at every rebuild. EventGroup, unlike Event, tells which one it missed.
            clicked = [(found[0], "clicked", GLib.Variant("i", 0), 0)]
            (missed,) = self._menu_call("EventGroup", GLib.Variant("(a(isvu))", (clicked,)))
            return not missed

        until(try_it)

    def open_menu(self) -> dict[str, int]:
        """Open the menu as a panel does; the id of each line by its label."""
        self._menu_call("AboutToShow", GLib.Variant("(i)", (0,)))
        self._event(0, "opened")
        return {_label(entry): number for number, entry in self.entries() if "label" in entry}

    def choose(self, number: int) -> None:
        """Click the line with this id, in a menu that was read before."""
        self._event(number, "clicked")

    def _event(self, number: int, event: str) -> None:
        told = GLib.Variant("(isvu)", (number, event, GLib.Variant("i", 0), 0))
        self._menu_call("Event", told)

    def _on_menu_change(self, _bus: Any, _sender: str, _path: str, _face: str, *told: Any) -> None:
        self.menu_changes.append(told[0])

    def _serve(self, path: str, xml: str, call: Any, get: Any) -> None:
        interface = Gio.DBusNodeInfo.new_for_xml(xml).interfaces[0]
        self._bus.register_object(path, interface, call, get, None)

    def _on_watcher(self, _bus: Any, sender: str, _path: str, _face: str, *call: Any) -> None:
        method, arguments, invocation = call
        if method == "RegisterStatusNotifierItem":
            given = arguments.unpack()[0]
            path = given if given.startswith("/") else "/StatusNotifierItem"
            self.items.append((sender, path))
        invocation.return_value(None)

    def _on_note(self, _bus: Any, _sender: str, _path: str, _face: str, *call: Any) -> None:
        method, arguments, invocation = call
        answer = None
        if method == "Notify":
            values = arguments.unpack()
            self.notes.append((values[3], values[4]))
            self.senders.append((values[0], values[2], values[6].get("desktop-entry", "")))
            answer = GLib.Variant("(u)", (len(self.notes),))
        elif method == "GetCapabilities":
            answer = GLib.Variant("(as)", (["body"],))
        elif method == "GetServerInformation":
            answer = GLib.Variant("(ssss)", ("panel", "tests", "1", "1.2"))
        invocation.return_value(answer)

    def _menu_call(self, method: str, arguments: Any) -> Any:
        path = self.icon()["Menu"]
        return self._call(self.items[-1][0], path, f"com.canonical.dbusmenu.{method}", arguments)

    def _call(self, owner: str, path: str, method: str, arguments: Any) -> Any:
        interface, _, name = method.rpartition(".")
        return self._bus.call_sync(
            owner, path, interface, name, arguments, None, 0, int(HANGS_S * 1000), None
        ).unpack()


def _watched(_bus: Any, _sender: str, _path: str, _face: str, name: str) -> Any:
    return GLib.Variant(*_WATCHED[name])


def _flat(node: Any) -> Iterator[tuple[int, Entry]]:
    number, entry, children = node
    if number:
        yield number, entry
    for child in children:
        yield from _flat(child)


def _label(entry: Entry) -> str:
    return str(entry.get("label", "")).replace("__", "_")
