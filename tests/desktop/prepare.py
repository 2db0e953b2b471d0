"""What the desktop tests need from the system, and how ``make setup`` sees the system's ``gi``.

``link``: make PyGObject of the system visible to this virtual environment, where it fits this
Python. ``install``: install what is missing for the tests (``install pictures``: for the pictures
of the tray as well), as root or with ``sudo -n``, each command printed first. ``NO_SYSTEM=1``
forbids that: what is missing is named, and the run fails.
Plain Python without packages, so that it runs before any is there.
"""

import os
import shutil
import subprocess
import sys
import sysconfig
from collections.abc import Mapping
from pathlib import Path

PROGRAMS = {"Xvfb": "xvfb", "dbus-daemon": "dbus", "objdump": "binutils"}
"""A screen, a bus, and what PyInstaller reads libraries with."""
PICTURES = {
    "trayer": "trayer",
    "openbox": "openbox",
    "xdotool": "xdotool",
    "import": "imagemagick",
}
"""A panel, a window manager, a mouse and a camera: for ``make screenshots``."""
TYPELIBS = {
    "Gtk-3.0": "gir1.2-gtk-3.0",
    "WebKit2-4.1": "gir1.2-webkit2-4.1",
    "AyatanaAppIndicator3-0.1": "gir1.2-ayatanaappindicator3-0.1",
}
BUILD = ("gcc", "pkg-config", "libgirepository1.0-dev", "libcairo2-dev")
PARTS = ("tools", "cairo", "gi")
PINNED = Path(__file__).with_name("gi")
"""PyGObject, what it stands on and what builds them, to version and hash (``make lock``)."""

SYSTEM_PACKAGES = Path("/usr/lib/python3/dist-packages")


def sees_gi() -> bool:
    """Whether this Python can import it; asked in a fresh process."""
    command = [sys.executable, "-c", "import gi; gi.require_version('GLib', '2.0')"]
    return subprocess.run(command, stderr=subprocess.DEVNULL, check=False).returncode == 0


def link() -> None:
    """Link ``gi`` and ``cairo`` in, if the system's were built for this very Python."""
    if sys.platform != "linux" or sys.prefix == sys.base_prefix or sees_gi():
        return
    tag = f"cpython-{sys.version_info.major}{sys.version_info.minor}-"
    if not any((SYSTEM_PACKAGES / "gi").glob(f"_gi.{tag}*.so")):
        return
    here = Path(sysconfig.get_path("purelib"))
    made = []
    for name in ("gi", "cairo"):
        target = here / name
        if (SYSTEM_PACKAGES / name).is_dir() and not target.exists():
            target.symlink_to(SYSTEM_PACKAGES / name)
            made.append(target)
    if not sees_gi():
        for target in made:
            target.unlink()


def missing(programs: dict[str, str]) -> list[str]:
    """System packages (Debian's names) that the desktop tests lack."""
    found = [package for program, package in programs.items() if shutil.which(program) is None]
    folders = [*Path("/usr/lib").glob("*/girepository-1.0"), Path("/usr/lib/girepository-1.0")]
    for name, package in TYPELIBS.items():
        if not any((folder / f"{name}.typelib").exists() for folder in folders):
            found.append(package)
    version = f"{sys.version_info.major}.{sys.version_info.minor}"
    library = f"libpython{version}"  # Debian's Python is not linked with it; a package is
    if sys.base_prefix == "/usr" and not any(Path("/usr/lib").rglob(f"{library}.so.1.0")):
        found.append(library)
    return found


def install(programs: dict[str, str]) -> int:
    """Make the desktop tests possible. Returns an exit code."""
    if sys.platform != "linux":
        print("The desktop tests under Xvfb are not applicable on this system.")
        return 0
    link()
    packages = missing(programs)
    if not sees_gi():
        packages.append("python3-gi")
        if not _fits_system():
            packages[-1:] = [p for p in BUILD if not _installed(p)]
    if packages and not _apt(packages):
        return 1
    link()
    # An interpreter of its own: the system's gi is built for another Python.
    if not sees_gi() and (os.environ.get("NO_SYSTEM") or not build()):
        print(f"Missing: PyGObject for {sys.executable}", file=sys.stderr)
        return 1
    return 0


def build() -> bool:
    """Build PyGObject for this Python, of pinned sources with pinned tools."""
    tools = os.pathsep.join((str(Path(sys.executable).parent), os.environ.get("PATH", "")))
    pip = [sys.executable, "-m", "pip", "install", "--quiet", "--disable-pip-version-check"]
    pip += ["--require-hashes", "--no-build-isolation", "--no-deps", "-r"]
    environ = {**os.environ, "PATH": tools}
    # Each is there before the next is built.
    return all(_run([*pip, str(PINNED / f"{part}.txt")], environ) for part in PARTS)


def _fits_system() -> bool:
    """Whether the distribution's own Python is of our version."""
    system = Path(f"/usr/bin/python{sys.version_info.major}.{sys.version_info.minor}")
    return system.exists() or sys.base_prefix == "/usr"


def _installed(package: str) -> bool:
    command = ["dpkg-query", "-W", "-f=${Status}", package]
    try:
        got = subprocess.run(command, capture_output=True, text=True, check=False)
    except OSError:
        return False
    return got.stdout.endswith("ok installed")


def _apt(packages: list[str]) -> bool:
    names = " ".join(packages)
    if os.environ.get("NO_SYSTEM"):
        print(f"Missing for the desktop tests: {names} (NO_SYSTEM forbids installing)")
        return False
    if shutil.which("apt-get") is None:
        print(f"Missing for the desktop tests: {names} (Debian's names; no apt-get here)")
        return False
    root = [] if os.geteuid() == 0 else ["sudo", "-n"]
    apt = [*root, "env", "DEBIAN_FRONTEND=noninteractive", "apt-get", "-qq"]
    return _run([*apt, "update"]) and _run(
        [*apt, "install", "-y", "--no-install-recommends", *packages]
    )


def _run(command: list[str], environ: Mapping[str, str] | None = None) -> bool:
    print("+", *command, flush=True)
    try:
        done = subprocess.run(command, stdout=subprocess.DEVNULL, check=False, env=environ)
    except OSError as error:
        print(error, file=sys.stderr)
        return False
    return done.returncode == 0


if __name__ == "__main__":
    match sys.argv[1:]:
        case ["link"]:
            link()
        case ["install"]:
            sys.exit(install(PROGRAMS))
        case ["install", "pictures"]:
            sys.exit(install(PROGRAMS | PICTURES))
        case _:
            sys.exit("link, install, or install pictures")
