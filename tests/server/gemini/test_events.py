"""Reading chunks: what a candidate says, in order, whoever spelled it."""

import re
from dataclasses import replace
from typing import Any, cast

import pytest
from hypothesis import given
from hypothesis import strategies as st

from server.gemini.events import (
    Code,
    Event,
    EventReader,
    Finish,
    FunctionCall,
    Grounding,
    InlineData,
    RawChunk,
    TextDelta,
    TextSignature,
    ThoughtDelta,
    UsageSeen,
    read_usage,
)
from server.gemini.names import ToolNames
from server.gemini.types import Chunk, Json, Usage

MODEL = "gemini-3.5-flash"


def chunk(*parts: Json, finish: str | None = None, **more: Any) -> Chunk:
    candidate: Json = {"content": {"role": "model", "parts": list(parts)}}
    if finish:
        candidate["finishReason"] = finish
    return cast("Chunk", {"candidates": [candidate], **more})


def read(*chunks: Chunk) -> list[Event]:
    """All events of an answer; the random ids of calls become ``id``."""
    reader = EventReader(ToolNames(), model=MODEL)
    events = [event for one in chunks for event in reader.read([one])] + reader.finish()
    return [replace(e, id="id") if isinstance(e, FunctionCall) else e for e in events]


def call(name: str, signature: str | None = None, upstream_id: str | None = None) -> FunctionCall:
    return FunctionCall("id", name, {}, signature, MODEL, upstream_id)


STOP = Finish("STOP")
SEARCH = {"webSearchQueries": ["q"]}

PARTS: dict[str, tuple[list[Json], list[Event]]] = {
    "text": ([{"text": "a"}, {"text": ""}, {"text": "b"}], [TextDelta("a"), TextDelta("b")]),
    "thoughts": ([{"text": "hm", "thought": True}], [ThoughtDelta("hm")]),
    "call": ([{"functionCall": {"name": "look"}}], [call("look")]),
    "call without arguments object": (
        [{"functionCall": {"name": "look", "args": "x", "id": ""}}],
        [call("look")],
    ),
    "call with id, signature and prefix": (
        [{"functionCall": {"name": "default_api:look", "id": "up"}, "thoughtSignature": "s"}],
        [call("look", "s", "up")],
    ),
    "call without a name": ([{"functionCall": {}}, {"functionCall": {"args": {}}}], []),
    "signature on an empty thought before the call": (
        [
            {"text": "", "thought": True, "thoughtSignature": "s"},
            {"functionCall": {"name": "a"}},
            {"functionCall": {"name": "b"}},
        ],
        [call("a", "s"), call("b")],
    ),
    "signature of visible text is not the call's": (
        [{"text": "a", "thoughtSignature": "s"}, {"functionCall": {"name": "look"}}],
        [TextDelta("a"), call("look")],
    ),
    "signature on the empty last part of a text": (
        [{"text": "a"}, {"text": "", "thoughtSignature": "s"}],
        [TextDelta("a"), TextSignature("s")],
    ),
    "image": (
        [{"inlineData": {"mimeType": "image/png", "data": "AA=="}}],
        [InlineData("image/png", "AA==")],
    ),
    "code": (
        [
            {"executableCode": {"language": "PYTHON", "code": "1+1"}},
            {"codeExecutionResult": {"outcome": "OUTCOME_OK", "output": "2"}},
        ],
        [Code("1+1", "python"), Code("2")],
    ),
    "unknown": ([{"holo": 1}, {}, {"text": None}, {"functionCall": []}], []),
}


@pytest.mark.parametrize("case", PARTS, ids=lambda case: case.replace(" ", "-"))
def test_parts_become_events(case: str) -> None:
    parts, events = PARTS[case]
    assert read(chunk(*parts, finish="STOP")) == [*events, STOP]


def snake(value: Any) -> Any:
    """The same JSON with its keys in snake_case."""
    if isinstance(value, dict):
        return {
            re.sub("[A-Z]", lambda m: "_" + m[0].lower(), k): snake(v) for k, v in value.items()
        }
    return [snake(item) for item in value] if isinstance(value, list) else value


