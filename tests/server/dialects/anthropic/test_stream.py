"""Events -> stream and message. Anthropic's own SDK types judge both."""

import copy
import json
import re
from collections.abc import Iterable, Sequence
from typing import Any

import pytest
from anthropic.lib.streaming._messages import accumulate_event
from anthropic.types import Message, RawMessageStreamEvent
from hypothesis import given
from hypothesis import strategies as st
from pydantic import TypeAdapter

from server.dialects.anthropic.envelope import seal
from server.dialects.anthropic.stream import (
    Answer,
    Notes,
    StreamEncoder,
    Visibility,
    encode_response,
    fold,
    frame,
)
from server.errors import OverloadedError
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

STREAM_EVENT: TypeAdapter[Any] = TypeAdapter(RawMessageStreamEvent)
USAGE = UsageSeen(
    Usage(prompt_tokens=100, cached_tokens=30, candidates_tokens=7, thoughts_tokens=5)
)
STOP = Finish("STOP")
SHOWN, HIDDEN = Notes(thinking="shown"), Notes(thinking="hidden")


def make_call(notes: Notes | None = None) -> Call:
    contents: Any = [{"role": "user", "parts": [{"text": "hello there"}]}]
    return Call(
        dialect="anthropic", model="claude-x", request={"contents": contents}, options=notes
    )


def use(name: str = "Bash", *, signature: str | None = None, **args: object) -> FunctionCall:
    return FunctionCall(
        id=f"toolu_{name}", name=name, args=args, signature=signature, model="gemini-3-pro"
    )


def read_frames(data: bytes) -> list[Json]:
    """The events of a stream; every frame must have its event line and one line of data."""
    events = []
    for block in data.decode().split("\n\n")[:-1]:
        match = re.fullmatch(r"event: (\w+)\ndata: (.*)", block)
        assert match, block
        event = json.loads(match[2])
        assert event["type"] == match[1]
        events.append(event)
    return events


def stream(events: Iterable[Event], notes: Notes | None = None) -> list[Json]:
    encoder = StreamEncoder(make_call(notes))
    return read_frames(b"".join([*map(encoder.feed, events), encoder.finish()]))


def message(*events: Event, notes: Notes | None = None) -> Json:
    body = encode_response(make_call(notes), events)
    Message.model_validate(body)
    return body


def content(*events: Event, notes: Notes | None = None) -> Any:
    return message(*events, STOP, notes=notes)["content"]


def accumulated(events: Iterable[Json]) -> Message:
    """What the official SDK makes of a stream."""
    snapshot: Any = None
    buffers: dict[int, bytes] = {}
    for event in events:
        parsed = STREAM_EVENT.validate_python(event)
        snapshot = accumulate_event(event=parsed, current_snapshot=snapshot, json_bufs=buffers)
    assert isinstance(snapshot, Message)
    return snapshot


def assert_well_formed(events: Sequence[Json]) -> None:
    """message_start (block_start delta* block_stop)* message_delta message_stop"""
    assert events[0]["type"] == "message_start"
    assert [e["type"] for e in events[-2:]] == ["message_delta", "message_stop"]
    open_block, index = None, 0
    for event in events[1:-2]:
        assert event["index"] == index
        match event["type"]:
            case "content_block_start":
                assert open_block is None
                open_block = event["content_block"]["type"]
            case "content_block_delta":
                kinds = {
                    "text": {"text_delta", "citations_delta"},
                    "thinking": {"thinking_delta", "signature_delta"},
                    "tool_use": {"input_json_delta"},
                    "server_tool_use": {"input_json_delta"},
                }
                assert event["delta"]["type"] in kinds[str(open_block)]
            case "content_block_stop":
                assert open_block is not None
                open_block, index = None, index + 1
            case other:
                pytest.fail(f"{other} between the blocks")
    assert open_block is None


def test_a_stream_frame_by_frame() -> None:
    encoder = StreamEncoder(make_call())
    assert encoder.feed(USAGE) == b""
    start = encoder.feed(TextDelta("Hé"))
    assert start.count(b"\n\n") == 3
    assert encoder.feed(TextDelta('"l"\nlo')) == (
        b'event: content_block_delta\ndata: {"type":"content_block_delta","index":0,'
        b'"delta":{"type":"text_delta","text":"\\"l\\"\\nlo"}}\n\n'
    )
    assert "Hé".encode() in start
    end = encoder.feed(STOP) + encoder.finish()
    assert [event["type"] for event in read_frames(end)] == [
        "content_block_stop",
        "message_delta",
        "message_stop",
    ]


