"""``allOf`` is a conjunction: what both sides allow, or what could not be said is named."""

import copy
import time

import jsonschema_rs
import pytest
from hypothesis import HealthCheck, assume, given, settings
from hypothesis import strategies as st

from server.gemini.schema import Cleaned, Cleaner
from server.gemini.types import Json
from server.json_codec import dumps
from server.limits import SCHEMA_UNFOLDED_BYTES, SCHEMAS_UNFOLDED_BYTES
from tests.server.gemini.schema.test_cleaner import obj

S: Json = {"type": "string"}
I: Json = {"type": "integer"}  # noqa: E741
N: Json = {"type": "null"}
B: Json = {"type": "boolean"}


def together(*members: Json, **beside: object) -> tuple[Json, tuple[str, ...]]:
    cleaned = Cleaner().answer({"allOf": list(members), **beside})
    return cleaned.schema or {}, cleaned.losses


SAID: list[tuple[list[Json], Json]] = [
    (
        [{"minimum": 1}, {"minimum": 3}, {"maximum": 9}, {"maximum": 20}],
        {"minimum": 3, "maximum": 9},
    ),
    (
        [{"minItems": 2, "type": "array"}, {"minItems": 1}],
        {"type": "array", "minItems": 2, "items": {}},
    ),
    ([{"maxLength": 9, **S}, {"maxLength": 5}], {"maxLength": 5, **S}),
    ([{"type": "number"}, I], I),
    ([{"type": ["string", "null"]}, {"type": ["null", "integer"]}], N),
    ([{"enum": ["a", "b", "c"]}, {"enum": ["c", "b", "d"]}], {"enum": ["b", "c"], **S}),
    ([{"enum": [1, 2.0, True]}, {"enum": [2, 1.0]}], {"enum": [1, 2.0], **I}),
    ([{"const": "a"}, {"enum": ["a", "b"]}], {"enum": ["a"], **S}),
    ([{"anyOf": [S, I]}, {"anyOf": [I, B]}], I),
    ([{"anyOf": [S, I, N]}, {"anyOf": [I, N, B]}], {"type": ["integer", "null"]}),
    ([{"anyOf": [S, I]}, {"oneOf": [S, I, B]}, S], S),
    ([S, {"anyOf": [{"type": "string"}, {"const": None}]}], S),
    ([{"anyOf": [{"minimum": 3, **I}, S]}, {"maximum": 9, **I}], {"minimum": 3, "maximum": 9, **I}),
    ([obj(a=I), obj(a={"minimum": 2}, b=S)], obj(a={"minimum": 2, **I}, b=S)),
    (
        [{"type": "array", "items": I}, {"items": {"minimum": 1}}],
        {"type": "array", "items": I | {"minimum": 1}},
    ),
    (
        [{"type": "object", "additionalProperties": I}, {"additionalProperties": {"minimum": 1}}],
        {"type": "object", "additionalProperties": I | {"minimum": 1}},
    ),
    (
        [
            {
                "anyOf": [
                    obj(k={"const": "a"}) | {"required": ["k"]},
                    obj(k={"const": "b"}) | {"required": ["k"]},
                ]
            },
            {
                "anyOf": [
                    obj(k={"const": "b"}) | {"required": ["k"]},
                    obj(k={"const": "c"}) | {"required": ["k"]},
                ]
            },
        ],
        obj(k={"enum": ["b"], **S}) | {"required": ["k"]},
    ),
]


@pytest.mark.parametrize(("members", "expected"), SAID)
def test_what_both_sides_say_is_said(members: list[Json], expected: Json) -> None:
    assert together(*members) == (expected, ())
    first, *others = members
    if not others[1:]:
        joined = Cleaner().answer({**first, "allOf": others})
        assert (joined.schema, joined.losses) == (expected, ())


NAMED: list[tuple[list[Json], str]] = [
    ([{"pattern": "^a", **S}, {"pattern": "b$"}], "pattern"),
    ([{"format": "date", **S}, {"format": "uri"}], "format"),
    ([S, I], "type"),
    ([{"enum": ["a"], **S}, {"enum": ["b"]}], "enum"),
    ([{"anyOf": [S, I]}, {"anyOf": [B, N]}], "anyOf"),
    (
        [
            {"anyOf": [S | {"maxLength": n} for n in range(9)]},
            {"anyOf": [{"minLength": n} for n in range(9)]},
        ],
        "anyOf",
    ),
    ([obj(a=I) | {"additionalProperties": False}, obj(b=I)], "additionalProperties"),
    ([S, {"not": {"const": "a"}}], "allOf[].not"),
]


