import json
from collections.abc import Iterable
from contextlib import suppress
from typing import Any

import openai
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from openai.types.chat import ChatCompletion, ChatCompletionChunk, ChatCompletionMessage

from server.dialects.base import Params
from server.dialects.openai.dialect import DIALECT, chat_encoder, encode_chat, parse_chat
from server.errors import BadRequestError, RateLimitError
from server.gemini.events import (
    Code,
    Event,
    Finish,
    FunctionCall,
    Grounding,
    InlineData,
    TextDelta,
    TextSignature,
    ThoughtDelta,
    UsageSeen,
)
from server.gemini.types import Call, Json, Thinking, Usage
from tests.server.dialects.openai.support import (
    JSON_VALUES,
    Desk,
    answers,
    chunks_of,
    events_of,
    folded,
    refused,
    strict,
)

HI: Any = [{"role": "user", "content": "hi"}]
WEATHER: Json = {
    "type": "function",
    "function": {
        "name": "get_weather",
        "parameters": {"type": "object", "properties": {"city": {"type": "string"}}},
    },
}
USAGE = UsageSeen(Usage(10, 4, 3, 2))
STOP = Finish("STOP")


def parse(headers: dict[str, str] | None = None, /, **body: object) -> Call:
    return parse_chat({"model": "m", "messages": HI, **body}, Params(headers=headers or {}))


def streamed(call: Call, events: Iterable[Event]) -> list[Json]:
    encoder = chat_encoder(call)
    return chunks_of(b"".join([*map(encoder.feed, events), encoder.finish()]))


def deltas(events: Iterable[Event], **body: object) -> list[Json]:
    """The deltas of a stream of one choice, without the role."""
    chunks = streamed(parse(**body), [*events, STOP])
    return [chunk["choices"][0]["delta"] for chunk in chunks[1:-1]]


def message(events: Iterable[Event], **body: object) -> Json:
    found: Json = encode_chat(parse(**body), [*events, STOP])["choices"][0]["message"]
    return found


def called(name: str, args: Json, signature: str | None = None, number: int = 1) -> FunctionCall:
    return FunctionCall(f"call_{number}", name, args, signature, "gemini-3-pro-preview")


# -- parse


def test_a_plain_request_sends_nothing_that_was_not_said() -> None:
    call = parse()
    assert call.request == {"contents": [{"role": "user", "parts": [{"text": "hi"}]}]}
    assert call.thinking == Thinking(include=True)
    assert (call.dialect, call.model, call.stream, call.dropped) == ("openai-chat", "m", False, ())


def test_a_full_request_is_read() -> None:
    call = parse(
        stream=True,
        stream_options={"include_usage": True, "include_obfuscation": False},
        max_completion_tokens=32_000,
        max_tokens=10,
        temperature=0,
        n=2,
        tools=[WEATHER],
        tool_choice="auto",
        parallel_tool_calls=False,
        response_format={"type": "json_object"},
    )
    assert call.request["generationConfig"] == {
        "temperature": 0,
        "maxOutputTokens": 32_000,
        "responseMimeType": "application/json",
    }
    assert call.request["tools"][0]["functionDeclarations"][0]["name"] == "get_weather"
    assert (call.stream, call.choices, call.parallel_tool_calls) == (True, 2, False)
    assert call.dropped == ()


def test_fields_that_change_nothing_are_not_named_and_the_others_are() -> None:
    call = parse(
        user="u",
        metadata={"a": "b"},
        store=False,
        service_tier="auto",
        tool_choice="auto",
        logit_bias={"50256": -100},
        prediction={"type": "content", "content": "x"},
        audio={"voice": "alloy"},
        frequency_penalty=1,
        logprobs=True,
        verbosity="low",
        something_new=1,
        nothing_new=None,
    )
    assert sorted(call.dropped) == [
        *("audio", "frequency_penalty", "logit_bias", "logprobs", "prediction"),
        *("something_new", "verbosity"),
    ]


