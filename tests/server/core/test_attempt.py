"""Answers for a client that speaks Gemini's own JSON: whole chunks, judged all the same."""

import asyncio
from collections.abc import AsyncIterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from server.errors import (
    BadRequestError,
    BrokenAnswerError,
    SchemaRejectedError,
    SignatureRejectedError,
    ThinkingRejectedError,
    UpstreamError,
)
from server.gemini.events import Event, RawChunk
from server.gemini.types import Call, Chunk, Json
from tests.clock import settle
from tests.server.core.test_pipeline import House, Step, chunk, text
from tests.support import call as function_call

HELLO: Any = [{"role": "user", "parts": [{"text": "hi"}]}]
STRANGE: Json = {"hologram": {"depth": 1}}


@pytest.fixture
async def house(tmp_path: Path) -> AsyncIterator[House]:
    made = House(tmp_path)
    yield made
    made.usage.close()
    made.signatures.close()


def verbatim(*, stream: bool = True, **more: Any) -> Call:
    request: Any = {"contents": HELLO, **more}
    model = "gemini-2.5-pro"
    return Call(dialect="gemini", model=model, request=request, stream=stream, verbatim=True)


def chunks_of(events: list[Event]) -> list[Chunk]:
    return [event.chunk for event in events if isinstance(event, RawChunk)]


async def test_every_chunk_arrives_as_it_is_and_once(house: House) -> None:
    sent: list[Any] = [
        {"responseId": "r", "usageMetadata": {"promptTokenCount": 7}},
        text("Hello "),
        chunk(STRANGE),
        chunk({"text": "", "thoughtSignature": "AAAA"}, finish="STOP"),
    ]
    house.script(sent)
    assert chunks_of(await house.ask(verbatim())) == sent
    assert house.entries[0].usage.prompt_tokens == 7
    assert house.entries[0].usage.estimated is False


@pytest.mark.parametrize("stream", [True, False])
async def test_only_an_answer_in_one_piece_is_asked_for_in_one_piece(
    house: House, stream: bool
) -> None:
    await house.ask(verbatim(stream=stream))
    assert house.upstream.sent[0].unary is not stream
    assert house.upstream.sent[0].request == {"contents": HELLO}
    translated = Call(dialect="test", model="gemini-2.5-pro", request={"contents": HELLO})
    await house.ask(translated)
    assert house.upstream.sent[1].unary is False


@pytest.mark.parametrize(
    "broken",
    [
        [chunk(finish="MALFORMED_FUNCTION_CALL")],
        [text("print(", finish="MALFORMED_FUNCTION_CALL")],
        [chunk(finish="OTHER")],
        [chunk({"text": "", "thoughtSignature": "AAAA"}, finish="STOP")],
        [{"usageMetadata": {"promptTokenCount": 7}}],
    ],
)
async def test_an_answer_that_is_none_is_asked_for_again_unseen(
    house: House, broken: list[Step]
) -> None:
    good = text("Hello", finish="STOP")
    house.script(broken, [good])
    assert chunks_of(await house.ask(verbatim())) == [good]
    assert house.entries[0].attempts == 2


async def test_a_broken_end_never_reaches_the_client(house: House) -> None:
    house.script([text("Hello"), text("print(", finish="MALFORMED_FUNCTION_CALL")])
    seen: list[Event] = []
    with pytest.raises(BrokenAnswerError):
        await house.events(verbatim(), seen)
    assert chunks_of(seen) == [text("Hello")]


@pytest.mark.parametrize("parts", [[STRANGE], [{"text": "hm", "thought": True}]])
async def test_unknown_parts_and_thoughts_are_an_answer(house: House, parts: list[Json]) -> None:
    house.script([chunk(*parts, finish="STOP")])
    assert len(chunks_of(await house.ask(verbatim()))) == 1
    assert house.entries[0].attempts == 1


async def test_a_really_empty_answer_is_passed_on_in_the_end(house: House) -> None:
    empty = chunk(finish="STOP")
    house.script([empty])
    assert chunks_of(await house.ask(verbatim())) == [empty]
    assert house.entries[0].attempts == 2


@pytest.mark.parametrize(
    "error", [SchemaRejectedError("no"), SignatureRejectedError("no"), ThinkingRejectedError("no")]
)
async def test_the_clients_own_request_is_not_repaired(
    house: House, error: BadRequestError
) -> None:
    house.script([error])
    with pytest.raises(BadRequestError):
        await house.ask(verbatim())
    assert house.entries[0].attempts == 1


