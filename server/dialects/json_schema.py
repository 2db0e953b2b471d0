"""A client's JSON Schemas, cleaned for Gemini; what they lose is named in ``x-proxy-dropped``."""

from server.dialects.fields import Fields
from server.gemini.schema import Cleaned
from server.gemini.types import Json


def arguments_schema(fields: Fields, name: str) -> Json | None:
    """The schema of a tool's arguments; None when it is absent, or says that nothing is taken."""
    schema = fields.whole(name)
    if schema is None:
        return None
    return _noted(fields, name, fields.ledger.schemas.arguments(schema))


def answer_schema(fields: Fields, name: str) -> Json | None:
    """The schema of a structured answer; None when it is absent, or says nothing but "JSON"."""
    schema = fields.whole(name)
    return None if schema is None else _noted(fields, name, fields.ledger.schemas.answer(schema))


def _noted(fields: Fields, name: str, cleaned: Cleaned) -> Json | None:
    if cleaned.losses:
        fields.ledger.lost.append((fields.at(name), cleaned.losses))
    return cleaned.schema