@pytest.mark.parametrize(("members", "name"), NAMED)
def test_what_cannot_be_said_together_is_named(members: list[Json], name: str) -> None:
    assert together(*members)[1] == (name,)


# Nothing that is valid is forbidden, and where nothing is named nothing else is allowed.

PRIMITIVES = (
    st.none()
    | st.booleans()
    | st.integers(-3, 3)
    | st.sampled_from([0.5, 1.5, 2.0])
    | st.sampled_from(["", "a", "b", "ab"])
)
VALUES = st.recursive(
    PRIMITIVES,
    lambda i: st.lists(i, max_size=3) | st.dictionaries(st.sampled_from("abc"), i, max_size=3),
    max_leaves=6,
)
KINDS = st.sampled_from(["string", "null", "integer", "number", "boolean", "array", "object"])
SMALL = st.integers(0, 3)


def _documents(inner: st.SearchStrategy[object]) -> st.SearchStrategy[Json]:
    several = st.lists(inner, min_size=1, max_size=3)
    named = st.dictionaries(st.sampled_from("abc"), inner, max_size=2)
    patterns = st.dictionaries(st.sampled_from(["^a", "b"]), inner, max_size=2)
    keywords = st.fixed_dictionaries(
        {},
        optional={
            "type": KINDS | st.lists(KINDS, min_size=1, max_size=3, unique=True),
            "enum": st.lists(VALUES, min_size=1, max_size=3, unique_by=repr),
            "const": PRIMITIVES,
            **dict.fromkeys(("minimum", "maximum", "exclusiveMinimum", "minItems"), SMALL),
            **dict.fromkeys(("maxItems", "minLength", "maxLength", "minProperties"), SMALL),
            **dict.fromkeys(("items", "additionalProperties", "not"), inner),
            **dict.fromkeys(("prefixItems", "anyOf", "oneOf", "allOf"), several),
            "pattern": st.sampled_from(["^a", "b$"]),
            "required": st.lists(st.sampled_from("abc"), unique=True, max_size=2),
            "uniqueItems": st.booleans(),
            "multipleOf": st.integers(1, 2),
            "$ref": st.sampled_from(["#/$defs/a", "#/$defs/b", "#x"]),
            "patternProperties": patterns,
        },
    )
    typed = st.builds(lambda k, p: {**k, "type": "object", "properties": p}, keywords, named)
    return keywords | typed


PARTS = st.recursive(
    st.booleans() | st.just({}) | st.builds(lambda kind: {"type": kind}, KINDS),
    _documents,
    max_leaves=8,
)
OBJECTS = PARTS.filter(lambda part: isinstance(part, dict))
DOCUMENTS = st.builds(
    lambda root, a, b, x: {**root, "$defs": {"a": a, "b": b, "x": {**x, "$anchor": "x"}}},
    *(OBJECTS, PARTS, PARTS, OBJECTS),
)


@given(DOCUMENTS, st.lists(VALUES, min_size=8, max_size=8))
@settings(max_examples=120, deadline=None, suppress_health_check=list(HealthCheck))
def test_what_was_valid_stays_valid_and_what_was_not_only_where_it_is_named(
    document: Json, values: list[object]
) -> None:
    try:
        theirs = jsonschema_rs.Draft202012Validator(document)
        verdicts = [theirs.is_valid(value) for value in values]
    except (ValueError, jsonschema_rs.ReferencingError):
        assume(False)  # a reference that leads in a circle
    cleaned = Cleaner().answer(document)
    ours = jsonschema_rs.Draft202012Validator(cleaned.schema or {})
    text = dumps(document)
    exact = not cleaned.losses and cleaned.schema and b"oneOf" not in text and b"null" not in text
    for value, valid in zip(values, verdicts, strict=True):
        if valid:
            assert ours.is_valid(value), value
        elif exact:
            assert not ours.is_valid(value), value


# Growth: each of these took seconds for a tenth of the size when it was quadratic.

