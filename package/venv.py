"""``.venv`` as it must be before anything is installed into it: ``python3 -m package.venv``.

Makes it where there is none, and anew where it cannot be used: half-made, of a Python that is gone
or has changed, from another machine. Prints one line where it does, or where it cannot. Plain
Python without packages, so that it runs before any is there.
"""

import os
import shutil
import subprocess
import sys
import venv
from collections.abc import Mapping
from pathlib import Path

from package import ROOT

ASK = """
import pip, sys
inside = pip.__file__.startswith(sys.prefix) and sys.prefix != sys.base_prefix
sys.exit(0 if inside and sys.version_info >= (3, 11) else 1)
"""
"""Whether an environment has a pip of its own: ``venv`` puts it in last, and each version of Python
looks in a folder named after itself."""


def main(folder: Path = ROOT / ".venv") -> int:
    """0 when ``folder`` is a usable environment afterwards; else 1 and a line on stderr."""
    if usable(folder):
        return 0
    if trouble := impossible():
        print(trouble, file=sys.stderr)
        return 1
    if remove(folder):
        print(f"{folder} cannot be used by this Python any more; making it anew.", flush=True)
    try:
        venv.create(folder, with_pip=True, symlinks=os.name != "nt")
    except (OSError, subprocess.CalledProcessError) as error:
        remove(folder)
        print(f"{folder} could not be made: {error}", file=sys.stderr)
        return 1
    return 0


def usable(folder: Path) -> bool:
    """Whether packages can be installed into it and run from it."""
    python = folder / ("Scripts/python.exe" if os.name == "nt" else "bin/python")
    try:
        got = subprocess.run([python, "-c", ASK], capture_output=True, check=False)
    except OSError:
        return False
    return got.returncode == 0


def impossible() -> str | None:
    """Why this Python cannot make environments, and what to install."""
    try:
        import ensurepip  # noqa: F401, PLC0415  # Debian leaves it out
    except ImportError:
        return missing_package(os_release())
    return None


def missing_package(system: Mapping[str, str]) -> str:
    """The sentence for a Python without ``ensurepip``. ``system``: what os-release says."""
    version = f"{sys.version_info.major}.{sys.version_info.minor}"
    if {"debian", "ubuntu"} & {system.get("ID", ""), *system.get("ID_LIKE", "").split()}:
        own = Path(f"/usr/bin/python{version}")
        default = Path("/usr/bin/python3").resolve() == own
        name = "python3-venv" if default else f"python{version}-venv"
        return f"One package is missing: sudo apt-get install {name}. Then run this again."
    return f"{sys.executable} lacks its module ensurepip: install the rest of Python {version}."


def os_release(file: Path = Path("/etc/os-release")) -> dict[str, str]:
    """What the distribution says of itself (*os-release(5)*); empty elsewhere."""
    try:
        text = file.read_text("utf-8")
    except OSError:
        return {}
    pairs = (line.split("=", 1) for line in text.splitlines() if "=" in line)
    return {name.strip(): value.strip().strip("\"'") for name, value in pairs}


def remove(folder: Path) -> bool:
    """Take away what is there. A link goes, and what it leads to stays."""
    if folder.is_symlink() or folder.is_file():
        folder.unlink()
        return True
    if not folder.is_dir():
        return False
    shutil.rmtree(folder)
    return True


if __name__ == "__main__":
    sys.exit(main())
