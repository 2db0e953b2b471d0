"""The vocabulary of the cleaner: what Gemini reads in a JSON Schema, and what it cannot.

Google lists for ``parametersJsonSchema`` and ``responseJsonSchema``: ``$id $defs $ref $anchor type
format title description enum items prefixItems minItems maxItems minimum maximum anyOf oneOf
properties additionalProperties required propertyOrdering``. ``nullable`` belongs to its other
language, the OpenAPI ``Schema`` of ``parameters`` and ``responseSchema``; null is said here by
``type`` or by a branch of ``anyOf``. The counts and ``pattern`` are not listed, and do no harm.
"""

import math

from server.gemini.types import Json

COUNTS = ("minItems", "maxItems", "minLength", "maxLength", "minProperties", "maxProperties")
NAMES = ("required", "propertyOrdering")
LIMITS = (*COUNTS, "minimum", "maximum")
SCHEMAS = ("properties", "additionalProperties", "items", "prefixItems", "anyOf")
TEXTS = ("title", "description", "pattern", "format")

KEYWORDS = frozenset((*TEXTS, *LIMITS, *NAMES, *SCHEMAS, "type", "enum"))
"""Everything that leaves the cleaner in a schema position."""

_DATES = ("date-time", "date", "time", "duration")
_NUMBERS = ("int32", "int64", "float", "double")
FORMATS = frozenset((*_DATES, *_NUMBERS, "email", "uuid", "uri", "enum"))

MAX_DEPTH = 64
MAX_DESCRIPTION_CHARS = 10_000
LARGEST_NUMBER = 2**53 - 1

TYPES = ("string", "number", "integer", "boolean", "array", "object", "null")
_ANY = frozenset(TYPES) - {"integer"}

KEYWORDS_OF = {
    "array": ("items", "prefixItems", "minItems", "maxItems"),
    "object": ("properties", *NAMES, "additionalProperties", "minProperties", "maxProperties"),
    "string": ("minLength", "maxLength", "pattern", "format"),
    "number": ("minimum", "maximum", "format"),
    "integer": ("minimum", "maximum", "format"),
}

TYPED = frozenset(key for keys in KEYWORDS_OF.values() for key in keys)
"""What says something of one type only."""

TOLD = (
    *("not", "if", "then", "else", "dependentRequired", "dependentSchemas", "dependencies"),
    *("patternProperties", "propertyNames", "contains", "minContains", "maxContains"),
    *("multipleOf", "uniqueItems", "unevaluatedItems", "unevaluatedProperties"),
)
"""Constraints Gemini does not know: the model reads them in the description."""

READ = KEYWORDS | {
    *("$ref", "$dynamicRef", "$recursiveRef", "allOf", "oneOf", "const", "nullable", "default"),
    *("exclusiveMinimum", "exclusiveMaximum", "additionalItems"),
}
"""What the cleaner understands."""

SILENT = frozenset(
    (
        *("$schema", "$id", "id", "$comment", "$anchor", "$dynamicAnchor", "$recursiveAnchor"),
        *("$vocabulary", "$defs", "definitions", "examples", "example", "deprecated", "readOnly"),
        *("writeOnly", "contentEncoding", "contentMediaType", "contentSchema", "discriminator"),
        *("xml", "externalDocs", "encrypted", "strict"),
    )
)
"""What restricts no value, and may go without being named; so may ``x-...``."""


def type_name(value: object) -> str | None:
    """JSON Schema's spelling of a type (Gemini's own is upper case), or None."""
    name = value.lower() if isinstance(value, str) and len(value) < 16 else None
    return name if name in TYPES else None


def number(value: object) -> int | float | None:
    """A number that survives JSON everywhere; whole floats as int."""
    if isinstance(value, bool) or not isinstance(value, int | float):
        return None
    if (isinstance(value, float) and not math.isfinite(value)) or abs(value) > LARGEST_NUMBER:
        return None
    return int(value) if value == int(value) else value


def says_any(types: list[str]) -> bool:
    """Whether a list of types leaves nothing out."""
    return set(types) >= _ANY


def list_of(value: object) -> list[object]:
    return value if isinstance(value, list) else []


def only(schema: Json, keys: tuple[str, ...]) -> Json:
    return {key: schema[key] for key in keys if key in schema}
