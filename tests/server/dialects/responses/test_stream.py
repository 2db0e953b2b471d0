import json
from collections.abc import Iterable, Sequence

import pytest
from hypothesis import given
from hypothesis import strategies as st
from openai import omit
from openai.lib.streaming.responses._responses import ResponseStreamState
from openai.types.responses import Response, ResponseStreamEvent

from server.dialects.fields import Fields
from server.dialects.responses.envelope import Envelope, unseal
from server.dialects.responses.stream import Answer, Notes, ResponseStream, encode_response, failure
from server.dialects.responses.tools import read_tool_box
from server.errors import (
    AuthenticationError,
    BadRequestError,
    BrokenAnswerError,
    ContextLengthError,
    InternalServerError,
    OverloadedError,
    ProxyError,
    RateLimitError,
)
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
from server.gemini.types import Call, Json, Usage
from tests.server.dialects.openai.support import data_of, events_of, strict

TOOLS: list[Json] = [
    {"type": "function", "name": "get_weather"},
    {
        "type": "namespace",
        "name": "functions",
        "tools": [{"type": "custom", "name": "exec"}, {"type": "function", "name": "wait"}],
    },
    {"type": "shell"},
]
STOP = Finish("STOP")
TERMINAL = ("response.completed", "response.incomplete", "response.failed")
OVERLOADED = OverloadedError("no room")


def call_for(*, encrypted: bool = False, codex: bool = False) -> Call:
    call = Call(dialect="openai-responses", model="gpt-5", request={})
    box = read_tool_box([Fields.of(tool) for tool in TOOLS], call.tool_names)
    call.options = Notes(called=box.called, encrypted=encrypted, codex=codex)
    return call


def frames_of(stream: bytes) -> list[Json]:
    """The events of a stream, whose numbers and names are checked on the way."""
    events: list[Json] = [json.loads(data) for data in data_of(stream)]
    assert [event["sequence_number"] for event in events] == list(range(len(events)))
    assert stream.decode().count("event: ") == len(events)
    for event in events:
        assert f"event: {event['type']}\ndata: ".encode() in stream
    return events


def told(
    events: Iterable[Event], call: Call | None = None, *, fails: ProxyError | None = None
) -> list[Json]:
    """What a client reads of an answer."""
    encoder = ResponseStream(call or call_for())
    frames = [encoder.feed(event) for event in events]
    frames.append(encoder.fail(fails) if fails else encoder.finish())
    return frames_of(b"".join(frames))


def types(events: Iterable[Json]) -> list[str]:
    return [event["type"].removeprefix("response.") for event in events]


def output(*events: Event, call: Call | None = None) -> list[Json]:
    items: list[Json] = told([*events, STOP], call)[-1]["response"]["output"]
    return items


def test_thoughts_text_and_a_call_are_told_in_openais_order() -> None:
    events = told(
        [
            ThoughtDelta("Hm"),
            ThoughtDelta("m."),
            TextDelta("I "),
            TextDelta("look."),
            FunctionCall("call_1", "get_weather", {"city": "Rome"}),
            UsageSeen(Usage(10, 4, 5, 3)),
            STOP,
        ]
    )
    assert types(events) == [
        "created",
        "in_progress",
        "output_item.added",
        "reasoning_summary_part.added",
        "reasoning_summary_text.delta",
        "reasoning_summary_text.delta",
        "reasoning_summary_text.done",
        "reasoning_summary_part.done",
        "output_item.done",
        "output_item.added",
        "content_part.added",
        "output_text.delta",
        "output_text.delta",
        "output_text.done",
        "content_part.done",
        "output_item.done",
        "output_item.added",
        "function_call_arguments.delta",
        "function_call_arguments.done",
        "output_item.done",
        "completed",
    ]
    final = events[-1]["response"]
    reasoning, message, call = final["output"]
    assert reasoning["summary"] == [{"type": "summary_text", "text": "Hmm."}]
    assert message["content"][0]["text"] == "I look."
    assert (call["call_id"], call["name"], call["arguments"]) == (
        *("call_1", "get_weather"),
        '{"city":"Rome"}',
    )
    assert final["usage"] == {
        "input_tokens": 10,
        "input_tokens_details": {"cached_tokens": 4, "cache_write_tokens": 0},
        "output_tokens": 8,
        "output_tokens_details": {"reasoning_tokens": 3},
        "total_tokens": 18,
    }


