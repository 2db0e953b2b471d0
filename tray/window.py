"""The window: a process of its own, and the only importer of pywebview.

It gets the address to show from the tray through the control channel (environment variable
``GEMINI_PROXY_WINDOW``), and ends with it: when the tray goes, so does the window. It shows our own
pages only; every other link, Google's sign-in above all, opens in the system's browser.
"""

import contextlib
import importlib
import ipaddress
import os
import sys
import threading
import webbrowser
from collections.abc import Mapping
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from tray import deaths, gtk
from tray.instance import Message, Peer, connect

CHANNEL = "GEMINI_PROXY_WINDOW"
NO_WINDOW = 4
"""Exit code: no web view here; the tray then opens the default browser."""

SIZE = (1120, 780)
SMALLEST = (380, 480)

LINKS = """
document.addEventListener("click", (event) => {
  const link = event.target.closest && event.target.closest("a[href]");
  if (link && link.origin !== location.origin) link.target = "_blank";
}, true);
"""
"""Run in every page shown: pywebview opens ``_blank`` in the system's browser, on every system."""

WEBVIEW2 = r"Microsoft\EdgeUpdate\Clients\{F3017226-FE2A-4295-8BDF-00C3A9A7E4C5}"
"""Where the Evergreen WebView2 runtime says its version (Microsoft, *Distribute your app*)."""


def run(storage: Path, environ: Mapping[str, str] = os.environ) -> int:
    """Show the window until it is closed. For ``main.py --window``."""
    try:
        peer = connect(environ.get(CHANNEL, ""), "window")
    except (OSError, ValueError):
        return NO_WINDOW
    messages = peer.messages()
    first = next(messages, {})
    url = first.get("url")
    if not isinstance(url, str):
        return NO_WINDOW
    try:
        return _show(peer, url, storage)
    except Exception as error:  # noqa: BLE001  # every toolkit has its own way to be missing
        peer.send({"failed": str(error)})
        peer.close()
        return NO_WINDOW


def _show(peer: Peer, url: str, storage: Path) -> int:
    if sys.platform == "win32":
        if not has_webview2():  # else pywebview takes Internet Explorer, which shows no page of us
            peer.send({"failed": "the WebView2 runtime is not installed"})
            return NO_WINDOW
        name_process()
    if sys.platform == "linux":
        gtk.introduce(importlib.import_module("gi.repository.GLib"))
    import webview  # noqa: PLC0415  # only here, and only in this process

    window = webview.create_window(
        "Gemini API Proxy",
        url,
        width=SIZE[0],
        height=SIZE[1],
        min_size=SMALLEST,
        text_select=True,
    )
    if window is None:
        return NO_WINDOW
    pages = _Pages(peer, window, url)
    window.events.loaded += pages.loaded
    deaths.watch(window, pages.died)
    threading.Thread(target=pages.obey, daemon=True).start()
    # Not private: private mode has no localStorage on GTK and wipes the store on macOS.
    icon = str(gtk.ASSETS / "icon.png")  # elsewhere the program's own is taken
    webview.start(private_mode=False, storage_path=str(storage), icon=icon)
    if sys.platform == "win32" and webview.renderer == "mshtml":
        return NO_WINDOW
    return 0


class _Pages:
    """What is shown: our own pages only, where the tray wants them."""

    def __init__(self, peer: Peer, window: Any, home: str) -> None:
        self._peer = peer
        self._window = window
        self._home = home
        self._back = home
        """Where to return to from a foreign page."""

    def loaded(self) -> None:
        url = self._window.get_current_url() or ""
        if is_foreign(url, self._home):
            # Only when LINKS was not there yet. Google signs nobody in inside a web view.
            self._window.load_url(self._back)
            webbrowser.open(url)
            return
        self._back = without_ticket(url)
        self._window.run_js(LINKS)
        self._peer.send({"loaded": self._back})

    def died(self) -> None:
        """The page's process has gone, and the window is blank. The tray knows what to do."""
        self._peer.send({"died": True})

    def obey(self) -> None:
        """Do what the tray says until it goes."""
        for message in self._peer.messages():
            self._do(message)
        self._window.destroy()

    def _do(self, message: Message) -> None:
        match message:
            case {"url": str(url)}:
                self._home = url
                self._window.load_url(url)
            case {"focus": _}:
                self._window.show()
                self._window.restore()
                self._peer.send({"shown": True})
            case {"close": _}:
                self._window.destroy()
            case {"evaluate": str(script)}:
                # Not evaluate_js: it wraps the script in eval, which our pages forbid.
                self._peer.send({"answer": self._window.run_js(script)})
            case _:  # from a newer tray
                pass


def is_foreign(url: str, home: str) -> bool:
    """Whether a page is from the web: neither of this machine nor of where ``home`` is."""
    parts = urlsplit(url)
    host = parts.hostname or ""
    if parts.scheme not in ("http", "https") or host in ("localhost", urlsplit(home).hostname):
        return False
    try:
        return not ipaddress.ip_address(host).is_loopback
    except ValueError:
        return True


def without_ticket(url: str) -> str:
    """``url`` as it may be told and logged."""
    parts = urlsplit(url)
    return url if parts.path != "/login" else parts._replace(query="").geturl()


if sys.platform == "win32":
    import ctypes
    import winreg

    def has_webview2() -> bool:
        """Whether the Evergreen runtime is there, for this user or for all."""
        places = (
            (winreg.HKEY_LOCAL_MACHINE, rf"SOFTWARE\WOW6432Node\{WEBVIEW2}"),
            (winreg.HKEY_LOCAL_MACHINE, rf"SOFTWARE\{WEBVIEW2}"),
            (winreg.HKEY_CURRENT_USER, rf"Software\{WEBVIEW2}"),
        )
        for root, path in places:
            with contextlib.suppress(OSError), winreg.OpenKey(root, path) as key:
                if winreg.QueryValueEx(key, "pv")[0] not in ("", "0.0.0.0"):  # noqa: S104
                    return True
        return False

    def name_process() -> None:
        """The same taskbar group as the tray's."""
        with contextlib.suppress(OSError, AttributeError):
            ctypes.windll.shell32.SetCurrentProcessExplicitAppUserModelID("GeminiApiProxy")
