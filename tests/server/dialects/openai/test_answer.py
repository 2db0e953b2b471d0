import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from server.dialects.openai.answer import Answer, citations, dump, fenced, finish_reason, usage_body
from server.dialects.openai.dialect import ChatOptions, chat_encoder
from server.errors import OverloadedError
from server.gemini.events import Code, Event, Finish, FunctionCall, TextDelta, UsageSeen
from server.gemini.types import Call, Json, Usage
from tests.server.dialects.openai.support import JSON_VALUES, chunks_of, data_of

FILTERED = (
    *("SAFETY", "RECITATION", "BLOCKLIST", "PROHIBITED_CONTENT", "SPII", "LANGUAGE"),
    *("IMAGE_SAFETY", "IMAGE_PROHIBITED_CONTENT", "IMAGE_RECITATION", "NO_IMAGE", "IMAGE_OTHER"),
    *("MODEL_ARMOR", "ESCALATION", "BLOCKED"),
)


@pytest.mark.parametrize(
    ("reason", "called", "word"),
    [
        ("STOP", False, "stop"),
        ("STOP", True, "tool_calls"),
        ("STOP_SEQUENCE", False, "stop"),
        ("MAX_TOKENS", False, "length"),
        ("MAX_TOKENS", True, "length"),
        ("OTHER", False, "stop"),
        ("A_WORD_OF_TOMORROW", False, "stop"),
        ("A_WORD_OF_TOMORROW", True, "tool_calls"),
        *((reason, called, "content_filter") for reason in FILTERED for called in (False, True)),
    ],
)
def test_every_finish_reason_becomes_one_of_openais(reason: str, called: bool, word: str) -> None:
    assert finish_reason(reason, called=called) == word


def test_reasoning_counts_as_part_of_the_completion() -> None:
    assert usage_body(Usage(100, 40, 7, 5)) == {
        "prompt_tokens": 100,
        "completion_tokens": 12,
        "total_tokens": 112,
        "prompt_tokens_details": {"cached_tokens": 40},
        "completion_tokens_details": {"reasoning_tokens": 5},
    }


@given(JSON_VALUES)
def test_dumped_json_reads_back(value: object) -> None:
    assert json.loads(dump(value)) == value


def test_dumped_json_is_compact_raw_utf8() -> None:
    assert dump({"a": ["ä", "\u2028"]}) == '{"a":["ä","\u2028"]}'.encode()
    assert dump("\ud83d") == b'"?"'


@pytest.mark.parametrize(
    ("code", "before", "text"),
    [
        (Code("print(1)\n", "python"), "", "```python\nprint(1)\n```\n"),
        (Code("1", None), "so:", "\n```\n1\n```\n"),
        (Code("1", None), "so:\n", "```\n1\n```\n"),
        (Code("a ``` b", None), "", "````\na ``` b\n````\n"),
    ],
)
def test_code_is_told_as_a_block_of_its_own(code: Code, before: str, text: str) -> None:
    assert fenced(code, before) == text


def grounded(*supports: Json) -> Json:
    chunks = [
        {"web": {"uri": "http://a.test", "title": "A"}},
        {"web": {"uri": "http://b.test"}},
        {"web": {}},
    ]
    return {"groundingChunks": chunks, "groundingSupports": list(supports)}


def support(start: int, end: int, text: str | None, *indices: object) -> Json:
    segment = {"startIndex": start, "endIndex": end, "text": text}
    return {"segment": segment, "groundingChunkIndices": list(indices)}


A = {"title": "A", "url": "http://a.test"}
B = {"title": "http://b.test", "url": "http://b.test"}


@pytest.mark.parametrize(
    ("metadata", "spans"),
    [
        (grounded(support(0, 6, "größ", 0)), [(0, 4, A)]),
        (grounded(support(7, 12, "e 😀", 0, 1)), [(5, 8, A), (5, 8, B)]),
        (grounded(support(99, 120, "größ", 1)), [(0, 4, B)]),
        (grounded(support(1, 3, "größ", 0)), [(0, 4, A)]),
        (grounded(support(0, 2, None, 0)), [(0, 2, A)]),
        (grounded(support(0, 6, "absent", 0)), []),
        (grounded(support(0, 6, "größ", 2, 7, -1, "x")), []),
        (grounded({"segment": None}, {}), []),
        (grounded(), [(0, 8, A), (0, 8, B)]),
        ({}, []),
        ({"groundingChunks": "odd", "groundingSupports": [1]}, []),
    ],
)
def test_byte_offsets_become_characters(metadata: Json, spans: list[tuple[int, int, Json]]) -> None:
    text = "größ e 😀"
    assert citations(metadata, text) == [
        {"start_index": start, "end_index": end, **source} for start, end, source in spans
    ]