def test_googles_extensions_are_read_at_both_places() -> None:
    google = {
        "thinking_config": {"thinking_budget": 100, "include_thoughts": True},
        "safety_settings": [{"category": "HARM_CATEGORY_HARASSMENT", "threshold": "BLOCK_NONE"}],
        "cached_content": "cachedContents/1",
    }
    for body, prefix in (
        ({"extra_body": {"google": google}}, "extra_body."),
        ({"google": google}, ""),
    ):
        call = parse(**body)
        assert call.thinking.config == {"thinkingBudget": 100, "includeThoughts": True}
        assert call.request["safetySettings"] == google["safety_settings"]
        assert call.dropped == (f"{prefix}google.cached_content",)


def test_web_search_options_ask_for_google_search() -> None:
    assert parse(web_search_options={}).request["tools"] == [{"googleSearch": {}}]


def test_an_image_can_be_asked_for_but_no_sound() -> None:
    assert "generationConfig" not in parse(modalities=["text"]).request
    config = parse(modalities=["text", "image"]).request["generationConfig"]
    assert config == {"responseModalities": ["TEXT", "IMAGE"]}
    body = {"model": "m", "messages": HI, "modalities": ["text", "audio"]}
    assert refused(parse_chat, body) == ("modalities", "unsupported_parameter")


def test_empty_tools_with_a_tool_history_send_no_tools() -> None:
    """Agents compact a conversation with ``tools: []``."""
    history = [
        *HI,
        {"role": "assistant", "tool_calls": [{"id": "a", "function": {"name": "x"}}]},
        {"role": "tool", "tool_call_id": "a", "content": "1"},
    ]
    request = parse(messages=history, tools=[], tool_choice="auto").request
    assert request.keys() == {"contents"}


def test_the_conversation_is_known_by_what_its_client_calls_it() -> None:
    assert parse({"x-session-id": "ses_1"}).session == "ses_1"
    assert parse({"x-session-id": "ses_1"}, prompt_cache_key="k").session == "k"
    assert parse().session is None


@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("model", None),
        ("model", 5),
        ("messages", None),
        ("stream", "yes"),
        ("stream_options", True),
        ("max_tokens", 0),
        ("max_tokens", "100"),
        ("tools", "all"),
        ("parallel_tool_calls", "no"),
        ("response_format", "json"),
        ("extra_body", "x"),
        ("prompt_cache_key", 1),
        ("modalities", "text"),
    ],
)
def test_a_bad_field_is_named(field: str, value: object) -> None:
    assert refused(parse_chat, {"model": "m", "messages": HI, field: value})[0] == field


FIELDS = (
    *("tools", "tool_choice", "functions", "function_call", "response_format", "stop"),
    *("reasoning", "thinking", "extra_body", "google", "stream_options", "modalities"),
)
BODIES = st.fixed_dictionaries(
    {"model": st.just("m"), "messages": st.just(HI) | JSON_VALUES},
    optional=dict.fromkeys(FIELDS, JSON_VALUES),
)


@settings(max_examples=100)
@given(BODIES | JSON_VALUES)
def test_any_json_is_a_call_or_a_bad_request(body: Json) -> None:
    with suppress(BadRequestError):
        call = parse_chat(body, Params())
        assert isinstance(call, Call)
        json.dumps(call.request)


# -- answers


def test_a_text_answer_word_for_word() -> None:
    body = encode_chat(parse(), [TextDelta("He"), TextDelta("llo"), USAGE, STOP])
    assert body["id"].startswith("chatcmpl-")
    assert (body["object"], body["model"]) == ("chat.completion", "m")
    assert body["choices"] == [
        {
            "index": 0,
            "message": {"role": "assistant", "content": "Hello", "refusal": None},
            "logprobs": None,
            "finish_reason": "stop",
            "native_finish_reason": "stop",
        }
    ]
    assert body["usage"]["completion_tokens"] == 5


