"""The smallest instance of a schema, filled from the user's own words."""

import re
from datetime import UTC, datetime

from server.demo.errors import Json
from server.demo.rules import resolve

_DEEPEST = 12
"""A schema that contains itself is followed this far; then required parts are left out."""

_FORMATS = {
    "date": "2026-01-31",
    "time": "12:00:00Z",
    "date-time": datetime(2026, 1, 31, 12, tzinfo=UTC).isoformat().replace("+00:00", "Z"),
    "email": "demo@example.com",
    "uri": "https://example.com/",
    "uuid": "00000000-0000-4000-8000-000000000001",
}


def clues(text: str) -> list[str]:
    """What a tool might want from a sentence: quoted words, else paths and addresses, else names.

    ``What's the weather in Paris and Rome?`` -> ``["Paris", "Rome"]``; nothing found: the text.
    """
    patterns = (
        r"[\"“`]([^\"”`]+)[\"”`]",
        r"(https?://[^\s\"'<>]+|(?:[A-Za-z]:|~|\.{1,2})?[/\\][\w./\\-]+|\b[\w-]+\.[a-z]{1,4}\b)",
        r"(?<![.!?:] )(?<!^)\b([A-Z][\w-]+)",
    )
    for pattern in patterns:
        found = [str(word) for word in re.findall(pattern, text)]
        if found:
            return found
    return [text.strip() or "demo"]


def build(schema: object, clue: str) -> object:
    """An instance of ``schema`` (JSON Schema, or Gemini's ``Schema`` message)."""
    root = schema if isinstance(schema, dict) else {}
    return _value(root, root, clue, 0)


def _value(schema: Json, root: Json, clue: str, depth: int) -> object:
    schema = _settled(schema, root, depth)
    if "const" in schema:
        return schema["const"]
    if schema.get("enum"):
        return schema["enum"][0]
    match _kind(schema):
        case "object":
            return _object(schema, root, clue, depth)
        case "array":
            return _array(schema, root, clue, depth)
        case "string":
            return _string(schema, clue)
        case "integer" | "number" as kind:
            return _number(schema, kind)
        case "boolean":
            return True
        case "null":
            return None
        case _:
            return clue


def _settled(schema: Json, root: Json, depth: int) -> Json:
    """``schema`` with its reference followed, its first alternative and all of ``allOf`` merged."""
    merged = dict(schema)
    for _ in range(_DEEPEST):
        if isinstance(merged.get("$ref"), str):
            merged = {**resolve(merged.pop("$ref"), root), **merged}
        elif merged.get("anyOf") or merged.get("oneOf"):
            options = merged.pop("anyOf", None) or merged.pop("oneOf")
            merged = {**_preferred(options, depth), **merged}
        elif merged.get("allOf"):
            for part in merged.pop("allOf"):
                merged = _merge(merged, _settled(part, root, depth))
        else:
            break
    return merged


def _preferred(options: list[Json], depth: int) -> Json:
    """The first alternative; deep inside, null where that is offered, so that recursion ends."""
    if depth >= _DEEPEST // 2:
        for option in options:
            if _kind(option) == "null":
                return option
    return options[0]


def _merge(one: Json, other: Json) -> Json:
    merged = {**one, **other}
    if "properties" in one and "properties" in other:
        merged["properties"] = {**one["properties"], **other["properties"]}
    if "required" in one and "required" in other:
        merged["required"] = [*one["required"], *other["required"]]
    return merged


def _kind(schema: Json) -> str | None:
    kind = schema.get("type")
    if isinstance(kind, list):
        kind = next((k for k in kind if k != "null"), "null")
    if kind is None:
        return "object" if "properties" in schema else "array" if "items" in schema else None
    return str(kind).lower()


def _object(schema: Json, root: Json, clue: str, depth: int) -> Json:
    properties = schema.get("properties", {})
    wanted = schema.get("required", [])
    if depth >= _DEEPEST:
        return {}
    built = {name: _value(properties.get(name, {}), root, clue, depth + 1) for name in wanted}
    for name in properties:
        if len(built) >= schema.get("minProperties", 0):
            break
        built.setdefault(name, _value(properties[name], root, clue, depth + 1))
    return built


def _array(schema: Json, root: Json, clue: str, depth: int) -> list[object]:
    size = min(max(int(schema.get("minItems", 0)), 1), int(schema.get("maxItems", 1 << 30)))
    if depth >= _DEEPEST:
        size = int(schema.get("minItems", 0))
    leading = schema.get("prefixItems", [])
    items = schema.get("items", {})
    return [
        _value(leading[i] if i < len(leading) else items or {}, root, clue, depth + 1)
        for i in range(max(size, len(leading)))
    ]


def _string(schema: Json, clue: str) -> str:
    text = _FORMATS.get(str(schema.get("format")), clue)
    text = text.ljust(int(schema.get("minLength", 0)), ".")
    return text[: int(schema.get("maxLength", len(text)))]


def _number(schema: Json, kind: str) -> float | int:
    low = schema.get("minimum", schema.get("exclusiveMinimum"))
    high = schema.get("maximum", schema.get("exclusiveMaximum"))
    value: float = 1
    if low is not None and value <= low:
        value = low + ("exclusiveMinimum" in schema)
    if high is not None and value >= high:
        value = high - ("exclusiveMaximum" in schema)
    step = schema.get("multipleOf")
    if step:
        value = -(-value // step) * step
    return int(value) if kind == "integer" else value