def test_a_freeform_call_comes_back_as_text_with_its_namespace() -> None:
    events = told([FunctionCall("call_1", "functions__exec", {"input": "text(1+1)"}), STOP])
    assert types(events)[3:5] == ["custom_tool_call_input.delta", "custom_tool_call_input.done"]
    item = events[-1]["response"]["output"][0]
    assert item["type"] == "custom_tool_call"
    assert (item["namespace"], item["name"], item["input"]) == ("functions", "exec", "text(1+1)")


def test_a_function_of_a_namespace_has_both_names() -> None:
    (item,) = output(FunctionCall("call_1", "functions__wait", {}))
    assert (item["type"], item["namespace"], item["name"]) == (
        *("function_call", "functions"),
        "wait",
    )


def test_a_call_without_text_is_told_in_one_go() -> None:
    events = told([FunctionCall("call_1", "shell", {"commands": ["ls"]}), STOP])
    assert types(events)[2:4] == ["output_item.added", "output_item.done"]
    assert events[3]["item"]["action"]["commands"] == ["ls"]


def test_text_after_a_call_opens_a_new_message() -> None:
    items = output(TextDelta("a"), FunctionCall("call_1", "f", {}), TextDelta("b"))
    assert [item["type"] for item in items] == ["message", "function_call", "message"]
    assert len({item["id"] for item in items}) == 3


def test_code_is_a_block_in_the_text() -> None:
    (item,) = output(TextDelta("Run:"), Code("1+1", "python"), Code("2"))
    assert item["content"][0]["text"] == "Run:\n```python\n1+1\n```\n```\n2\n```\n"


@pytest.mark.parametrize("thought", [True, False])
def test_a_signature_travels_in_the_reasoning_item_before_its_call(thought: bool) -> None:
    signed = FunctionCall("call_1", "get_weather", {}, "U0lH", "gemini-3-pro-preview")
    parallel = FunctionCall("call_2", "get_weather", {})
    reasoning, *calls = output(*([ThoughtDelta("Hm")] if thought else []), signed, parallel)
    assert reasoning["type"] == "reasoning"
    assert len(reasoning["summary"]) == thought
    assert unseal(reasoning["encrypted_content"]) == Envelope(
        "gemini-3-pro-preview", {"call_1": "U0lH"}
    )
    assert [item["call_id"] for item in calls] == ["call_1", "call_2"]


@pytest.mark.parametrize("asked", [True, False])
def test_the_signature_of_a_text_follows_it_when_the_client_carries_state(asked: bool) -> None:
    end = Finish("STOP", None, "gemini-3-flash")
    events: list[Event] = [TextDelta("Hi"), TextSignature("U0lH"), end]
    items = told(events, call_for(encrypted=asked))[-1]["response"]["output"]
    assert [item["type"] for item in items] == ["message", *["reasoning"] * asked]
    if asked:
        envelope = Envelope("gemini-3-flash", text="U0lH")
        assert unseal(items[1]["encrypted_content"]) == envelope


@pytest.mark.parametrize(
    ("events", "status", "reason"),
    [
        ([TextDelta("a"), Finish("MAX_TOKENS")], "incomplete", "max_output_tokens"),
        ([ThoughtDelta("a"), Finish("MAX_TOKENS")], "incomplete", "max_output_tokens"),
        ([FunctionCall("c", "f", {}), Finish("MAX_TOKENS")], "incomplete", "max_output_tokens"),
        ([TextDelta("a"), Finish("SAFETY")], "incomplete", "content_filter"),
        ([Finish("RECITATION")], "incomplete", "content_filter"),
        ([TextDelta("a"), Finish("OTHER")], "completed", None),
        ([ThoughtDelta("a"), STOP], "completed", None),
        ([STOP], "completed", None),
    ],
)
def test_every_end_is_a_status(events: Sequence[Event], status: str, reason: str | None) -> None:
    last = told(events)[-1]
    assert last["type"] == f"response.{status}"
    assert last["response"]["status"] == status
    assert (last["response"]["incomplete_details"] or {}).get("reason") == reason
    texts = [item for item in last["response"]["output"] if item["type"] == "message"]
    assert all(item["status"] == status for item in texts)


