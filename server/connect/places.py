"""Where programs keep their configuration, on each system."""

import os
import shutil
import sys
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path


@dataclass(frozen=True, slots=True)
class Places:
    """One user's folders. Tests stand in for other systems by giving ``platform``."""

    home: Path
    environ: Mapping[str, str]
    platform: str = sys.platform
    folder: Path | None = None
    """Where the user works: tools read more settings there. None: nobody knows."""
    system: Path = Path("/")
    """Where the machine's own settings are; tests give another."""

    @classmethod
    def here(cls, folder: Path | None = None) -> "Places":
        return cls(Path.home(), os.environ, folder=folder)

    def project(self, *, to_the_root: bool = False) -> list[Path]:
        """The folders in which a tool looks for a project's settings, the innermost first: up to
        the repository's, or up to the root. The home folder is not one."""
        if self.folder is None:
            return []
        home, found = Path(os.path.realpath(self.home)), []
        here = Path(os.path.realpath(self.folder))
        for path in (here, *here.parents):
            if path == home:
                break
            found.append(path)
            if not to_the_root and (path / ".git").exists():
                return found
        return found if to_the_root else found[:1]

    def machine(self, *, linux: str, darwin: str, win32: str) -> Path:
        """A file of the whole machine; given as absolute paths."""
        path = {"darwin": darwin, "win32": win32}.get(self.platform, linux)
        return Path(path) if self.platform == "win32" else self.system / path.lstrip("/")

    def named(self, variable: str, default: Path) -> Path:
        """The folder that an environment variable of the tool names, or its usual one."""
        value = self.environ.get(variable, "").strip()
        return Path(value).expanduser() if value else default

    @property
    def config(self) -> Path:
        """``~/.config``, which many tools use on every system."""
        return self.named("XDG_CONFIG_HOME", self.home / ".config")

    @property
    def roaming(self) -> Path:
        """``%APPDATA%``."""
        return self.named("APPDATA", self.home / "AppData" / "Roaming")

    def app(self, name: str) -> Path:
        """The folder of a desktop program: Electron's and click's idea of it."""
        if self.platform == "win32":
            return self.roaming / name
        if self.platform == "darwin":
            return self.home / "Library" / "Application Support" / name
        return self.config / name

    def program(self, *names: str) -> str | None:
        """The first of these commands that is installed."""
        path = self.environ.get("PATH", os.defpath)
        return next((found for name in names if (found := shutil.which(name, path=path))), None)

    def shown(self, path: Path) -> str:
        """A path as people write it."""
        if path.is_relative_to(self.home):
            return str(Path("~") / path.relative_to(self.home))
        return str(path)


def first_existing(*paths: Path) -> Path:
    """The first that is there, else the first."""
    return next((path for path in paths if path.exists()), paths[0])
