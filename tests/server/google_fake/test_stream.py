"""Chunks, usage and framing."""

import gzip
from collections.abc import Sequence
from typing import Any

import pytest

from server.google_fake.http import ConnectionCutError
from server.google_fake.model import Answer, Asked
from server.google_fake.stream import (
    Cut,
    Framing,
    Item,
    Pause,
    chunks,
    encode,
    encode_array,
    event,
    fold,
)
from server.google_fake.table import CATALOGUE
from server.google_fake.tokens import Counted
from tests.support import call, events_of, texts_of, user

Json = dict[str, Any]

ASKED = Asked(model=CATALOGUE[0], request={"contents": [user("hi")]}, serial=3)
PROMPT = Counted({"TEXT": 10})


def thought(text: str) -> Json:
    return {"text": text, "thought": True}


def usages(answer: Answer, cached: int = 0) -> list[Json]:
    return [chunk["usageMetadata"] for chunk in chunks(answer, ASKED, PROMPT, cached)]


def test_usage_is_cumulative_and_adds_up() -> None:
    parts = [thought("a"), thought("b"), {"text": "12345678"}, {"text": "1234"}]
    seen = usages(Answer(parts=parts, thoughts_tokens=31, tool_use_tokens=5), cached=4)
    assert [usage.get("thoughtsTokenCount", 0) for usage in seen] == [16, 31, 31, 31]
    assert [usage.get("candidatesTokenCount") for usage in seen] == [None, None, 2, 3]
    assert [usage["totalTokenCount"] for usage in seen] == [31, 46, 48, 49]
    assert all(usage["cachedContentTokenCount"] == 4 for usage in seen)


def test_scripted_usage_replaces_or_removes() -> None:
    answer = Answer(parts=[{"text": "a"}], usage={"candidatesTokenCount": 77})
    assert usages(answer)[0]["candidatesTokenCount"] == 77
    assert "usageMetadata" not in chunks(Answer(usage={}), ASKED, PROMPT, 0)[0]


def test_parallel_calls_arrive_together_and_the_end_is_told_once() -> None:
    made = chunks(Answer(parts=[{"text": "a"}, call("f"), call("g")]), ASKED, PROMPT, 0)
    assert [len(chunk["candidates"][0]["content"]["parts"]) for chunk in made] == [1, 2]
    assert ["finishReason" in chunk["candidates"][0] for chunk in made] == [False, True]
    assert made[0]["responseId"] == made[1]["responseId"]


def test_the_unary_answer_is_the_fold_of_the_stream() -> None:
    parts = [thought("a"), thought("b"), {"text": "one "}, {"text": "two"}, call("f")]
    signature = {"text": "", "thoughtSignature": "c2ln"}
    folded = fold(chunks(Answer(parts=[*parts, signature]), ASKED, PROMPT, 0))
    assert folded["candidates"][0]["content"]["parts"] == [
        thought("ab"),
        {"text": "one two"},
        call("f"),
        signature,
    ]
    ended = fold(chunks(Answer(parts=[{"text": "one"}, signature]), ASKED, PROMPT, 0))
    assert ended["candidates"][0]["content"]["parts"] == [
        {"text": "one", "thoughtSignature": "c2ln"}
    ]


async def nap(_: float) -> None:
    return None


async def sent(items: Sequence[Item], framing: Framing) -> list[bytes]:
    return [piece async for piece in encode(items, framing, delay_s=0, sleep=nap)]


EVENTS: list[Item] = [{"text": "Grüße 🎈"}, {"text": "zwei"}]


@pytest.mark.parametrize(
    "framing",
    [
        Framing(),
        Framing(newline="\r\n"),
        Framing(comments=True),
        Framing(multiline=True),
        Framing(split_bytes=1),
        Framing(newline="\r\n", split_bytes=3, multiline=True, comments=True),
    ],
)
async def test_every_framing_says_the_same(framing: Framing) -> None:
    assert events_of(b"".join(await sent(EVENTS, framing))) == EVENTS


async def test_splitting_cuts_characters_in_half() -> None:
    pieces = await sent(EVENTS, Framing(split_bytes=1))
    assert all(len(piece) == 1 for piece in pieces)
    assert any(piece[0] >= 0x80 for piece in pieces)


async def test_gzip_flushes_every_event() -> None:
    pieces = await sent(EVENTS, Framing(gzip=True))
    assert len(pieces) == 3
    assert events_of(gzip.decompress(b"".join(pieces))) == EVENTS


async def test_pauses_and_delays_go_through_sleep() -> None:
    slept: list[float] = []

    async def sleep(seconds: float) -> None:
        slept.append(seconds)

    items: list[Item] = [{"a": 1}, Pause(60), {"b": 2}]
    assert len([p async for p in encode(items, Framing(), delay_s=0.5, sleep=sleep)]) == 2
    assert slept == [60, 0.5]


async def test_a_cut_ends_in_the_middle() -> None:
    with pytest.raises(ConnectionCutError):
        await sent([{"a": 1}, Cut()], Framing())


async def test_an_array_is_json_when_it_is_complete() -> None:
    body = b"".join([p async for p in encode_array(EVENTS, delay_s=0, sleep=nap)])
    assert body.startswith(b"[{")
    assert body.endswith(b"]")


def test_an_event_is_one_line() -> None:
    assert event({"a": "x\ny"}) == b'data: {"a": "x\\ny"}\n\n'


def test_a_refused_prompt_has_no_candidates() -> None:
    only = chunks(Answer(block_reason="SAFETY"), ASKED, PROMPT, 0)
    assert len(only) == 1
    assert texts_of(only) == ""
    assert fold(only)["promptFeedback"] == {"blockReason": "SAFETY"}
