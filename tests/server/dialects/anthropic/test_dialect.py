"""The Messages API as a whole: bodies as clients send them, shortened."""

import json
from typing import Any

import pytest
from anthropic.types import Message, MessageTokensCount
from hypothesis import given
from hypothesis import strategies as st

from server.dialects.anthropic.dialect import (
    DIALECT,
    encode_count,
    parse_count,
    parse_request,
    speaks,
)
from server.dialects.anthropic.stream import Notes, StreamEncoder, encode_response
from server.dialects.base import Generate, Params
from server.errors import BadRequestError
from server.gemini.events import Finish, TextDelta
from server.gemini.types import Call, Count, Json, Level, Thinking
from server.limits import BODY_DEPTH

SESSION = "00000000-0000-4000-8000-000000000000"
HI: Json = {"role": "user", "content": "hi"}
EPHEMERAL = {"cache_control": {"type": "ephemeral"}}
SCHEMA: Json = {
    "type": "object",
    "properties": {"title": {"type": "string"}},
    "required": ["title"],
}


def parse(*messages: Json, **fields: object) -> Call:
    body = {"model": "claude-x", "max_tokens": 32000, "messages": list(messages) or [HI], **fields}
    return parse_request(body, Params())


def config(**fields: object) -> Json:
    return parse(**fields).request.get("generationConfig", {})


def claude_code_turn(**changes: object) -> Json:
    """The first turn of Claude Code 2.1.330 (``claude -p``), texts and tools shortened."""
    tools: list[Json] = [
        {"name": name, "description": name, "input_schema": {**SCHEMA, "$schema": "s"}}
        for name in ("Agent", "Bash", "Read", "ToolSearch", "Write")
    ]
    placeholder = {"name": "DeferredToolPlaceholder", "defer_loading": True, "input_schema": SCHEMA}
    reminder = {"type": "text", "text": "<system-reminder>\nuse git well\n</system-reminder>"}
    prompt = {"type": "text", "text": "read the file"}
    environment = {"type": "text", "text": "# Environment\nlinux", **EPHEMERAL}
    return {
        "model": "gemini-2.5-pro",
        "messages": [
            {"role": "user", "content": [reminder, prompt]},
            {"role": "system", "content": [environment]},
        ],
        "system": [
            {"type": "text", "text": "x-anthropic-billing-header: cc_version=2.1.330.56c;"},
            {"type": "text", "text": "You are a Claude agent.", **EPHEMERAL},
            {"type": "text", "text": "\nYou are an agent working with the user.", **EPHEMERAL},
        ],
        "tools": [*tools[:3], placeholder, *tools[3:]],
        "metadata": {"user_id": json.dumps({"device_id": "0", "session_id": SESSION})},
        "max_tokens": 32000,
        "thinking": {"type": "adaptive", "display": "omitted"},
        "context_management": {"edits": [{"type": "clear_thinking_20251015", "keep": "all"}]},
        "output_config": {"effort": "high"},
        "stream": True,
        **changes,
    }


def test_claude_codes_first_turn() -> None:
    call = parse_request(claude_code_turn(), Params(query={"beta": "true"}))
    assert (call.dialect, call.model, call.stream) == ("anthropic", "gemini-2.5-pro", True)
    assert call.id_prefix == "toolu_"
    assert call.session == SESSION
    assert call.dropped == ()
    assert call.thinking == Thinking(level="high", budget_tokens=-1, include=False)
    assert call.options == Notes(thinking="hidden")
    assert len(call.request["systemInstruction"]["parts"]) == 2
    declared = call.request["tools"][0]["functionDeclarations"]
    assert [d["name"] for d in declared] == ["Agent", "Bash", "Read", "ToolSearch", "Write"]
    assert call.request["contents"] == [
        {
            "role": "user",
            "parts": [
                {"text": "<system-reminder>\nuse git well\n</system-reminder>"},
                {"text": "read the file"},
            ],
        },
        {
            "role": "user",
            "parts": [{"text": "<system-reminder>\n# Environment\nlinux\n</system-reminder>"}],
        },
    ]
    assert call.request["generationConfig"] == {"maxOutputTokens": 32000}


