"""What Gemini's own clients are told: every chunk as it is, and every end as what it is."""

import asyncio
import json
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from server.dialects.gemini_native.dialect import parse_unary
from server.dialects.gemini_native.stream import Array, Events, encode_unary
from server.errors import BrokenAnswerError
from server.gemini.events import Event, Finish, RawChunk, TextDelta, UsageSeen
from server.gemini.types import Chunk, Json, Usage
from server.sse import SSEReader
from tests.faults import until
from tests.google import failures
from tests.google.model import Answer
from tests.rig import running
from tests.server.dialects.gemini_native.support import (
    HELLO,
    MODEL,
    OBJECTS,
    PARAMS,
    elements_of,
    exactly,
    text_of,
)


@given(st.lists(OBJECTS, min_size=1, max_size=4))
def test_every_field_of_a_chunk_reaches_the_client(objects: list[Any]) -> None:
    chunks: list[Chunk] = objects
    events = told(*chunks)
    sse, array = Events(), Array()
    stream = b"".join(map(sse.feed, events)) + sse.keep_alive() + sse.finish()
    reader = SSEReader()
    assert exactly([json.loads(e) for e in reader.feed(stream)]) == exactly(chunks)
    assert reader.close() == []
    stream = array.keep_alive() + b"".join(map(array.feed, events)) + array.finish()
    assert exactly(json.loads(stream)) == exactly(chunks)
    assert exactly(encode_unary(parse_unary(HELLO, PARAMS), told(chunks[0]))) == exactly(chunks[0])


def told(*chunks: Chunk) -> list[Event]:
    """The events of an answer: the chunks, and what the pipeline notes beside them."""
    raw = [RawChunk(chunk) for chunk in chunks]
    return [TextDelta("ignored"), *raw, UsageSeen(Usage(1)), Finish("STOP")]


def test_an_array_without_elements_is_whole_as_well() -> None:
    assert Array().finish() == b"[]"
    failed = Array().fail(BrokenAnswerError("cut"))
    assert [element["error"]["message"] for element in json.loads(failed)] == ["cut"]


def test_a_failure_after_chunks_is_the_last_element() -> None:
    chunk: Chunk = {"responseId": "r"}
    array = Array()
    stream = array.feed(RawChunk(chunk)) + array.fail(BrokenAnswerError("cut"))
    first, last = json.loads(stream)
    assert (first, last["error"]["status"]) == (chunk, "UNAVAILABLE")


def test_a_failure_is_an_event_and_a_rest_that_no_reader_takes_for_an_end() -> None:
    failed = Events().fail(BrokenAnswerError("cut")).decode()
    event, rest = failed.removeprefix("data: ").split("\n\n")
    assert json.loads(event) == json.loads(rest)
    assert json.loads(event)["error"]["code"] == 502


# ── over the wire ──


@pytest.mark.parametrize("query", ["", "?alt=sse"])
@pytest.mark.parametrize(
    "failure",
    [failures.error_event(), failures.connection_cut(after=1), failures.truncated(after=1)],
)
async def test_a_stream_that_breaks_ends_with_an_error(
    tmp_path: Path, query: str, failure: failures.Failure
) -> None:
    async with running(tmp_path) as rig:
        rig.google.fail(failure)
        elements = await elements_of(rig, f"{MODEL}:streamGenerateContent{query}")
        assert len(elements) > 1
        assert elements[-1]["error"]["code"] >= 500
        assert not any("error" in element for element in elements[:-1])
        assert (await rig.usage())["recent_requests"][0]["outcome"] != "ok"


async def test_an_answer_that_is_none_is_asked_for_again(tmp_path: Path) -> None:
    async with running(tmp_path) as rig:
        for method in ("generateContent", "streamGenerateContent?alt=sse"):
            rig.google.fail(failures.malformed_function_call())
            answer = await rig.http.post(f"{MODEL}:{method}", json=HELLO)
            assert "MALFORMED" not in answer.text
            assert "Hello" in answer.text
        assert (await rig.usage())["recent_requests"][0]["attempts"] == 2


async def test_unknown_parts_are_an_answer(tmp_path: Path) -> None:
    strange: Json = {"holographicData": {"mimeType": "model/hologram"}}
    async with running(tmp_path) as rig:
        rig.google.answers.append(Answer(parts=[strange]))
        answer = await rig.http.post(f"{MODEL}:generateContent", json=HELLO)
        assert answer.json()["candidates"][0]["content"]["parts"] == [strange]
        assert (await rig.usage())["recent_requests"][0]["attempts"] == 1


async def test_a_waiting_stream_is_kept_alive_by_empty_lines(tmp_path: Path) -> None:
    async with running(tmp_path, wait_mode=True, keep_alive_s=0.05) as rig:
        for query in ("?alt=sse", ""):
            rig.google.fail(failures.rate_limited(delay_s=0.4))
            answer = await rig.http.post(f"{MODEL}:streamGenerateContent{query}", json=HELLO)
            assert answer.content.startswith(b"\n")
            assert b"Hello" in answer.content
            if not query:
                assert text_of(answer.json()) == "You said: Hello"


@pytest.mark.parametrize("method", ["generateContent", "streamGenerateContent?alt=sse"])
async def test_a_client_that_leaves_cancels_the_request_upstream(
    tmp_path: Path, method: str
) -> None:
    async with running(tmp_path) as rig:
        rig.google.fail(failures.slow_first_byte(3600))
        leaving = asyncio.create_task(rig.http.post(f"{MODEL}:{method}", json=HELLO))
        name = method.partition("?")[0]
        await until(lambda: bool(rig.google.calls(name)))
        leaving.cancel()
        await until(rig.google.calls(name)[0].ended.is_set)
        assert rig.google.calls(name)[0].cancelled
        await until(lambda: not rig.gateway.pipeline.live)
        assert (await rig.usage())["recent_requests"][0]["outcome"] == "cancelled"
