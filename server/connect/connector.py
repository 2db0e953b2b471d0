"""Plans, applies and undoes: what the command line and the page both do.

Nothing here writes without a plan that was shown: ``apply`` refuses when a file is no longer what
the plan was made from.
"""

import contextlib
import hashlib
import json
import os
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Literal

from server.connect.blanking import blanked
from server.connect.edits import (
    CannotEditError,
    Data,
    Drop,
    Edit,
    between,
    due,
    taken_out,
    value_at,
)
from server.connect.files import (
    PRIVATE,
    Snapshot,
    difference,
    look,
    prepare,
    remove_empty,
    with_text,
)
from server.connect.formats import DOTENV, JSON, TOML, YAML_FILE, Format, rewritten
from server.connect.ledger import CannotUndoError, Entry, Ledger, State, sparse, without_ours
from server.connect.places import Places
from server.connect.removal import removed
from server.connect.tool import Ask, ConfigFile, Target, Tool, unset

Standing = Literal["connected", "outdated", "overruled", "found", "absent", "sheet"]

WORDS: dict[Standing, str] = {
    "connected": "connected",
    "outdated": "connected, but its settings differ",
    "overruled": "settings written, but others win",
    "found": "found, not connected",
    "absent": "not found",
    "sheet": "settings to copy",
}


@dataclass(frozen=True, slots=True)
class Change:
    """One file: as it is, and as it shall be."""

    name: str
    """As people write its path."""
    now: Snapshot
    then: bytes | None
    """None: the file goes."""
    without: Snapshot
    """As it would be had we never written."""
    form: Format
    holds_key: bool = False

    @property
    def changes(self) -> bool:
        return self.then != self.now.raw

    def diff(self, key: str | None = None) -> str:
        """As people may see it; ``key``: the user's own key for this server."""
        then = Snapshot(self.now.path, self.then)
        return _shown(self.form, self.name, self.now.text, then.text, key)


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
        """Every change as a unified diff, without secrets."""
        return "\n".join(change.diff(self.secret) for change in self.changes if change.changes)


class Connector:
    """One user's tools."""

    def __init__(self, places: Places, data_dir: Path) -> None:
        self.places = places
        self.ledger = Ledger(data_dir)

    def state(self, tool: Tool, target: Target) -> Standing:
        """How a tool stands to us; an unreadable file counts as not connected."""
        if tool.files is None:
            return "sheet"
        try:
            plan = self.plan(tool, target)
            if plan.empty:
                return "overruled" if self.rivals(tool, target) else "connected"
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
        own = [file.path for file in files if not file.extra]
        traces = [*tool.traces(self.places), *own]
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
        try:
            base = now if entry is None else _undone(entry, now, file, name)
            if entry is not None and _says_all(file, now):
                return Change(name, now, now.raw, base, file.form, file.holds_key)
            then = with_text(base, rewritten(file.form, base.text, file.edits))
        except CannotEditError as error:
            raise CannotEditError(f"{name}: {error} It was left as it is.") from error
        change = Change(name, now, then, base, file.form, file.holds_key)
        if change.changes and now.read_only:
            raise CannotEditError(_read_only(name))
        return change

    def rivals(self, tool: Tool, target: Target) -> list[str]:
        """What sends the tool's requests elsewhere, in spite of its files: a sentence each."""
        places = self.places
        found = [
            sentence
            for rival in tool.rivals(places, target)
            for sentence in _winning(places, rival.path, rival.form, rival.drops)
        ]
        for file in tool.files(places, target) if tool.files else ():
            removable = tuple(edit for edit in file.edits if isinstance(edit, Drop))
            found += _winning(places, file.path, file.form, removable)
        return found

    def apply(self, plan: Plan) -> None:
        """Write the files, remembering what they were.

        Raises ``ChangedMeanwhileError`` and ``OSError``; the files written until then stay, and
        can be undone.
        """
        with self.ledger.held():
            kept = self._settled(plan.tool)
            for change in plan.changes:
                private = plan.secret is not None and change.holds_key
                self._write(plan.tool, kept, change, PRIVATE if private else None)
            self.ledger.write(plan.tool.id, kept.values())

    def _settled(self, tool: Tool) -> dict[str, Entry]:
        """The record, after what a killed run has left was cleared away."""
        entries = self.ledger.read(tool.id)
        for entry in entries:
            if entry.temporary is not None:
                Path(entry.temporary).unlink(missing_ok=True)
        return {entry.path: replace(entry, temporary=None) for entry in entries}

    def _write(self, tool: Tool, kept: dict[str, Entry], change: Change, mode: int | None) -> None:
        """Replace one file. Whenever this ends, the record holds what the file then is."""
        if not change.changes:
            return
        now, path = change.now, str(change.now.path)
        old = kept.get(path) or Entry(path, (State(now.raw, now.raw, now.mode),))
        new = State(change.then, change.without.raw, change.without.mode)
        writing = prepare(now, change.then, mode=mode)
        made = (*old.made, *map(str, writing.folders))
        both = Entry(path, (*old.states, new), made, str(writing.temporary))
        self.ledger.write(tool.id, {**kept, path: both}.values())
        try:
            writing.carry_out()
        except Exception:
            self.ledger.write(tool.id, kept.values())
            raise
        kept[path] = Entry(path, (new,), made)

    def undo_plan(self, tool: Tool) -> Plan:
        """What undoing would change. Raises ``CannotUndoError``, ``CannotEditError``."""
        changes = []
        edits = self._edits(tool)
        for entry in self.ledger.read(tool.id):
            path = Path(entry.path)
            now, name = look(path), self.places.shown(path)
            file = ConfigFile(path, form_of(path), edits.get(entry.path, ()))
            without = _undone(entry, now, file, name)
            change = Change(name, now, without.raw, without, file.form)
            if change.changes and now.read_only:
                raise CannotUndoError(_read_only(name))
            changes.append(change)
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
        with self.ledger.held():
            kept = self._settled(plan.tool)
            for change in plan.changes:
                self._write(plan.tool, kept, change, change.without.mode)
            for change in plan.changes:
                entry = kept.pop(str(change.now.path), None)
                remove_empty(map(Path, entry.made if entry else ()))
            self.ledger.write(plan.tool.id, kept.values())

    def ask(self, tool: Tool, target: Target) -> Ask | None:
        """The tool's own request, of what its files say; None when they do not say ours."""
        if tool.files is None or tool.ask is None:
            return None
        try:
            files = tool.files(self.places, target)
            own = [file for file in files if not file.extra]
            said: list[Data] = [file.form.parse(look(file.path).text) for file in own]
            return tool.ask(said, target)
        except (CannotEditError, KeyError, TypeError, StopIteration, IndexError):
            return None


