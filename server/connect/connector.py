"""Plans, applies and undoes: what the command line and the page both do.

Nothing here writes without a plan that was shown: ``apply`` refuses when a file is no longer what
the plan was made from.
"""

import hashlib
import json
import os
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from server.connect.edits import CannotEditError, Data, Edit, taken_out
from server.connect.files import (
    PRIVATE,
    Snapshot,
    difference,
    look,
    replace,
    with_text,
)
from server.connect.formats import DOTENV, JSON, TOML, YAML_FILE, Format, rewritten
from server.connect.ledger import Entry, Ledger, sparse, without_ours
from server.connect.places import Places
from server.connect.removal import removed
from server.connect.tool import Ask, ConfigFile, Target, Tool

State = Literal["connected", "outdated", "found", "absent", "sheet"]

WORDS: dict[State, str] = {
    "connected": "connected",
    "outdated": "connected, but its settings differ",
    "found": "found, not connected",
    "absent": "not found",
    "sheet": "settings to copy",
}


class CannotUndoError(Exception):
    """A file in which our settings and the user's later changes cannot be told apart."""


@dataclass(frozen=True, slots=True)
class Change:
    """One file: as it is, and as it shall be."""

    name: str
    """As people write its path."""
    now: Snapshot
    then: bytes | None
    """None: the file goes."""
    entry: Entry
    holds_key: bool = False

    @property
    def changes(self) -> bool:
        return self.then != self.now.raw

    def diff(self) -> str:
        then = Snapshot(self.now.path, self.then)
        return difference(self.name, self.now.text, then.text)


@dataclass(frozen=True, slots=True)
class Plan:
    """All changes for one tool, in one go."""

    tool: Tool
    changes: tuple[Change, ...]
    secret: str | None = None
    """A real key in it, blanked out in what is shown."""

    @property
    def empty(self) -> bool:
        return not any(change.changes for change in self.changes)

    @property
    def holds_secret(self) -> bool:
        return self.secret is not None and any(change.holds_key for change in self.changes)

    @property
    def digest(self) -> str:
        """Says whether this is still the plan that was shown."""
        parts = [(str(c.now.path), c.now.raw, c.then) for c in self.changes]
        return hashlib.sha256(repr(parts).encode()).hexdigest()[:32]

    def diff(self) -> str:
        """Every change as a unified diff."""
        text = "\n".join(change.diff() for change in self.changes if change.changes)
        return text.replace(self.secret, "<your API_KEY>") if self.secret else text