def test_the_envelope() -> None:
    body = message(USAGE, TextDelta("Hi"), STOP)
    assert re.fullmatch(r"msg_\w{24}", body.pop("id"))
    assert body == {
        "type": "message",
        "role": "assistant",
        "model": "claude-x",
        "content": [{"type": "text", "text": "Hi"}],
        "stop_reason": "end_turn",
        "stop_sequence": None,
        "usage": {
            "input_tokens": 70,
            "cache_creation_input_tokens": 0,
            "cache_read_input_tokens": 30,
            "cache_creation": {"ephemeral_5m_input_tokens": 0, "ephemeral_1h_input_tokens": 0},
            "output_tokens": 12,
            "output_tokens_details": {"thinking_tokens": 5},
            "service_tier": "standard",
        },
    }


def test_thought_text_and_two_calls_in_their_blocks() -> None:
    """The signature stands directly before the call it belongs to."""
    calls = [use("A", signature="sig", x=1), use("B")]
    body = message(ThoughtDelta("hm"), TextDelta("Run"), *calls, STOP, notes=SHOWN)
    assert body["content"] == [
        {"type": "thinking", "thinking": "hm", "signature": "gp1.~"},
        {"type": "text", "text": "Run"},
        {"type": "thinking", "thinking": "", "signature": seal("sig", "gemini-3-pro")},
        {"type": "tool_use", "id": "toolu_A", "name": "A", "input": {"x": 1}},
        {"type": "tool_use", "id": "toolu_B", "name": "B", "input": {}},
    ]
    assert body["stop_reason"] == "tool_use"


def test_an_open_thinking_block_takes_the_signature_itself() -> None:
    blocks = content(ThoughtDelta("h"), ThoughtDelta("m"), use(signature="sig"), notes=SHOWN)
    assert [block["type"] for block in blocks] == ["thinking", "tool_use"]
    assert blocks[0] == {
        "type": "thinking",
        "thinking": "hm",
        "signature": seal("sig", "gemini-3-pro"),
    }


def test_hidden_thinking_is_an_empty_block_with_the_signature() -> None:
    blocks = content(ThoughtDelta("hm"), TextDelta("a"), use(signature="s"), notes=HIDDEN)
    assert [block["type"] for block in blocks] == ["text", "thinking", "tool_use"]
    assert blocks[1]["thinking"] == ""


def test_no_thinking_block_for_a_client_that_did_not_ask() -> None:
    blocks = content(ThoughtDelta("hm"), TextDelta("a"), use(signature="s"))
    assert [block["type"] for block in blocks] == ["text", "tool_use"]


def test_text_after_a_tool_call_opens_a_new_block() -> None:
    blocks = content(TextDelta("a"), use(), TextDelta("b"), TextDelta("c"))
    assert [block.get("text") for block in blocks] == ["a", None, "bc"]


def test_parts_without_a_block_of_their_own_become_text() -> None:
    [block] = content(
        InlineData("image/png", "iVBO"),
        Code("print(1)", "python"),
        Code("1"),
        TextSignature("s"),
        Grounding({"webSearchQueries": ["q"]}),
    )
    assert block["text"] == (
        "[image omitted: image/png]\n```python\nprint(1)\n```\n\n```\n1\n```\n"
    )


@pytest.mark.parametrize(
    ("finish", "reason"),
    [
        (Finish("STOP"), "end_turn"),
        (Finish("OTHER"), "end_turn"),
        (Finish("SOMETHING_NEW"), "end_turn"),
        (Finish("MAX_TOKENS"), "max_tokens"),
        (Finish("SAFETY"), "refusal"),
        (Finish("RECITATION"), "refusal"),
        (Finish("IMAGE_SAFETY"), "refusal"),
        (Finish("BLOCKED", "PROHIBITED_CONTENT"), "refusal"),
    ],
)
def test_stop_reasons(finish: Finish, reason: str) -> None:
    assert message(TextDelta("a"), finish)["stop_reason"] == reason


def test_a_hit_stop_sequence_is_named() -> None:
    body = message(TextDelta("a"), Finish("STOP_SEQUENCE", "\nObservation:"))
    assert (body["stop_reason"], body["stop_sequence"]) == ("stop_sequence", "\nObservation:")