def test_the_interactive_turn_brings_fields_that_are_none_of_our_business() -> None:
    safeguards = [{"type": "dangerous_tool_use", "classifier_context": {"home_dir": "/home/u"}}]
    body = claude_code_turn(
        safeguards=safeguards, thinking={"type": "adaptive", "display": "updates"}
    )
    body["messages"][1]["output_config"] = {"effort": "medium"}
    call = parse_request(body, Params())
    assert call.dropped == ()
    assert (call.thinking.level, call.thinking.budget_tokens) == ("medium", 8192)
    assert call.options == Notes(thinking="hidden")


def test_results_stay_in_the_clients_order() -> None:
    """Claude Code sends them as they finish; pairing is the work of the repair."""
    calls = [
        {"type": "tool_use", "id": f"toolu_{name}", "name": "Read", "input": {"file_path": name}}
        for name in "AB"
    ]
    results = [
        {"type": "tool_result", "tool_use_id": "toolu_B", "content": "b", "is_error": True},
        {"type": "tool_result", "tool_use_id": "toolu_A", "content": "a", **EPHEMERAL},
    ]
    call = parse(HI, {"role": "assistant", "content": calls}, {"role": "user", "content": results})
    answers = [part["functionResponse"] for part in call.request["contents"][2]["parts"]]
    assert [(a["id"], a["response"]) for a in answers] == [
        ("toolu_B", {"error": "b"}),
        ("toolu_A", {"output": "a"}),
    ]


def test_claude_codes_inner_web_search() -> None:
    call = parse(
        tools=[{"type": "web_search_20250305", "name": "web_search", "max_uses": 8}],
        tool_choice={"type": "auto"},
        output_config={"effort": "high"},
    )
    assert call.request["tools"] == [{"googleSearch": {}}]
    assert call.options == Notes(search=True)


@pytest.mark.parametrize(
    "fields",
    [
        {
            "output_config": {
                "effort": "medium",
                "format": {"type": "json_schema", "schema": SCHEMA},
            }
        },
        {"output_format": {"type": "json_schema", "schema": SCHEMA}},
    ],
)
def test_structured_output(fields: Json) -> None:
    """Claude Code's session titles, and ``messages.parse`` of the SDKs."""
    call = parse(**fields)
    assert call.request["generationConfig"] == {
        "maxOutputTokens": 32000,
        "responseMimeType": "application/json",
        "responseJsonSchema": SCHEMA,
    }


def test_an_unknown_output_format_is_left_alone() -> None:
    assert config(output_config={"format": {"type": "grammar"}}) == {"maxOutputTokens": 32000}


def test_generation_config_holds_what_was_given_and_no_more() -> None:
    given = config(max_tokens=64, temperature=0.5, top_p=0.9, top_k=40)
    assert given == {"maxOutputTokens": 64, "temperature": 0.5, "topP": 0.9, "topK": 40}
    assert config(temperature=9, top_p=-1, top_k=0) == {
        "maxOutputTokens": 32000,
        "temperature": 2.0,
        "topP": 0.0,
        "topK": 1,
    }


def test_stop_sequences_are_matched_here_and_not_sent() -> None:
    call = parse(stop_sequences=["\nObservation:", "END"])
    assert call.stop == ("\nObservation:", "END")
    assert "stopSequences" not in call.request["generationConfig"]


ADAPTIVE = {"type": "adaptive"}


@pytest.mark.parametrize(
    ("thinking", "effort", "level", "budget"),
    [
        (ADAPTIVE, None, None, -1),
        (ADAPTIVE, "low", "low", 2048),
        (ADAPTIVE, "medium", "medium", 8192),
        (ADAPTIVE, "high", "high", -1),
        (ADAPTIVE, "xhigh", "xhigh", 27904),
        (ADAPTIVE, "max", "xhigh", 27904),
        (ADAPTIVE, "unheard-of", None, -1),
        ({"type": "enabled", "budget_tokens": 1024}, None, "minimal", 1024),
        ({"type": "enabled", "budget_tokens": 4096}, "high", "low", 4096),
        ({"type": "enabled", "budget_tokens": 12288}, None, "medium", 12288),
        ({"type": "enabled", "budget_tokens": 12289}, None, "high", 12289),
        ({"type": "enabled", "budget_tokens": 31999}, None, "high", 27904),
        ({"type": "enabled"}, None, None, -1),
    ],
)
def test_thinking_asked_for(
    thinking: Json, effort: str | None, level: Level | None, budget: int
) -> None:
    call = parse(thinking=thinking, output_config={"effort": effort})
    assert call.thinking == Thinking(level=level, budget_tokens=budget, include=True)
    assert call.options == Notes(thinking="shown")


