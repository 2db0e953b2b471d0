"""Start at login. The state is read from the system every time, never remembered.

Windows: a value of the user's ``Run`` key. macOS: a launch agent. Elsewhere: an XDG autostart file.
"""

import contextlib
import plistlib
import re
import shlex
import sys
from collections.abc import Sequence
from pathlib import Path

from server.files import write_private

NAME = "gemini-api-proxy"
MAC_NAME = "io.github.gemini-api-proxy"
RUN_KEY = r"Software\Microsoft\Windows\CurrentVersion\Run"
SWITCH_KEY = r"Software\Microsoft\Windows\CurrentVersion\Explorer\StartupApproved\Run"
"""Where Task Manager notes what it has switched off: an odd first byte."""


class Autostart:
    """``enabled`` tells, ``set`` changes. ``command`` is what login shall run."""

    def __init__(self, command: Sequence[str], *, home: Path, config: Path | None = None) -> None:
        """``config``: XDG_CONFIG_HOME, when it is set."""
        self._command = list(command)
        self._folder = (config or home / ".config") / "autostart"
        self._agents = home / "Library" / "LaunchAgents"

    def enabled(self) -> bool | None:
        """None where it is of no use: a program on a disk image is gone at the next login."""
        if sys.platform == "win32":
            return registry_value() is not None and not switched_off()
        else:  # noqa: RET505  # mypy: code after a platform return is dead
            passing = sys.platform == "darwin" and is_passing(self._command[0])
            return None if passing else self._listed()

    def set(self, *, enabled: bool) -> None:
        """Raises ``OSError``."""
        if sys.platform == "win32":
            set_registry_value(windows_line(self._command) if enabled else None)
            forget_switch()
        elif enabled:
            write_private(self._file, self._text)
        else:
            self._file.unlink(missing_ok=True)

    def _listed(self) -> bool:
        """The file is there, and no desktop's own settings have switched it off in it."""
        try:
            text = self._file.read_text("utf-8", "replace")
        except OSError:
            return False
        return not re.search(r"(?im)^(hidden *= *true|x-gnome-autostart-enabled *= *false)", text)

    @property
    def _file(self) -> Path:
        mac = sys.platform == "darwin"
        return self._agents / f"{MAC_NAME}.plist" if mac else self._folder / f"{NAME}.desktop"

    @property
    def _text(self) -> str:
        return plist(self._command) if sys.platform == "darwin" else desktop(self._command)


def desktop(command: Sequence[str]) -> str:
    """An XDG desktop entry. Quoting after the *Desktop Entry Specification*, ``Exec``."""
    words = " ".join(_desktop_word(word) for word in command)
    return f"[Desktop Entry]\nType=Application\nName=Gemini API Proxy\nExec={words}\n"


def _desktop_word(word: str) -> str:
    if shlex.quote(word) == word:
        return word.replace("%", "%%")
    quoted = word.replace("\\", "\\\\").replace('"', '\\"').replace("`", "\\`").replace("$", "\\$")
    # The file format unescapes once more before the Exec rules apply.
    return '"' + quoted.replace("\\", "\\\\").replace("%", "%%") + '"'


def plist(command: Sequence[str]) -> str:
    """A launch agent that starts once per login; quitting it is final (no ``KeepAlive``)."""
    table = {"Label": MAC_NAME, "ProgramArguments": list(command), "RunAtLoad": True}
    return plistlib.dumps(table).decode()


def windows_line(command: Sequence[str]) -> str:
    """The command line, every word quoted: an unquoted path with a space runs something else."""
    return " ".join(f'"{word}"' for word in command)


def is_passing(program: str) -> bool:
    return program.startswith("/Volumes/") or "/AppTranslocation/" in program


if sys.platform == "win32":
    import winreg

    def registry_value() -> str | None:
        with contextlib.suppress(OSError), winreg.OpenKey(winreg.HKEY_CURRENT_USER, RUN_KEY) as key:
            return str(winreg.QueryValueEx(key, NAME)[0])
        return None

    def switched_off() -> bool:
        with contextlib.suppress(OSError):
            with winreg.OpenKey(winreg.HKEY_CURRENT_USER, SWITCH_KEY) as key:
                value = winreg.QueryValueEx(key, NAME)[0]
            return isinstance(value, bytes) and bool(value) and value[0] % 2 == 1
        return False

    def forget_switch() -> None:
        access = winreg.KEY_SET_VALUE
        with (
            contextlib.suppress(OSError),
            winreg.OpenKey(winreg.HKEY_CURRENT_USER, SWITCH_KEY, 0, access) as key,
        ):
            winreg.DeleteValue(key, NAME)

    def set_registry_value(line: str | None) -> None:
        with winreg.CreateKey(winreg.HKEY_CURRENT_USER, RUN_KEY) as key:
            if line is not None:
                winreg.SetValueEx(key, NAME, 0, winreg.REG_SZ, line)
            else:
                with contextlib.suppress(FileNotFoundError):
                    winreg.DeleteValue(key, NAME)
