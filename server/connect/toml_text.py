"""TOML changed with tomlkit, which keeps comments, order and blank lines."""

import tomllib
from typing import Any

import tomlkit
from tomlkit.exceptions import TOMLKitError
from tomlkit.items import InlineTable

from server.connect.edits import Addition, CannotEditError, Data, Item, Put, Way, applied


def parse(text: str) -> Data:
    """What the text says. Raises ``CannotEditError``."""
    try:
        return tomllib.loads(text)
    except tomllib.TOMLDecodeError as error:
        raise CannotEditError(f"It is not valid TOML: {error}.") from error


def edit(text: str, change: Addition) -> str:
    """The text with one change in it."""
    if isinstance(change, Item):
        raise CannotEditError("Lists in TOML files are not changed.")
    if isinstance(change.value, dict) and (appended := _appended(text, change)) is not None:
        return appended
    try:
        document = tomlkit.parse(text)
        if tomlkit.dumps(document) != text:
            raise CannotEditError("It cannot be written back as it is.")
        _put(document, change.path, change.value)
        return tomlkit.dumps(document)
    except (TOMLKitError, TypeError, AttributeError, KeyError, ValueError) as error:
        raise CannotEditError(f"A setting of ours has another kind there: {error}.") from error


def drop(text: str, path: Way) -> str:
    """The text without what is at a path."""
    try:
        document = tomlkit.parse(text)
        table: Any = document
        for name in path[:-1]:
            table = table[name]
        del table[path[-1]]
        return tomlkit.dumps(document)
    except (TOMLKitError, TypeError, AttributeError, KeyError, ValueError, IndexError) as error:
        raise CannotEditError(f"It cannot be taken out: {error}.") from error


def _appended(text: str, change: Put) -> str | None:
    """A table that is not there yet, written behind everything else: nothing else moves then.

    None where TOML does not allow that (the table around it is written inline, or ours is there).
    """
    document = tomlkit.document()
    _put(document, change.path, change.value)
    gap = "" if not text.strip() or text.endswith("\n\n") else "\n" * (2 - text.endswith("\n"))
    after = f"{text}{gap}{tomlkit.dumps(document)}"
    try:
        return after if tomllib.loads(after) == applied(parse(text), [change]) else None
    except tomllib.TOMLDecodeError:
        return None


def _put(document: Any, path: tuple[str, ...], value: Data) -> None:
    table: Any = document
    for number, name in enumerate(path[:-1]):
        if name not in table:
            last = number == len(path) - 2
            bare = last and not isinstance(value, dict)
            table.append(name, tomlkit.table(is_super_table=not bare))
        table = table[name]
    if isinstance(value, dict):
        inline = isinstance(table, InlineTable)
        inside: Any = tomlkit.inline_table() if inline else tomlkit.table()
        for name, item in value.items():
            inside.append(name, item)
        if path[-1] in table:
            table[path[-1]] = inside
            return
        table.append(path[-1], inside)
        return
    table[path[-1]] = value