@pytest.mark.parametrize(
    ("fields", "level", "budget"),
    [
        ({"thinking": {"type": "disabled"}}, "off", None),
        ({"thinking": {"type": "between_tools"}, "output_config": {"effort": "high"}}, "off", None),
        ({"max_tokens": 1}, "off", None),
        ({"max_tokens": 1023, "output_config": {"effort": "high"}}, "off", None),
        ({"max_tokens": 1024}, None, None),
        ({"output_config": {"effort": "low"}}, "low", 2048),
        ({"max_tokens": 1024, "output_config": {"effort": "max"}}, "xhigh", 5120),
        ({"thinking": {"type": "unheard-of"}}, None, None),
    ],
)
def test_thinking_not_asked_for_gets_room_of_its_own(
    fields: Json, level: Level | None, budget: int | None
) -> None:
    call = parse(**fields)
    assert call.thinking == Thinking(level=level, budget_tokens=budget, headroom_tokens=8192)
    assert call.options == Notes()


@pytest.mark.parametrize(
    ("display", "include"),
    [(None, True), ("summarized", True), ("omitted", False), ("updates", False)],
)
def test_display_decides_what_is_shown(display: str | None, include: bool) -> None:
    call = parse(thinking={"type": "adaptive", "display": display})
    assert call.thinking.include is include
    assert call.options == Notes(thinking="shown" if include else "hidden")


def test_a_cache_warm_up_asks_for_as_little_as_upstream_can_give() -> None:
    call = parse(max_tokens=0, thinking=ADAPTIVE)
    assert call.request["generationConfig"] == {"maxOutputTokens": 1}
    assert call.thinking == Thinking(level="off")
    assert call.options == Notes(warm_up=True)


def test_one_tool_at_a_time() -> None:
    tools = [{"name": "get_weather", "input_schema": {"type": "object"}}]
    choice = {"type": "tool", "name": "get_weather", "disable_parallel_tool_use": True}
    call = parse(tools=tools, tool_choice=choice)
    assert call.parallel_tool_calls is False
    assert call.request["toolConfig"] == {
        "functionCallingConfig": {"mode": "ANY", "allowedFunctionNames": ["get_weather"]}
    }


@pytest.mark.parametrize(
    ("headers", "user", "session"),
    [
        ({}, None, None),
        ({}, "", None),
        ({}, 7, None),
        ({}, "user-1", "user-1"),
        ({}, "[1]", "[1]"),
        ({}, "[" * 100_000, "[" * 100_000),
        ({}, json.dumps({"session_id": SESSION}), SESSION),
        ({}, json.dumps({"session_id": 1}), '{"session_id": 1}'),
        ({"x-claude-code-session-id": "s"}, "user-1", "s"),
        ({"x-claude-code-session-id": ""}, "user-1", "user-1"),
    ],
    ids=range(10),
)
def test_the_session(headers: dict[str, str], user: object, session: str | None) -> None:
    body = {"model": "m", "max_tokens": 9, "messages": [HI], "metadata": {"user_id": user}}
    assert parse_request(body, Params(headers=headers)).session == session


