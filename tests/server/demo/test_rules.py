"""Every rule refuses what breaks it, and lets its neighbour pass."""

from typing import Any

import pytest

from server.demo import rules
from server.demo.errors import GoogleError
from server.demo.messages import GENERATE
from server.demo.proto import read
from tests.google.catalogue import FakeModel
from tests.google.table import CATALOGUE
from tests.support import user, weather_tool

Json = dict[str, Any]

MODELS = {model.id: model for model in CATALOGUE}
FLASH_25, FLASH_3 = "gemini-2.5-flash", "gemini-3-flash-preview"
GENERATION_4 = ("gemini-4-argon", "gemini-4-carbon", "gemini-4-hydrogen", "gemini-4-neon")
JSON_MIME = {"responseMimeType": "application/json"}
SEARCH: Json = {"googleSearch": {}}


def judge(model_id: str = FLASH_25, **request: object) -> None:
    """Check one request; ``contents`` may be left out."""
    model: FakeModel = MODELS[model_id]
    body = read(GENERATE, {"contents": [user("hi")], **request})
    rules.check(body, model)


def refusal(model_id: str = FLASH_25, **request: object) -> str:
    with pytest.raises(GoogleError) as caught:
        judge(model_id, **request)
    assert caught.value.status in (400, 403)
    return str(caught.value)


def config(**fields: object) -> Json:
    return {"generationConfig": fields}


def tools(*entries: Json, **more: object) -> Json:
    return {"tools": list(entries), **more}


def declared(**changes: object) -> Json:
    return tools(weather_tool(**changes))


def calling(**fields: object) -> Json:
    return {"toolConfig": {"functionCallingConfig": fields}}


@pytest.mark.parametrize(
    ("model_id", "request_"),
    [
        (FLASH_25, {}),
        (FLASH_25, config(temperature=2, topP=1, topK=64, seed=-5, maxOutputTokens=65536)),
        (FLASH_25, config(stopSequences=["1", "2", "3", "4", "5"])),
        (FLASH_25, config(presencePenalty=0.0, candidateCount=1)),
        (FLASH_25, config(thinkingConfig={"thinkingBudget": 0})),
        (FLASH_25, config(thinkingConfig={"thinkingBudget": -1, "includeThoughts": True})),
        (FLASH_3, config(thinkingConfig={"thinkingLevel": "minimal"})),
        (FLASH_3, config(thinkingConfig={"thinkingBudget": 512})),
        ("gemini-4-neon", config(thinkingConfig={"thinkingLevel": "XHIGH"})),
        ("gemini-4-hydrogen", config(thinkingConfig={"thinkingLevel": "XHIGH"})),
        ("gemini-4-hydrogen", config(maxOutputTokens=200_000)),
        (FLASH_25, config(**JSON_MIME, responseJsonSchema={"type": "object", "x-any": 1})),
        (FLASH_3, config(**JSON_MIME) | declared()),
        (FLASH_25, declared()),
        (FLASH_25, declared() | calling(mode="ANY", allowedFunctionNames=["get_weather"])),
        (FLASH_25, tools({"functionDeclarations": [{"name": "now"}]})),
        (FLASH_25, tools(SEARCH, {"urlContext": {}})),
    ],
)
def test_correct_requests_pass(model_id: str, request_: Json) -> None:
    judge(model_id, **request_)


