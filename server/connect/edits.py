"""What goes into a configuration file, as data, and what the file then says."""

import copy
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any

Data = Any
"""What a configuration file says: dict, list, str, int, float, bool or None."""


class CannotEditError(Exception):
    """A file that cannot be changed without touching more than our own settings."""


@dataclass(frozen=True, slots=True)
class Put:
    """One setting at a path of keys."""

    path: tuple[str, ...]
    value: Data
    only_if_absent: bool = False
    """The user's own value wins."""


@dataclass(frozen=True, slots=True)
class Item:
    """One entry of a list; it takes the place of the entry that is the same in ``same_by``."""

    path: tuple[str, ...]
    """Where the list is; empty for a file that is a list."""
    value: dict[str, Data]
    same_by: tuple[str, ...]

    def place(self, entries: Sequence[Data]) -> int | None:
        """The index of the entry to replace."""
        for index, entry in enumerate(entries):
            if isinstance(entry, dict) and all(
                entry.get(name) == self.value[name] for name in self.same_by
            ):
                return index
        return None


Edit = Put | Item


def applied(data: Data, edits: Iterable[Edit]) -> Data:
    """What a file must say after the edits. ``data`` stays as it is; None is an empty file.

    Raises ``CannotEditError`` where something else stands in the way of a path.
    """
    result = copy.deepcopy(data)
    for edit in edits:
        if result is None:
            result = [] if isinstance(edit, Item) and not edit.path else {}
        if isinstance(edit, Put):
            _put(result, edit)
        else:
            _place(result, edit)
    return result


def due(data: Data, edit: Edit) -> bool:
    """Whether the edit would change anything."""
    return bool(applied(data, [edit]) != data or data is None)


def _put(data: Data, edit: Put) -> None:
    parent = _walk(data, edit.path[:-1], {})
    if not isinstance(parent, dict):
        raise CannotEditError(f"{'.'.join(edit.path[:-1]) or 'the file'} is not a table.")
    if not (edit.only_if_absent and edit.path[-1] in parent):
        parent[edit.path[-1]] = copy.deepcopy(edit.value)


def _place(data: Data, edit: Item) -> None:
    entries = _walk(data, edit.path, [])
    if not isinstance(entries, list):
        raise CannotEditError(f"{'.'.join(edit.path) or 'the file'} is not a list.")
    index = edit.place(entries)
    if index is None:
        entries.append(copy.deepcopy(edit.value))
    else:
        entries[index] = copy.deepcopy(edit.value)


def _walk(data: Data, path: tuple[str, ...], last: Data) -> Data:
    """What is at a path; missing steps are added, the last one as ``last``."""
    for number, name in enumerate(path):
        if not isinstance(data, dict):
            raise CannotEditError(f"{'.'.join(path[:number]) or 'the file'} is not a table.")
        missing = last if number == len(path) - 1 else {}
        if data.get(name) is None:
            data[name] = copy.deepcopy(missing)
        data = data[name]
    return data
