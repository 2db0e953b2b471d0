"""What a request loses on its way to Gemini: one table a dialect, for parser, docs and tests.

``docs/lossiness.md`` is made from these rows (``python -m server.dialects.lossiness``), the parsers
take from them which fields may be passed over in silence, and a test sends every example.
"""

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Literal

from server.gemini.types import Json

Fate = Literal["ignored", "dropped", "changed"]
"""``ignored``: it steers the vendor's own service, the answer loses nothing. ``dropped``: it would
have changed the answer; named in ``x-proxy-dropped``. ``changed``: honoured in another way."""


@dataclass(frozen=True, slots=True)
class Loss:
    """One field that Gemini does not take as it was sent."""

    field: str
    """A path, indices as ``[]``; ``*.name`` is that field wherever it stands."""
    fate: Fate
    why: str
    example: Json
    """Fields of a request body in which it happens."""
    path: str = ""
    """The address, where a dialect has several that take requests; empty: its main one."""


def ignored(losses: Iterable[Loss], path: str = "") -> frozenset[str]:
    """The fields of one address that may be passed over in silence (``Fields.unread``)."""
    return frozenset(loss.field for loss in losses if loss.fate == "ignored" and loss.path == path)


LOSSY_SCHEMA: Json = {
    "type": "object",
    "properties": {"a": {"type": "string"}},
    "not": {"required": ["b"]},
}
"""A schema of which Gemini does not know all."""


def schema_losses(*holders: tuple[str, Json]) -> tuple[Loss, ...]:
    """The rows of a dialect for schemas: the field that holds one, and a body with a lossy one."""
    said = (
        "as `if`, `multipleOf`, `patternProperties` and all else in a schema that Gemini has no "
        "word for, at its own path: told in the description where it fits"
    )
    return tuple(Loss(f"{holder}.not", "dropped", said, body) for holder, body in holders)
