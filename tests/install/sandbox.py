"""A throw-away copy of this very machine, for what installs into ``/opt``, ``/etc`` and ``/var``.

An overlay over ``/`` in a mount namespace of its own: commands run in it as root and see every path
as it is, everything they write lands in memory and is gone with the sandbox. The checkout is
``/checkout`` there, read-only. Nothing of ``/run`` shows through, so no systemd runs in it.
"""

import os
import subprocess
import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import pytest

from tests import surroundings
from tests.system import installer

CHECKOUT = Path(__file__).parents[2]
PASSED_ON = ("PIP_", "SSL_CERT_")
"""How this machine reaches its package index, besides proxies: the beginnings of variables."""

_MAKE = """
set -eu
mount -t tmpfs -o mode=755 sandbox "$1"
mkdir "$1/upper" "$1/work" "$1/whole"
cd "$1"
mount -t overlay -o "lowerdir=/,upperdir=$1/upper,workdir=$1/work" sandbox whole
cd whole
mount --rbind /proc proc
mount --rbind /dev dev
for name in run tmp var/tmp; do mount -t tmpfs -o mode=1777 sandbox "$name"; done
mkdir -p checkout
mount --bind "$2" checkout
mount -o remount,bind,ro checkout
echo ready
exec sleep infinity
"""


@dataclass(frozen=True, slots=True)
class Sandbox:
    """A root file system that nothing else sees."""

    folder: Path
    """Where it is mounted, in its own mount namespace only."""
    prefix: tuple[str, ...]
    """How a command enters it."""

    def command(self, script: str) -> list[str]:
        """The words that run a shell script in it."""
        passed = [f"{k}={v}" for k, v in os.environ.items() if k.startswith(PASSED_ON)]
        passed += [f"{k}={v}" for k, v in surroundings.INDEX.items()]
        path = "PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"
        return [*self.prefix, "env", "-i", path, "HOME=/root", *passed, "sh", "-ec", script]

    def run(self, script: str, *, code: int = 0) -> str:
        """Run a shell script; returns what it printed, and fails unless it ends with ``code``."""
        done = subprocess.run(
            self.command(script), capture_output=True, text=True, timeout=300, check=False
        )
        said = done.stdout + done.stderr
        assert done.returncode == code, said
        return said


def refused(folder: Path) -> str | None:
    """Why there can be no sandbox here; None when there can."""
    if sys.platform != "linux":
        return "for Linux"
    root = installer({**os.environ, "NO_SYSTEM": ""})
    if root is None:
        return "needs root or sudo -n"
    words = [*root, "unshare", "--mount", "mount", "-t", "tmpfs", "none", str(folder)]
    tried = subprocess.run(words, capture_output=True, text=True, check=False)
    return None if tried.returncode == 0 else f"no mount namespaces here: {tried.stderr.strip()}"


@contextmanager
def sandbox(folder: Path) -> Iterator[Sandbox]:
    """One sandbox, mounted at ``folder``. Skips the test where there can be none."""
    why = refused(folder)
    if why:
        pytest.skip(why)
    root: Sequence[str] = installer({**os.environ, "NO_SYSTEM": ""}) or ()
    make = ("unshare", "--mount", "--propagation", "private", "sh", "-c", _MAKE, "sandbox")
    words = [*root, *make, str(folder), str(CHECKOUT)]
    with subprocess.Popen(words, stdout=subprocess.PIPE, text=True) as holder:
        assert holder.stdout is not None
        assert holder.stdout.readline() == "ready\n"
        sleeper = str(_sleeper(holder.pid))
        try:
            enter = ("nsenter", f"--mount=/proc/{sleeper}/ns/mnt", "chroot")
            yield Sandbox(folder, (*root, *enter, str(folder / "whole")))
        finally:
            subprocess.run([*root, "kill", sleeper], check=True)


def _sleeper(pid: int) -> int:
    """The process behind ``pid``, which may be sudo."""
    children = Path(f"/proc/{pid}/task/{pid}/children").read_text("ascii").split()
    return _sleeper(int(children[0])) if children else pid