def _shown(form: Format, name: str, before: str, after: str, key: str | None = None) -> str:
    """The difference without secrets."""
    text = difference(name, before, after)
    said = []
    for one in (before, after):
        with contextlib.suppress(CannotEditError):
            said.append(form.parse(one))
    return blanked(text.replace(key, "<your API_KEY>") if key else text, *said)


def _read_only(name: str) -> str:
    return (
        f"{name} is read-only and was left as it is. If it may be changed, allow writing to it "
        "and try again; if a program made it (a dotfile manager, Nix), change it there."
    )


def _says_all(file: ConfigFile, now: Snapshot) -> bool:
    said = file.form.parse(now.text)
    return not any(due(said, edit) for edit in file.edits)


def _winning(places: Places, path: Path | None, form: Format, drops: tuple[Drop, ...]) -> list[str]:
    where = "The environment" if path is None else places.shown(path)
    try:
        said = dict(places.environ) if path is None else form.parse(look(path).text)
    except CannotEditError as error:
        return [f"{where} may win, and cannot be read: {error}"]
    found = []
    for drop in drops:
        if due(said, drop):
            name, value = ".".join(drop.path), value_at(drop, said)
            shown = blanked(f"{drop.path[-1]}={value}").partition("=")[2]
            undo = f" Unset it: {unset(name)}" if path is None else ""
            found.append(f"{where} sets {name} to {shown}, which wins over ours.{undo}")
    return found


def form_of(path: Path) -> Format:
    """The kind of a file we once wrote, by its name."""
    by_suffix = {".toml": TOML, ".yaml": YAML_FILE, ".yml": YAML_FILE}
    if path.name == ".env":
        return DOTENV
    return by_suffix.get(path.suffix, JSON)


def _undone(entry: Entry, now: Snapshot, file: ConfigFile, name: str) -> Snapshot:
    """The file without our settings. Raises ``CannotUndoError`` where that cannot be had safely."""
    first, *others = entry.candidates(now.raw)
    try:
        return _without(first, now, file, name)
    except CannotUndoError:
        for state in others:
            with contextlib.suppress(CannotUndoError):
                return _without(state, now, file, name)
        raise


def _without(state: State, now: Snapshot, file: ConfigFile, name: str) -> Snapshot:
    """The file without our settings, if it comes of ``state``."""
    then = without_ours(state, now.raw)
    if then == state.without or now.raw is None:
        return Snapshot(now.path, then, state.mode)
    form = file.form
    before, after = Snapshot(now.path, state.without), Snapshot(now.path, state.now)
    try:
        said, was, left = (form.parse(one.text) for one in (now, before, after))
        wanted = taken_out(said, was, left, file.edits or tuple(between(was or {}, left or {})))
        text = Snapshot(now.path, then).text
        if not _sound(form, now.text, text, wanted):
            text = removed(form, now.text, wanted, before=before.text, after=after.text)
            then = with_text(now, text)
    except CannotEditError as error:
        raise CannotUndoError(
            f"{name} was changed where our settings stand, so they cannot be taken out without "
            "touching what you wrote. Remove them by hand and undo again. Since we wrote it:\n"
            + _shown(form, name, after.text, now.text)
        ) from error
    empty = not text.strip() or (not wanted and text.split() in _NOTHING)
    return Snapshot(now.path, None if state.without is None and empty else then, state.mode)


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