@pytest.mark.parametrize("reason", ["STOP", "SAFETY"])
def test_a_call_makes_it_tool_use(reason: str) -> None:
    assert message(use(), Finish(reason))["stop_reason"] == "tool_use"


def test_a_call_at_the_limit_is_told_whole_and_as_cut() -> None:
    body = message(use(), Finish("MAX_TOKENS"))
    assert (body["stop_reason"], body["content"][-1]["type"]) == ("max_tokens", "tool_use")


def test_sound_is_not_called_an_image() -> None:
    body = message(InlineData("audio/L16;rate=24000", "aGk="), Finish("STOP"))
    assert body["content"][0]["text"] == "[audio omitted: audio/L16;rate=24000]"


@pytest.mark.parametrize(
    ("finish", "explanation"),
    [(Finish("SAFETY"), "SAFETY"), (Finish("BLOCKED", "BLOCKLIST"), "BLOCKLIST")],
)
def test_a_refusal_is_explained(finish: Finish, explanation: str) -> None:
    body = message(finish)
    assert body["content"] == []
    assert body["stop_details"] == {
        "type": "refusal",
        "category": None,
        "explanation": explanation,
    }


def test_an_answer_without_content_is_three_events() -> None:
    events = stream([STOP])
    assert [e["type"] for e in events] == ["message_start", "message_delta", "message_stop"]
    assert events[1]["usage"]["output_tokens"] == 0


def test_message_start_counts_the_input_as_well_as_it_can() -> None:
    """Cline reads the input tokens there and nowhere else."""
    known = stream([USAGE, TextDelta("a"), STOP])[0]["message"]["usage"]
    assert (known["input_tokens"], known["cache_read_input_tokens"]) == (70, 30)
    guessed = stream([TextDelta("a"), USAGE, STOP])
    assert guessed[0]["message"]["usage"]["input_tokens"] > 0
    assert guessed[-2]["usage"]["input_tokens"] == 70


def test_the_last_usage_counts() -> None:
    later = UsageSeen(Usage(prompt_tokens=100, candidates_tokens=50))
    usage = message(USAGE, TextDelta("a"), later, STOP)["usage"]
    assert (usage["input_tokens"], usage["output_tokens"]) == (100, 50)
    assert usage["output_tokens_details"] == {"thinking_tokens": 0}


def test_content_is_never_counted_as_nothing() -> None:
    usage = message(UsageSeen(Usage(prompt_tokens=1)), TextDelta("a"), STOP)["usage"]
    assert usage["output_tokens"] == 1


def test_a_warm_up_has_no_content() -> None:
    body = message(USAGE, TextDelta("Hel"), Finish("MAX_TOKENS"), notes=Notes(warm_up=True))
    assert (body["content"], body["stop_reason"]) == ([], "max_tokens")
    assert body["usage"]["input_tokens"] == 70


GROUNDING = {
    "webSearchQueries": ["gemini api", "gemini docs"],
    "groundingChunks": [
        {"web": {"uri": "https://a.example", "title": "A"}},
        {"retrievedContext": {}},
        {"web": {"uri": "https://b.example", "title": "B"}},
    ],
    "groundingSupports": [
        {"segment": {"text": "It is an API."}, "groundingChunkIndices": [0, 2, 9]},
        {"segment": None, "groundingChunkIndices": [0]},
    ],
}


def test_a_search_is_told_as_anthropics_own_tool_would() -> None:
    text = [TextDelta("It is "), TextDelta("an API.")]
    body = message(*text, Grounding(GROUNDING), USAGE, STOP, notes=Notes(search=True))
    first, found, second, nothing, told = body["content"]
    assert [first["input"], second["input"]] == [{"query": "gemini api"}, {"query": "gemini docs"}]
    assert first["id"].startswith("srvtoolu_")
    assert found["tool_use_id"] == first["id"]
    assert [page["url"] for page in found["content"]] == ["https://a.example", "https://b.example"]
    assert nothing["content"] == []
    assert told["text"] == "It is an API."
    cited = [citation["url"] for citation in told["citations"]]
    assert cited == ["https://a.example", "https://b.example"]
    used = body["usage"]["server_tool_use"]
    assert used == {"web_search_requests": 2, "web_fetch_requests": 0}


def test_grounding_may_come_in_pieces() -> None:
    queries = {"webSearchQueries": ["q"]}
    pages = Grounding({"groundingChunks": []})
    blocks = content(Grounding(queries), TextDelta("a"), pages, notes=Notes(search=True))
    assert [b["type"] for b in blocks] == ["server_tool_use", "web_search_tool_result", "text"]


