"""Copying a text, without a package for it."""

import importlib
import logging
import shutil
import subprocess
import sys
import time
from collections.abc import Callable

log = logging.getLogger(__name__)

PROGRAMS = (("wl-copy",), ("xclip", "-selection", "clipboard"), ("xsel", "--clipboard", "--input"))
"""Tried in this order on Linux where GTK is missing."""


def copy(text: str) -> bool:
    """Put ``text`` on the clipboard; False when there is no way to."""
    if sys.platform == "darwin":
        return _pipe(("/usr/bin/pbcopy",), text)
    elif sys.platform == "win32":  # noqa: RET505  # mypy: code after a platform return is dead
        return _copy_windows(text)
    else:
        return _copy_gtk(text) or any(
            shutil.which(program[0]) and _pipe(program, text) for program in PROGRAMS
        )


def _copy_gtk(text: str) -> bool:
    """In GTK's own loop, which the tray process runs."""
    try:
        gi = importlib.import_module("gi")
        gi.require_version("Gtk", "3.0")
        gtk = importlib.import_module("gi.repository.Gtk")
        gdk = importlib.import_module("gi.repository.Gdk")
        glib = importlib.import_module("gi.repository.GLib")
    except (ImportError, ValueError, AttributeError):
        return False

    def put() -> bool:
        clipboard = gtk.Clipboard.get(gdk.SELECTION_CLIPBOARD)
        clipboard.set_text(text, -1)
        clipboard.store()
        return False

    glib.idle_add(put)
    return True


if sys.platform == "win32":
    import ctypes

    _UNICODE_TEXT, _MOVEABLE = 13, 2

    def _copy_windows(text: str) -> bool:
        """Through a window of our own: with none, SetClipboardData may refuse (Win32,
        *EmptyClipboard*).
        """
        user, kernel = ctypes.windll.user32, ctypes.windll.kernel32
        user.CreateWindowExW.restype = kernel.GlobalAlloc.restype = ctypes.c_void_p
        kernel.GlobalLock.restype = user.SetClipboardData.restype = ctypes.c_void_p
        window = ctypes.c_void_p(
            user.CreateWindowExW(0, "STATIC", None, 0, 0, 0, 0, 0, None, None, None, None)
        )
        try:
            if not _opened(lambda: bool(user.OpenClipboard(window))):
                log.warning("Nothing was copied: another program holds the clipboard")
                return False
            try:
                user.EmptyClipboard()
                data = (text + "\0").encode("utf-16-le")
                memory = ctypes.c_void_p(kernel.GlobalAlloc(_MOVEABLE, len(data)))
                ctypes.memmove(kernel.GlobalLock(memory), data, len(data))
                kernel.GlobalUnlock(memory)
                return bool(user.SetClipboardData(_UNICODE_TEXT, memory))
            finally:
                user.CloseClipboard()
        finally:
            user.DestroyWindow(window)

    def _opened(attempt: Callable[[], bool]) -> bool:
        """Another program may hold the clipboard for a moment."""
        for _ in range(10):
            if attempt():
                return True
            time.sleep(0.02)
        return False


def _pipe(command: tuple[str, ...], text: str) -> bool:
    try:
        subprocess.run(command, input=text.encode(), check=True, timeout=3)  # noqa: S603
    except (OSError, subprocess.SubprocessError) as error:
        log.warning("Nothing was copied: %s", error)
        return False
    return True
