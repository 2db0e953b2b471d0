"""Instances of schemas, and what is read out of a sentence."""

import pytest

from tests.google.build import build, clues


@pytest.mark.parametrize(
    ("text", "found"),
    [
        ("What's the weather in Paris and Rome?", ["Paris", "Rome"]),
        ("Read /etc/hosts please", ["/etc/hosts"]),
        ("Open https://example.com/a now", ["https://example.com/a"]),
        ("look at notes.txt", ["notes.txt"]),
        ('search for "tiny boats" today', ["tiny boats"]),
        ("nothing special here", ["nothing special here"]),
        ("", ["demo"]),
    ],
)
def test_clues(text: str, found: list[str]) -> None:
    assert clues(text) == found


@pytest.mark.parametrize(
    ("schema", "instance"),
    [
        ({}, "clue"),
        ({"type": "string", "maxLength": 2}, "cl"),
        ({"type": "string", "minLength": 6}, "clue.."),
        ({"type": "string", "format": "date"}, "2026-01-31"),
        ({"enum": ["x", "y"]}, "x"),
        ({"const": 4}, 4),
        ({"type": "INTEGER", "minimum": 5}, 5),
        ({"type": "integer", "exclusiveMinimum": 5}, 6),
        ({"type": "number", "maximum": -2}, -2),
        ({"type": "integer", "exclusiveMaximum": 0}, -1),
        ({"type": "integer", "minimum": 7, "multipleOf": 5}, 10),
        ({"type": ["null", "boolean"]}, True),
        ({"type": "null"}, None),
        ({"type": "array", "items": {"type": "integer"}, "minItems": 2}, [1, 1]),
        ({"type": "array", "items": {"type": "integer"}, "maxItems": 0}, []),
        ({"prefixItems": [{"const": 1}, {"const": 2}], "type": "array"}, [1, 2]),
        ({"properties": {"a": {"type": "integer"}}, "required": ["a"]}, {"a": 1}),
        ({"type": "object", "properties": {"a": {"const": 1}}, "minProperties": 1}, {"a": 1}),
        ({"anyOf": [{"type": "integer"}, {"type": "null"}]}, 1),
        ({"oneOf": [{"const": "b"}]}, "b"),
        (
            {
                "allOf": [
                    {"properties": {"a": {"const": 1}}, "required": ["a"]},
                    {"properties": {"b": {"const": 2}}, "required": ["b"]},
                ]
            },
            {"a": 1, "b": 2},
        ),
        ({"$ref": "#/$defs/x", "$defs": {"x": {"type": "integer"}}}, 1),
    ],
)
def test_the_smallest_instance(schema: object, instance: object) -> None:
    assert build(schema, "clue") == instance


def test_recursion_ends() -> None:
    node = {
        "type": "object",
        "properties": {"next": {"anyOf": [{"$ref": "#/$defs/n"}, {"type": "null"}]}},
        "required": ["next"],
    }
    assert "None" in str(build({"$ref": "#/$defs/n", "$defs": {"n": node}}, "clue"))
