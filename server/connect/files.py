"""Configuration files as they are: links, byte order mark, line endings and rights stay."""

import codecs
import difflib
import os
import stat
import tempfile
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TypeVar

from server.connect.edits import CannotEditError

PRIVATE = 0o600
T = TypeVar("T", str, bytes)


class ChangedMeanwhileError(Exception):
    """Somebody else wrote the file after we had looked at it."""


@dataclass(frozen=True, slots=True)
class Snapshot:
    """A file at one moment. ``raw`` is None where there is none."""

    path: Path
    """The file itself, behind symbolic links."""
    raw: bytes | None
    mode: int | None = None

    @property
    def text(self) -> str:
        """The text with line feeds only, without byte order mark. Raises ``CannotEditError``."""
        raw = (self.raw or b"").removeprefix(codecs.BOM_UTF8)
        try:
            return "\n".join(_lines(raw.decode("utf-8"))[0])
        except UnicodeDecodeError as error:
            raise CannotEditError("It is not text in UTF-8.") from error


def look(path: Path) -> Snapshot:
    """The file as it is now. Raises ``CannotEditError`` where it cannot be read."""
    real = Path(os.path.realpath(path))
    try:
        status = real.stat()
        if not stat.S_ISREG(status.st_mode):
            raise CannotEditError(f"{real} is not a file.")
        return Snapshot(real, real.read_bytes(), stat.S_IMODE(status.st_mode))
    except FileNotFoundError:
        return Snapshot(real, None)
    except OSError as error:
        raise CannotEditError(f"{real} cannot be read: {error.strerror}.") from error


def with_text(old: Snapshot, text: str) -> bytes:
    """The bytes of a file whose text became ``text``: every line that stays keeps its ending."""
    if old.raw is not None and text == old.text:
        return old.raw
    raw = old.raw or b""
    mark = codecs.BOM_UTF8 if raw.startswith(codecs.BOM_UTF8) else b""
    before, endings = _lines(raw.removeprefix(codecs.BOM_UTF8).decode("utf-8"))
    usual = "\r\n" if endings.count("\r\n") > (len(endings) - 1) / 2 else "\n"
    after = text.split("\n")
    chosen = [usual] * len(after)
    if len(set(endings) - {""}) > 1:
        for tag, start, end, other, _ in changes(before, after):
            if tag == "equal":
                for step in range(end - start):
                    chosen[other + step] = endings[start + step] or usual
    chosen[-1] = ""
    return mark + "".join(map(str.__add__, after, chosen)).encode("utf-8")


def changes(before: Sequence[T], after: Sequence[T]) -> list[tuple[str, int, int, int, int]]:
    """What became of lines, as ``get_opcodes`` tells it; in good time for long files too."""
    most = min(len(before), len(after))
    head = next((n for n in range(most) if before[n] != after[n]), most)
    most -= head
    tail = next((n for n in range(most) if before[-1 - n] != after[-1 - n]), most)
    one, other = before[head : len(before) - tail], after[head : len(after) - tail]
    result = [("equal", 0, head, 0, head)] if head else []
    for tag, a, b, c, d in difflib.SequenceMatcher(None, one, other).get_opcodes():
        result.append((tag, a + head, b + head, c + head, d + head))
    if tail:
        result.append(("equal", len(before) - tail, len(before), len(after) - tail, len(after)))
    return result


def replace(old: Snapshot, raw: bytes | None, *, mode: int | None = None) -> list[Path]:
    """Put other content in the place of ``old``, or remove the file. Returns the folders made.

    Raises ``ChangedMeanwhileError`` when the file is not as it was, ``OSError`` as it comes.
    """
    if look(old.path).raw != old.raw:
        raise ChangedMeanwhileError(f"{old.path} was changed meanwhile; look at it again.")
    if raw is None:
        old.path.unlink(missing_ok=True)
        return []
    made = _make_folders(old.path.parent)
    try:
        handle, name = tempfile.mkstemp(prefix=f".{old.path.name}.", dir=old.path.parent)
    except OSError as error:
        error.filename = str(old.path)  # the name that the user knows
        raise
    try:
        with os.fdopen(handle, "wb") as file:
            file.write(raw)
            file.flush()
            os.fsync(file.fileno())
        _give(Path(name), old, mode)
        Path(name).replace(old.path)
    except BaseException:
        Path(name).unlink(missing_ok=True)
        raise
    return made


def _give(new: Path, old: Snapshot, mode: int | None) -> None:
    """Rights and owner of the old file, or private ones."""
    if old.raw is not None and hasattr(os, "chown"):
        owner, mine = old.path.stat(), new.stat()
        if (owner.st_uid, owner.st_gid) != (mine.st_uid, mine.st_gid):
            os.chown(new, owner.st_uid, owner.st_gid)
    wanted = mode if mode is not None else old.mode
    new.chmod(PRIVATE if wanted is None else wanted)


def _make_folders(folder: Path) -> list[Path]:
    """Make what is missing of a folder; what was made, the outermost first."""
    missing = []
    while not folder.exists():
        missing.append(folder)
        folder = folder.parent
    for path in reversed(missing):
        path.mkdir(mode=0o700)
    return missing[::-1]


def _lines(text: str) -> tuple[list[str], list[str]]:
    """The lines of a text and the ending of each; the last one has none."""
    lines, endings = [], []
    for piece in text.split("\n"):
        returned = piece.endswith("\r")
        lines.append(piece[:-1] if returned else piece)
        endings.append("\r\n" if returned else "\n")
    if endings[-1] == "\r\n":  # a last line without line feed that ends in a carriage return
        lines[-1] += "\r"
    endings[-1] = ""
    return lines, endings


def difference(name: str, before: str, after: str) -> str:
    """The change as a unified diff."""
    lines = difflib.unified_diff(
        before.splitlines(),
        after.splitlines(),
        f"{name} (now)",
        f"{name} (then)",
        lineterm="",
        n=2,
    )
    return "\n".join(lines)