MANY: dict[str, Json] = {
    "allOf": {
        "allOf": [{"properties": {f"p{n}": I}, "required": [f"p{n}"]} for n in range(20_000)]
    },
    "allOf of one property": {
        "allOf": [{"properties": {"p": {"minimum": n}}} for n in range(20_000)]
    },
    "allOf of closed objects": {
        "allOf": [
            {"properties": {f"p{n}": I}, "additionalProperties": False} for n in range(20_000)
        ]
    },
    "allOf of unions": {"allOf": [{"anyOf": [S, I | {"minimum": n}]} for n in range(10_000)]},
    "allOf of patterns": {"allOf": [{"pattern": f"^{n}"} for n in range(20_000)]},
    "anyOf": {"anyOf": [obj(**{f"p{n}": I, "k": {"const": n}}) for n in range(20_000)]},
    "anyOf of constants": {"anyOf": [{"const": n} for n in range(20_000)]},
    "anyOf of one name": {"anyOf": [obj(k=S | {"title": str(n)}) for n in range(20_000)]},
    "enum": {"properties": {"p": {"enum": list(range(200_000))}}},
    "types": {"properties": {"p": {"type": ["string", "null"] * 50_000}}},
    "required": {"properties": {}, "required": [str(n) for n in range(200_000)]},
}


@pytest.mark.parametrize("case", MANY)
def test_the_work_grows_with_the_size(case: str) -> None:
    for clean in (Cleaner().answer, Cleaner().arguments):
        began = time.process_time()
        clean(MANY[case])
        assert time.process_time() - began < 5


def test_a_clients_schema_is_left_as_it_was() -> None:
    schema: Json = {
        "additionalProperties": {},
        "allOf": [{"additionalProperties": {"type": "string"}}],
    }
    before = copy.deepcopy(schema)
    assert Cleaner().arguments(schema).schema == {
        "type": "object",
        "additionalProperties": {"type": "string"},
    }
    assert schema == before


def test_a_schema_does_not_become_a_part_of_itself() -> None:
    """``{}`` of the document, met anew with every reference, is another schema each time."""
    schema: Json = {
        "additionalProperties": {"$ref": "#", "additionalProperties": {}},
        "anyOf": [{"minItems": 1}, {"maxLength": 2}],
        "properties": {"a": {}},
    }
    assert Cleaner().arguments(schema).schema
    dumps(schema)


@pytest.mark.parametrize("above", [0, 300, 500, 600])
def test_a_deep_schema_is_cleaned_however_little_is_left_of_the_stack(above: int) -> None:
    node: Json = {"type": "string", "title": f"{above} calls above"}
    for _ in range(90):
        node = {
            "properties": {"a": node},
            "nullable": True,
            "anyOf": [{"minItems": 1}, {"type": "object"}],
        }

    def called(times: int) -> Cleaned:
        return called(times - 1) if times else Cleaner().answer(node)

    cleaned = called(above)
    assert cleaned.schema
    assert any(loss.startswith("properties.a.properties.a") for loss in cleaned.losses)


def test_pairs_of_alternatives_share_the_bound_of_references() -> None:
    """9 kB that would be a megabyte, and take most of a second."""
    definitions = {
        name: {"anyOf": [obj(**{f"{name}{n}{k}": S for k in range(4)}) for n in range(8)]}
        for name in "ab"
    }
    both: Json = {"allOf": [{"$ref": "#/$defs/a"}, {"$ref": "#/$defs/b"}]}
    schema = obj(**dict.fromkeys((f"p{n}" for n in range(100)), both)) | {"$defs": definitions}
    cleaner = Cleaner()
    sizes = [len(dumps(cleaner.answer(schema | {"title": str(n)}).schema)) for n in range(20)]
    assert sizes[0] < 2 * SCHEMA_UNFOLDED_BYTES
    assert sum(sizes) < 2 * SCHEMAS_UNFOLDED_BYTES + 20 * len(dumps(schema))


@pytest.mark.parametrize(
    "schema",
    [
        {"prefixItems": [{}], "anyOf": [{"type": "string"}, {"properties": {}}]},
        {"minLength": 1, "anyOf": [{"type": "array"}, {"properties": {}}]},
        {"type": "null", "anyOf": [{"anyOf": [{"enum": ["a", None]}, {"minimum": 1}]}]},
        {"type": "number", "anyOf": [{"anyOf": [S, {"const": 1}], "not": {}}]},
        {"type": "array", "oneOf": [{"type": ["array", "object"]}, {"not": {}}]},
        {"type": "string", "anyOf": [{"anyOf": [{"enum": [1.0, "x"]}, {"items": {}}]}]},
    ],
)
def test_cleaning_twice_is_cleaning_once(schema: Json) -> None:
    once = Cleaner().answer(schema).schema
    assert once
    assert Cleaner().answer(once).schema == once


def test_beside_an_alternative_of_any_value_no_other_counts() -> None:
    """The type of the other one would allow less than the client does."""
    schema: Json = {"prefixItems": [{}], "anyOf": [{"type": "string"}, {"properties": {}}]}
    assert Cleaner().answer(schema).schema == {"prefixItems": [{}], "items": {}}
