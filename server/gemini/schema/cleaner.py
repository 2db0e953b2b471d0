"""One cleaner for every dialect: a client's JSON Schema -> what Gemini accepts.

The schemas of one request share a ``Cleaner``: how much their references may unfold is counted over
all of them.
"""

import contextlib
import threading
from collections import OrderedDict
from collections.abc import Callable
from dataclasses import dataclass, field

from server.gemini.schema.arguments import write_arguments
from server.gemini.schema.conjunction import Node
from server.gemini.schema.places import ROOT
from server.gemini.schema.reader import Reader
from server.gemini.schema.references import References
from server.gemini.schema.words import MAX_DEPTH
from server.gemini.schema.writer import Writer
from server.gemini.types import Json
from server.json_codec import dumps
from server.limits import SCHEMA_UNFOLDED_BYTES, SCHEMAS_UNFOLDED_BYTES

_MOST_REMEMBERED = 16 * 1024
"""Bytes of the largest schema whose cleaned form is remembered."""
_MEMORY = 2 * 1024 * 1024
"""Bytes of schemas, with what they unfold to, that are remembered in all."""

Write = Callable[[Writer, Node, Json], Json | None]


@dataclass(frozen=True, slots=True)
class Cleaned:
    """What is left of one schema."""

    schema: Json | None
    """None: there is nothing to send."""
    losses: tuple[str, ...] = ()
    """Paths in the client's schema of what could not be said."""
    unfolded: int = 0
    """Bytes its references unfolded to."""

    @property
    def is_lost(self) -> bool:
        """The schema says something, and nothing of it can be sent."""
        return self.schema is None and "" in self.losses


@dataclass(slots=True)
class Cleaner:
    """Cleans the schemas of one request."""

    left: int = SCHEMAS_UNFOLDED_BYTES

    def arguments(self, schema: object) -> Cleaned:
        """The schema of a tool's arguments; a tool that takes nothing sends none, and neither does
        one whose schema allows no object (``Cleaned.is_lost``)."""
        return self._cleaned(schema, write_arguments)

    def answer(self, schema: object) -> Cleaned:
        """The schema of a structured answer, of any type; none when it says only "JSON"."""
        return self._cleaned(schema, _write_answer)

    def _cleaned(self, schema: object, write: Write) -> Cleaned:
        """Agents send the same tools with every turn: the last ones are remembered."""
        if not isinstance(schema, dict):
            return Cleaned(None)
        text = _text(schema)
        known = _memory.find((write, text)) if len(text) <= _MOST_REMEMBERED else None
        if known is None or known.unfolded > self.left:
            known = _clean(schema, write, len(text), self.left)
            if len(text) <= _MOST_REMEMBERED and self.left >= SCHEMA_UNFOLDED_BYTES:
                _memory.keep((write, text), known)
        self.left -= known.unfolded
        return known


def _text(schema: Json) -> bytes:
    try:
        return dumps(schema)
    except RecursionError:
        return b" " * (_MOST_REMEMBERED + 1)


def _clean(schema: Json, write: Write, size: int, left: int) -> Cleaned:
    """``size``: of the document in bytes, which may be written out once for nothing.

    A schema that is too deep for Python's stack is read to half the depth, and what is below named.
    """
    for deepest in (MAX_DEPTH, MAX_DEPTH // 2):
        with contextlib.suppress(RecursionError):
            return _read(schema, write, size, left, deepest)
    return _read(schema, write, size, left, MAX_DEPTH // 4)


def _read(schema: Json, write: Write, size: int, left: int, deepest: int) -> Cleaned:
    """``_clean`` to a certain depth. Definitions that name each other multiply when unfolded: then
    fewer levels have to do."""
    room = size + min(left, SCHEMA_UNFOLDED_BYTES)
    for levels in (MAX_DEPTH, 8, 4, 2):
        references = References(schema, room)
        reader = Reader(references, levels, deepest)
        node = reader.document(schema)
        if not references.exhausted:
            break
    written = write(Writer(reader.losses, reader.conjunction), node, schema)
    unfolded = max(0, room - references.bytes_left - size)
    return Cleaned(written, tuple(reader.losses.paths), unfolded)


def _write_answer(writer: Writer, node: Node, _schema: Json) -> Json | None:
    """An object of which nothing more is said is asked for as JSON without a schema (what Google
    makes of an object without properties is not documented), and the root is named."""
    root = writer.write(node)
    if root.keys() - {"type", "title", "description"} or root.get("type", "object") != "object":
        return root
    if root.keys() - {"title"}:
        writer.losses.name(ROOT)
    return None


@dataclass(slots=True)
class _Memory:
    """The latest cleaned schemas, bounded in bytes; used from several threads."""

    held: int = 0
    _known: OrderedDict[tuple[Write, bytes], Cleaned] = field(default_factory=OrderedDict)
    _lock: threading.Lock = field(default_factory=threading.Lock)

    def find(self, key: tuple[Write, bytes]) -> Cleaned | None:
        with self._lock:
            found = self._known.get(key)
            if found is not None:
                self._known.move_to_end(key)
            return found

    def keep(self, key: tuple[Write, bytes], cleaned: Cleaned) -> None:
        with self._lock:
            if key not in self._known:
                self._known[key] = cleaned
                self.held += _weight(key[1], cleaned)
            while self.held > _MEMORY:
                (_, text), oldest = self._known.popitem(last=False)
                self.held -= _weight(text, oldest)


def _weight(text: bytes, cleaned: Cleaned) -> int:
    return len(text) + cleaned.unfolded + sum(map(len, cleaned.losses))


_memory = _Memory()


def clean(schema: object) -> Json | None:
    """The schema of a single tool; treat it as read-only."""
    return Cleaner().arguments(schema).schema


def clean_answer(schema: object) -> Json | None:
    """The schema of a single answer; treat it as read-only."""
    return Cleaner().answer(schema).schema
