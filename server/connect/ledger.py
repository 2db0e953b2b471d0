"""What a tool's files were before we changed them, kept in the data folder until it is undone.

``connect/<tool>/record.json`` lists the files and, for each, every content that it may have now
(``State``): before a file is replaced, both the old and the new one stand there, so that a process
may end at any moment. Beside it lie the contents, each under a name made of its own hash, readable
without this program. The record names what it needs and is replaced last, as a whole.
"""

import codecs
import contextlib
import hashlib
import json
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from server.connect.edits import Data
from server.connect.files import changes
from server.files import locked, make_folders, write_private, write_private_bytes


class CannotUndoError(Exception):
    """A file in which our settings and the user's later changes cannot be told apart, or a record
    that cannot be read."""


@dataclass(frozen=True, slots=True)
class State:
    """One content that a file may have, and what it would be had we never written."""

    now: bytes | None
    """None: there is no file."""
    without: bytes | None
    mode: int | None
    """Rights of the file without us."""


@dataclass(frozen=True, slots=True)
class Entry:
    """One changed file."""

    path: str
    states: tuple[State, ...]
    """The newest last. More than one only while a change is under way, or was cut short."""
    made: tuple[str, ...] = ()
    """Folders made for it, the outermost first."""
    temporary: str | None = None
    """The file that becomes it, recorded before it is there: left over where a run was killed."""

    def candidates(self, now: bytes | None) -> list[State]:
        """Which states ``now`` may come from, the likeliest first."""
        newest_first = self.states[::-1]
        for state in newest_first:
            if state.now == now:
                return [state]
        return sorted(newest_first, key=lambda state: _likeness(state.now, now), reverse=True)


class Ledger:
    """The records of all tools."""

    def __init__(self, data_dir: Path) -> None:
        self._folder = data_dir / "connect"

    def folder(self, tool: str) -> Path:
        return self._folder / tool

    @contextlib.contextmanager
    def held(self) -> Iterator[None]:
        """One change at a time, the page's and the command line's. Raises ``OSError``."""
        make_folders(self._folder)
        with locked(self._folder / "lock"):
            yield

    def read(self, tool: str) -> list[Entry]:
        """The files we changed for a tool. Raises ``CannotUndoError`` for a damaged record."""
        folder = self.folder(tool)
        try:
            text = (folder / "record.json").read_text("utf-8")
        except FileNotFoundError:
            return []
        except (OSError, ValueError) as error:
            raise _damaged(folder) from error
        try:
            return [_entry(folder, row) for row in json.loads(text)["files"]]
        except (OSError, ValueError, KeyError, TypeError) as error:
            raise _damaged(folder) from error

    def write(self, tool: str, entries: Iterable[Entry]) -> None:
        """Keep these, and only these. Raises ``OSError``; the old record then still holds."""
        folder, record = self.folder(tool), self.folder(tool) / "record.json"
        contents: dict[str, bytes] = {}
        rows = [_row(entry, contents) for entry in entries]
        if rows:
            for name, raw in contents.items():
                if not (folder / name).exists():
                    write_private_bytes(folder / name, raw)
            write_private(record, json.dumps({"files": rows}, indent=2))
        else:
            record.unlink(missing_ok=True)
        for path in sorted(folder.glob("*")):
            if path.name not in contents and (path != record or not rows):
                path.unlink(missing_ok=True)
        if not rows and folder.exists():
            folder.rmdir()


def _row(entry: Entry, contents: dict[str, bytes]) -> dict[str, Any]:
    """The entry as the record holds it; what its names mean goes into ``contents``."""

    def named(raw: bytes | None) -> str | None:
        if raw is None:
            return None
        name = f"{hashlib.sha256(raw).hexdigest()[:32]}-{Path(entry.path).name}"
        contents[name] = raw
        return name

    states = [
        {"now": named(state.now), "without": named(state.without), "mode": state.mode}
        for state in entry.states
    ]
    return {
        "path": entry.path,
        "states": states,
        "made": entry.made,
        "temporary": entry.temporary,
    }


def _entry(folder: Path, row: dict[str, Any]) -> Entry:
    """Raises ``OSError``, ``ValueError``, ``KeyError``, ``TypeError`` where it is damaged."""

    def content(name: str | None) -> bytes | None:
        if name is None:
            return None
        raw = (folder / name).read_bytes()
        if not name.startswith(hashlib.sha256(raw).hexdigest()[:32]):
            raise ValueError(name)
        return raw

    states = tuple(
        State(content(state["now"]), content(state["without"]), state["mode"])
        for state in row["states"]
    )
    return Entry(row["path"], states, tuple(row["made"]), row["temporary"])


