"""``$ref``: what it points at, and how much of it may be unfolded.

Local JSON pointers (RFC 6901, as URI fragments), ``$anchor`` names and ``$id`` addresses inside the
same document; nothing is fetched. A few kB of definitions can mean gigabytes once every reference
is replaced by what it points at, so bytes and nodes are counted.
"""

from dataclasses import dataclass, field
from urllib.parse import unquote, urljoin

from server.gemini.schema.places import Place
from server.gemini.types import Json
from server.json_codec import dumps
from server.limits import SCHEMA_UNFOLDED_NODES

_MOST_ADDRESS_CHARS = 512
"""Of an ``$id``, or of a reference to one: each is resolved by every reference anew."""
MOST_RECURSION = 3
"""How many times a definition may appear inside itself."""

_REFERENCES = ("$ref", "$dynamicRef", "$recursiveRef")
_ANCHORS = ("$anchor", "$dynamicAnchor")
_DATA = frozenset(("enum", "const", "default", "examples", "example"))
"""Keywords that hold values: an anchor in there is none."""


def reference(schema: Json) -> str | None:
    """The reference a schema position makes, if any."""
    for key in _REFERENCES:
        if key in schema and isinstance(schema[key], str):
            return str(schema[key])
    return None


@dataclass(slots=True)
class References:
    """The targets inside one document."""

    document: Json
    bytes_left: int
    nodes_left: int = SCHEMA_UNFOLDED_NODES
    exhausted: bool = False
    """Whether something had to be left out."""
    _sizes: dict[int, int] = field(default_factory=dict)
    _named: dict[str, tuple[Json, Place]] | None = None

    def find(self, ref: str) -> tuple[Json, Place] | None:
        """The schema ``ref`` points at and its place; None when it leads nowhere in here."""
        if ref == "#" or ref.startswith("#/"):
            return _pointed(self.document, Place(), ref[1:])
        if self._named is None:
            self._named = _names(self.document)
        if ref in self._named:
            return self._named[ref]
        address, _, fragment = _absolute(self.document, ref).partition("#")
        found = self._named.get(f"{address}#{fragment}") or self._named.get(address)
        return _pointed(*found, fragment) if found and fragment.startswith("/") else found

    def unfold(self, target: Json) -> bool:
        """Whether there is room to write ``target`` once more; takes the room."""
        size = self._sizes.get(id(target))
        if size is None:
            size = self._sizes[id(target)] = len(dumps(target))
        if self.nodes_left < 0 or not self.take(size):
            self.exhausted = True
            return False
        return True

    def take(self, size: int) -> bool:
        """Whether there is room for ``size`` more bytes; takes the room."""
        if size > self.bytes_left:
            return False
        self.bytes_left -= size
        return True


def _pointed(document: object, place: Place, pointer: str) -> tuple[Json, Place] | None:
    target = document
    for token in unquote(pointer).split("/")[1:]:
        key = token.replace("~1", "/").replace("~0", "~")
        if isinstance(target, dict):
            target = target.get(key)
            place = place.under(key)
        elif isinstance(target, list) and key.isdecimal() and len(key) < 6:
            target = target[int(key)] if int(key) < len(target) else None
            place = Place(f"{place.step}[]", place.above)
        else:
            return None
    return (target, place) if isinstance(target, dict) else None


def _absolute(document: Json, ref: str) -> str:
    base = document.get("$id")
    if not isinstance(base, str) or max(len(base), len(ref)) > _MOST_ADDRESS_CHARS:
        return ref
    try:
        return urljoin(base, ref)
    except ValueError:
        return ref


def _names(document: Json) -> dict[str, tuple[Json, Place]]:
    """Every ``$anchor`` and ``$id`` of a document, as references write them."""
    named: dict[str, tuple[Json, Place]] = {}
    waiting: list[tuple[object, Place]] = [(document, Place())]
    while waiting:
        value, place = waiting.pop()
        if isinstance(value, list):
            waiting += [(item, Place(f"{place.step}[]", place.above)) for item in value]
        elif isinstance(value, dict):
            _note(named, document, value, place)
            waiting += [(v, place.under(k)) for k, v in value.items() if k not in _DATA]
    return named


def _note(named: dict[str, tuple[Json, Place]], document: Json, value: Json, place: Place) -> None:
    for key in _ANCHORS:
        if isinstance(value.get(key), str):
            named.setdefault(f"#{value[key]}", (value, place))
    identity = value.get("$id", value.get("id"))
    if isinstance(identity, str):
        named.setdefault(identity, (value, place))
        named.setdefault(_absolute(document, identity).rstrip("#"), (value, place))
