"""The schema cleaner: what survives, what becomes of the rest, and that nothing breaks it."""

import copy
import json
import os
import subprocess
import sys
from collections.abc import Iterator
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from server.gemini.schema import (
    FORMATS,
    KEYWORDS,
    MAX_DEPTH,
    clean,
    clean_answer,
)
from server.gemini.schema.words import TYPES as ALL_TYPES
from server.gemini.types import Json


def obj(**properties: Any) -> Json:
    return {"type": "object", "properties": properties}


def cleaned_property(schema: object) -> Json:
    """What becomes of ``schema`` as the property ``p`` of a tool."""
    result = clean(obj(p=schema, other={"type": "string"}))
    assert result is not None
    found: Json = result["properties"].get("p", {})
    return found


NOTHING_TO_SEND: list[object] = [
    None,
    True,
    False,
    "string",
    3,
    [],
    {},
    {"type": "object"},
    {"type": "object", "properties": {}},
    {"type": "object", "properties": {"gone": False}},
    {"type": "string"},
    {"type": "array", "items": {"type": "string"}},
    {"$ref": "#"},
    {"$ref": "https://example.com/schema.json"},
    {"anyOf": [{"type": "string"}, {"type": "null"}]},
    {"type": "object", "properties": {}, "additionalProperties": False},
]


@pytest.mark.parametrize("schema", NOTHING_TO_SEND)
def test_a_tool_that_takes_nothing_sends_no_schema(schema: object) -> None:
    assert clean(schema) is None


