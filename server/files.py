"""Files that hold secrets, and folders of another user."""

import contextlib
import os
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import IO


def write_private(path: Path, text: str) -> None:
    """Replace ``path`` atomically with a file only its owner can read."""
    write_private_bytes(path, text.encode("utf-8"))


def write_private_bytes(path: Path, content: bytes) -> None:
    """The same with bytes."""
    make_folders(path.parent)
    handle, name = tempfile.mkstemp(prefix=f".{path.name}.", dir=path.parent)  # mode 0600
    try:
        with os.fdopen(handle, "wb") as file:
            file.write(content)
            file.flush()
            os.fsync(file.fileno())
        give_to_the_folders_owner(Path(name))
        Path(name).replace(path)
    except BaseException:
        Path(name).unlink(missing_ok=True)
        raise


def missing_folders(folder: Path) -> list[Path]:
    """Which folders must be made for this one to be there, the outermost first."""
    missing = []
    while not folder.exists():
        missing.append(folder)
        folder = folder.parent
    return missing[::-1]


def make_folders(folder: Path) -> None:
    """Make what is missing of a folder, private to its owner."""
    for path in missing_folders(folder):
        path.mkdir(mode=0o700, exist_ok=True)
        give_to_the_folders_owner(path)


def give_to_the_folders_owner(path: Path) -> None:
    """What root made in the folder of another user belongs to that user.

    Elsewhere, and for everybody else, nothing happens. ``path`` is new and ours.
    """
    if sys.platform != "win32" and os.geteuid() == 0:
        folder = path.parent.stat()
        os.chown(path, folder.st_uid, folder.st_gid, follow_symlinks=False)


@contextlib.contextmanager
def locked(path: Path) -> Iterator[None]:
    """Hold a lock that ends with the process, however it ends; waits for another holder."""
    new = not path.exists()
    with path.open("a+b") as file:
        if new:
            give_to_the_folders_owner(path)
        _wait_for(file)
        yield


if sys.platform == "win32":
    import msvcrt

    def _wait_for(file: IO[bytes]) -> None:
        file.seek(0)
        msvcrt.locking(file.fileno(), msvcrt.LK_LOCK, 1)

else:
    import fcntl

    def _wait_for(file: IO[bytes]) -> None:
        fcntl.flock(file, fcntl.LOCK_EX)
