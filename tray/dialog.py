"""One sentence on the screen, from a process that has neither tray nor window.

Best effort: it is printed as well. macOS asks for no entitlement to show an alert.
"""

import contextlib
import importlib
import subprocess
import sys

TITLE = "Gemini API Proxy"
SHOWN_S = 20
"""After so long an alert goes by itself: the process that shows it must not stay for ever."""


def tell(text: str) -> None:
    """Show it. Windows and macOS wait until it has been read."""
    if sys.platform == "win32":
        import ctypes  # noqa: PLC0415

        ctypes.windll.user32.MessageBoxW(None, text, TITLE, 0x30)  # MB_ICONWARNING
    elif sys.platform == "darwin":
        alert = f'display alert "{TITLE}" message "{text}" giving up after {SHOWN_S}'
        with contextlib.suppress(OSError):
            subprocess.run(["/usr/bin/osascript", "-e", alert], check=False)  # noqa: S603
    else:
        _notify(text)


def _notify(text: str) -> None:
    from tray import gtk  # noqa: PLC0415  # the system's toolkit

    glib = importlib.import_module("gi.repository.GLib")
    with contextlib.suppress(glib.Error):
        gtk.notify_now(TITLE, text)
