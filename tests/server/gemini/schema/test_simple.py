"""The strong pass: plain words, and every declared type as it was."""

from typing import Any

import pytest
from hypothesis import given, settings

from server.gemini.schema import clean_answer, simplify
from server.gemini.schema.simple import types_of
from server.gemini.types import Json
from tests.server.gemini.schema.test_cleaner import SCHEMAS, nodes, obj

CASES: list[tuple[Json, Json]] = [
    (
        {"type": "integer", "enum": [60, 1440]},
        {"type": "integer", "description": "(one of: 60,1440)"},
    ),
    ({"type": "string", "enum": ["a"]}, {"type": "string", "enum": ["a"]}),
    (
        {"anyOf": [{"type": "integer", "title": "T"}, {"type": "string"}], "description": "d"},
        {"type": ["integer", "string"], "description": "d"},
    ),
    (
        {"anyOf": [{"type": "string", "enum": ["a", "b"]}, {"type": "null"}]},
        {"type": ["string", "null"], "description": '(one of: "a","b")'},
    ),
    (
        {"anyOf": [{"type": "string"}, {"type": "array", "items": {"type": "string"}}]},
        {"type": ["string", "array"], "items": {"type": "string"}},
    ),
    (
        {
            "anyOf": [
                obj(kind={"type": "string", "enum": ["f"]}, path={"type": "string"})
                | {"required": ["kind", "path"]},
                obj(kind={"type": "string", "enum": ["p"]}) | {"required": ["kind"]},
            ]
        },
        obj(kind={"type": "string", "description": '(one of: "f","p")'}, path={"type": "string"})
        | {"required": ["kind"]},
    ),
    (
        {"type": "string", "pattern": "^a", "format": "date", "title": "T"},
        {"type": "string", "description": '(pattern: "^a") (format: "date")'},
    ),
    (
        {"type": "array", "prefixItems": [{"type": "integer"}, {"type": "string"}], "items": {}},
        {
            "type": "array",
            "items": {},
            "description": '(prefixItems: [{"type":"integer"},{"type":"string"}])',
        },
    ),
    (
        obj(a={"description": "any"}) | {"additionalProperties": False, "title": "T"},
        obj(a={"description": "any"}),
    ),
    (
        {"type": "object", "additionalProperties": {"type": "integer", "title": "T"}},
        {"type": "object", "additionalProperties": {"type": "integer"}},
    ),
    ({}, {}),
]


@pytest.mark.parametrize(("schema", "expected"), CASES)
def test_constraints_become_text_and_types_stay(schema: Json, expected: Json) -> None:
    assert simplify(schema) == expected


def test_below_the_last_level_only_types_are_left() -> None:
    schema: dict[str, Any] = {"type": "array", "items": {"type": ["string", "null"]}}
    for _ in range(20):
        schema = obj(a=schema)
    deepest = max(depth for _, depth in nodes(simplify(schema)))
    assert deepest == 12


@given(SCHEMAS)
@settings(max_examples=100, deadline=None)
def test_any_cleaned_schema_becomes_plain_keeps_its_types_and_stays_so(schema: object) -> None:
    cleaned = clean_answer(schema)
    if cleaned is None:
        return
    simple = simplify(cleaned)
    assert simplify(simple) == simple
    before, after = types_of(cleaned), types_of(simple)
    assert after is None or (before is not None and {*before} - {"integer"} <= {*after})
    for node, _ in nodes(simple):
        types = types_of(node) or []
        assert "anyOf" not in node
        assert "array" not in types or "items" in node
        assert "enum" not in node or types == ["string"]
