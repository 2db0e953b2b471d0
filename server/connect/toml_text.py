"""TOML changed with tomlkit, which keeps comments, order and blank lines."""

import tomllib
from typing import Any

import tomlkit
from tomlkit.exceptions import TOMLKitError
from tomlkit.items import Table

from server.connect.edits import CannotEditError, Data, Edit, Item


def parse(text: str) -> Data:
    """What the text says. Raises ``CannotEditError``."""
    try:
        return tomllib.loads(text)
    except tomllib.TOMLDecodeError as error:
        raise CannotEditError(f"It is not valid TOML: {error}.") from error


def edit(text: str, change: Edit) -> str:
    """The text with one change in it."""
    if isinstance(change, Item):
        raise CannotEditError("Lists in TOML files are not changed.")
    try:
        document = tomlkit.parse(text)
        if tomlkit.dumps(document) != text:
            raise CannotEditError("It cannot be written back as it is.")
        _put(document, change.path, change.value)
        return tomlkit.dumps(document)
    except (TOMLKitError, TypeError, AttributeError, KeyError) as error:
        raise CannotEditError(f"A setting of ours has another kind there: {error}.") from error


def _put(document: Any, path: tuple[str, ...], value: Data) -> None:
    table: Any = document
    for number, name in enumerate(path[:-1]):
        if name not in table:
            last = number == len(path) - 2
            bare = last and not isinstance(value, dict)
            table.append(name, tomlkit.table(is_super_table=not bare))
        table = table[name]
    if isinstance(value, dict):
        inside = tomlkit.table()
        for name, item in value.items():
            inside.append(name, item)
        if path[-1] in table:
            table[path[-1]] = inside
            return
        if tomlkit.dumps(document).strip() and isinstance(table, Table | tomlkit.TOMLDocument):
            inside.trivia.indent = "" if tomlkit.dumps(document).endswith("\n\n") else "\n"
        table.append(path[-1], inside)
        return
    table[path[-1]] = value