PROPERTIES: list[tuple[object, Json]] = [
    (True, {}),
    ({}, {}),
    ("nonsense", {}),
    (False, {}),
    ({"type": "STRING"}, {"type": "string"}),
    ({"type": "file"}, {}),
    ({"description": "any JSON"}, {"description": "any JSON"}),
    ({"type": ["string", "null"]}, {"type": ["string", "null"]}),
    ({"type": ["integer"]}, {"type": "integer"}),
    ({"type": ["null"]}, {"type": "null"}),
    (
        {"type": ["string", "array", "null"], "items": {"type": "integer"}, "title": "T"},
        {
            "anyOf": [
                {"type": "string"},
                {"type": "array", "items": {"type": "integer"}},
                {"type": "null"},
            ],
            "title": "T",
        },
    ),
    (
        {"type": ["string", "integer"], "enum": ["a", 1]},
        {"anyOf": [{"type": "string", "enum": ["a"]}, {"type": "integer", "enum": [1]}]},
    ),
    ({"type": ["boolean", *["string", "number", "object", "array", "null"]]}, {}),
    ({"const": "x"}, {"enum": ["x"], "type": "string"}),
    ({"const": None}, {"type": "null"}),
    ({"type": "integer", "enum": [1, 2]}, {"type": "integer", "enum": [1, 2]}),
    ({"enum": ["a", None]}, {"anyOf": [{"type": "string", "enum": ["a"]}, {"type": "null"}]}),
    ({"enum": [1, 2.5]}, {"type": "number", "enum": [1, 2.5]}),
    ({"enum": [True, False]}, {"type": "boolean"}),
    ({"const": True}, {"type": "boolean", "description": "(one of: true)"}),
    ({"enum": ["", "a"]}, {"type": "string", "description": '(one of: "","a")'}),
    (
        {"enum": [True, 1]},
        {
            "anyOf": [
                {"type": "boolean", "description": "(one of: true)"},
                {"type": "integer", "enum": [1]},
            ]
        },
    ),
    ({"anyOf": [{"type": "string"}, {"type": "null"}]}, {"type": ["string", "null"]}),
    (
        {"oneOf": [{"type": "string"}, {"type": "integer"}, {"type": "string"}]},
        {"anyOf": [{"type": "string"}, {"type": "integer"}]},
    ),
    ({"anyOf": [{"type": "string"}, {}], "title": "T"}, {"title": "T"}),
    ({"anyOf": [False, {"type": "string"}]}, {"type": "string"}),
    ({"type": "integer", "exclusiveMinimum": 3}, {"type": "integer", "minimum": 4}),
    ({"type": "integer", "exclusiveMaximum": 3}, {"type": "integer", "maximum": 2}),
    ({"type": "number", "exclusiveMinimum": 0}, {"type": "number", "minimum": 0}),
    ({"type": "integer", "exclusiveMinimum": 3.5}, {"type": "integer", "minimum": 4}),
    (
        {"type": ["integer", "null"], "exclusiveMaximum": 3},
        {"type": ["integer", "null"], "maximum": 2},
    ),
    (
        {"type": "integer", "minimum": 3, "exclusiveMinimum": True},
        {"type": "integer", "minimum": 4},
    ),
    ({"type": "integer", "minimum": 5, "exclusiveMinimum": 1}, {"type": "integer", "minimum": 5}),
    ({"type": "integer", "maximum": 2**53 - 1}, {"type": "integer", "maximum": 2**53 - 1}),
    ({"type": "integer", "maximum": 2**53}, {"type": "integer"}),
    ({"type": "number", "maximum": float("inf")}, {"type": "number"}),
    ({"type": "string", "minLength": 1.0, "maxLength": -1}, {"type": "string", "minLength": 1}),
    ({"type": "string", "format": "date-time"}, {"type": "string", "format": "date-time"}),
    (
        {"type": "string", "format": "hostname"},
        {"type": "string", "description": '(format: "hostname")'},
    ),
    ({"type": "string", "format": ["date"]}, {"type": "string"}),
    (
        {"type": "integer", "description": "How many.", "default": 5},
        {"type": "integer", "description": "How many. (default: 5)"},
    ),
    ({"type": "integer", "default": None}, {"type": "integer"}),
    (
        {"type": "string", "not": {"const": "x"}},
        {"type": "string", "description": '(not: {"const":"x"})'},
    ),
    (
        {
            "type": "string",
            "$id": "i",
            "$comment": "c",
            "examples": ["e"],
            "readOnly": True,
            "deprecated": True,
            "contentEncoding": "base64",
            "encrypted": True,
            "strict": True,
            "x-order": 1,
        },
        {"type": "string"},
    ),
    (
        {"type": "array", "items": {}, "uniqueItems": True},
        {"type": "array", "items": {}, "description": "(uniqueItems: true)"},
    ),
    (
        {
            "type": "object",
            "patternProperties": {"^a": {"type": "integer"}},
            "additionalProperties": False,
        },
        {
            "type": "object",
            "additionalProperties": {"type": "integer"},
            "description": '(patternProperties: {"^a":{"type":"integer"}})',
        },
    ),
    (
        {"type": "object", "additionalProperties": {"type": "integer", "x-unit": "s"}},
        {"type": "object", "additionalProperties": {"type": "integer"}},
    ),
    ({"additionalProperties": {}}, {"additionalProperties": True}),
    ({"additionalProperties": False}, {"additionalProperties": False}),
    ({"type": "array", "items": True}, {"type": "array", "items": {}}),
    (
        {"type": "array", "items": [{"type": "integer"}, {}]},
        {"type": "array", "prefixItems": [{"type": "integer"}, {}], "items": {}},
    ),
    (
        {"type": "array", "prefixItems": [{"type": "integer"}], "items": False},
        {"type": "array", "prefixItems": [{"type": "integer"}], "items": {}, "maxItems": 1},
    ),
    (
        {"type": "array", "items": [{"type": "integer"}], "additionalItems": {"type": "string"}},
        {"type": "array", "prefixItems": [{"type": "integer"}], "items": {"type": "string"}},
    ),
    (obj(a={}) | {"required": ["a", "b", "a", 3]}, obj(a={}) | {"required": ["a"]}),
    ({"type": "string", "required": True}, {"type": "string"}),
]


@pytest.mark.parametrize(("schema", "expected"), PROPERTIES)
def test_keywords_become_what_gemini_reads(schema: object, expected: Json) -> None:
    assert cleaned_property(schema) == expected


def test_properties_named_like_keywords_are_data() -> None:
    names = ["title", "format", "$schema", "definitions", "default", "$ref", "enum", "properties"]
    result = clean(
        {"$schema": "http://json-schema.org/draft-07/schema#"} | obj(**{name: {} for name in names})
    )
    assert result == obj(**{name: {} for name in names})


def test_references_are_inlined_and_the_siblings_win() -> None:
    schema = obj(
        a={"$ref": "#/$defs/Point", "description": "here"},
        b={"$ref": "#/definitions/odd~1na~0me%20x"},
        c={"$ref": "#/properties/a"},
        d={"$ref": "#/$defs/missing", "type": "integer"},
    ) | {
        "$defs": {"Point": {"type": "number", "description": "anywhere"}},
        "definitions": {"odd/na~me x": {"type": "boolean"}},
    }
    assert clean(schema) == obj(
        a={"type": "number", "description": "here"},
        b={"type": "boolean"},
        c={"type": "number", "description": "here"},
        d={"type": "integer"},
    )