def test_content_is_null_when_there_are_only_calls() -> None:
    assert message([called("get_weather", {})])["content"] is None
    assert message([TextDelta("ok"), called("get_weather", {})])["content"] == "ok"
    assert message([])["content"] == ""


def test_thoughts_are_told_as_reasoning_content() -> None:
    events: list[Event] = [ThoughtDelta("a"), ThoughtDelta("b"), TextDelta("c")]
    assert message(events)["reasoning_content"] == "ab"
    assert deltas(events)[:2] == [{"reasoning_content": "a"}, {"reasoning_content": "b"}]


def test_a_call_carries_its_signature_and_who_issued_it() -> None:
    (call,) = message([called("get_weather", {"city": "Zürich"}, "U0lH")])["tool_calls"]
    assert call == {
        "id": "call_1",
        "type": "function",
        "function": {"name": "get_weather", "arguments": '{"city":"Zürich"}'},
        "extra_content": {
            "google": {
                "thought_signature": "U0lH",
                "thought_signature_model": "gemini-3-pro-preview",
            }
        },
    }


def test_a_signature_comes_back_as_it_went_out() -> None:
    events = [called("get_weather", {}, "U0lHTkFUVVJF")]
    call = parse(messages=[*HI, message(events)])
    carried = call.carried["call_1"]
    assert (carried.value, carried.model) == ("U0lHTkFUVVJF", "gemini-3-pro-preview")


def test_calls_stream_in_two_frames_with_an_index_over_the_whole_stream() -> None:
    events: list[Event] = [
        ThoughtDelta("hm"),
        TextDelta("so"),
        called("get_weather", {"city": "Paris"}, "U0lH", 1),
        USAGE,
        called("get_weather", {}, None, 2),
    ]
    calls = [delta["tool_calls"][0] for delta in deltas(events) if "tool_calls" in delta]
    assert calls == [
        {
            "index": 0,
            "id": "call_1",
            "type": "function",
            "function": {"name": "get_weather", "arguments": ""},
            "extra_content": {
                "google": {
                    "thought_signature": "U0lH",
                    "thought_signature_model": "gemini-3-pro-preview",
                }
            },
        },
        {"index": 0, "function": {"arguments": '{"city":"Paris"}'}},
        {
            "index": 1,
            "id": "call_2",
            "type": "function",
            "function": {"name": "get_weather", "arguments": ""},
        },
        {"index": 1, "function": {"arguments": "{}"}},
    ]


def test_a_legacy_request_gets_a_legacy_reply() -> None:
    body: Json = {"functions": [WEATHER["function"]], "function_call": "auto"}
    call = parse(**body)
    assert not call.parallel_tool_calls
    assert call.dropped == ()
    events: list[Event] = [called("get_weather", {"city": "Paris"}), STOP]
    (choice,) = encode_chat(call, events)["choices"]
    assert choice["finish_reason"] == "function_call"
    assert choice["message"]["function_call"] == {
        "name": "get_weather",
        "arguments": '{"city":"Paris"}',
    }
    assert "tool_calls" not in choice["message"]
    assert deltas(events[:1], **body) == [
        {"function_call": {"name": "get_weather", "arguments": ""}},
        {"function_call": {"arguments": '{"city":"Paris"}'}},
    ]


def test_a_freeform_tool_is_called_with_its_text() -> None:
    tools = [{"type": "custom", "custom": {"name": "exec"}}]
    events = [called("exec", {"input": "ls -l"})]
    (call,) = message(events, tools=tools)["tool_calls"]
    assert (call["type"], call["custom"]) == ("custom", {"name": "exec", "input": "ls -l"})
    opening, rest = (delta["tool_calls"][0] for delta in deltas(events, tools=tools))
    assert (opening["custom"], rest["custom"]) == (
        {"name": "exec", "input": ""},
        {"input": "ls -l"},
    )