def test_what_could_not_be_honoured_is_named() -> None:
    call = parse(
        mcp_servers=[{"name": "s"}],
        telepathy=True,
        nothing=None,
        service_tier="auto",
        betas=["x"],
        cache_control={"type": "ephemeral"},
        tools=[{"type": "mcp_toolset", "mcp_server_name": "s"}],
    )
    assert call.dropped == ("mcp_servers", "telepathy", "tools[]")


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"model": None}, "model: Field required"),
        ({"model": 5}, "model: Input should be a valid string"),
        ({"max_tokens": None}, "max_tokens: Field required"),
        ({"max_tokens": "9"}, "max_tokens: Input should be a valid integer"),
        ({"max_tokens": True}, "max_tokens: Input should be a valid integer"),
        ({"max_tokens": -1}, "max_tokens: Input should be greater than or equal to 0"),
        ({"messages": None}, "messages: Field required"),
        ({"messages": []}, "messages: at least one message is required"),
        ({"system": 5}, "system: Input should be a valid list"),
        ({"system": ["s"]}, "system.0: Input should be a valid object"),
        ({"temperature": "hot"}, "temperature: Input should be a valid number"),
        ({"stream": "yes"}, "stream: Input should be a valid boolean"),
        ({"thinking": True}, "thinking: Input should be a valid object"),
        ({"thinking": {}}, "thinking.type: Field required"),
        ({"output_config": []}, "output_config: Input should be a valid object"),
        (
            {"output_config": {"format": {"type": "json_schema"}}},
            "output_config.format.schema: Field required",
        ),
        (
            {"stop_sequences": ["a", "\n"]},
            "stop_sequences: each stop sequence must contain non-whitespace",
        ),
        ({"stop_sequences": [1]}, "stop_sequences.0: Input should be a valid string"),
    ],
)
def test_what_cannot_be_understood_is_named(changes: Json, message: str) -> None:
    with pytest.raises(BadRequestError) as caught:
        parse(**changes)
    assert caught.value.message == message
    assert caught.value.param == message.partition(": ")[0]


def test_a_body_that_is_no_object() -> None:
    with pytest.raises(BadRequestError):
        parse_request([], Params())  # type: ignore[arg-type]


def test_counting_needs_no_max_tokens() -> None:
    body: Json = {"model": "gemini-2.5-pro", "messages": [{"role": "user", "content": "foo"}]}
    call = parse_count({**body, "tools": []}, Params())
    assert call.request == {"contents": [{"role": "user", "parts": [{"text": "foo"}]}]}
    assert MessageTokensCount.model_validate(encode_count(Count(7))).input_tokens == 7


def test_n8ns_credential_test_is_answered() -> None:
    """One token is asked for; the model may have spent it on a thought."""
    call = parse({"role": "user", "content": "Hey"}, max_tokens=1)
    body = encode_response(call, [Finish("MAX_TOKENS")])
    message = Message.model_validate(body)
    assert (message.stop_reason, message.content) == ("max_tokens", [])


def test_the_model_asked_for_is_told_back() -> None:
    assert encode_response(parse(), [Finish("STOP")])["model"] == "claude-x"


@pytest.mark.parametrize(
    ("headers", "ours"),
    [
        ({"anthropic-version": "2023-06-01"}, True),
        ({"anthropic-version": "2026-10-21", "authorization": "Bearer k"}, True),
        ({"x-api-key": "k"}, True),
        ({"x-api-key": "k", "authorization": "bearer k"}, False),
        ({"x-api-key": "k", "authorization": "Basic k"}, True),
        ({"authorization": "Bearer k"}, False),
        ({}, False),
    ],
)
def test_whose_headers_these_are(headers: dict[str, str], ours: bool) -> None:
    assert speaks(headers) is ours


def test_the_dialect_is_wired_up() -> None:
    addresses = [(route.method, route.path) for route in DIALECT.routes]
    assert addresses == [
        ("POST", "/v1/messages"),
        ("POST", "/v1/messages/count_tokens"),
        ("GET", "/v1/models"),
        ("GET", "/v1/models/{id}"),
    ]
    generate = DIALECT.routes[0].operation
    assert isinstance(generate, Generate)
    assert isinstance(generate.encoder(parse()), StreamEncoder)
    assert (DIALECT.name, DIALECT.request_id_header) == ("anthropic", "request-id")


ANY_JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=5),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=5), inner),
    max_leaves=8,
)


def shaped(**fields: st.SearchStrategy[Any]) -> st.SearchStrategy[Json]:
    """Objects with these fields, any of which may be missing or be anything."""
    return st.fixed_dictionaries({}, optional={k: v | ANY_JSON for k, v in fields.items()})


