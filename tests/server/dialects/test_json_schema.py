"""Schemas as clients of every dialect send them: null stays allowed, losses are named."""

import json
from collections.abc import Iterator
from typing import Any, Literal

import jsonschema_rs
import pytest
from pydantic import BaseModel, Field

from server.demo.rules import check_json_schema
from server.dialects.anthropic.dialect import parse_request
from server.dialects.base import Params
from server.dialects.openai.dialect import parse_chat
from server.dialects.responses.dialect import parse_response
from server.gemini.types import Call, Json
from server.limits import HINT_CHARS

Send = tuple[str, Any]


class Inner(BaseModel):
    note: str | None = None


class Form(BaseModel):
    name: str | None
    age: int | None = Field(default=None, ge=0)
    size: Literal["a", "b"] | None = None
    either: str | int | None = None
    rows: list[str | None] | None = None
    inner: Inner | None = None
    table: dict[str, int | None] = {}


VALUES: tuple[Json, ...] = (
    {"name": None, "age": None, "size": None, "either": None, "rows": None, "inner": None},
    {"name": "n", "age": 3, "size": "a", "either": 4, "rows": ["x", None], "inner": {"note": None}},
    {"name": "n", "table": {"a": None, "b": 1}},
)
WRONG: tuple[Json, ...] = (
    {},
    {"name": 3},
    {"name": "n", "age": -1},
    {"name": "n", "size": "c"},
    {"name": "n", "rows": [1]},
    {"name": "n", "inner": {"note": 1}},
    {"name": "n", "table": {"a": "b"}},
)


def answers(schema: Json) -> Iterator[Call]:
    """The schema as the answer's, in every dialect."""
    say = {"messages": [{"role": "user", "content": "x"}]}
    named = {"type": "json_schema", "name": "n", "schema": schema}
    chat = {"type": "json_schema", "json_schema": {"name": "n", "schema": schema}}
    messages = {"type": "json_schema", "schema": schema}
    yield parse_chat({"model": "m", **say, "response_format": chat}, Params())
    yield parse_response({"model": "m", "input": "x", "text": {"format": named}}, Params())
    body = {"model": "m", **say, "max_tokens": 9, "output_config": {"format": messages}}
    yield parse_request(body, Params())


def tools(schema: Json) -> Iterator[tuple[Call, str]]:
    """The schema as a tool's, in every dialect, and the path it stands at."""
    say = {"messages": [{"role": "user", "content": "x"}]}
    function = {"name": "f", "parameters": schema}
    nested = [{"type": "function", "function": function}]
    flat = [{"type": "function", **function}]
    called = [{"name": "f", "input_schema": schema}]
    space = [{"type": "namespace", "name": "s", "tools": flat}]
    yield (
        parse_chat({"model": "m", **say, "tools": nested}, Params()),
        "tools[].function.parameters",
    )
    legacy = parse_chat({"model": "m", **say, "functions": [function]}, Params())
    yield legacy, "functions[].parameters"
    asked = {"model": "m", "input": "x"}
    yield parse_response({**asked, "tools": flat}, Params()), "tools[].parameters"
    yield parse_response({**asked, "tools": space}, Params()), "tools[].tools[].parameters"
    body = {"model": "m", **say, "max_tokens": 9, "tools": called}
    yield parse_request(body, Params()), "tools[].input_schema"


def sent(call: Call) -> Json | None:
    """The one schema of a request, which Google takes."""
    config = call.request.get("generationConfig", {})
    declared = [d for t in call.request.get("tools", []) for d in t["functionDeclarations"]]
    holder, key = (
        (declared[0], "parametersJsonSchema") if declared else (config, "responseJsonSchema")
    )
    schema: Json | None = holder.get(key)
    check_json_schema(schema, key)
    return schema


def test_what_pydantic_allows_and_forbids_stays_so_in_every_dialect() -> None:
    schema = Form.model_json_schema()
    calls = [*answers(schema), *(call for call, _ in tools(schema))]
    assert len(calls) == 8
    for call in calls:
        judge = jsonschema_rs.Draft202012Validator(sent(call) or False)
        assert [judge.is_valid(value) for value in VALUES] == [True] * len(VALUES)
        assert [judge.is_valid(value) for value in WRONG] == [False] * len(WRONG)
        assert call.dropped == ()


NULLS: tuple[Json, ...] = (
    {"type": ["string", "null"]},
    {"type": "string", "nullable": True},
    {"type": "string", "enum": ["a"], "nullable": True},
    {"type": ["string", "null"], "enum": ["a"]},
    {"type": "string", "enum": ["a", None]},
    {"enum": ["a", 1, None]},
    {"const": None},
    {"oneOf": [{"const": "a"}, {"const": None}]},
    {"$ref": "#/$defs/Maybe"},
    {"$ref": "#/$defs/Text", "nullable": True},
    {"allOf": [{"$ref": "#/$defs/Maybe"}], "description": "d"},
    {"allOf": [{"type": ["string", "null"]}, {"type": ["null", "integer"]}]},
    {"anyOf": [{"$ref": "#/$defs/Text"}, {"type": "null"}]},
    {"anyOf": [{"anyOf": [{"type": "integer"}, {"type": "null"}]}, {"type": "string"}]},
    {"type": "object", "properties": {"x": {}}, "nullable": True},
    {"type": ["array", "null"]},
    {"type": ["array", "string", "null"], "items": {"type": "integer"}},
    {"properties": {"x": {}}, "type": ["object", "null"], "anyOf": [{"type": "null"}, {}]},
)