@pytest.mark.parametrize("case", PARTS, ids=lambda case: case.replace(" ", "-"))
def test_snake_case_says_the_same(case: str) -> None:
    usage = {"promptTokenCount": 5, "candidatesTokenCount": 2}
    spoken = chunk(*PARTS[case][0], finish="STOP", usageMetadata=usage, modelVersion="v")
    assert read(snake(spoken)) == read(spoken)


def test_finish_is_told_once_at_the_end_with_the_last_reason() -> None:
    """Gemini may send a finishReason with every chunk."""
    chunks = [chunk({"text": "a"}, finish="STOP"), chunk({"text": "b"}, finish="MAX_TOKENS")]
    assert read(*chunks) == [TextDelta("a"), TextDelta("b"), Finish("MAX_TOKENS")]


def test_an_unspecified_reason_is_none() -> None:
    reader = EventReader(ToolNames())
    reader.read([chunk({"text": "a"}, finish="FINISH_REASON_UNSPECIFIED")])
    assert reader.finish_reason is None


def test_the_finish_message_and_the_model_version_are_kept() -> None:
    last = chunk(finish="OTHER", modelVersion="gemini-3.5-flash-001")
    last["candidates"][0]["finishMessage"] = "why"
    assert read(last) == [Finish("OTHER", "why", "gemini-3.5-flash-001")]


def test_a_refused_prompt_is_blocked_with_the_reason() -> None:
    blocked: Chunk = {"promptFeedback": {"blockReason": "PROHIBITED_CONTENT"}}
    assert read(blocked) == [Finish("BLOCKED", "PROHIBITED_CONTENT")]
    assert read({"promptFeedback": {"safetyRatings": []}}) == [STOP]


def test_grounding_is_handed_out_as_received() -> None:
    grounded = chunk({"text": "a"})
    grounded["candidates"][0]["groundingMetadata"] = SEARCH
    assert read(grounded) == [TextDelta("a"), Grounding(SEARCH), STOP]


def test_a_count_that_only_an_earlier_chunk_has_stays() -> None:
    first = {"promptTokenCount": 7, "candidatesTokenCount": 1, "cachedContentTokenCount": 3}
    last = {"candidatesTokenCount": 5, "promptTokenCount": None}
    events = read(
        chunk({"text": "a"}, usageMetadata=first), chunk({"text": "b"}, usageMetadata=last)
    )
    assert [e.usage for e in events if isinstance(e, UsageSeen)][-1] == Usage(7, 3, 5)


def test_usage_is_cumulative_and_comes_with_every_chunk() -> None:
    first = chunk({"text": "a"}, usageMetadata={"promptTokenCount": 9, "thoughtsTokenCount": 3})
    last = chunk({"text": "b"}, usageMetadata={"promptTokenCount": 9, "candidatesTokenCount": 2})
    seen = [event.usage for event in read(first, last) if isinstance(event, UsageSeen)]
    assert seen == [Usage(9, 0, 0, 3), Usage(9, 0, 2, 3)]


@pytest.mark.parametrize(
    ("metadata", "usage"),
    [
        ({}, Usage()),
        (
            {"promptTokenCount": 5, "totalTokenCount": 12, "thoughtsTokenCount": 3},
            Usage(5, 0, 4, 3),
        ),
        ({"promptTokenCount": 5, "candidatesTokenCount": 0, "totalTokenCount": 9}, Usage(5)),
        ({"promptTokenCount": 5, "toolUsePromptTokenCount": 4}, Usage(9)),
        ({"promptTokenCount": 5, "cachedContentTokenCount": 3}, Usage(5, 3)),
        ({"promptTokenCount": 5, "cachedContentTokenCount": 8}, Usage(5, 5)),
        ({"promptTokenCount": "5", "candidatesTokenCount": -1, "totalTokenCount": None}, Usage()),
    ],
)
def test_usage_metadata(metadata: Json, usage: Usage) -> None:
    assert read_usage(metadata) == usage