def _damaged(folder: Path) -> CannotUndoError:
    return CannotUndoError(
        f"The record of what was changed ({folder / 'record.json'}) cannot be read. The copies "
        "beside it are your files as they were and as we left them: compare by hand, then move "
        "that folder away."
    )


def _likeness(one: bytes | None, other: bytes | None) -> float:
    """How much of two files is the same, from 0 to 1; no file is like an empty one."""
    lines, others = ((raw or b"").splitlines() for raw in (one, other))
    same = sum(end - start for tag, start, end, *_ in changes(lines, others) if tag == "equal")
    return 2 * same / max(1, len(lines) + len(others))


def without_ours(state: State, now: bytes | None) -> bytes | None:
    """The file as it would be had we never written; None for no file.

    Byte for byte what it was, unless the user changed it since: then our lines go back, and lines
    that the user wrote, in place of ours too, stay. Whether the result still makes sense is for
    the caller to check (``taken_out``).
    """
    if now in (state.now, state.without):
        return state.without
    if now is None:
        return None
    before, after, lines = (
        (raw or b"").removeprefix(codecs.BOM_UTF8).splitlines(keepends=True)
        for raw in (state.without, state.now, now)
    )
    gone, put = _reversed(after, before, lines)
    result: list[bytes] = []
    for number in range(len(lines) + 1):
        result += put.get(number, [])
        if number < len(lines) and number not in gone:
            result.append(lines[number])
    mark = codecs.BOM_UTF8 if now.startswith(codecs.BOM_UTF8) else b""
    return mark + b"".join(_ended(result, after, lines))


def _ended(result: list[bytes], after: list[bytes], lines: list[bytes]) -> list[bytes]:
    """Every line but the last with an ending; the user's, where they gave the whole file one."""
    endings = {_ending(line) for line in lines} - {b""}
    usual = min(endings, default=b"\n")
    converted = len(endings) == 1 and endings != {_ending(line) for line in after} - {b""}
    ended = [line if _ending(line) else line + usual for line in result[:-1]] + result[-1:]
    if not converted:
        return ended
    return [line.rstrip(b"\r\n") + usual if _ending(line) else line for line in ended]


def _ending(line: bytes) -> bytes:
    """How a line ends."""
    return line[len(line.rstrip(b"\r\n")) :]


def _reversed(
    after: list[bytes], before: list[bytes], lines: list[bytes]
) -> tuple[set[int], dict[int, list[bytes]]]:
    """Our change turned round: which of the lines of now go, and what comes before which."""
    places = _places(after, lines)
    gone: set[int] = set()
    put: dict[int, list[bytes]] = {}
    for tag, start, end, old_start, old_end in changes(after, before):
        if tag == "equal":
            continue
        old = before[old_start:old_end]
        found = [places.get(number) for number in range(start, end)]
        mapped = [number for number in found if number is not None]
        gone.update(mapped)
        if len(mapped) < len(found) and len(old) == len(found):  # the user rewrote some of them
            put.update({n: [line] for n, line in zip(found, old, strict=True) if n is not None})
        elif mapped or start == end:
            behind = places.get(start - 1, len(lines) - 1) + 1
            at = mapped[0] if mapped else places.get(start, behind)
            put[at] = [*old, *put.get(at, [])]
    return gone, put


def _places(after: list[bytes], lines: list[bytes]) -> dict[int, int]:
    """Where each line as we left it stands now; ends of lines do not count."""
    theirs = changes(
        [line.rstrip(b"\r\n") for line in after], [line.rstrip(b"\r\n") for line in lines]
    )
    return {
        start + step: other + step
        for tag, start, end, other, _ in theirs
        if tag == "equal"
        for step in range(end - start)
    }


def sparse(data: Data) -> Data:
    """The same without empty tables and lists: what is left of a place made for us."""
    if isinstance(data, dict):
        slim = {name: sparse(value) for name, value in data.items()}
        return {name: value for name, value in slim.items() if value not in ({}, [], None)}
    if isinstance(data, list):
        return [sparse(item) for item in data]
    return data
