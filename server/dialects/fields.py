"""Reading a client's JSON with errors that name the field.

``Fields`` wraps one JSON object. Every getter raises ``BadRequestError`` whose ``param`` is the
path in the dialect's own notation; null counts as absent. All objects wrapped on the way through
one body note in one ``Ledger`` what was read of them: the rest is what we do not know, and ends up
in ``x-proxy-dropped``.
"""

import re
from collections.abc import Container, Iterator
from dataclasses import dataclass, field
from typing import Literal, cast

from server.errors import BadRequestError
from server.gemini.schema import Cleaner
from server.gemini.types import Json

Notation = Literal["dots", "brackets"]
"""How a path is written: ``messages.0.content`` (Anthropic) or ``messages[0].content`` (OpenAI)."""


def wrong(path: str, problem: str, *, code: str | None = None) -> BadRequestError:
    """The error for the field at ``path``; ``problem`` says what it should be."""
    return BadRequestError(f"{path}: {problem}" if path else problem, param=path or None, code=code)


@dataclass(slots=True)
class Ledger:
    """What was read of the objects of one body."""

    read: dict[int, set[str]] = field(default_factory=dict)
    """``id`` of an object -> the names asked for. An object that is not in here was taken whole."""
    left_out: set[int] = field(default_factory=set)
    """Objects of which nothing is used."""
    lost: dict[int, tuple[str, ...]] = field(default_factory=dict)
    """``id`` of a schema -> the paths in it that could not be said to Gemini."""
    schemas: Cleaner = field(default_factory=Cleaner)
    """Cleans the schemas of this body."""
    wrapped: list[Json] = field(default_factory=list)
    """Keeps them alive: an ``id`` is given again."""

    def names_of(self, value: Json) -> set[str]:
        """Where to note what is read of ``value``."""
        if id(value) not in self.read:
            self.read[id(value)] = set()
            self.wrapped.append(value)
        return self.read[id(value)]

    def unread(self, value: object, path: str, silent: Container[str]) -> Iterator[str]:
        """The paths below ``value`` that were not read; indices are ``[]``."""
        if isinstance(value, list):
            if not value or type(value[0]) not in (int, float):  # token ids: many, and no objects
                for item in value:
                    yield from self.unread(item, f"{path}[]", silent)
            return
        if not isinstance(value, dict):
            return
        if id(value) in self.left_out:
            yield path
        elif id(value) in self.read:
            yield from self._unread_names(value, path, silent)
        else:  # taken whole
            for lost in self.lost.get(id(value), ()):
                yield joined(path, lost) if lost else path

    def _unread_names(self, value: Json, path: str, silent: Container[str]) -> Iterator[str]:
        names = self.read[id(value)]
        for name, inner in value.items():
            if name not in names:
                at = joined(path, name)
                if inner is not None and at not in silent and f"*.{name}" not in silent:
                    yield at
            elif isinstance(inner, dict | list):
                yield from self.unread(inner, joined(path, name), silent)


_UNPRINTABLE = re.compile(r"[^\x20-\x7e]")


def joined(path: str, name: str) -> str:
    """``path.name``; control and non-ASCII characters become escapes, as in JSON."""
    if not (name.isascii() and name.isprintable()):
        name = _UNPRINTABLE.sub(_escaped, name)
    return f"{path}.{name}" if path else name


def _escaped(found: re.Match[str]) -> str:
    units = found[0].encode("utf-16-be", "surrogatepass").hex()
    return "".join(f"\\u{units[i : i + 4]}" for i in range(0, len(units), 4))


