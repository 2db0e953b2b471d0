"""What a tool's files were before we changed them, kept in the data folder until it is undone.

``connect/<tool>/record.json`` lists the files; beside it lie a copy of each as it was
(``<n>.before``) and as we left it (``<n>.after``), readable without this program.
"""

import codecs
import json
from dataclasses import asdict, dataclass
from pathlib import Path

from server.connect.edits import Data
from server.connect.files import changes
from server.files import write_private, write_private_bytes


@dataclass(frozen=True, slots=True)
class Entry:
    """One changed file."""

    path: str
    before: bytes | None
    """None: there was no file."""
    mode: int | None
    after: bytes
    made: tuple[str, ...] = ()
    """Folders made for it, the outermost first."""


class Ledger:
    """The records of all tools."""

    def __init__(self, data_dir: Path) -> None:
        self._folder = data_dir / "connect"

    def folder(self, tool: str) -> Path:
        return self._folder / tool

    def read(self, tool: str) -> list[Entry]:
        """The files we changed for a tool; a record that cannot be read counts as none."""
        folder = self.folder(tool)
        try:
            rows = json.loads((folder / "record.json").read_text("utf-8"))
            return [
                Entry(
                    path=row["path"],
                    before=(folder / f"{n}.before").read_bytes() if row["existed"] else None,
                    mode=row["mode"],
                    after=(folder / f"{n}.after").read_bytes(),
                    made=tuple(row["made"]),
                )
                for n, row in enumerate(rows)
            ]
        except (OSError, ValueError, KeyError, TypeError):
            return []

    def write(self, tool: str, entries: list[Entry]) -> None:
        """Keep these, and only these. Raises ``OSError``."""
        folder = self.folder(tool)
        if not entries:
            for path in sorted(folder.glob("*")):
                path.unlink(missing_ok=True)
            if folder.exists():
                folder.rmdir()
            return
        rows = []
        for n, entry in enumerate(entries):
            if entry.before is not None:
                write_private_bytes(folder / f"{n}.before", entry.before)
            write_private_bytes(folder / f"{n}.after", entry.after)
            row = asdict(entry)
            del row["before"], row["after"]
            rows.append({**row, "existed": entry.before is not None})
        write_private(folder / "record.json", json.dumps(rows, indent=2))


def without_ours(entry: Entry, now: bytes | None) -> bytes | None:
    """The file as it would be had we never written; None for no file.

    Byte for byte what it was, unless the user changed it since: then our lines go back, and lines
    that the user wrote, in place of ours too, stay. Whether the result still makes sense is for
    the caller to check (``taken_out``).
    """
    if now in (entry.after, entry.before):
        return entry.before
    if now is None:
        return None
    before, after, lines = (
        (raw or b"").removeprefix(codecs.BOM_UTF8).splitlines(keepends=True)
        for raw in (entry.before, entry.after, now)
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
            at = mapped[0] if mapped else places.get(start, len(lines))
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