async def test_missing_usage_is_estimated_for_the_log_only(house: House) -> None:
    sent = text("x" * 40, finish="STOP", usage=None)
    house.script([sent])
    assert chunks_of(await house.ask(verbatim())) == [sent]
    usage = house.entries[0].usage
    assert (usage.candidates_tokens, usage.estimated) == (10, True)


@pytest.mark.parametrize("stream", [True, False])
async def test_what_a_cut_answer_had_said_is_estimated(house: House, stream: bool) -> None:
    """Google had sent no figures yet, but bills what its model wrote."""
    house.script([text("x" * 40, usage=None), BrokenAnswerError("cut")])
    with pytest.raises(BrokenAnswerError):
        await house.ask(replace(verbatim(stream=stream), verbatim=False))
    usage = house.entries[0].usage
    attempts = house.entries[0].attempts
    assert attempts == (1 if stream else 3)
    assert (usage.candidates_tokens, usage.estimated) == (10 * attempts, True)


async def test_attempts_add_up(house: House) -> None:
    """Each attempt overwrote the usage of the one before (reports A15)."""
    house.script([text("draft"), BrokenAnswerError("cut")], [text("whole", finish="STOP")])
    await house.ask(replace(verbatim(stream=False), verbatim=False))
    usage = house.entries[0].usage
    assert house.entries[0].attempts == 2
    assert (usage.prompt_tokens, usage.candidates_tokens) == (14, 6)
    assert usage.estimated is False


async def test_a_refusal_costs_nothing(house: House) -> None:
    house.script([UpstreamError("500"), UpstreamError("500")], [text("ok", finish="STOP")])
    await house.ask(replace(verbatim(stream=False), verbatim=False))
    assert house.entries[0].usage.prompt_tokens == 7


@pytest.mark.parametrize("stream", [True, False])
@pytest.mark.parametrize("said", [True, False])
async def test_a_cancelled_answer_counts_what_was_asked_and_said(
    house: House, stream: bool, said: bool
) -> None:
    never = asyncio.Event()
    house.script([text("x" * 40, usage=None), never] if said else [never])
    task = asyncio.create_task(house.events(replace(verbatim(stream=stream), verbatim=False)))
    await settle()
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    (entry,) = house.entries
    assert entry.outcome == "cancelled"
    assert entry.usage.candidates_tokens == (10 if said else 0)
    assert entry.usage.prompt_tokens > 0
    assert entry.usage.estimated


async def test_a_signature_is_kept_under_the_id_that_the_client_sees(house: House) -> None:
    """So the conversation can go on in another dialect."""
    named = function_call("a", id="fc-1", thoughtSignature="AAAA")
    house.script([chunk(named, finish="STOP")])
    await house.ask(verbatim())
    kept = house.signatures.call("fc-1")
    assert kept is not None
    assert (kept.signature, kept.model) == ("AAAA", "gemini-2.5-pro")


async def test_a_count_of_a_bad_request_is_refused_not_guessed(house: House) -> None:
    house.upstream.count = lambda: BadRequestError("tools: no such field")
    odd: Json = {"tools": {"odd": [1]}, "systemInstruction": None}
    with pytest.raises(BadRequestError, match="no such field"):
        await house.pipeline.count(verbatim(**odd))
    house.upstream.count = lambda: UpstreamError("down")
    count, estimated = await house.pipeline.count(verbatim(**odd))
    assert (count.tokens > 0, estimated) == (True, True)


async def test_one_good_candidate_of_two_is_kept(house: House) -> None:
    """In one piece and in a stream, whichever comes first; two bad ones are a failure."""
    good = {"index": 1, "content": {"parts": [{"text": "fine"}]}, "finishReason": "STOP"}
    bad = {"index": 0, "finishReason": "MALFORMED_FUNCTION_CALL"}
    scripts: list[list[Any]] = [
        [{"candidates": [bad, good]}],
        [{"candidates": [good, bad]}],
        [{"candidates": [bad]}, {"candidates": [good]}],
        [{"candidates": [good]}, {"candidates": [bad]}],
    ]
    for script in scripts:
        house.script(script)
        assert chunks_of(await house.ask(verbatim())) == script
    house.script([{"candidates": [bad, {**bad, "index": 1}]}])
    with pytest.raises(BrokenAnswerError):
        await house.ask(verbatim())