@dataclass(slots=True)
class Fields:
    """One JSON object at ``path``, read field by field."""

    raw: Json
    path: str = ""
    notation: Notation = "brackets"
    ledger: Ledger = field(default_factory=Ledger)
    _read: set[str] = field(init=False)

    def __post_init__(self) -> None:
        self._read = self.ledger.names_of(self.raw)

    @classmethod
    def of(
        cls,
        value: object,
        path: str = "",
        notation: Notation = "brackets",
        ledger: Ledger | None = None,
    ) -> "Fields":
        """Wrap ``value``, which must be an object; ``ledger``: of the body that it stands in."""
        if not isinstance(value, dict):
            raise wrong(path, "Input should be a valid object")
        return cls(value, path, notation, ledger or Ledger())

    def wrap(self, value: object, path: str) -> "Fields":
        """Wrap another object of the same body, which ``get`` gave."""
        return Fields.of(value, path, self.notation, self.ledger)

    def changed(self, **changes: object) -> "Fields":
        """This object with other values in places; what is read of it counts as read here."""
        twin = Fields({**self.raw, **changes}, self.path, self.notation, self.ledger)
        twin._read = self._read
        return twin

    def at(self, name: str) -> str:
        """The path of a field of this object."""
        return f"{self.path}.{name}" if self.path else name

    def get(self, name: str) -> object:
        """The raw value, or None."""
        self._read.add(name)
        return self.raw.get(name)

    def known(self, *names: str) -> None:
        """Mark fields as known that carry nothing for Gemini (no loss in ignoring them)."""
        self._read.update(names)

    def whole(self, name: str) -> Json | None:
        """The nested object as it is: everything in it counts as read."""
        value = self.get(name)
        if value is not None and not isinstance(value, dict):
            raise wrong(self.at(name), "Input should be a valid object")
        return value

    def leave_out(self) -> None:
        """Nothing of this object is used: it is named itself, once, instead of its fields."""
        self.ledger.left_out.add(id(self.raw))

    def unread(self, silent: Container[str] = ()) -> tuple[str, ...]:
        """Each distinct path below this object that was sent, is not null, and was not read.

        ``silent``: paths that need not be named; ``*.name`` stands for that field at any depth.
        """
        return tuple(dict.fromkeys(self.ledger.unread(self.raw, "", silent)))

    def string(self, name: str) -> str | None:
        value = self.get(name)
        if value is not None and not isinstance(value, str):
            raise wrong(self.at(name), "Input should be a valid string")
        return value

    def required_string(self, name: str) -> str:
        value = self.string(name)
        if not value:
            raise wrong(self.at(name), "Field required", code="missing_required_parameter")
        return value

    def integer(self, name: str, *, low: int | None = None, high: int | None = None) -> int | None:
        value = self.get(name)
        if isinstance(value, float) and value.is_integer():
            value = int(value)
        if value is None:
            return None
        if not isinstance(value, int) or isinstance(value, bool):
            raise wrong(self.at(name), "Input should be a valid integer")
        self._in_range(name, value, low, high)
        return value

    def number(
        self, name: str, *, low: float | None = None, high: float | None = None
    ) -> float | None:
        value = self.get(name)
        if value is None:
            return None
        if not isinstance(value, int | float) or isinstance(value, bool):
            raise wrong(self.at(name), "Input should be a valid number")
        self._in_range(name, value, low, high)
        return value

    def boolean(self, name: str) -> bool:
        value = self.get(name)
        if value is not None and not isinstance(value, bool):
            raise wrong(self.at(name), "Input should be a valid boolean")
        return value is True

    def array(self, name: str) -> list[object] | None:
        value = self.get(name)
        if value is not None and not isinstance(value, list):
            raise wrong(self.at(name), "Input should be a valid list")
        return value

    def object(self, name: str) -> "Fields | None":
        """The nested object, itself wrapped."""
        value = self.get(name)
        return None if value is None else self.wrap(value, self.at(name))

    def objects(self, name: str) -> Iterator["Fields"]:
        """The members of a list, each of which must be an object."""
        for index, item in enumerate(self.array(name) or ()):
            yield self.wrap(item, self.item(name, index))

    def whole_objects(self, name: str) -> list[Json]:
        """The members of a list of objects, as they are."""
        members = self.array(name) or []
        for index, item in enumerate(members):
            if not isinstance(item, dict):
                raise wrong(self.item(name, index), "Input should be a valid object")
        return cast("list[Json]", members)

    def item(self, name: str, index: int) -> str:
        """The path of one member of the list ``name``."""
        return (
            f"{self.at(name)}.{index}" if self.notation == "dots" else f"{self.at(name)}[{index}]"
        )

    def _in_range(self, name: str, value: float, low: float | None, high: float | None) -> None:
        if low is not None and value < low:
            raise wrong(self.at(name), f"Input should be greater than or equal to {low}")
        if high is not None and value > high:
            raise wrong(self.at(name), f"Input should be less than or equal to {high}")