def test_a_refused_prompt_is_a_refusal_and_not_an_error() -> None:
    events: list[Event] = [Finish("BLOCKED", "SAFETY")]
    (choice,) = encode_chat(parse(), events)["choices"]
    assert choice["message"] == {
        "role": "assistant",
        "content": "",
        "refusal": "Blocked by Google: SAFETY",
    }
    assert choice["finish_reason"] == "content_filter"


def test_an_answer_of_thoughts_only_that_hit_the_limit() -> None:
    events: list[Event] = [ThoughtDelta("hm"), UsageSeen(Usage(1, 0, 0, 9)), Finish("MAX_TOKENS")]
    body = encode_chat(parse(), events)
    (choice,) = body["choices"]
    assert (choice["message"]["content"], choice["finish_reason"]) == ("", "length")
    assert body["usage"]["completion_tokens_details"] == {"reasoning_tokens": 9}


def test_sources_become_annotations_before_the_end() -> None:
    metadata = {
        "groundingChunks": [{"web": {"uri": "http://a.test", "title": "A"}}],
        "groundingSupports": [
            {"segment": {"endIndex": 6, "text": "größ"}, "groundingChunkIndices": [0]}
        ],
    }
    grounding = Grounding(metadata)
    events: list[Event] = [TextDelta("gr"), TextDelta("öß"), grounding, grounding]
    citation = {"start_index": 0, "end_index": 4, "title": "A", "url": "http://a.test"}
    wanted = [{"type": "url_citation", "url_citation": citation}]
    assert message(events)["annotations"] == wanted
    assert deltas(events)[-1] == {"annotations": wanted}


def test_pictures_and_code_are_shown() -> None:
    shown = message([TextDelta("look"), Code("1", "python"), InlineData("image/png", "aGk=")])
    assert shown["content"] == "look\n```python\n1\n```\n"
    address = {"url": "data:image/png;base64,aGk="}
    assert shown["images"] == [{"type": "image_url", "image_url": address}]


def test_a_signature_of_the_text_says_nothing() -> None:
    assert deltas([TextDelta("a"), TextSignature("U0lH")]) == [{"content": "a"}]


# -- the fold and the grammar


@settings(max_examples=150)
@given(answers(), st.booleans())
def test_the_response_is_the_fold_of_the_stream(events: list[Event], usage: bool) -> None:
    call = parse(stream_options={"include_usage": usage})
    chunks, whole = streamed(call, events), encode_chat(call, events)
    for choice in whole["choices"]:
        assert folded(chunks, choice["index"]) == choice["message"]
    if usage:
        assert chunks[-1]["usage"] == whole["usage"]


@settings(max_examples=150)
@given(answers())
def test_any_answer_is_a_stream_the_sdk_accepts_strictly(events: list[Event]) -> None:
    call = parse(stream_options={"include_usage": True})
    chunks = streamed(call, events)
    for chunk in chunks:
        ChatCompletionChunk.model_validate(chunk, strict=True)
    ChatCompletion.model_validate(encode_chat(call, events), strict=True)
    assert len({(chunk["id"], chunk["created"]) for chunk in chunks}) == 1
    for index in {event.choice for event in events}:
        own = [c["choices"][0] for c in chunks[:-1] if c["choices"][0]["index"] == index]
        assert [piece["delta"].get("role") for piece in own[:2]] == ["assistant", None]
        assert all(piece["finish_reason"] is None for piece in own[:-1])
        assert own[-1]["finish_reason"] is not None
        assert all(piece["delta"] for piece in own[:-1])


@settings(max_examples=40)
@given(events_of(0))
def test_any_answer_can_be_sent_back_as_history(events: list[Event]) -> None:
    answer = encode_chat(parse(), events)["choices"][0]["message"]
    parse(messages=[*HI, answer, *HI])


# -- the official SDK as the judge


