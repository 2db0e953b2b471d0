from contextlib import suppress

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from openai.types import Completion

from server.dialects.base import Params
from server.dialects.openai.completions import (
    completions_encoder,
    encode_completion,
    parse_completion,
)
from server.errors import BadRequestError
from server.gemini.events import Event, Finish, TextDelta, ThoughtDelta, UsageSeen
from server.gemini.types import Call, Json, Thinking, Usage
from tests.server.dialects.openai.support import JSON_VALUES, Desk, answers, chunks_of, refused

ANSWER: list[Event] = [
    ThoughtDelta("hm"),
    TextDelta("a"),
    TextDelta("b"),
    UsageSeen(Usage(3, 0, 2, 1)),
    Finish("STOP"),
]


def parse(**body: object) -> Call:
    return parse_completion({"model": "m", "prompt": "p", **body}, Params())


@pytest.mark.parametrize("prompt", ["once", ["once"]])
def test_a_prompt_is_what_the_user_says(prompt: object) -> None:
    call = parse(prompt=prompt)
    assert call.request == {"contents": [{"role": "user", "parts": [{"text": "once"}]}]}


def test_thoughts_are_unwanted_and_do_not_eat_the_answer() -> None:
    assert parse(max_tokens=16).thinking == Thinking(
        level="off", budget_tokens=0, headroom_tokens=8192
    )


def test_a_suffix_asks_for_the_text_between() -> None:
    request = parse(prompt="def f(", suffix="): pass").request
    assert request["contents"][0]["parts"] == [
        {"text": "<prefix>def f(</prefix>\n<suffix>): pass</suffix>"}
    ]
    assert "between" in request["systemInstruction"]["parts"][0]["text"]


def test_a_gap_at_the_start_of_a_file_needs_no_prompt() -> None:
    assert "<prefix></prefix>" in str(parse(prompt="", suffix="x").request["contents"])


def test_sampling_is_read_as_in_chat() -> None:
    call = parse(max_tokens=5, temperature=0, stop=["x"], n=2, best_of=3, logprobs=2, user="u")
    assert call.request["generationConfig"] == {
        "temperature": 0,
        "stopSequences": ["x"],
        "maxOutputTokens": 5,
    }
    assert (call.choices, call.dropped) == (2, ("logprobs",))


@pytest.mark.parametrize(
    ("prompt", "code"),
    [
        (None, "missing_required_parameter"),
        ("", "missing_required_parameter"),
        ([], None),
        (["a", "b"], "unsupported_parameter"),
        ([1, 2], None),
        ([[1, 2]], None),
        ({"a": 1}, None),
    ],
)
def test_a_prompt_that_cannot_be_answered_is_named(prompt: object, code: str | None) -> None:
    assert refused(parse_completion, {"model": "m", "prompt": prompt}) == ("prompt", code)


def test_the_answer_is_text_without_thoughts() -> None:
    body = encode_completion(parse(), ANSWER)
    completion = Completion.model_validate(body, strict=True)
    assert (completion.choices[0].text, completion.choices[0].finish_reason) == ("ab", "stop")
    assert completion.usage is not None
    assert completion.usage.total_tokens == 6


@pytest.mark.parametrize(
    ("reason", "word"),
    [("STOP", "stop"), ("MAX_TOKENS", "length"), ("SAFETY", "content_filter")],
)
def test_the_end_is_told_in_openais_words(reason: str, word: str) -> None:
    (choice,) = encode_completion(parse(), [Finish(reason)])["choices"]
    assert choice["finish_reason"] == word


def test_the_sdk_reads_an_echoed_stream() -> None:
    # The SDK's type knows no null ``finish_reason``, which OpenAI's own chunks have.
    client = Desk(ANSWER).client(strict=False)
    stream = client.completions.create(model="m", prompt="p:", echo=True, stream=True)
    chunks = list(stream)
    assert "".join(chunk.choices[0].text for chunk in chunks) == "p:ab"
    assert [c.choices[0].finish_reason for c in chunks if c.choices[0].text == ""] == ["stop"]


@settings(max_examples=60)
@given(answers(), st.booleans())
def test_the_response_is_the_fold_of_the_stream(events: list[Event], echo: bool) -> None:
    call = parse(echo=echo, stream_options={"include_usage": True})
    encoder = completions_encoder(call)
    *chunks, last = chunks_of(b"".join(map(encoder.feed, events)) + encoder.finish())
    whole = encode_completion(call, events)
    for choice in whole["choices"]:
        own = [c["choices"][0] for c in chunks if c["choices"][0]["index"] == choice["index"]]
        assert "".join(piece["text"] for piece in own) == choice["text"]
        assert own[-1]["finish_reason"] == choice["finish_reason"]
    assert last["usage"] == whole["usage"]


FIELDS = ("prompt", "suffix", "max_tokens", "stop", "echo", "stream_options", "n")
BODIES = st.fixed_dictionaries({"model": st.just("m")}, optional=dict.fromkeys(FIELDS, JSON_VALUES))


@settings(max_examples=60)
@given(BODIES | JSON_VALUES)
def test_any_json_is_a_call_or_a_bad_request(body: Json) -> None:
    with suppress(BadRequestError):
        assert isinstance(parse_completion(body, Params()), Call)