def test_a_refused_prompt_is_a_refusal() -> None:
    last = told([Finish("BLOCKED", "PROHIBITED_CONTENT")])[-1]["response"]
    (part,) = last["output"][0]["content"]
    assert part == {"type": "refusal", "refusal": "Blocked by Google: PROHIBITED_CONTENT"}
    assert last["incomplete_details"] == {"reason": "content_filter"}


@pytest.mark.parametrize("finish", [Finish("SAFETY"), Finish("BLOCKED", "SAFETY")])
def test_codex_is_told_of_a_filter_as_a_failure_because_it_repeats_what_is_incomplete(
    finish: Finish,
) -> None:
    answer = Answer(call_for(codex=True))
    events = [*answer.feed(TextDelta("a")), *answer.feed(finish), *answer.end()]
    assert [e["type"] for e in events if e["type"] in TERMINAL] == ["response.failed"]
    assert answer.response["error"] == {
        "code": "invalid_prompt",
        "message": "Blocked by Google: SAFETY",
    }


def test_a_search_is_an_item_and_its_sources_are_citations() -> None:
    text = "Zürich is dry."
    metadata = {
        "webSearchQueries": ["weather Zürich"],
        "groundingChunks": [{"web": {"uri": "https://example.com/", "title": "Example"}}],
        "groundingSupports": [
            {
                "segment": {"startIndex": 0, "endIndex": 7, "text": "Zürich"},
                "groundingChunkIndices": [0],
            }
        ],
    }
    events = told([TextDelta(text), Grounding(metadata), STOP])
    message, search = events[-1]["response"]["output"]
    citation = {
        "type": "url_citation",
        "start_index": 0,
        "end_index": 6,
        "title": "Example",
        "url": "https://example.com/",
    }
    assert message["content"][0]["annotations"] == [citation]
    assert search["action"] == {
        "type": "search",
        "query": "weather Zürich",
        "queries": ["weather Zürich"],
        "sources": [{"type": "url", "url": "https://example.com/"}],
    }
    assert "output_text.annotation.added" in types(events)
    assert types(events)[-5:-2] == [
        *("web_search_call.in_progress", "web_search_call.searching"),
        "web_search_call.completed",
    ]


def test_an_image_is_an_item_with_its_data() -> None:
    item, _ = output(InlineData("image/png", "aGk="), InlineData("audio/wav", "aGk="))
    assert (item["type"], item["result"], item["output_format"]) == (
        *("image_generation_call", "aGk="),
        "png",
    )


def test_sound_is_told_in_words() -> None:
    (item,) = output(InlineData("audio/L16;rate=24000", "aGk="))
    assert item["content"][0]["text"] == "[audio omitted: audio/L16;rate=24000]"


def test_a_call_at_the_limit_is_whole_and_the_answer_incomplete() -> None:
    events = told([FunctionCall("call_1", "look", {}), Finish("MAX_TOKENS")])
    assert types(events)[-1] == "incomplete"
    assert events[-1]["response"]["output"][-1]["status"] == "completed"


def test_a_waiting_client_gets_events_and_one_beginning() -> None:
    encoder = ResponseStream(call_for())
    frames = [encoder.keep_alive(), encoder.keep_alive(), encoder.feed(TextDelta("a"))]
    frames += [encoder.keep_alive(), encoder.feed(STOP), encoder.finish()]
    assert types(frames_of(b"".join(frames))) == [
        *("created", "in_progress", "in_progress", "output_item.added", "content_part.added"),
        *("output_text.delta", "in_progress", "output_text.done", "content_part.done"),
        *("output_item.done", "completed"),
    ]