def test_the_sdk_reads_a_plain_answer() -> None:
    desk = Desk([TextDelta("Hello"), USAGE, STOP])
    answer = desk.client().chat.completions.create(model="gemini-2.5-pro", messages=HI)
    assert answer.choices[0].message.content == "Hello"
    assert answer.usage is not None
    assert answer.usage.prompt_tokens_details is not None
    assert answer.usage.prompt_tokens_details.cached_tokens == 4
    assert desk.call.model == "gemini-2.5-pro"


def test_the_sdks_stream_helper_assembles_calls_and_reasoning() -> None:
    desk = Desk([ThoughtDelta("hm"), called("get_weather", {"city": "Paris"}, "U0lH"), USAGE, STOP])
    tools: Any = [WEATHER]
    options: Any = {"include_usage": True}
    with desk.client().chat.completions.stream(
        model="m", messages=HI, tools=tools, stream_options=options
    ) as stream:
        final = stream.get_final_completion()
    (choice,) = final.choices
    assert choice.finish_reason == "tool_calls"
    assert choice.message.tool_calls is not None
    (call,) = choice.message.tool_calls
    assert (call.id, call.function.arguments) == ("call_1", '{"city":"Paris"}')
    assert final.usage is not None
    assert final.usage.completion_tokens == 5


def test_the_sdk_sends_its_own_message_object_back() -> None:
    first = Desk([called("get_weather", {"city": "Paris"}, "U0lHTkFUVVJF"), STOP])
    tools: Any = [WEATHER]
    answer = first.client().chat.completions.create(model="m", messages=HI, tools=tools)
    second = Desk([TextDelta("Sunny."), STOP])
    history: Any = [
        *HI,
        answer.choices[0].message,
        {"role": "tool", "tool_call_id": "call_1", "content": "sunny"},
    ]
    second.client().chat.completions.create(model="m", messages=history, tools=tools)
    assert second.call.carried["call_1"].model == "gemini-3-pro-preview"
    parts = [part for c in second.call.request["contents"] for part in c["parts"] if part]
    assert parts[-1]["functionResponse"]["response"] == {"output": "sunny"}


def test_the_sdk_raises_on_an_error_in_mid_stream() -> None:
    failure = RateLimitError("Wait a moment.", source="quota")
    desk = Desk([TextDelta("He")], then=failure)
    stream = desk.client().chat.completions.create(model="m", messages=HI, stream=True)
    seen: list[str | None] = []
    with pytest.raises(openai.APIError) as caught:
        seen.extend(chunk.choices[0].delta.content for chunk in stream)
    assert seen == ["", "He"]
    assert (caught.value.code, caught.value.message) == ("rate_limit_exceeded", "Wait a moment.")


def test_the_dialect_serves_everything_of_openai_but_responses() -> None:
    assert DIALECT.name == "openai-chat"
    assert [(route.method, route.path) for route in DIALECT.routes] == [
        ("POST", "/v1/chat/completions"),
        ("POST", "/v1/completions"),
        ("POST", "/v1/embeddings"),
        ("GET", "/v1/models"),
        ("GET", "/v1/models/{id}"),
    ]
    assert not DIALECT.speaks({})  # it is the fallback, for whoever says nothing


def test_speech_is_audio_and_no_picture() -> None:
    """In a stream the pieces are base64 each; joined they are what the message holds."""
    events: list[Event] = [
        InlineData("audio/L16;rate=24000", "aGk="),
        InlineData("audio/L16;rate=24000", "IQ=="),
        Finish("STOP"),
    ]
    said = message(events)
    assert (said["audio"]["data"], said["audio"]["mime_type"]) == (
        *("aGkh", "audio/L16;rate=24000"),
    )
    assert "images" not in said
    pieces = [delta["audio"]["data"] for delta in deltas(events) if "audio" in delta]
    assert pieces == ["aGk=", "IQ=="]
    strict(ChatCompletionMessage, said)
