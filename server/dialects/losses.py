"""What a request loses on its way to Gemini: one table a dialect, for parser, docs and tests.

``docs/lossiness.md`` is made from these rows (``python -m server.dialects.lossiness``), the parsers
take from them which fields may be passed over in silence, and a test sends every example.
"""

from collections.abc import Callable, Iterable
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


OBJECT: Json = {"type": "object", "properties": {"a": {"type": "string"}}}
_LOSSY: Json = OBJECT | {"not": {"required": ["b"]}}
"""A schema of which Gemini does not know all."""

Holder = tuple[str, Callable[[Json], Json]]
"""The field that holds a schema, and what makes a body with one."""


def schema_losses(tool: Holder, answer: Holder) -> tuple[Loss, ...]:
    """The rows of a dialect for the schemas of tools and answers."""
    said = (
        "as `if`, `multipleOf`, `patternProperties` and all else in a schema that Gemini has no "
        "word for, at its own path: told in the description where it fits"
    )
    no_object = "a schema that allows no object: told in the tool's description where it fits"
    bare = "a schema that says no more than `object`: the answer is JSON"
    return (
        *(Loss(f"{at}.not", "dropped", said, body(_LOSSY)) for at, body in (tool, answer)),
        Loss(tool[0], "dropped", no_object, tool[1]({"type": "array"})),
        Loss(answer[0], "dropped", bare, answer[1]({"type": "object"})),
    )
