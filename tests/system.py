"""Installs what the tests need besides Python packages; ``make test`` runs it first.

As root or with ``sudo -n``, never asking for a password, each command printed before it runs.
``NO_SYSTEM=1`` forbids it: what is missing is then named, and the run fails. The browser comes from
the system's packages, its driver from npm.
"""

import os
import shutil
import subprocess
import sys
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

BROWSER_TESTS = Path(__file__).parent / "browser"


def command(*names: str) -> Callable[[], bool]:
    """Whether one of these programs is there."""
    return lambda: any(map(shutil.which, names))


def on_linux(there: Callable[[], bool]) -> Callable[[], bool]:
    """Not needed elsewhere."""
    return lambda: sys.platform != "linux" or there()


@dataclass(frozen=True, slots=True)
class Need:
    """One thing the tests use."""

    what: str
    there: Callable[[], bool]
    apt: tuple[str, ...]
    """Debian and Ubuntu packages that bring it."""


NEEDS: tuple[Need, ...] = (
    Need(
        "a Chromium for the pages",
        command("chromium", "chromium-browser", "google-chrome", "google-chrome-stable"),
        ("chromium",),
    ),
    Need("Node.js to drive it", command("node"), ("nodejs",)),
    Need("npm to install the driver", command("npm"), ("npm",)),
    Need("ip for a caller on another host", on_linux(command("ip")), ("iproute2",)),
    Need("valgrind to count instructions", on_linux(command("valgrind")), ("valgrind",)),
    Need("systemd-analyze for the unit", on_linux(command("systemd-analyze")), ("systemd",)),
)


SERVERS: tuple[Need, ...] = tuple(
    Need(what, command(program), packages)
    for what, program, packages in (
        ("debootstrap for a bare Debian", "debootstrap", ("debootstrap",)),
        ("systemd-nspawn to boot it", "systemd-nspawn", ("systemd-container",)),
        ("podman for the image", "podman", ("podman", "buildah", "aardvark-dns", "iptables")),
        ("runc to run it", "runc", ("runc",)),
    )
)
"""What ``make test-servers`` uses besides."""


def installer(environ: Mapping[str, str]) -> tuple[str, ...] | None:
    """How commands are run as root here; None when they cannot be."""
    if environ.get("NO_SYSTEM") == "1" or not shutil.which("apt-get"):
        return None
    if os.geteuid() == 0:
        return ()
    sudo = shutil.which("sudo")
    allowed = sudo and subprocess.run([sudo, "-n", "true"], capture_output=True, check=False)
    return (str(sudo), "-n") if allowed and allowed.returncode == 0 else None


def run(words: Sequence[str], folder: Path | None = None) -> None:
    """Print a command, then run it."""
    print("+", *words, flush=True)  # noqa: T201  # a person reads this
    subprocess.run(words, cwd=folder, check=True, stdin=subprocess.DEVNULL)


def install_packages(environ: Mapping[str, str], needs: Sequence[Need] = NEEDS) -> None:
    """Bring what is missing, or end the program naming it."""
    missing = [need for need in needs if not need.there()]
    if not missing:
        return
    packages = [package for need in missing for package in need.apt]
    prefix = installer(environ) if sys.platform == "linux" else None
    if prefix is None:
        names = "; ".join(need.what for need in missing)
        sys.exit(f"The tests need {names}. On Debian: apt-get install {' '.join(packages)}")
    run([*prefix, "apt-get", "update", "-q"])
    quiet = ("env", "DEBIAN_FRONTEND=noninteractive", "apt-get", "install", "-yq")
    run([*prefix, *quiet, "--no-install-recommends", *packages])


def install_driver() -> None:
    """``npm ci``, unless what is there is what the lock file says."""
    lock = BROWSER_TESTS / "package-lock.json"
    done = BROWSER_TESTS / "node_modules" / ".package-lock.json"
    if not done.exists() or done.stat().st_mtime < lock.stat().st_mtime:
        npm = shutil.which("npm") or "npm"
        run([npm, "ci", "--no-audit", "--no-fund", "--loglevel=error"], BROWSER_TESTS)


if __name__ == "__main__":
    if sys.argv[1:] == ["servers"]:
        install_packages(os.environ, SERVERS)
    else:
        install_packages(os.environ)
        install_driver()
