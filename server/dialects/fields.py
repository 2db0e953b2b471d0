"""Reading a client's JSON with errors that name the field.

``Fields`` wraps one JSON object. Every getter raises ``BadRequestError`` whose ``param`` is the
path in the dialect's own notation; null counts as absent. All objects wrapped on the way through
one body note in one ``Ledger`` what was read of them: the rest is what we do not know, and ends up
in ``x-proxy-dropped``.
"""

import re
from collections.abc import Callable, Container, Iterator, Sequence
from dataclasses import dataclass, field
from typing import Literal, cast

from server.errors import BadRequestError
from server.gemini.schema import Cleaner
from server.gemini.types import Json
from server.limits import STOP_CHARS, STOPS

Notation = Literal["dots", "brackets"]
"""How a path is written: ``messages.0.content`` (Anthropic) or ``messages[0].content`` (OpenAI)."""


def wrong(path: str, problem: str, *, code: str | None = None) -> BadRequestError:
    """The error for the field at ``path``; ``problem`` says what it should be."""
    return BadRequestError(f"{path}: {problem}" if path else problem, param=path or None, code=code)


@dataclass(slots=True)
class Ledger:
    """What was read of the objects of one body. An object that is not in here was taken whole."""

    entries: dict[int, tuple[Json, set[str], str]] = field(default_factory=dict)
    """``id`` of an object -> the object, the names asked for, its path."""
    left_out: set[int] = field(default_factory=set)
    """Objects of which nothing is used."""
    lost: list[tuple[str, tuple[str, ...]]] = field(default_factory=list)
    """Path of a schema, and the paths in it that could not be said to Gemini."""
    schemas: Cleaner = field(default_factory=Cleaner)
    """Cleans the schemas of this body."""

    def unread(self, silent: Container[str], plain: Callable[[str], str]) -> Iterator[str]:
        """The paths that were not read; indices are ``[]``."""
        for key, (value, names, path) in self.entries.items():
            if key in self.left_out:
                yield place(plain(path))
            elif not value.keys() <= names:
                for name in [name for name in value if name not in names]:
                    at = joined(place(plain(path)), name)
                    known = at in silent or f"*.{name}" in silent
                    if value[name] is not None and not known:
                        yield at
        for path, losses in self.lost:
            at = place(plain(path))
            yield from (joined(at, loss) if loss else at for loss in losses)


_INDEX = re.compile(r"\[\d+\]|\.\d+(?=\.|$)")


def place(path: str) -> str:
    """A path of either notation as ``x-proxy-dropped`` names it: indices are ``[]``."""
    return _INDEX.sub("[]", path)


_UNPRINTABLE = re.compile(r"[^\x20-\x7e]")


def joined(path: str, name: str) -> str:
    """``path.name``; control and non-ASCII characters become escapes, as in JSON."""
    if not (name.isascii() and name.isprintable()):
        name = _UNPRINTABLE.sub(_escaped, name)
    return f"{path}.{name}" if path else name


def _escaped(found: re.Match[str]) -> str:
    units = found[0].encode("utf-16-be", "surrogatepass").hex()
    return "".join(f"\\u{units[i : i + 4]}" for i in range(0, len(units), 4))


def check_stops(path: str, sequences: Sequence[str]) -> None:
    """Raises for more stop sequences than can be looked for in every piece of an answer."""
    if len(sequences) > STOPS or sum(map(len, sequences)) > STOP_CHARS:
        raise wrong(path, f"At most {STOPS} sequences of {STOP_CHARS} characters in all")


@dataclass(slots=True)
class Fields:
    """One JSON object at ``path``, read field by field."""

    raw: Json
    path: str = ""
    notation: Notation = "brackets"
    ledger: Ledger = field(default_factory=Ledger)
    _read: set[str] = field(init=False)

    def __post_init__(self) -> None:
        entries, key = self.ledger.entries, id(self.raw)
        entry = entries.get(key)
        if entry is None:
            entry = entries[key] = (self.raw, set(), self.path)
        self._read = entry[1]

    @classmethod
    def of(cls, value: object, path: str = "", notation: Notation = "brackets") -> "Fields":
        """Wrap ``value``, which must be an object, with a ledger of its own."""
        if not isinstance(value, dict):
            raise wrong(path, "Input should be a valid object")
        return cls(value, path, notation)

    def wrap(self, value: object, path: str) -> "Fields":
        """Wrap another object of the same body, which ``get`` gave."""
        if not isinstance(value, dict):
            raise wrong(path, "Input should be a valid object")
        return Fields(value, path, self.notation, self.ledger)

    def changed(self, **changes: object) -> "Fields":
        """This object with other values in places; what is read of it counts as read here."""
        twin = Fields({**self.raw, **changes}, self.path, self.notation, self.ledger)
        del self.ledger.entries[id(twin.raw)]  # no object of the body
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

    def unread(
        self, silent: Container[str] = (), plain: Callable[[str], str] = str
    ) -> tuple[str, ...]:
        """Each distinct path of the body that was sent, is not null, and was not read.

        ``silent``: paths that need not be named; ``*.name`` stands for that field at any depth.
        ``plain`` takes out of a path what is no field.
        """
        return tuple(dict.fromkeys(self.ledger.unread(silent, plain)))

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
