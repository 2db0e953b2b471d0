"""The licences of what a package holds besides Python distributions, as texts.

Python distributions bring their own (``*.dist-info``), all but ``WITHOUT_TEXT``; the about page
shows both.
"""

import shutil
import subprocess
import sys
from collections.abc import Iterable
from importlib.metadata import distribution
from pathlib import Path

from package import ROOT

TEXTS = ROOT / "assets" / "licences"
WITHOUT_TEXT = {
    "linux": ("proxy-tools",),
    "win32": ("proxy-tools",),
    "darwin": ("proxy-tools", "pyobjc"),
}
"""Distributions that bring no text; several parts of PyObjC do not. It is in their repositories."""


def write_licences(
    folder: Path, libraries: Iterable[str] = (), *, platform: str = sys.platform
) -> Path:
    """One text per component into ``folder``, which is emptied first.

    ``libraries``: the system's files that are bundled; Debian names their package and its licence.
    """
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir(parents=True)
    shutil.copyfile(ROOT / "LICENSE", folder / "gemini-api-proxy.txt")
    (folder / "Python.txt").write_text(python_licence(), "utf-8")
    loader = next(f for f in distribution("pyinstaller").files or [] if f.name == "COPYING.txt")
    shutil.copyfile(str(loader.locate()), folder / "PyInstaller bootloader.txt")
    if platform == "linux":
        shutil.copyfile(TEXTS / "LGPL-2.1.txt", folder / "PyGObject.txt")
    for name in WITHOUT_TEXT[platform]:
        shutil.copyfile(TEXTS / f"{name}.txt", folder / f"{name}.txt")
    for package in sorted({owner for path in libraries if (owner := owner_of(path))}):
        text = Path("/usr/share/doc") / package / "copyright"
        if text.exists():
            shutil.copyfile(text, folder / f"{package}.txt")
    return folder


def python_licence() -> str:
    """Python's own words, which its installations keep in different places."""
    prefix = Path(sys.base_prefix)
    version = f"python{sys.version_info.major}.{sys.version_info.minor}"
    for place in (
        prefix / "LICENSE.txt",
        prefix / "lib" / version / "LICENSE.txt",
        Path("/usr/share/doc") / version / "copyright",
    ):
        if place.is_file():
            return place.read_text("utf-8", "replace")
    raise FileNotFoundError(f"the licence of Python, below {prefix}")


def owner_of(file: str) -> str | None:
    """The Debian package that a file belongs to; None where there is none."""
    if shutil.which("dpkg") is None:
        return None
    path = Path(file).resolve()
    # dpkg knows the place before /lib became a link to /usr/lib.
    for place in (str(path), str(path).removeprefix("/usr")):
        got = subprocess.run(["dpkg", "-S", place], capture_output=True, text=True, check=False)
        if got.returncode == 0:
            return got.stdout.partition(":")[0]
    return None