def test_a_recursive_reference_unfolds_three_times_and_says_so() -> None:
    tree = obj(kids={"type": "array", "items": {"$ref": "#/$defs/Tree"}})
    result = clean({"$ref": "#/$defs/Tree", "$defs": {"Tree": tree}})
    for _ in range(3):
        assert result is not None
        result = result["properties"]["kids"]["items"]
    assert result == {"type": "object", "description": "(nested again: Tree)"}


def test_a_tool_whose_root_is_a_reference_to_itself_still_sends_its_properties() -> None:
    result = clean(obj(again={"$ref": "#"}, name={"type": "string"}))
    assert result is not None
    assert result["properties"]["name"] == {"type": "string"}


def test_definitions_that_multiply_are_cut_to_a_bounded_size() -> None:
    """Twenty levels of two references each would be a million nodes."""
    levels = {
        f"d{i}": obj(l={"$ref": f"#/$defs/d{i + 1}"}, r={"$ref": f"#/$defs/d{i + 1}"})
        for i in range(40)
    }
    result = clean({"$ref": "#/$defs/d0", "$defs": levels})
    assert len(json.dumps(result)) < 1_000_000


def test_many_mutually_recursive_definitions_are_cut_early_so_that_none_starves() -> None:
    names = [f"Block{i}" for i in range(12)]
    union = {"anyOf": [{"$ref": f"#/$defs/{name}"} for name in names]}
    definitions = {name: obj(kind={"const": name}, child=union) for name in names}
    result = clean(obj(root=union) | {"$defs": definitions})
    assert result is not None
    branches = result["properties"]["root"]["anyOf"]
    assert [branch["properties"]["kind"]["enum"] for branch in branches] == [[n] for n in names]


def test_all_of_is_merged_and_required_may_name_a_member_of_another_part() -> None:
    schema = {
        "allOf": [{"$ref": "#/definitions/Base"}, {"properties": {"y": {"type": "integer"}}}],
        "properties": {"x": {"description": "narrowed"}},
        "required": ["y"],
        "definitions": {"Base": obj(x={"type": "string"}) | {"required": ["x"]}},
    }
    assert clean(schema) == {
        **obj(x={"description": "narrowed", "type": "string"}, y={"type": "integer"}),
        "required": ["y", "x"],
    }


def test_alternatives_that_only_differ_in_required_vanish() -> None:
    alternatives = [{"required": ["p"]}, {"required": ["q"]}]
    assert clean(obj(p={"type": "string"}) | {"anyOf": alternatives}) == obj(p={"type": "string"})


def test_a_union_of_objects_at_the_root_becomes_one_object() -> None:
    """Gemini takes only objects as arguments; the variants' properties stay known to the model."""
    variants = [
        obj(kind={"const": "file"}, path={"type": "string"}, n={"type": "string"})
        | {"required": ["kind", "path"]},
        obj(kind={"const": "page"}, n={"type": "integer"}) | {"required": ["kind"]},
        {"type": "string"},
    ]
    assert clean({"oneOf": variants}) == {
        **obj(
            kind={"type": "string", "enum": ["file", "page"]},
            path={"type": "string"},
            n={"anyOf": [{"type": "string"}, {"type": "integer"}]},
        ),
        "required": ["kind"],
    }


@pytest.mark.parametrize(
    ("schema", "expected"),
    [
        ({}, None),
        (True, None),
        ({"type": "object", "title": "Anything"}, None),
        ({"type": "string"}, {"type": "string"}),
        (
            {"type": "array", "items": {"type": "integer"}},
            {"type": "array", "items": {"type": "integer"}},
        ),
        (
            {"anyOf": [obj(a={"type": "string"}), {"type": "string"}]},
            {"anyOf": [obj(a={"type": "string"}), {"type": "string"}]},
        ),
    ],
)
def test_an_answer_may_be_of_any_type(schema: object, expected: Json | None) -> None:
    assert clean_answer(schema) == expected


def test_branches_that_differ_in_the_order_of_their_keywords_are_one() -> None:
    one, other = {"minItems": 1, "items": {"type": "string", "title": "t"}}, {"type": "integer"}
    same = {"items": {"title": "t", "type": "string"}, "minItems": 1}
    assert clean_answer({"anyOf": [one, other, same]}) == {"anyOf": [one, other]}


def test_descriptions_are_cut_at_ten_thousand_characters() -> None:
    assert len(cleaned_property({"description": "x" * 20_000})["description"]) == 10_000


# Properties over generated input.

SCALARS = st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=5)
JSON = st.recursive(
    SCALARS,
    lambda inner: (
        st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=5), inner, max_size=3)
    ),
)
NAMES = st.sampled_from(["a", "b", "title", "$ref"])
TYPES = st.sampled_from(["string", "null", "integer", "ARRAY", "object", "thing"])
REFS = st.sampled_from(["#", "#/$defs/a", "#/$defs/b", "#/properties/a", "#/anyOf/0", "x", "#/no"])


