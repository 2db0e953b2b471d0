"""The Debian package of what ``make package`` has built: ``python -m package.deb [--dist DIR]``.

Built with ``dpkg-deb`` alone. It installs into ``/usr/lib`` (``/opt`` is where ``setup.sh`` puts
the service), with a link in ``/usr/bin``, a desktop entry and an icon; nothing runs as root at
installation.
"""

import argparse
import gzip
import platform
import re
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Sequence
from pathlib import Path

from package import NAME, ROOT
from package.__main__ import built, size_mb
from server import __version__
from tray.autostart import desktop
from tray.menu import APP_NAME

DEPENDS = ("libstdc++6",)
"""What the server needs."""
RECOMMENDS = (
    # Tray and window. apt installs them unless it is told not to; without them the server runs
    # and its dashboard opens in the browser.
    "gir1.2-gtk-3.0",
    "gir1.2-webkit2-4.1",
    "gir1.2-ayatanaappindicator3-0.1",
    "libgirepository-1.0-1",  # what the bundled PyGObject is linked with
    "default-dbus-session-bus | dbus-session-bus",
    "xdg-utils",
)
ARCHITECTURES = {"x86_64": "amd64", "aarch64": "arm64"}
MAINTAINER = "The Gemini API Proxy authors <noreply@localhost>"


def main(argv: Sequence[str] | None = None) -> int:
    """Prints the path of the finished file; 1 where nothing was built yet."""
    parser = argparse.ArgumentParser(prog="python -m package.deb", description=__doc__)
    parser.add_argument("--dist", type=Path, default=ROOT / "dist")
    dist = parser.parse_args(argv).dist
    if not built(dist).is_dir():
        print(f"{built(dist)} is not there: make package builds it.", file=sys.stderr)
        return 1
    print(make(dist))
    return 0


def make(dist: Path, *, compression: str = "-Zxz") -> Path:
    """Pack the built folder. Raises ``CalledProcessError``."""
    architecture = ARCHITECTURES[platform.machine()]
    target = dist / f"{NAME}_{debian_version(__version__)}_{architecture}.deb"
    with tempfile.TemporaryDirectory() as folder:
        root = Path(folder) / "root"
        lay_out(root, built(dist))
        (root / "DEBIAN").mkdir()
        text = control(architecture, round(size_mb(root) * 1e6 / 1024), needed_glibc(built(dist)))
        (root / "DEBIAN" / "control").write_text(text, "utf-8")
        root.chmod(0o755)
        command = ["dpkg-deb", "--root-owner-group", compression, "--build", str(root), str(target)]
        subprocess.run(command, check=True, stdout=subprocess.DEVNULL)
    return target


def lay_out(root: Path, program: Path) -> None:
    """The files as they will lie on the disk."""
    shutil.copytree(program, root / "usr/lib" / NAME, symlinks=True)
    (root / "usr/bin").mkdir(parents=True)
    (root / "usr/bin" / NAME).symlink_to(f"../lib/{NAME}/{NAME}")
    entry = root / "usr/share/applications" / f"{NAME}.desktop"
    entry.parent.mkdir(parents=True)
    entry.write_text(desktop_entry(), "utf-8")
    icon = root / "usr/share/icons/hicolor/scalable/apps" / f"{NAME}.svg"
    icon.parent.mkdir(parents=True)
    shutil.copyfile(ROOT / "webui/static/icon.svg", icon)
    documents = root / "usr/share/doc" / NAME
    documents.mkdir(parents=True)
    shutil.copyfile(ROOT / "LICENSE", documents / "copyright")
    changes = (ROOT / "CHANGELOG.md").read_bytes()
    (documents / "changelog.gz").write_bytes(gzip.compress(changes, mtime=0))


def desktop_entry() -> str:
    """For the menu of applications; starting it again opens the window of the running one."""
    return desktop([NAME]) + (
        f"Icon={NAME}\n"
        "Comment=A local gateway to Gemini for every tool that speaks another API\n"
        "Categories=Development;Network;\n"
        "Terminal=false\n"
        "StartupNotify=false\n"
    )


def control(architecture: str, installed_kb: int, glibc: str) -> str:
    """The package's own description (*Debian Policy* 5.3)."""
    depends = ", ".join((f"libc6 (>= {glibc})", *DEPENDS))
    return (
        f"Package: {NAME}\n"
        f"Version: {debian_version(__version__)}\n"
        f"Architecture: {architecture}\n"
        f"Maintainer: {MAINTAINER}\n"
        f"Installed-Size: {installed_kb}\n"
        f"Depends: {depends}\n"
        f"Recommends: {', '.join(RECOMMENDS)}\n"
        "Section: net\n"
        "Priority: optional\n"
        "Description: local gateway to Gemini for tools that speak another API\n"
        f" {APP_NAME} lets tools made for the OpenAI or the Anthropic API work with\n"
        " Gemini. It runs in the tray, or alone with --headless; on a server, install it\n"
        " with --no-install-recommends.\n"
    )


def debian_version(version: str) -> str:
    """1.2.0rc1 is before 1.2.0, which Debian writes with a tilde."""
    return re.sub(r"(?<=\d)(a|b|rc)(?=\d)", r"~\1", version)


def needed_glibc(program: Path) -> str:
    """The newest version of the C library that a bundled file asks for."""
    found = {(2, 31)}
    for path in program.rglob("*"):
        if path.is_file() and (path.name == NAME or ".so" in path.name):
            for asked in re.findall(rb"GLIBC_(\d+)\.(\d+)", path.read_bytes()):
                found.add((int(asked[0]), int(asked[1])))
    return ".".join(map(str, max(found)))


if __name__ == "__main__":
    sys.exit(main())