@pytest.mark.parametrize(
    ("error", "code", "official"),
    [
        (
            RateLimitError("m", source="quota", exhausted=True, retry_after_s=40_000.5),
            *("insufficient_quota", "rate_limit_exceeded"),
        ),
        (
            RateLimitError("m", source="quota", retry_after_s=1.2),
            *("rate_limit_exceeded", "rate_limit_exceeded"),
        ),
        (ContextLengthError("m"), "context_length_exceeded", "invalid_prompt"),
        (BadRequestError("m"), "invalid_prompt", "invalid_prompt"),
        (AuthenticationError("m"), "invalid_prompt", "invalid_prompt"),
        (OverloadedError("m"), "server_is_overloaded", "server_error"),
        (BrokenAnswerError("m"), "server_error", "server_error"),
        (InternalServerError("m"), "server_error", "server_error"),
    ],
)
def test_failures_speak_codexs_words_to_codex_and_openais_to_others(
    error: ProxyError, code: str, official: str
) -> None:
    assert failure(error, codex=True)["code"] == code
    assert failure(error, codex=False)["code"] == official
    last = told([TextDelta("a")], fails=error)[-1]
    assert last["type"] == "response.failed"
    assert last["response"]["status"] == "failed"
    assert last["response"]["error"]["message"].startswith("m")


def test_the_delay_is_in_the_text_because_codex_reads_it_there() -> None:
    error = RateLimitError("Too many.", source="quota", retry_after_s=1.2)
    assert failure(error, codex=True)["message"] == "Too many. Please try again in 2s."


# Any answer at all


def anonymous(value: object) -> object:
    """Without what is different every time."""
    changing = ("id", "item_id", "created_at", "completed_at")
    if isinstance(value, dict):
        return {k: anonymous(v) for k, v in value.items() if k not in changing}
    return [anonymous(item) for item in value] if isinstance(value, list) else value


def check_legal(events: Sequence[Json]) -> None:
    """One item at a time, each opened and closed, and one terminal event at the end."""
    state = ResponseStreamState[object](input_tools=omit, text_format=omit)
    for event in events:
        state.handle_event(strict(ResponseStreamEvent, event))
    assert types(events)[:2] == ["created", "in_progress"]
    assert [event["type"] in TERMINAL for event in events] == [False] * (len(events) - 1) + [True]
    items = [event for event in events if "output_item." in event["type"]]
    if events[-1]["type"] == "response.failed" and types(items)[-1:] == ["output_item.added"]:
        items.pop()
    assert types(items) == ["output_item.added", "output_item.done"] * (len(items) // 2)
    indexes = [event["output_index"] for event in items]
    assert indexes == [index // 2 for index in range(len(items))]
    done = [event["item"] for event in items if event["type"] == "response.output_item.done"]
    assert events[-1]["response"]["output"] == done


@given(events_of(0), st.booleans())
def test_any_answer_is_a_legal_stream_and_unary_is_its_fold(
    events: list[Event], encrypted: bool
) -> None:
    stream = told(events, call_for(encrypted=encrypted))
    check_legal(stream)
    whole = encode_response(call_for(encrypted=encrypted), events)
    strict(Response, whole)
    assert anonymous(whole) == anonymous(stream[-1]["response"])
    folded = {"message": "", "reasoning": ""}
    for event in stream:
        if event["type"] in ("response.output_text.delta", "response.refusal.delta"):
            folded["message"] += event["delta"]
        elif event["type"] == "response.reasoning_summary_text.delta":
            folded["reasoning"] += event["delta"]
    assert folded == texts_of(whole["output"])


def texts_of(items: Iterable[Json]) -> dict[str, str]:
    parts = {"message": "content", "reasoning": "summary"}
    return {
        kind: "".join(
            part.get("text", part.get("refusal", ""))
            for item in items
            if item["type"] == kind
            for part in item[name]
        )
        for kind, name in parts.items()
    }


@given(events_of(0), st.integers(0, 8), st.booleans())
def test_a_failure_anywhere_ends_the_stream_once(
    events: list[Event], after: int, codex: bool
) -> None:
    call = call_for(codex=codex)
    stream = told(events[:-1][:after], call, fails=RateLimitError("m", source="quota"))
    check_legal(stream)
    assert stream[-1]["type"] == "response.failed"
    assert isinstance(call.options, Notes)
    assert call.options.answer is None
