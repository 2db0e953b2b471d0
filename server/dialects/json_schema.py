"""A client's JSON Schemas, cleaned for Gemini; what they lose is named in ``x-proxy-dropped``."""

from server.dialects.fields import Fields
from server.gemini.schema import Cleaned, compact, with_hints
from server.gemini.types import Json


def declare_arguments(declaration: Json, fields: Fields, name: str) -> Json:
    """``declaration`` with the schema of its tool's arguments: none when it is absent, or says that
    nothing is taken. One that allows no object stands in the description, where it is short."""
    schema = fields.whole(name)
    if schema is None:
        return declaration
    cleaned = fields.ledger.schemas.arguments(schema)
    sent = _noted(fields, name, cleaned)
    if sent is not None:
        return declaration | {"parametersJsonSchema": sent}
    told = compact(schema) if cleaned.is_lost else None
    return with_hints(declaration, f"(arguments: {told})") if told else declaration


def answer_schema(fields: Fields, name: str) -> Json | None:
    """The schema of a structured answer; None when it is absent, or says nothing but "JSON"."""
    schema = fields.whole(name)
    return None if schema is None else _noted(fields, name, fields.ledger.schemas.answer(schema))


def _noted(fields: Fields, name: str, cleaned: Cleaned) -> Json | None:
    if cleaned.losses:
        fields.ledger.lost.append((fields.at(name), cleaned.losses))
    return cleaned.schema