@pytest.mark.parametrize(
    ("model_id", "fields", "words"),
    [
        (FLASH_25, {"temperature": 2.1}, "temperature value of 2.1"),
        (FLASH_25, {"topP": 1.5}, "topP value"),
        (FLASH_25, {"topK": 65}, "topK value"),
        (FLASH_25, {"frequencyPenalty": 0.5}, "Penalty is not enabled"),
        (FLASH_25, {"presencePenalty": -1}, "Penalty is not enabled"),
        (FLASH_25, {"candidateCount": 2}, "Multiple candidates"),
        (FLASH_25, {"maxOutputTokens": 65537}, "from 1 (inclusive) to 65537 (exclusive)"),
        (FLASH_25, {"maxOutputTokens": 0}, "maxOutputTokens value of 0"),
        (FLASH_25, {"stopSequences": list("123456")}, "6 stop sequences"),
        (FLASH_25, {"stopSequences": [""]}, "stop sequence is empty"),
        (FLASH_25, {"logprobs": 3}, "response_logprobs"),
        (FLASH_3, {"responseLogprobs": True}, "Logprobs is not enabled"),
        (FLASH_25, {"responseMimeType": "text/html"}, "allowed mimetypes"),
        (FLASH_25, {"responseJsonSchema": {"type": "object"}}, "only supported with"),
        (
            FLASH_25,
            JSON_MIME | {"responseSchema": {"type": "STRING"}, "responseJsonSchema": {}},
            "Only one of response_schema",
        ),
        (FLASH_25, {"responseModalities": ["IMAGE"]}, "only supports text output"),
        ("gemini-4-neon", {"frequencyPenalty": 0.5}, "Penalty is not enabled"),
        ("gemini-4-neon", {"candidateCount": 2}, "Multiple candidates"),
        ("gemini-4-neon", {"maxOutputTokens": 1_048_577}, "to 1048577 (exclusive)"),
        ("gemini-3.8-flash-tts", {}, "accepts the following combination of response modalities"),
        ("deep-research-pro-preview-12-2025", {}, "only supports Interactions API"),
    ],
)
def test_settings_out_of_range_are_refused(model_id: str, fields: Json, words: str) -> None:
    assert words in refusal(model_id, **config(**fields))


@pytest.mark.parametrize(
    ("model_id", "thinking", "words"),
    [
        ("gemini-2.5-pro", {"thinkingBudget": 0}, "setting thinking_budget to 0"),
        ("gemini-2.5-pro", {"thinkingBudget": 127}, "between 128 and 32768"),
        (FLASH_25, {"thinkingBudget": 24577}, "between 1 and 24576"),
        ("gemini-2.5-flash-lite", {"thinkingBudget": 100}, "between 512"),
        (FLASH_25, {"thinkingLevel": "LOW"}, "Thinking level is not supported"),
        (FLASH_25, {"thinkingBudget": 0, "includeThoughts": True}, "include_thoughts"),
        (FLASH_3, {"thinkingBudget": 1, "thinkingLevel": "LOW"}, "only one of"),
        ("gemini-3.1-pro-preview", {"thinkingBudget": 0}, "thinking_budget to 0"),
        ("gemini-3.7-flash", {"thinkingLevel": "MINIMAL"}, "'minimal' is not a supported"),
        ("gemini-3-pro-preview", {"thinkingLevel": "MEDIUM"}, "'medium' is not a supported"),
        *(
            (
                model_id,
                {"thinkingBudget": 512},
                "Thinking budget is not supported for this model. Use thinking level instead.",
            )
            for model_id in GENERATION_4
        ),
        *(
            (
                model_id,
                {"thinkingLevel": "minimal"},
                "'minimal' is not a supported thinking level for this model. Allowed values are: "
                "medium, low, high",
            )
            for model_id in (*GENERATION_4, "gemini-3.8-flash")
        ),
        ("gemini-4-argon", {"thinkingLevel": "XHIGH"}, "'xhigh' is not a supported"),
        ("gemini-4-carbon", {"thinkingLevel": "XHIGH"}, "'xhigh' is not a supported"),
    ],
)
def test_thinking_follows_the_model(model_id: str, thinking: Json, words: str) -> None:
    assert words in refusal(model_id, **config(thinkingConfig=thinking))


