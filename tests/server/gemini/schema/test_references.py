"""References: where they lead, and that a few kB of them never become gigabytes."""

import time

import pytest

from server.gemini.schema import Cleaner, clean
from server.gemini.schema.hints import compact
from server.gemini.types import Json
from server.json_codec import dumps
from server.limits import HINT_CHARS, SCHEMA_UNFOLDED_BYTES, SCHEMAS_UNFOLDED_BYTES
from tests.server.gemini.schema.test_cleaner import obj

INTEGER: Json = {"type": "integer"}


@pytest.mark.parametrize(
    ("ref", "definition"),
    [
        ("#/$defs/x", INTEGER),
        ("#here", {"$anchor": "here"}),
        ("#here", {"$dynamicAnchor": "here"}),
        ("https://example.com/x", {"$id": "https://example.com/x"}),
        ("x.json", {"$id": "x.json"}),
        ("x.json", {"$id": "https://example.com/schemas/x.json"}),
        ("https://example.com/schemas/x.json#/$defs/y", {"$id": "x.json", "$defs": {"y": INTEGER}}),
        ("#old", {"$id": "#old"}),
    ],
)
def test_a_reference_is_found_by_pointer_anchor_and_address(ref: str, definition: Json) -> None:
    schema = obj(p={"$ref": ref}) | {"$id": "https://example.com/schemas/root.json"}
    cleaned = Cleaner().arguments(schema | {"$defs": {"x": INTEGER | definition}})
    assert cleaned.schema == obj(p=INTEGER)
    assert cleaned.losses == ()


def test_an_anchor_inside_a_value_is_none() -> None:
    schema = obj(p={"$ref": "#a"}, q={"type": "object", "default": {"$anchor": "a"}})
    cleaned = Cleaner().arguments(schema)
    assert cleaned.schema is not None
    assert cleaned.schema["properties"]["p"] == {}
    assert cleaned.losses == ("properties.p.$ref",)


def test_a_recursion_through_an_anchor_ends() -> None:
    tree = obj(kids={"type": "array", "items": {"$ref": "#tree"}}) | {"$anchor": "tree"}
    cleaned = Cleaner().arguments(tree)
    assert cleaned.losses == ("properties.kids.items.$ref",)
    assert len(dumps(cleaned.schema)) < 1000


def large_enum_many_times(times: int) -> Json:
    words = [f"word-{number:06}" for number in range(8_000)]
    return obj(**{f"p{n}": {"$ref": "#/$defs/E"} for n in range(times)}) | {
        "$defs": {"E": {"type": "string", "enum": words}}
    }


def test_references_to_one_large_definition_stay_bounded() -> None:
    schema = large_enum_many_times(1_000)
    began = time.process_time()
    cleaned = Cleaner().arguments(schema)
    assert time.process_time() - began < 5
    assert len(dumps(cleaned.schema)) < len(dumps(schema)) + 2 * SCHEMA_UNFOLDED_BYTES
    assert cleaned.losses
    assert cleaned.schema is not None
    first = cleaned.schema["properties"]["p0"]
    assert len(first["enum"]) == 8_000
    assert len(dumps(clean(large_enum_many_times(1)))) > 90_000


def test_one_definition_larger_than_the_bound_is_still_written_once() -> None:
    words = [f"word-{number:07}" for number in range(40_000)]
    whole = obj(word={"type": "string", "enum": words})
    assert len(dumps(whole)) > 2 * SCHEMA_UNFOLDED_BYTES
    assert clean({"$ref": "#/definitions/Whole", "definitions": {"Whole": whole}}) == whole


def test_what_is_left_out_keeps_its_type() -> None:
    schema = large_enum_many_times(1_000)
    last = (clean(schema) or {})["properties"]["p999"]
    assert last == {"type": "string", "description": "(left out here: E)"}


def test_all_schemas_of_a_request_share_one_bound() -> None:
    cleaner = Cleaner()
    schema = large_enum_many_times(10)
    sizes = [len(dumps(cleaner.arguments(schema | {"title": str(n)}).schema)) for n in range(40)]
    own = 40 * len(dumps(schema))
    assert sum(sizes) < own + 2 * SCHEMAS_UNFOLDED_BYTES
    assert cleaner.arguments(obj(p={"$ref": "#/$defs/x"}) | {"$defs": {"x": INTEGER}}).schema


def test_definitions_that_double_each_other_end_in_time() -> None:
    double = {f"d{i}": {"allOf": [{"$ref": f"#/$defs/d{i + 1}"}] * 2} for i in range(40)}
    began = time.process_time()
    assert clean(obj(p={"$ref": "#/$defs/d0"}) | {"$defs": double | {"d40": INTEGER}})
    assert time.process_time() - began < 5


def test_a_hint_is_measured_before_it_is_made() -> None:
    large = {"a": ["x" * 1000] * 1000}
    began = time.process_time()
    for _ in range(10_000):
        assert compact(large) is None
    assert time.process_time() - began < 2
    cleaned = Cleaner().arguments(obj(p=INTEGER | {"default": large}))
    assert cleaned.losses == ("properties.p.default",)
    fitting: list[object] = [
        "x" * 498,
        ["x"] * 124,
        {"a": 1.5, "b": [None, True]},
        [],
        {},
        [[]] * 166,
    ]
    for value in fitting:
        assert compact(value) is not None
    assert compact("x" * (HINT_CHARS - 1)) is None


def test_an_endless_address_is_not_resolved_by_every_reference() -> None:
    """It took ten seconds."""
    base = "https://example.com/" + "a/" * 50_000
    schema = obj(**{f"p{n}": {"$ref": f"n{n}"} for n in range(5_000)}) | {"$id": base}
    began = time.process_time()
    assert clean(schema)
    assert time.process_time() - began < 2