KINDS = st.sampled_from(
    (
        *("text", "image", "document", "thinking", "tool_use", "tool_result", "search_result"),
        *("server_tool_use", "web_search_tool_result", "tool_addition", "compaction", "hologram"),
    )
)
SOURCES = shaped(
    type=st.sampled_from(["base64", "url", "text", "content", "file"]),
    media_type=st.sampled_from(["image/png", "application/pdf"]),
    data=st.just("aGk="),
    url=st.sampled_from(["data:image/png;base64,aGk=", "https://example.org/", "data:,", "data:x"]),
    content=st.just([{"type": "text", "text": "x"}]),
)
DEFINITIONS = shaped(
    type=st.sampled_from(["custom", "bash_20250124", "web_search_20250305", "mcp_toolset"]),
    name=st.sampled_from(["Bash", "ToolSearch"]),
    input_schema=st.just(SCHEMA),
    defer_loading=st.booleans(),
)
BLOCKS = shaped(
    type=KINDS,
    text=st.text(max_size=3),
    id=st.just("t1"),
    tool_use_id=st.just("t1"),
    name=st.just("Bash"),
    input=ANY_JSON,
    source=SOURCES,
    content=st.lists(shaped(type=KINDS, text=st.just("x"), source=SOURCES), max_size=2),
    signature=st.just("gp1.m~c2ln"),
    tool=shaped(name=st.just("Bash"), definition=DEFINITIONS),
    tool_changes=st.just([{"type": "tool_removal", "tool": {"name": "Bash"}}]),
)
BODIES = st.fixed_dictionaries(
    {
        "model": st.just("claude-x"),
        "max_tokens": st.integers(0, 9999),
        "messages": st.lists(
            st.fixed_dictionaries(
                {
                    "role": st.sampled_from(["user", "assistant", "system"]),
                    "content": st.text(max_size=3) | st.lists(BLOCKS, max_size=3),
                }
            ),
            max_size=3,
        )
        | ANY_JSON,
    },
    optional={
        "system": st.text(max_size=3) | ANY_JSON,
        "tools": st.lists(DEFINITIONS, max_size=2) | ANY_JSON,
        "tool_choice": shaped(type=st.sampled_from(["any", "tool"]), name=st.just("Bash")),
        "thinking": shaped(type=st.sampled_from(["enabled", "adaptive"]), budget_tokens=ANY_JSON),
        "output_config": shaped(effort=st.just("low"), format=shaped(type=st.just("json_schema"))),
        "stop_sequences": st.just(["x"]) | ANY_JSON,
        "metadata": shaped(user_id=st.just("{}")),
        "temperature": ANY_JSON,
        "top_k": ANY_JSON,
    },
)


def test_what_metadata_says_besides_the_user_is_named() -> None:
    body = {"model": "m", "max_tokens": 9, "messages": [HI], "metadata": {"user_id": "u", "x": 1}}
    assert parse_request(body, Params()).dropped == ("metadata.x",)


@given(body=BODIES | ANY_JSON)
def test_any_json_is_a_call_or_a_bad_request(body: Any) -> None:
    for parse_body in (parse_request, parse_count):
        try:
            call = parse_body(body, Params())
        except BadRequestError:
            continue
        assert any(content["parts"] for content in call.request["contents"])
        json.dumps(call.request)


DEEP: list[Json] = [
    {"tools": [{"name": "f", "input_schema": "DEEP"}]},
    {"output_config": {"format": {"type": "json_schema", "schema": "DEEP"}}},
    {"messages": [{"role": "user", "content": [{"type": "mcp_tool_result", "content": "DEEP"}]}]},
    {
        "messages": [
            {
                "role": "assistant",
                "content": [{"type": "tool_use", "id": "t", "name": "f", "input": "DEEP"}],
            }
        ]
    },
    {"telepathy": "DEEP"},
]


@pytest.mark.parametrize("fields", DEEP, ids=range(5))
def test_json_nested_as_deep_as_it_can_be_read(fields: Json) -> None:
    depth = BODY_DEPTH - 10  # what is around it counts as well
    deep = '{"properties":' * depth + "{}" + "}" * depth
    changes = json.loads(json.dumps(fields).replace('"DEEP"', deep))
    body = {"model": "m", "max_tokens": 9, "messages": [HI], **changes}
    try:
        call = parse_request(body, Params())
    except BadRequestError:
        return
    StreamEncoder(call).feed(TextDelta("a"))