@pytest.mark.parametrize("null", NULLS, ids=str)
def test_null_stays_allowed_wherever_it_is_said(null: Json) -> None:
    defs = {"Maybe": {"type": ["string", "null"]}, "Text": {"type": "string"}}
    schema = {
        "type": "object",
        "properties": {
            "p": null,
            "rows": {"type": "array", "items": null},
            "pair": {"type": "array", "prefixItems": [null]},
            "map": {"type": "object", "additionalProperties": null},
        },
        "$defs": defs,
    }
    value = {"p": None, "rows": [None], "pair": [None], "map": {"k": None}}
    for call in [*answers(schema), *(call for call, _ in tools(schema))]:
        assert jsonschema_rs.Draft202012Validator(sent(call) or False).is_valid(value)


def test_what_a_schema_loses_is_named_by_its_path() -> None:
    schema = {
        "type": "object",
        "properties": {
            "a": {"type": "string", "not": {"const": "x"}},
            "r": {"type": "array", "items": {"$ref": "#/$defs/D"}},
            "ü": {"$ref": "#/nowhere"},
        },
        "$defs": {"D": {"type": "number", "multipleOf": 0.5}},
    }
    names = ("properties.\\u00fc.$ref", "properties.a.not", "$defs.D.multipleOf")
    for call, path in tools(schema):
        assert set(call.dropped) == {f"{path}.{name}" for name in names}
    chat, responses, messages = answers(schema)
    for call, path in (
        (chat, "response_format.json_schema.schema"),
        (responses, "text.format.schema"),
        (messages, "output_config.format.schema"),
    ):
        assert set(call.dropped) == {f"{path}.{name}" for name in names}


def test_a_free_map_and_any_value_are_sent_as_what_they_are() -> None:
    for call, _ in tools({"type": "object", "additionalProperties": {"type": "integer"}}):
        assert sent(call) == {"type": "object", "additionalProperties": {"type": "integer"}}
    for call, _ in tools({"type": "object", "properties": {"v": True, "w": {}}}):
        assert sent(call) == {"type": "object", "properties": {"v": {}, "w": {}}}
        assert call.dropped == ()
    for call, _ in tools({"type": "object", "properties": {}, "additionalProperties": False}):
        assert sent(call) is None


NO_ARGUMENTS: tuple[Json, ...] = (
    {"type": "array", "items": {"type": "string"}},
    {"type": "string", "minLength": 1},
    {"type": ["array", "null"], "items": {}},
    {"$ref": "#/$defs/Rows", "$defs": {"Rows": {"type": "array", "items": {}}}},
    {"allOf": [{"type": "integer"}, {"minimum": 3}]},
    {"oneOf": [{"type": "string"}, {"type": "integer"}]},
    {"anyOf": [{"type": "array", "items": {}}, {"enum": ["all"]}]},
    {"enum": ["a", "b"]},
    {"const": 3},
    {"items": {"type": "string"}},
)


@pytest.mark.parametrize("schema", NO_ARGUMENTS, ids=str)
def test_a_schema_that_is_no_arguments_is_named_and_told_in_the_description(schema: Json) -> None:
    for call, path in tools(schema):
        assert sent(call) is None
        assert call.dropped == (path,)
        [declared] = call.request["tools"][0]["functionDeclarations"]
        assert json.dumps(schema, separators=(",", ":")) in declared["description"]


def test_a_schema_that_is_no_arguments_is_told_only_where_it_is_short() -> None:
    long = {"type": "array", "items": {"type": "string", "description": "x" * HINT_CHARS}}
    for call, path in tools(long):
        assert call.dropped == (path,)
        [declared] = call.request["tools"][0]["functionDeclarations"]
        assert declared["description"] == ""


@pytest.mark.parametrize(
    "schema",
    [
        *({}, {"type": "object"}, {"type": "object", "properties": {}, "title": "T"}),
        *({"type": ["object", "null"]}, {"anyOf": [{"type": "object"}, {"type": "null"}]}),
    ],
    ids=str,
)
def test_a_tool_that_takes_nothing_loses_nothing(schema: Json) -> None:
    for call, _path in tools(schema):
        assert sent(call) is None
        assert call.dropped == ()


def test_arguments_that_could_also_be_no_object_are_named() -> None:
    schema = {"type": ["object", "array"], "properties": {"a": {"type": "string"}}}
    for call, path in tools(schema):
        assert sent(call) == schema | {"type": "object"}
        assert call.dropped == (f"{path}.type",)


@pytest.mark.parametrize("more", [{}, {"properties": {"a": {"type": "integer"}}}], ids=str)
def test_whole_arguments_to_choose_from_are_named(more: Json) -> None:
    for call, path in tools({"type": "object", "enum": [{"a": 1}, {"a": 2}], **more}):
        assert (sent(call) is None) == (not more)
        assert call.dropped == (f"{path}.enum",)


@pytest.mark.parametrize(
    "schema",
    [
        {"type": "object"},
        {"type": "object", "properties": {}, "title": "T"},
        {"$ref": "#/$defs/Any", "$defs": {"Any": {"type": "object"}}},
        {"description": "what was found"},
    ],
    ids=str,
)
def test_an_answer_that_may_be_any_object_is_json_and_its_schema_is_named(schema: Json) -> None:
    for call in answers(schema):
        assert call.request["generationConfig"]["responseMimeType"] == "application/json"
        assert sent(call) is None
        [named] = call.dropped
        assert named.endswith("schema")


@pytest.mark.parametrize("schema", [{}, {"title": "T"}], ids=str)
def test_an_answer_that_may_be_anything_loses_nothing(schema: Json) -> None:
    for call in answers(schema):
        assert call.request["generationConfig"] == {"responseMimeType": "application/json"} | (
            {"maxOutputTokens": 9} if call.dialect == "anthropic" else {}
        )
        assert call.dropped == ()