@pytest.mark.parametrize(
    ("request_", "words"),
    [
        (tools({}), "required one_of 'tool_type'"),
        (tools({"functionDeclarations": []}), "required one_of 'tool_type'"),
        (tools(weather_tool(), weather_tool(name="b")), "Multiple tools are supported only"),
        (declared(name="no spaces"), "Invalid function name"),
        (declared(name="9lives"), "Invalid function name"),
        (declared(name="x" * 65), "Invalid function name"),
        (declared(parameters={"type": "STRING"}), "only one of parameters"),
        (declared(parametersJsonSchema={"type": "array", "items": {}}), "should be of type OBJECT"),
        (
            tools({"functionDeclarations": [{"name": "a"}, {"name": "a"}]}),
            "Duplicate function declaration found: a",
        ),
        (calling(mode="AUTO"), "set without function_declarations"),
        (declared() | calling(mode="ANY", allowedFunctionNames=["b"]), "'b' is not declared"),
        (declared() | calling(mode="AUTO", allowedFunctionNames=["get_weather"]), "mode is ANY"),
        (tools(weather_tool(), SEARCH), "Tool use with function calling is unsupported"),
        (declared() | config(**JSON_MIME), "Function calling with a response mime type"),
        (tools(SEARCH) | config(**JSON_MIME), "Tool use with a response mime type"),
        ({"cachedContent": "cachedContents/x"}, "CachedContent not found"),
        (
            {
                "safetySettings": [
                    {"category": "HARM_CATEGORY_HARASSMENT", "threshold": "OFF"},
                    {"category": "HARM_CATEGORY_HARASSMENT", "threshold": "BLOCK_NONE"},
                ]
            },
            "Duplicate safety settings",
        ),
    ],
)
def test_tools_and_their_settings(request_: Json, words: str) -> None:
    assert words in refusal(FLASH_25, **request_)


def test_gemini_3_mixes_search_and_functions_only_with_the_flag() -> None:
    mixed = tools(weather_tool(), SEARCH)
    flag: Json = {"toolConfig": {"includeServerSideToolInvocations": True}}
    assert "include_server_side_tool_invocations" in refusal(FLASH_3, **mixed)
    judge(FLASH_3, **mixed, **flag)


def _with_parameters(schema: Json) -> Json:
    return tools({"functionDeclarations": [{"name": "f", "parameters": schema}]})


@pytest.mark.parametrize(
    ("schema", "words"),
    [
        ({"type": "object", "properties": {}}, "should be non-empty for OBJECT type"),
        ({"type": "object", "properties": {"a": {"type": "array"}}}, "items: missing field"),
        (
            {"type": "object", "properties": {"a": {"type": "integer", "enum": ["1"]}}},
            "only allowed for STRING type",
        ),
        (
            {"type": "object", "properties": {"a": {"type": "string", "format": "uri"}}},
            "only 'enum' and 'date-time'",
        ),
        (
            {"type": "object", "properties": {"a": {"type": "string"}}, "required": ["b"]},
            "property is not defined",
        ),
    ],
)
def test_typed_schemas_must_make_sense(schema: Json, words: str) -> None:
    assert words in refusal(**_with_parameters(schema))


@pytest.mark.parametrize(
    ("keyword", "path"),
    [
        ({"$schema": "x"}, "parameters'"),
        ({"properties": {"n": {"exclusiveMinimum": 1}}}, "parameters.properties[0].value'"),
        ({"properties": {"n": {"const": 1}}}, "parameters.properties[0].value'"),
        ({"items": {"oneOf": []}}, "parameters.items'"),
    ],
)
def test_unknown_keywords_of_a_typed_schema_carry_their_path(keyword: Json, path: str) -> None:
    text = refusal(**_with_parameters({"type": "object", **keyword}))
    assert "Cannot find field" in text
    assert f"tools[0].function_declarations[0].{path}" in text


def _free(schema: object) -> Json:
    return declared(parametersJsonSchema=schema)


def test_a_free_schema_may_use_any_keyword_and_references() -> None:
    tree = {
        "$schema": "https://json-schema.org/draft/2020-12/schema",
        "type": "object",
        "properties": {"leaf": {"$ref": "#/$defs/leaf"}, "n": {"exclusiveMinimum": 3}},
        "$defs": {"leaf": {"type": ["string", "null"], "x-note": True}},
        "additionalProperties": False,
    }
    judge(**_free(tree))