def test_a_search_without_grounding_is_just_text() -> None:
    body = message(TextDelta("a"), STOP, notes=Notes(search=True))
    assert body["content"] == [{"type": "text", "text": "a"}]
    assert body["usage"]["server_tool_use"]["web_search_requests"] == 0


def test_a_failure_is_an_error_event_and_nothing_else() -> None:
    encoder = StreamEncoder(make_call())
    encoder.feed(TextDelta("a"))
    [event] = read_frames(encoder.fail(OverloadedError("no capacity")))
    assert event == {
        "type": "error",
        "error": {"type": "overloaded_error", "message": "no capacity"},
    }


def test_keep_alive_is_a_comment() -> None:
    assert re.fullmatch(rb": .*\n\n", StreamEncoder(make_call()).keep_alive())


def test_half_a_surrogate_pair_does_not_break_the_stream() -> None:
    events = stream([TextDelta("a"), TextDelta("\ud83d"), use(x="\ud83d"), STOP])
    assert_well_formed(events)


WORDS = st.text(max_size=8)
SIGNATURES = st.none() | st.just("sig")
CONTENT = st.one_of(
    st.builds(TextDelta, WORDS | st.sampled_from(["```json\n", "```", "\n"])),
    st.builds(ThoughtDelta, WORDS),
    st.builds(
        FunctionCall,
        id=st.just("toolu_1"),
        name=WORDS,
        args=st.dictionaries(WORDS, st.integers() | WORDS, max_size=2),
        signature=SIGNATURES,
        model=st.none() | st.just("gemini-3-pro"),
    ),
    st.builds(TextSignature, st.just("s")),
    st.builds(InlineData, st.just("image/png"), st.just("iVBO")),
    st.builds(Code, WORDS, st.none() | st.just("python")),
    st.just(Grounding(GROUNDING)),
    st.builds(Grounding, st.dictionaries(st.sampled_from(list(GROUNDING)), st.none() | WORDS)),
    st.builds(
        lambda prompt, cached, out, thoughts: UsageSeen(
            Usage(prompt, min(cached, prompt), out, thoughts)
        ),
        *[st.integers(0, 10**6)] * 4,
    ),
)
ENDS = st.builds(
    Finish,
    st.sampled_from(["STOP", "MAX_TOKENS", "SAFETY", "BLOCKED", "STOP_SEQUENCE", "NEW"]),
    st.none() | WORDS,
)
VISIBILITIES: list[Visibility] = ["none", "shown", "hidden"]
NOTES = st.builds(Notes, st.sampled_from(VISIBILITIES), st.booleans(), st.booleans())


@given(events=st.lists(CONTENT), end=ENDS, notes=NOTES)
def test_every_event_sequence_is_a_legal_stream(
    events: list[Event], end: Finish, notes: Notes
) -> None:
    told = stream([*events, end], notes)
    assert_well_formed(told)
    for event in told:
        STREAM_EVENT.validate_python(event)


IDS = re.compile(r"(msg|srvtoolu)_\w{24}")


@given(events=st.lists(CONTENT), end=ENDS, notes=NOTES)
def test_unary_is_the_fold_of_the_stream(events: list[Event], end: Finish, notes: Notes) -> None:
    """Ours and the SDK's way of putting a message together agree, minted ids aside."""
    told = stream([*events, end], notes)
    unary = encode_response(make_call(notes), [*events, end])
    Message.model_validate(unary)
    folded = fold(copy.deepcopy(told))
    assert IDS.sub("", json.dumps(folded)) == IDS.sub("", json.dumps(unary))
    by_sdk = accumulated(told).model_dump(mode="json")
    ours = Message.model_validate(folded).model_dump(mode="json")
    assert by_sdk == ours


@given(events=st.lists(CONTENT), end=ENDS, notes=NOTES)
def test_the_short_cut_for_text_changes_nothing(
    events: list[Event], end: Finish, notes: Notes
) -> None:
    answer = Answer(make_call(notes))
    told = [e for event in [*events, end] for e in answer.feed(event)]
    slow = b"".join(map(frame, [*told, *answer.finish()])).decode()
    encoder = StreamEncoder(make_call(notes))
    fast = b"".join([*map(encoder.feed, [*events, end]), encoder.finish()]).decode()
    assert IDS.sub("", slow) == IDS.sub("", fast)
