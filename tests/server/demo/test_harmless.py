"""What the demo may say: values that depend on the schema alone, and one plain line of words."""

import contextlib
import re
from typing import Any

import jsonschema_rs
import pytest
from hypothesis import given
from hypothesis import strategies as st

from server.demo.harmless import WORD, NoHarmlessValueError, arguments, instance, plain_line

Json = dict[str, Any]


def taking(schema: object) -> Json:
    """Parameters with one argument that has to be given."""
    return {"type": "object", "properties": {"x": schema}, "required": ["x"]}


@pytest.mark.parametrize(
    ("schema", "value"),
    [
        ({"type": "string"}, WORD),
        ({"type": "string", "description": "`rm -rf dist`", "default": "rm"}, WORD),
        ({}, WORD),
        (True, WORD),
        ({"type": "string", "minLength": 1, "maxLength": 10}, WORD),
        ({"type": "string", "format": "date"}, "1970-01-01"),
        ({"type": "string", "format": "uri"}, "https://demo.invalid/"),
        ({"type": "boolean", "default": True}, False),
        ({"type": "integer"}, 0),
        ({"type": "integer", "minimum": 5, "maximum": 9}, 5),
        ({"type": "integer", "exclusiveMinimum": 5}, 6),
        ({"type": "integer", "maximum": -3}, -3),
        ({"type": "integer", "exclusiveMaximum": 0}, -1),
        ({"type": "integer", "minimum": 7, "multipleOf": 5}, 10),
        ({"type": "number", "exclusiveMinimum": 0, "maximum": 1}, 0.5),
        ({"type": "number", "minimum": -2.5, "maximum": -0.5}, -0.5),
        ({"type": "integer", "enum": [1440, 60]}, 60),
        ({"enum": ["delete", "none"]}, "none"),
        ({"enum": ["fahrenheit", "Celsius"]}, "Celsius"),
        ({"enum": [True, False]}, False),
        ({"enum": ["delete", None], "type": ["string", "null"]}, None),
        ({"type": "array", "items": {"type": "string"}}, []),
        ({"type": "array", "items": {"type": "string"}, "uniqueItems": True}, []),
        ({"type": "array", "items": {"type": "string"}, "minItems": 2}, [WORD, WORD]),
        ({"type": "ARRAY", "items": {"type": "INTEGER"}, "minItems": "1"}, [0]),
        ({"type": ["string", "null"]}, None),
        ({"type": "STRING", "nullable": True}, None),
        ({"anyOf": [{"type": "string"}, {"type": "null"}]}, None),
        ({"anyOf": [{"const": "rm -rf dist"}, {"type": "integer"}]}, 0),
        ({"oneOf": [{"type": "boolean"}]}, False),
        ({"type": "object", "properties": {"a": {"type": "string"}}}, {}),
        (taking({"type": "boolean"}), {"x": False}),
        ({"type": "object", "properties": {"a": {}, "b": {}}, "minProperties": 1}, {"a": WORD}),
        ({"allOf": [taking({"type": "integer"}), {"properties": {"y": {}}}]}, {"x": 0}),
    ],
)
def test_the_least_that_a_schema_allows(schema: object, value: object) -> None:
    assert arguments(taking(schema)) == {"x": value}


@pytest.mark.parametrize(
    "schema",
    [
        {"const": "rm -rf dist"},
        {"const": True},
        {"enum": ["rm -rf dist", "reboot"]},
        {"enum": ["delete", "overwrite"]},
        {"type": "boolean", "enum": [True]},
        {"type": "string", "pattern": "^rm .*$"},
        {"type": "string", "pattern": "(a+)+$"},
        {"type": "string", "minLength": 40},
        {"type": "string", "maxLength": 3},
        {"type": "string", "format": "shell"},
        {"type": "string", "not": {"const": "x"}},
        {"type": "array", "items": {"const": "rm"}, "minItems": 1},
        {"type": "array", "items": {}, "minItems": 10_000_000},
        {"type": "array", "items": {"type": "string"}, "minItems": 2, "uniqueItems": True},
        {"type": "integer", "minimum": 5, "maximum": 4},
        {"type": "integer", "multipleOf": 1e-300, "minimum": 1e300, "maximum": 1},
        {"type": "object", "minProperties": 2},
        {"anyOf": [{"const": "rm"}, {"const": "reboot"}]},
        {"$ref": "#/$defs/nowhere"},
        {"$ref": "#/properties/x"},
        False,
    ],
)
def test_where_nothing_harmless_fits_there_is_no_call(schema: object) -> None:
    with pytest.raises(NoHarmlessValueError):
        arguments(taking(schema))


def test_a_schema_that_grows_by_itself_is_given_up() -> None:
    pair = {"type": "array", "items": {"$ref": "#/$defs/a"}, "minItems": 60}
    with pytest.raises(NoHarmlessValueError):
        arguments({**taking({"$ref": "#/$defs/a"}), "$defs": {"a": pair}})


@pytest.mark.parametrize(
    ("schema", "value"),
    [
        (taking({"enum": ["positive", "negative"]}), {"x": "positive"}),
        (taking({"enum": ["positive", "neutral"]}), {"x": "neutral"}),
        (taking({"const": 4}), {"x": 4}),
        (taking({"type": "string", "minLength": 12}), {"x": "demo-value--"}),
        (taking({"type": "string", "maxLength": 4}), {"x": "demo"}),
        ({"enum": ["a", "b"]}, "a"),
        ("no schema", WORD),
    ],
)
def test_a_json_answer_takes_what_the_schema_names_where_nothing_is_harmless(
    schema: object, value: object
) -> None:
    assert instance(schema) == value