class Connector:
    """One user's tools."""

    def __init__(self, places: Places, data_dir: Path) -> None:
        self.places = places
        self.ledger = Ledger(data_dir)

    def state(self, tool: Tool, target: Target) -> State:
        """How a tool stands to us; an unreadable file counts as not connected."""
        if tool.files is None:
            return "sheet"
        try:
            plan = self.plan(tool, target)
            if plan.empty:
                return "connected"
            if not self.undo_plan(tool).empty:
                return "outdated"
        except (CannotEditError, CannotUndoError):
            return "found"
        return "found" if self.found(tool, target) else "absent"

    def found(self, tool: Tool, target: Target) -> bool:
        """Whether the tool is on this computer."""
        if self.places.program(*tool.commands):
            return True
        try:
            files = list(tool.files(self.places, target)) if tool.files else []
        except CannotEditError:
            return True
        traces = [*tool.traces(self.places), *(file.path for file in files)]
        return any(path.exists() for path in traces)

    def undoable(self, tool: Tool) -> bool:
        return bool(self.ledger.read(tool.id))

    def plan(self, tool: Tool, target: Target) -> Plan:
        """What connecting would change. Raises ``CannotEditError``, ``CannotUndoError``."""
        if tool.files is None:
            raise CannotEditError(f"{tool.title} keeps its settings where none can be written.")
        entries = {entry.path: entry for entry in self.ledger.read(tool.id)}
        files = tool.files(self.places, target)
        changes = tuple(self._change(file, entries) for file in files)
        return Plan(tool, changes, target.key if target.secret else None)

    def _change(self, file: ConfigFile, entries: dict[str, Entry]) -> Change:
        name = self.places.shown(file.path)
        now = look(file.path)
        entry = entries.get(str(now.path))
        base, mode = now, now.mode
        made: tuple[str, ...] = ()
        try:
            if entry is not None:
                base = Snapshot(now.path, _undone(entry, now, file, name), entry.mode)
                mode, made = entry.mode, entry.made
            then = with_text(base, rewritten(file.form, base.text, file.edits))
        except CannotEditError as error:
            raise CannotEditError(f"{name}: {error} It was left as it is.") from error
        record = Entry(str(now.path), base.raw, mode, then, made)
        return Change(name, now, then, record, file.holds_key)

    def apply(self, plan: Plan) -> None:
        """Write the files, remembering what they were.

        Raises ``ChangedMeanwhileError`` and ``OSError``; the files written until then stay, and
        can be undone.
        """
        kept = {entry.path: entry for entry in self.ledger.read(plan.tool.id)}
        for change in plan.changes:
            if not change.changes:
                continue
            kept[change.entry.path] = change.entry
            self.ledger.write(plan.tool.id, list(kept.values()))
            mode = PRIVATE if plan.secret and change.holds_key else None
            made = replace(change.now, change.then, mode=mode)
            if made:
                entry = change.entry
                folders = (*entry.made, *map(str, made))
                kept[entry.path] = Entry(entry.path, entry.before, entry.mode, entry.after, folders)
                self.ledger.write(plan.tool.id, list(kept.values()))

    def undo_plan(self, tool: Tool) -> Plan:
        """What undoing would change. Raises ``CannotUndoError``, ``CannotEditError``."""
        changes = []
        edits = self._edits(tool)
        for entry in self.ledger.read(tool.id):
            path = Path(entry.path)
            now, name = look(path), self.places.shown(path)
            file = ConfigFile(path, form_of(path), edits.get(entry.path, ()))
            then = _undone(entry, now, file, name)
            changes.append(Change(name, now, then, entry))
        return Plan(tool, tuple(changes))

    def _edits(self, tool: Tool) -> dict[str, tuple[Edit, ...]]:
        """Where a tool's settings stand in each file; the same for every server."""
        try:
            files = tool.files(self.places, Target("", "", "")) if tool.files else ()
        except CannotEditError:
            return {}
        return {os.path.realpath(file.path): file.edits for file in files}

    def undo(self, plan: Plan) -> None:
        """Put the files back. Raises ``ChangedMeanwhileError`` and ``OSError``."""
        for change in plan.changes:
            if change.changes:
                replace(change.now, change.then, mode=change.entry.mode)
        made = {folder for change in plan.changes for folder in change.entry.made}
        for folder in sorted(map(Path, made), reverse=True):  # the innermost first
            if folder.is_dir() and not any(folder.iterdir()):
                folder.rmdir()
        undone = {change.entry.path for change in plan.changes}
        left = [entry for entry in self.ledger.read(plan.tool.id) if entry.path not in undone]
        self.ledger.write(plan.tool.id, left)

    def ask(self, tool: Tool, target: Target) -> Ask | None:
        """The tool's own request, of what its files say; None when they do not say ours."""
        if tool.files is None or tool.ask is None:
            return None
        try:
            files = tool.files(self.places, target)
            said: list[Data] = [file.form.parse(look(file.path).text) for file in files]
            return tool.ask(said, target)
        except (CannotEditError, KeyError, TypeError, StopIteration, IndexError):
            return None


def form_of(path: Path) -> Format:
    """The kind of a file we once wrote, by its name."""
    by_suffix = {".toml": TOML, ".yaml": YAML_FILE, ".yml": YAML_FILE}
    if path.name == ".env":
        return DOTENV
    return by_suffix.get(path.suffix, JSON)


def _undone(entry: Entry, now: Snapshot, file: ConfigFile, name: str) -> bytes | None:
    """The file without our settings. Raises ``CannotUndoError`` where that cannot be had safely."""
    then = without_ours(entry, now.raw)
    if then == entry.before or now.raw is None:
        return then
    form = file.form
    before, after = Snapshot(now.path, entry.before), Snapshot(now.path, entry.after)
    try:
        said = form.parse(now.text)
        wanted = taken_out(said, form.parse(before.text), form.parse(after.text), file.edits)
        text = Snapshot(now.path, then).text
        if not _sound(form, now.text, text, wanted):
            text = removed(form, now.text, wanted, before=before.text, after=after.text)
            then = with_text(now, text)
    except CannotEditError as error:
        raise CannotUndoError(
            f"{name} was changed where our settings stand, so they cannot be taken out without "
            "touching what you wrote. Remove them by hand and undo again. Since we wrote it:\n"
            + difference(name, after.text, now.text)
        ) from error
    empty = not text.strip() or (not wanted and text.split() in _NOTHING)
    return None if entry.before is None and empty else then


_NOTHING = (["{}"], ["[]"], ["{", "}"], ["[", "]"])


def _sound(form: Format, now: str, then: str, wanted: Data) -> bool:
    """Whether a text says what it must."""
    try:
        said = form.parse(then)
    except CannotEditError:
        return False
    same = (sparse(said) or None) == (sparse(wanted) or None)
    return same and _as_strict(form, now, then)


def _as_strict(form: Format, now: str, then: str) -> bool:
    """A file that was strict JSON must stay so: not every tool allows a trailing comma."""
    if form is not JSON or not then.strip():
        return True
    try:
        json.loads(now)
    except ValueError:
        return True
    try:
        json.loads(then)
    except ValueError:
        return False
    return True
