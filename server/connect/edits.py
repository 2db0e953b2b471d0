"""What goes into a configuration file, as data, and what the file then says."""

import copy
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any

Data = Any
"""What a configuration file says: dict, list, str, int, float, bool or None."""


Way = tuple[str | int, ...]
"""Where something stands: names of tables, numbers of list entries."""


class CannotEditError(Exception):
    """A file that cannot be changed without touching more than our own settings."""


@dataclass(frozen=True, slots=True)
class Put:
    """One setting at a path of keys."""

    path: tuple[str, ...]
    value: Data
    only_if_absent: bool = False
    """The user's own value wins."""
    ours: tuple[str, ...] = ()
    """A value that begins with one of these means nothing without us, whoever wrote it: undo takes
    it out."""


@dataclass(frozen=True, slots=True)
class Item:
    """One entry of a list; it takes the place of the entry that is the same in ``same_by``."""

    path: tuple[str, ...]
    """Where the list is; empty for a file that is a list."""
    value: dict[str, Data]
    same_by: tuple[str, ...]

    def place(self, entries: Sequence[Data]) -> int | None:
        """The index of the entry to replace."""
        wanted = {name: self.value[name] for name in self.same_by}
        for index, entry in enumerate(entries):
            if _says(entry, wanted):
                return index
        return None


@dataclass(frozen=True, slots=True)
class Drop:
    """A setting that must not be there: it would win over ours, or keep the tool from starting."""

    path: tuple[str, ...]
    harm: Callable[[Data], bool] = bool
    """Whether this value does; others stay."""


Addition = Put | Item
Edit = Addition | Drop


def other_than(*beginnings: str) -> Callable[[Data], bool]:
    """Any value but an empty one and those that begin so, however they are capitalised."""
    fine = tuple(beginning.lower() for beginning in beginnings)
    return lambda value: bool(value) and not str(value).lower().startswith(fine)


def anything_but(*values: str) -> Callable[[Data], bool]:
    """Any value but an empty one and these; a slash at the end makes no difference."""
    fine = {value.lower().rstrip("/") for value in values}
    return lambda value: bool(value) and str(value).lower().rstrip("/") not in fine


def switched_on(value: Data) -> bool:
    """Whether a variable's value means yes."""
    return str(value).strip().lower() in ("1", "true", "yes", "on")


def value_at(edit: Edit, data: Data) -> Data:
    """The value at an edit's place; None for nothing."""
    return _at(data, edit.path)


def found(entries: Iterable[Data], wanted: dict[str, Data]) -> Data:
    """The entry of a list that says this; what else people keep there is passed over.

    Raises ``StopIteration`` where there is none.
    """
    return next(entry for entry in entries if _says(entry, wanted))


def _says(entry: Data, wanted: dict[str, Data]) -> bool:
    return isinstance(entry, dict) and all(entry.get(name) == wanted[name] for name in wanted)


def applied(data: Data, edits: Iterable[Edit]) -> Data:
    """What a file must say after the edits. ``data`` stays as it is; None is an empty file.

    Raises ``CannotEditError`` where something else stands in the way of a path.
    """
    result = copy.deepcopy(data)
    for edit in edits:
        if isinstance(edit, Drop):
            _drop(result, edit)
            continue
        if result is None:
            result = [] if isinstance(edit, Item) and not edit.path else {}
        if isinstance(edit, Put):
            _put(result, edit)
        else:
            _place(result, edit)
    return result


def due(data: Data, edit: Edit) -> bool:
    """Whether the edit would change anything."""
    return bool(applied(data, [edit]) != data or (data is None and not isinstance(edit, Drop)))


def _drop(data: Data, edit: Drop) -> None:
    holder = _at(data, edit.path[:-1])
    if isinstance(holder, dict) and edit.path[-1] in holder and edit.harm(holder[edit.path[-1]]):
        del holder[edit.path[-1]]


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


def taken_out(now: Data, before: Data, after: Data, edits: Iterable[Edit]) -> Data:
    """What a file says now, without what the edits put there.

    A table or list entry of ours goes as a whole, whatever became of it; a single value only while
    it is ours (``after``). What stood there before returns; tables made for us go when empty.
    """
    result = copy.deepcopy(now)
    for edit in edits:
        old = _at(before, edit.path)
        if isinstance(edit, Drop):
            if old is not None and _at(after, edit.path) is None:
                result = applied(result, [Put(edit.path, old, only_if_absent=True)])
            continue
        holder = _at(result, edit.path if isinstance(edit, Item) else edit.path[:-1])
        if isinstance(edit, Item):
            _take_entry(holder, old, edit)
        elif isinstance(holder, dict) and edit.path[-1] in holder:
            mine = _is_mine(edit, holder[edit.path[-1]], _at(after, edit.path))
            if mine and old is None:
                del holder[edit.path[-1]]
            elif mine:
                holder[edit.path[-1]] = copy.deepcopy(old)
        for length in range(len(edit.path), 0, -1):
            path = edit.path[:length]
            if _at(result, path) in ({}, []) and _at(before, path) is None:
                del _at(result, path[:-1])[path[-1]]
    return result


def _is_mine(edit: Put, now: Data, after: Data) -> bool:
    named = isinstance(now, str) and now.startswith(edit.ours)
    return isinstance(edit.value, dict) or now == after or named


def _take_entry(entries: Data, old: Data, edit: Item) -> None:
    index = edit.place(entries) if isinstance(entries, list) else None
    if index is None:
        return
    former = edit.place(old) if isinstance(old, list) else None
    if former is None:
        del entries[index]
    else:
        entries[index] = copy.deepcopy(old[former])


def _at(data: Data, path: tuple[str, ...]) -> Data:
    """What is at a path; None for nothing."""
    for name in path:
        if not isinstance(data, dict):
            return None
        data = data.get(name)
    return data


def between(before: Data, after: Data, at: tuple[str, ...] = ()) -> Iterator[Edit]:
    """The edits that made one of the other, where nobody else knows them any more."""
    if not isinstance(before, dict) or not isinstance(after, dict):
        if before != after and at:
            yield Put(at, after) if after is not None else Drop(at)
        return
    for name in dict.fromkeys((*before, *after)):
        yield from between(before.get(name), after.get(name), (*at, name))
