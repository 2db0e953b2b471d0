"""Copying a text, without a package for it."""

import importlib
import logging
import shutil
import subprocess
import sys

log = logging.getLogger(__name__)

PROGRAMS = (("wl-copy",), ("xclip", "-selection", "clipboard"), ("xsel", "--clipboard", "--input"))
"""Tried in this order on Linux where GTK is missing."""


def copy(text: str) -> bool:
    """Put ``text`` on the clipboard; False when there is no way to."""
    if sys.platform == "darwin":
        return _pipe(("/usr/bin/pbcopy",), text)
    elif sys.platform == "win32":  # noqa: RET505  # mypy: code after a platform return is dead
        return _pipe(("clip.exe",), text)
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


def _pipe(command: tuple[str, ...], text: str) -> bool:
    try:
        subprocess.run(command, input=text.encode(), check=True, timeout=3)  # noqa: S603
    except (OSError, subprocess.SubprocessError) as error:
        log.warning("Nothing was copied: %s", error)
        return False
    return True
