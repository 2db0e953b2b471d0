"""Reading a client's JSON with errors that name the field.

``Fields`` wraps one JSON object. Every getter raises ``BadRequestError`` whose ``param`` is the
path in the dialect's own notation; null counts as absent. All objects wrapped on the way through
one body note in one ``Ledger`` what was read of them: the rest is what we do not know, and ends up
in ``x-proxy-dropped``.
"""

import re
from collections.abc import Callable, Container, Iterable, Iterator, Sequence
from typing import Any, Literal, cast

from server.errors import BadRequestError
from server.gemini.schema import Cleaner
from server.gemini.types import Json
from server.limits import STOP_CHARS, STOPS

Notation = Literal["dots", "brackets"]
"""How a path is written: ``messages.0.content`` (Anthropic) or ``messages[0].content`` (OpenAI)."""


def wrong(path: str, problem: str, *, code: str | None = None) -> BadRequestError:
    """The error for the field at ``path``; ``problem`` says what it should be."""
    return BadRequestError(f"{path}: {problem}" if path else problem, param=path or None, code=code)


Wrapped = tuple[Json, set[str], str]
"""An object, the names that were read of it, its path."""


class Ledger:
    """What was read of the objects of one body. An object that is not in here was taken whole.

    Made for bodies of thousands of objects of which all is read: names and paths are compared and
    written only where something was not.
    """

    __slots__ = ("left_out", "lost", "schemas", "twins", "wrapped")

    def __init__(self) -> None:
        self.wrapped: list[Wrapped] = []
        """Every object, as often as it was wrapped. A ``Fields`` in its place would be a circle,
        which keeps the body until the garbage collector comes by."""
        self.twins: list[tuple[set[str], Wrapped]] = []
        """What was read of a stand-in for an object of the body, and that object."""
        self.left_out: set[int] = set()
        """``id`` of the objects of which nothing is used."""
        self.lost: list[tuple[str, tuple[str, ...]]] = []
        """Path of a schema, and the paths in it that could not be said to Gemini."""
        self.schemas = Cleaner()
        """Cleans the schemas of this body."""

    def unread(self, silent: Container[str], plain: Callable[[str], str]) -> Iterator[str]:
        """The paths that were not read; indices are ``[]``."""
        for twin, (raw, names, _) in self.twins:
            names.update(twin & raw.keys())
        odd = {id(raw) for raw, names, _ in self.wrapped if len(names) < len(raw)} | self.left_out
        for raw, names, path in self._read_of(odd):
            if id(raw) in self.left_out:
                yield place(plain(path))
                continue
            for name in [n for n, value in raw.items() if value is not None]:
                if name not in names and f"*.{name}" not in silent:
                    unread = joined(place(plain(path)), name)
                    if unread not in silent:
                        yield unread
        for path, losses in self.lost:
            at = place(plain(path))
            yield from (joined(at, loss) if loss else at for loss in losses)

    def _read_of(self, odd: set[int]) -> Iterable[Wrapped]:
        """Each of these objects as it was first wrapped, and all names that were read of it."""
        found: dict[int, Wrapped] = {}
        for raw, names, path in self.wrapped if odd else ():
            if (key := id(raw)) in odd:
                found.setdefault(key, (raw, set(), path))[1].update(names)
        return found.values()


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


_ABSENT = object()


class Fields:
    """One JSON object at ``path``, read field by field."""

    __slots__ = ("ledger", "names", "notation", "path", "raw")

    def __init__(
        self,
        raw: Json,
        path: str = "",
        notation: Notation = "brackets",
        ledger: Ledger | None = None,
    ) -> None:
        self.raw, self.path, self.notation = raw, path, notation
        self.names: set[str] = set()
        """Those of ``raw`` that were read."""
        self.ledger = ledger = ledger or Ledger()
        ledger.wrapped.append((raw, self.names, path))

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
        self.ledger.wrapped.pop()  # no object of the body
        self.ledger.twins.append((twin.names, (self.raw, self.names, self.path)))
        return twin

    def tagged(self, tag: str) -> "Fields":
        """This object under a path that names the variant of a union."""
        return Fields(self.raw, f"{self.path}.{tag}", self.notation, self.ledger)

    def at(self, name: str) -> str:
        """The path of a field of this object."""
        return f"{self.path}.{name}" if self.path else name

    def get(self, name: str) -> object:
        """The raw value, or None."""
        value = self.raw.get(name, _ABSENT)
        if value is _ABSENT:
            return None
        self.names.add(name)
        return value

    def known(self, *names: str) -> None:
        """Mark fields as known that carry nothing for Gemini (no loss in ignoring them)."""
        if not self.raw.keys().isdisjoint(names):
            for name in names:
                if name in self.raw:
                    self.names.add(name)

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
        value = self.raw.get(name, _ABSENT)
        if value is _ABSENT:
            return None
        self.names.add(name)
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

    def objects(self, name: str) -> Iterable["Fields"]:
        """The members of a list, each of which must be an object."""
        members = self.array(name)
        return self._wrapped(self.at(name), members) if members else ()

    def _wrapped(self, at: str, members: Iterable[Any]) -> Iterator["Fields"]:
        dots = self.notation == "dots"
        for index, item in enumerate(members):
            yield self.wrap(item, f"{at}.{index}" if dots else f"{at}[{index}]")

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
