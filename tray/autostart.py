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
from shutil import which

from server.files import write_private

NAME = "gemini-api-proxy"
MAC_NAME = "io.github.gemini-api-proxy"
RUN_KEY = r"Software\Microsoft\Windows\CurrentVersion\Run"
RUN_CHARS = 259
"""Microsoft, *Run and RunOnce Registry Keys*: no longer than 260 with the end mark."""
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

    def broken(self) -> bool:
        """What login would run is no longer there: the program was moved or removed."""
        return any(not _is_there(word) for word in self._programs())

    def _programs(self) -> list[str]:
        """The program that is registered, and its script where it is run by Python."""
        if sys.platform == "win32":
            words = re.findall(r'"([^"]*)"', registry_value() or "")
        else:  # mypy: code after a platform return is dead
            words = self._listed_words()
        return words[:1] + [word for word in words[1:2] if word.endswith(".py")]

    def _listed_words(self) -> list[str]:
        try:
            content = self._file.read_bytes()
            if sys.platform == "darwin":
                return [str(word) for word in plistlib.loads(content)["ProgramArguments"]]
            line = re.search(r"(?m)^Exec=(.*)$", content.decode("utf-8", "replace"))
            return _exec_words(line[1]) if line else []
        except (OSError, ValueError, KeyError, plistlib.InvalidFileException):
            return []

    def set(self, *, enabled: bool) -> None:
        """Raises ``OSError``."""
        if sys.platform == "win32":
            set_registry_value(short_line(self._command) if enabled else None)
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


def _exec_words(line: str) -> list[str]:
    """The words of an ``Exec`` line, as a desktop reads them."""
    text = line.replace("\\\\", "\\").replace("%%", "%")
    return shlex.split(re.sub(r"\\([$`])", r"\1", text))


def _is_there(program: str) -> bool:
    return Path(program).exists() if Path(program).is_absolute() else bool(which(program))


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
    import ctypes
    import winreg

    def short_path(word: str) -> str:
        """The old 8.3 form of a path that exists; every other word as it is."""
        room = ctypes.create_unicode_buffer(len(word) + 1)
        found = ctypes.windll.kernel32.GetShortPathNameW(word, room, len(room))
        return room.value if 0 < found < len(room) else word

    def short_line(command: Sequence[str]) -> str:
        """A line that the ``Run`` key takes: Windows ignores longer ones. Raises ``OSError``."""
        line = windows_line(command)
        if len(line) > RUN_CHARS:
            line = windows_line([short_path(word) for word in command])
        if len(line) > RUN_CHARS:
            raise OSError(
                f"the command is longer than the {RUN_CHARS} characters that Windows takes"
            )
        return line

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