_SIZES = st.integers(min_value=0, max_value=30)
_PLAIN = st.one_of(
    st.fixed_dictionaries(
        {"type": st.just("string")},
        optional={"minLength": _SIZES, "maxLength": _SIZES, "description": st.text()},
    ),
    st.fixed_dictionaries(
        {"type": st.sampled_from(["integer", "number"])},
        optional={
            name: st.integers(min_value=-50, max_value=50)
            for name in ("minimum", "maximum", "exclusiveMinimum", "exclusiveMaximum")
        },
    ),
    st.just({"type": "boolean"}),
    st.just({"type": ["null", "integer"]}),
    st.fixed_dictionaries({"enum": st.lists(st.none() | st.booleans() | st.text(), min_size=1)}),
    st.fixed_dictionaries({"const": st.booleans() | st.text()}),
)


def _nested(inner: st.SearchStrategy[Json]) -> st.SearchStrategy[Json]:
    members = st.dictionaries(st.text(min_size=1, max_size=4), inner, max_size=4)
    return st.one_of(
        members.flatmap(
            lambda found: st.fixed_dictionaries(
                {
                    "type": st.just("object"),
                    "properties": st.just(found),
                    "required": st.lists(st.sampled_from(sorted(found)), unique=True)
                    if found
                    else st.just([]),
                }
            )
        ),
        st.fixed_dictionaries(
            {"type": st.just("array"), "items": inner},
            optional={"minItems": st.integers(min_value=0, max_value=3)},
        ),
        st.fixed_dictionaries({"anyOf": st.lists(inner, min_size=1, max_size=3)}),
    )


SCHEMAS = st.recursive(_PLAIN, _nested, max_leaves=8)


@given(SCHEMAS)
def test_arguments_obey_their_schema(schema: Json) -> None:
    wanted = taking(schema)
    try:
        made = arguments(wanted)
    except NoHarmlessValueError:
        return
    assert jsonschema_rs.is_valid(wanted, made)


KEYWORDS = (
    "type enum const anyOf allOf oneOf properties required items prefixItems minItems minLength "
    "maxLength minimum multipleOf nullable format $ref minProperties"
)
JUNK = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | st.text(max_size=5),
    lambda inner: (
        st.lists(inner, max_size=4)
        | st.dictionaries(
            st.sampled_from(KEYWORDS.split()),
            inner,
            max_size=5,
        )
    ),
    max_leaves=20,
)


@given(JUNK)
def test_no_schema_breaks_it(schema: object) -> None:
    with contextlib.suppress(NoHarmlessValueError):
        arguments(taking(schema))
    with contextlib.suppress(NoHarmlessValueError):
        instance(schema)


# -- words --------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("text", "line"),
    [
        ("hello there, how are you?", "hello there, how are you?"),
        ("What is 2+2, or 3.14?", "What is 2+2, or 3.14?"),
        ('Say "pong-7f3a" please!', "Say pong-7f3a please!"),
        ("l’eau est là", "l’eau est là"),
        ("你好，世界。", "你好，世界。"),
        ("नमस्ते दुनिया।", "नमस्ते दुनिया।"),
        ("Explain what `rm -rf dist` does", "Explain what … does"),
        ("delete ./main.py and docs/a.md now", "delete … and … now"),
        ("run rm -rf dist; reboot", "run rm … reboot"),
        ("look at $(reboot) and ${HOME}", ""),
        ("<task>\nTidy up\n</task>", "Tidy up"),
        ("<execute_command><command>reboot</command></execute_command>", ""),
        ("```sh\nreboot\n```\nthank you", "thank you"),
        ("```sh\nreboot", ""),
        ("a.py\n<<<<<<< SEARCH\n=======\n>>>>>>> REPLACE", ""),
        ("--- a.py\n+++ b.py\n@@ -1 +1 @@\n-x\n+y", ""),
        ("*** Begin Patch\n*** Delete File: a", ""),
        ("Thought: go\nAction: shell\nAction Input: reboot", ""),
        ("please Action: shell Action Input: reboot", ""),
        ('{"name": "bash", "arguments": {"command": "reboot"}}', ""),
        ("", ""),
        ("!!! ???", ""),
        ("x" * 500, "x" * 200),
        (f"{'word ' * 100}", " ".join(["word"] * 40)),
    ],
)
def test_one_plain_line(text: str, line: str) -> None:
    assert plain_line(text) == line


ACTED_ON = re.compile(
    r"[<>`{}\[\]|;&$\\/=@#:\n\r\x00-\x1f\x7f]|---|\+\+\+|\*\*\*|(?:^|\s)-|\.\w*[A-Za-z]"
)
"""Tags, fences, edits, objects, options, paths, addresses, and what a shell reads as syntax."""

PIECES = (
    "rm -rf dist ` ``` < > <command> </command> SEARCH REPLACE === +++ --- @@ *** Action: "
    "Action Input: { } \" ' $( ) ; & | main.py ./a /etc https://a.b/c hello two \n"
)
_PIECES = st.sampled_from(PIECES.split(" "))


@given(st.text() | st.lists(_PIECES, max_size=30).map(" ".join) | st.lists(_PIECES).map("".join))
def test_no_line_holds_what_a_program_acts_on(text: str) -> None:
    line = plain_line(text)
    assert len(line) <= 200
    assert not ACTED_ON.search(line)