def test_a_free_schema_must_end() -> None:
    endless = {
        "type": "object",
        "properties": {"next": {"$ref": "#/$defs/node"}},
        "$defs": {"node": {"type": "object", "properties": {"next": {"$ref": "#/$defs/node"}}}},
    }
    assert "maximum schema depth exceeded" in refusal(**_free(endless))
    deep: Json = {"type": "string"}
    for _ in range(40):
        deep = {"type": "object", "properties": {"in": deep}}
    assert "maximum schema depth exceeded" in refusal(**_free(deep))


def test_a_reference_must_lead_somewhere() -> None:
    assert "cannot resolve $ref" in refusal(**_free({"properties": {"a": {"$ref": "#/$defs/no"}}}))
    assert "must be an object" in refusal(**_free(True))


def test_input_longer_than_the_window_is_refused_with_the_numbers() -> None:
    small = FakeModel(id="gemini-2.5-flash", input_limit=10)
    with pytest.raises(GoogleError, match=r"token count \(25\) exceeds .* allowed \(10\)"):
        rules.check({"contents": [user("x" * 100)]}, small)


def test_one_unary_answer_of_4_holds_half_of_a_hop() -> None:
    def unary(model_id: str, most: int, **more: object) -> None:
        body = {"contents": [user("hi")], **config(maxOutputTokens=most), **more}
        rules.check(body, MODELS[model_id], streams=False)

    for model_id in GENERATION_4:
        unary(model_id, 32_768)
        with pytest.raises(GoogleError, match="must not exceed 32768 for non-streaming requests"):
            unary(model_id, 32_769)
        unary(model_id, 200_000, continuationToken="Y29udC0x")
    unary("gemini-3.8-flash", 65_536)


ARRAY: Json = {"type": "array"}
NULLABLE: Json = {"type": "string", "nullable": True}


def _around(inner: Json) -> list[Json]:
    """Schemas with ``inner`` in them, at every place that a schema can stand in."""
    field: Json = {"type": "object", "properties": {"a": inner}}
    return [
        field,
        {"type": "object", "properties": {"a": field}},
        {"type": "object", "properties": {"a": {"type": "array", "items": inner}}},
        {"type": "object", "properties": {"a": {"anyOf": [{"type": "null"}, inner]}}},
        {"type": "object", "properties": {"a": {"oneOf": [inner]}}},
        {"type": "object", "additionalProperties": inner},
        {
            "type": "object",
            "properties": {"a": {"$ref": "#/$defs/A"}},
            "$defs": {"A": inner},
        },
        {
            "type": "object",
            "properties": {"a": {"type": "array", "prefixItems": [inner], "items": {}}},
        },
    ]


@pytest.mark.parametrize("schema", _around(NULLABLE))
def test_nullable_is_no_word_of_a_json_schema(schema: Json) -> None:
    answer = JSON_MIME | {"responseJsonSchema": schema}
    assert 'Unknown name "nullable"' in refusal(**config(**answer))
    assert 'Unknown name "nullable"' in refusal(**_free(schema))


@pytest.mark.parametrize(
    "array", [ARRAY, {"type": ["array", "null"]}, {"type": ["string", "array"]}]
)
def test_every_array_says_what_is_in_it(array: Json) -> None:
    for schema in _around(array):
        assert ".items: missing field." in refusal(**_free(schema))
        answer = JSON_MIME | {"responseJsonSchema": schema}
        assert ".items: missing field." in refusal(**config(**answer))
    for schema in _around({**array, "items": {}}):
        judge(**_free(schema))


def test_data_in_a_schema_is_no_schema() -> None:
    """Property names, defaults and enums may say what they like."""
    judge(
        **_free(
            {
                "type": "object",
                "properties": {
                    "nullable": {"type": "boolean"},
                    "a": {"enum": ["x"], "default": {"nullable": 1, "type": "array"}},
                },
            }
        )
    )


def test_many_settings_and_functions_are_refused_in_short() -> None:
    setting = {"category": "HARM_CATEGORY_HARASSMENT", "threshold": "BLOCK_NONE"}
    assert len(str(refusal(safetySettings=[setting] * 100_000))) < 1000
    many = [{"name": f"f{n}"} for n in range(30_000)]
    assert "Duplicate function declaration" in str(
        refusal(tools=[{"functionDeclarations": [*many, many[0]]}])
    )
