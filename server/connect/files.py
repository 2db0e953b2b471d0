"""Configuration files as they are: links, byte order mark, line endings and rights stay."""

import codecs
import difflib
import os
import secrets
import stat
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TypeVar

from server.connect.edits import CannotEditError
from server.files import give_to_the_folders_owner, make_folders, missing_folders

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
    def read_only(self) -> bool:
        """Somebody took away the right to write, which a replaced file would hide from root too."""
        if self.raw is None or self.mode is None:
            return False
        return not self.mode & 0o222 or not os.access(self.path, os.W_OK)

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


@dataclass(frozen=True, slots=True)
class Writing:
    """A change that is about to happen, in all that it leaves behind when it is cut short."""

    old: Snapshot
    raw: bytes | None
    """None: the file goes."""
    mode: int | None
    """Instead of the old file's rights."""
    folders: tuple[Path, ...]
    """To be made, the outermost first."""
    temporary: Path

    def carry_out(self) -> None:
        """Put the new content in the place of the old file, or remove it.

        Raises ``ChangedMeanwhileError`` when the file is not as it was, ``OSError`` as it comes;
        then nothing of ours is left.
        """
        try:
            self._carry_out()
        except Exception as error:
            if self.temporary.exists():
                self.temporary.unlink()
            remove_empty(self.folders)
            if isinstance(error, OSError):
                error.filename = str(self.old.path)  # the name that the user knows
            raise

    def _carry_out(self) -> None:
        path = self.old.path
        if self.raw is None:
            self._check()
            path.unlink(missing_ok=True)
            return
        make_folders(path.parent)
        with open(self.temporary, "xb", opener=_private) as file:
            file.write(self.raw)
            file.flush()
            os.fsync(file.fileno())
        _give(self.temporary, self.old, self.mode)
        self._check()
        self.temporary.replace(path)

    def _check(self) -> None:
        path = self.old.path
        if look(path).raw != self.old.raw:
            raise ChangedMeanwhileError(f"{path} was changed meanwhile; look at it again.")


def prepare(old: Snapshot, raw: bytes | None, *, mode: int | None = None) -> Writing:
    """What is to be done to replace a file; nothing is done yet."""
    folders = () if raw is None else tuple(missing_folders(old.path.parent))
    name = f".{old.path.name}.{secrets.token_hex(8)}"
    return Writing(old, raw, mode, folders, old.path.parent / name)


def remove_empty(folders: Iterable[Path]) -> None:
    """Remove those of the folders that hold nothing, the innermost first."""
    for folder in sorted(folders, reverse=True):
        if folder.is_dir() and not any(folder.iterdir()):
            folder.rmdir()


def _private(path: str, flags: int) -> int:
    return os.open(path, flags, PRIVATE)


def _give(new: Path, old: Snapshot, mode: int | None) -> None:
    """Rights and owner of the old file; for a new file private rights and its folder's owner."""
    if old.raw is None:
        give_to_the_folders_owner(new)
    elif hasattr(os, "chown"):
        owner, mine = old.path.stat(), new.stat()
        if (owner.st_uid, owner.st_gid) != (mine.st_uid, mine.st_gid):
            os.chown(new, owner.st_uid, owner.st_gid)
    wanted = mode if mode is not None else old.mode
    new.chmod(PRIVATE if wanted is None else wanted)


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