@given(
    st.text(max_size=20),
    st.fixed_dictionaries(
        {},
        optional={
            "groundingChunks": JSON_VALUES | st.just([{"web": {"uri": "http://a.test"}}]),
            "groundingSupports": st.lists(
                st.fixed_dictionaries(
                    {
                        "segment": JSON_VALUES
                        | st.fixed_dictionaries(
                            {"startIndex": JSON_VALUES, "endIndex": st.integers(-1, 30)}
                        ),
                        "groundingChunkIndices": JSON_VALUES | st.just([0]),
                    }
                ),
                max_size=2,
            )
            | JSON_VALUES,
        },
    ),
)
def test_any_grounding_yields_places_inside_the_text(text: str, metadata: Json) -> None:
    for citation in citations(metadata, text):
        assert 0 <= citation["start_index"] <= citation["end_index"] <= len(text)


def encoder(*, include_usage: bool = False) -> Answer:
    options = ChatOptions(include_usage=include_usage)
    return chat_encoder(Call(dialect="openai-chat", model="m", request={}, options=options))


def streamed(events: list[Event], *, include_usage: bool = False) -> list[Json]:
    answer = encoder(include_usage=include_usage)
    return chunks_of(b"".join([*map(answer.feed, events), answer.finish()]))


def test_nothing_but_usage_and_done_follows_the_one_finish() -> None:
    """The original sent a second ``stop`` after ``tool_calls``."""
    events: list[Event] = [
        FunctionCall("call_1", "look", {}),
        UsageSeen(Usage(10, 4, 3, 2)),
        Finish("STOP"),
    ]
    chunks = streamed(events, include_usage=True)
    words = [c["choices"][0]["finish_reason"] for c in chunks if c["choices"]]
    assert words == [None, None, None, "tool_calls"]
    assert chunks[-1]["choices"] == []
    assert chunks[-1]["usage"]["prompt_tokens"] == 10
    assert all(chunk["usage"] is None for chunk in chunks[:-1])


def test_without_include_usage_no_chunk_speaks_of_usage() -> None:
    events: list[Event] = [TextDelta("a"), UsageSeen(Usage(10, 4, 3, 2)), Finish("STOP")]
    assert all("usage" not in chunk for chunk in streamed(events))


def test_several_choices_interleave_and_their_usage_adds_up() -> None:
    events: list[Event] = [
        TextDelta("a", 0),
        TextDelta("x", 1),
        UsageSeen(Usage(5, 0, 1, 0), 0),
        UsageSeen(Usage(5, 0, 2, 0), 0),
        TextDelta("b", 0),
        UsageSeen(Usage(5, 0, 4, 1), 1),
        Finish("STOP", choice=1),
        Finish("MAX_TOKENS", choice=0),
    ]
    chunks = streamed(events, include_usage=True)
    pieces = [chunk["choices"][0] for chunk in chunks[:-1]]
    assert [piece["index"] for piece in pieces if piece["delta"].get("role")] == [0, 1]
    ends = [(p["index"], p["finish_reason"]) for p in pieces if p["finish_reason"]]
    assert ends == [(1, "stop"), (0, "length")]
    assert chunks[-1]["usage"]["prompt_tokens"] == 10
    assert chunks[-1]["usage"]["completion_tokens"] == 7


def test_text_reaches_the_wire_as_raw_utf8_on_one_line() -> None:
    frames = encoder().feed(TextDelta("é\n\u2028😀"))
    assert "é\\n\u2028😀".encode() in frames
    assert all(line.startswith(b"data: {") for line in frames.split(b"\n\n")[:-1])


def test_a_failure_in_mid_stream_is_an_error_frame_and_no_end() -> None:
    (body,) = data_of(encoder().fail(OverloadedError("Google is full.")))
    assert json.loads(body)["error"]["code"] == "server_is_overloaded"


def test_a_keep_alive_is_a_comment() -> None:
    assert encoder().keep_alive() == b": keep-alive\n\n"