@pytest.mark.parametrize(
    ("part", "seen"),
    [
        ({"text": "", "thought": True}, set()),
        ({"text": "a", "thought": True}, {"thought"}),
        ({"text": "a"}, {"visible"}),
        ({"inlineData": {"data": "AA=="}}, {"visible"}),
        ({"functionCall": {"name": "look"}}, {"visible", "call"}),
    ],
)
def test_what_was_seen_is_remembered(part: Json, seen: set[str]) -> None:
    reader = EventReader(ToolNames())
    reader.read([chunk(part)])
    flags = {"thought": reader.saw_thought, "visible": reader.saw_visible, "call": reader.saw_call}
    assert {name for name, flag in flags.items() if flag} == seen
    assert not reader.saw_usage
    reader.read([chunk(usageMetadata={})])
    assert reader.saw_usage


def test_call_ids_are_ours_and_events_carry_the_choice() -> None:
    names = ToolNames()
    sent = names.send("my.tool")
    reader = EventReader(names, "toolu_", MODEL, choice=2)
    made = reader.read([chunk({"functionCall": {"name": sent, "id": "up"}}, {"text": "a"})])
    found, text = made
    assert isinstance(found, FunctionCall)
    assert found.id.startswith("toolu_")
    assert (found.name, found.upstream_id, found.choice) == ("my.tool", "up", 2)
    assert text == TextDelta("a", 2)


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(max_size=3),
    lambda inner: (
        st.lists(inner, max_size=2) | st.dictionaries(st.text(max_size=3), inner, max_size=2)
    ),
)
PART = st.dictionaries(
    st.sampled_from(
        ["text", "thought", "functionCall", "thoughtSignature", "inlineData", "executableCode"]
    ),
    JSON | st.fixed_dictionaries({"name": JSON, "args": JSON, "data": JSON, "code": JSON}),
)
CANDIDATE = st.fixed_dictionaries(
    {"content": JSON | st.fixed_dictionaries({"parts": st.lists(PART, max_size=3)})},
    optional={"finishReason": JSON, "groundingMetadata": JSON, "finishMessage": JSON},
)
CHUNK = st.fixed_dictionaries(
    {"candidates": JSON | st.lists(CANDIDATE, max_size=2)},
    optional={"usageMetadata": JSON, "promptFeedback": JSON, "modelVersion": JSON},
)


@given(st.lists(CHUNK, max_size=3))
def test_no_chunk_breaks_the_reader(chunks: list[Json]) -> None:
    events = read(*cast("list[Chunk]", chunks))
    assert isinstance(events[-1], Finish)
    assert sum(isinstance(event, Finish) for event in events) == 1


# ── whole chunks ──


@pytest.mark.parametrize(
    ("given_", "says"),
    [
        (chunk({"text": "x"}), True),
        (chunk({"text": "x", "thought": True}), True),
        (chunk({"hologram": {"depth": 1}}), True),
        (chunk({"functionCall": {"name": "a"}, "thoughtSignature": "A"}), True),
        (chunk({"text": "", "thoughtSignature": "A"}, finish="STOP"), False),
        (chunk({"text": "", "thought": True, "thought_signature": "A"}), False),
        (chunk(finish="STOP"), False),
        ({}, False),
        ({"candidates": [{"content": {"parts": {"text": "x"}}}, "x"]}, False),
    ],
)
def test_a_chunk_knows_whether_it_says_anything(given_: Chunk, says: bool) -> None:
    assert RawChunk(given_).has_content is says


FIELDS = st.sampled_from(
    ["text", "thought", "thoughtSignature", "functionCall", "inlineData", "executableCode", "new"]
)
ANYTHING: st.SearchStrategy[Any] = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(max_size=3),
    lambda inner: st.lists(inner, max_size=2) | st.dictionaries(FIELDS | st.just("name"), inner),
    max_leaves=6,
)


@given(st.dictionaries(FIELDS, ANYTHING), ANYTHING)
def test_a_chunk_of_any_form_can_be_read(part: Json, other: Any) -> None:
    odd: Any = chunk(part, usageMetadata=other, promptFeedback=other, modelVersion=other)
    odd["candidates"] += [other, {"content": other, "groundingMetadata": other}]
    assert isinstance(read(odd)[-1], Finish)
    assert RawChunk(odd).has_content in (True, False)


def test_an_answer_that_would_go_on_is_told_as_cut() -> None:
    events = read(chunk({"text": "a"}, finish="CONTINUATION"))
    assert events == [TextDelta("a"), Finish("MAX_TOKENS")]