def _schemas(inner: st.SearchStrategy[Any]) -> st.SearchStrategy[Any]:
    several = st.lists(inner, max_size=3)
    named = st.dictionaries(NAMES, inner, max_size=2)
    return st.fixed_dictionaries(
        {},
        optional={
            "type": TYPES | st.lists(TYPES, max_size=3),
            "$ref": REFS,
            "$defs": named,
            "properties": named,
            "items": inner | several,
            "prefixItems": several,
            "anyOf": several,
            "oneOf": several,
            "allOf": several,
            "additionalProperties": inner,
            "required": st.lists(NAMES, max_size=3) | st.booleans(),
            "enum": st.lists(SCALARS, max_size=3),
            "const": SCALARS,
            "not": inner,
            "default": JSON,
            "description": SCALARS,
            "format": SCALARS | st.sampled_from(sorted(FORMATS)),
            "minimum": SCALARS,
            "exclusiveMinimum": SCALARS,
            "nullable": SCALARS,
        },
    )


SCHEMAS = st.recursive(st.booleans() | JSON, _schemas, max_leaves=12)


def nodes(schema: Json, depth: int = 0) -> Iterator[tuple[Json, int]]:
    """Every schema position of a cleaned schema, with its depth."""
    yield schema, depth
    children = [*schema.get("properties", {}).values(), *schema.get("prefixItems", [])]
    children += schema.get("anyOf", [])
    children += [schema[key] for key in ("items", "additionalProperties") if key in schema]
    for child in children:
        if not isinstance(child, bool):
            yield from nodes(child, depth + 1)


def assert_acceptable(schema: Json) -> None:
    for node, depth in nodes(schema):
        assert node.keys() <= KEYWORDS
        assert depth <= MAX_DEPTH
        types = node.get("type", [])
        types = [types] if isinstance(types, str) else types
        assert set(types) <= set(ALL_TYPES)
        assert len(types) < 2 or (len(types) == 2 and "null" in types)
        if "array" in types or "prefixItems" in node:
            assert "items" in node
        for choice in node.get("enum", ["a"]):
            assert isinstance(choice, str | int | float)
            assert choice != ""
            assert not isinstance(choice, bool)
        assert set(node.get("required", ())) <= set(node.get("properties", {}))
        assert node.get("enum", [0]) != []
        assert len(node.get("anyOf", [0, 0])) > 1


@given(SCHEMAS)
@settings(max_examples=150, deadline=None)
def test_any_input_gives_an_acceptable_schema_that_is_stable(schema: object) -> None:
    before = copy.deepcopy(schema)
    for cleaner in (clean, clean_answer):
        result = cleaner(schema)
        if result is not None:
            assert_acceptable(result)
            assert cleaner(result) == result
    assert repr(schema) == repr(before)


@pytest.mark.parametrize("key", ["items", "allOf", "anyOf", "properties", "default", "not"])
def test_very_deep_schemas_are_cut_not_refused(key: str) -> None:
    schema: Json = {"type": "string"}
    for _ in range(90):  # json_codec reads 200 levels, and some keys take two for each
        inside: object = {"a": schema} if key == "properties" else schema
        schema = {key: [schema] if key.endswith("Of") else inside}
    result = clean(obj(p=schema))
    assert result is not None
    assert_acceptable(result)


def test_the_bytes_sent_are_the_same_in_every_process() -> None:
    """Google's cache goes by the beginning of a request, the memory of repairs by digests."""
    schema = obj(
        a={"type": "array", "maxItems": 3, "minItems": 1, "items": {"type": ["null", "string"]}},
        b={"maximum": 3, "minimum": 1, "title": "T", "type": ["integer", "string", "null"]},
        c={"minLength": 1, "maxLength": 3, "pattern": "^a", "enum": ["a", 1, None, True]},
        d={"allOf": [{"required": ["x", "y"]}, obj(x={}, y={})], "minProperties": 1, "not": {}},
    )
    program = "import sys, json; from server.gemini.schema import clean;"
    program += "print(json.dumps(clean(json.load(sys.stdin))))"
    written = set()
    for seed in ("1", "2", "3"):
        ran = subprocess.run(
            [sys.executable, "-c", program],
            input=json.dumps(schema),
            capture_output=True,
            text=True,
            check=True,
            env={**os.environ, "PYTHONHASHSEED": seed},
        )
        written.add(ran.stdout)
    assert len(written) == 1
