"""Long answers of 4.x: hops, tokens, checkpoints, and one window for everything."""

from typing import Any

import httpx
import pytest

from tests.google import failures
from tests.google.catalogue import V4, FakeModel
from tests.google.continuation import split
from tests.google.google import FakeGoogle
from tests.google.keys import NEW_FREE
from tests.google.model import Answer
from tests.support import Asking, asking, events_of, message_of, texts_of, user

Json = dict[str, Any]
MODEL = "gemini-4-hydrogen"
STREAM = "streamGenerateContent?alt=sse"
SAID = "".join(f"{n:03} " for n in range(100))
"""100 tokens."""


def google(**fields: Any) -> FakeGoogle:
    """Hops of 30 tokens, and an answer of 20 thought and 100 told ones."""
    made = FakeGoogle(history=NEW_FREE, hop_tokens=30, **fields)
    parts = [{"text": SAID[i : i + 40]} for i in range(0, len(SAID), 40)]
    made.answers.append(Answer(parts=parts, thoughts_tokens=20))
    return made


def book(most: int | None = 1000, **more: object) -> Json:
    limit = {"generationConfig": {"maxOutputTokens": most}} if most is not None else {}
    return {"contents": [user("Write the whole book.")], **limit, **more}


def ends(chunks: list[Json]) -> tuple[str, str | None, Json]:
    """(finishReason, token, usage) of the last chunk."""
    last = chunks[-1]
    candidate = last["candidates"][0]
    return candidate["finishReason"], candidate.get("continuationToken"), last["usageMetadata"]


async def hop(ask: Asking, body: Json) -> list[Json]:
    response = await ask.gemini(body, MODEL, STREAM)
    assert response.status_code == 200, response.text
    return events_of(response.content)


async def test_hops_make_one_answer_and_each_reads_all_again() -> None:
    heard, usages, token = "", [], None
    async with asking(google()) as ask:
        while True:
            chunks = await hop(ask, book() | ({"continuationToken": token} if token else {}))
            heard += texts_of(chunks)
            reason, token, usage = ends(chunks)
            usages.append(usage)
            if token is None:
                break
    assert (heard, reason) == (SAID, "STOP")
    assert [u.get("candidatesTokenCount") for u in usages] == [10, 30, 30, 30]
    assert [u.get("thoughtsTokenCount") for u in usages] == [20, None, None, None]
    prompt = usages[0]["promptTokenCount"]
    assert [u["promptTokenCount"] - prompt for u in usages] == [0, 30, 60, 90]


async def test_the_limit_counts_all_hops_together_and_may_be_raised() -> None:
    async with asking(google()) as ask:
        reason, token, _ = ends(await hop(ask, book(most=40)))
        assert reason == "CONTINUATION"
        chunks = await hop(ask, book(most=40, continuationToken=token))
        reason, token, usage = ends(chunks)
        assert (reason, usage["candidatesTokenCount"]) == ("MAX_TOKENS", 10)
        reason, _, usage = ends(await hop(ask, book(most=1000, continuationToken=token)))
    assert (reason, usage["candidatesTokenCount"]) == ("CONTINUATION", 30)


async def test_without_a_limit_a_hop_is_all_there_is() -> None:
    async with asking(google()) as ask:
        reason, token, _ = ends(await hop(ask, book(most=None)))
    assert (reason, token) == ("MAX_TOKENS", None)


async def test_a_checkpoint_goes_on_behind_what_was_sent() -> None:
    async with asking(google()) as ask:
        await hop(ask, book())
        second = google()
        ask.google.answers = second.answers
        chunks = await hop(ask, book())
        token = ends(chunks)[1]
        chunks = await hop(ask, book(continuationToken=token))
        tokens = [c["candidates"][0].get("continuationToken") for c in chunks]
        middle = next(i for i, found in enumerate(tokens) if found)
        assert middle < len(chunks) - 1
        assert "finishReason" not in chunks[middle]["candidates"][0]
        begun = texts_of(chunks[: middle + 1])
        resumed = texts_of(await hop(ask, book(continuationToken=tokens[middle])))
    assert SAID[40:].startswith(begun + resumed)
    assert resumed


async def test_a_hop_may_be_all_thoughts() -> None:
    made = google()
    made.answers.clear()
    thought = {"text": "Hm. ", "thought": True}
    made.answers.append(Answer(parts=[thought, {"text": "So."}], thoughts_tokens=40))
    async with asking(made) as ask:
        first = await hop(ask, book())
        reason, token, usage = ends(first)
        assert (texts_of(first), reason) == ("", "CONTINUATION")
        assert usage["thoughtsTokenCount"] == 30
        second = await hop(ask, book(continuationToken=token))
    assert texts_of(second) == "So."
    assert ends(second)[2]["thoughtsTokenCount"] == 10


@pytest.mark.parametrize(
    "changed",
    [
        {"continuationToken": "bm9uZQ=="},
        {"contents": [user("Another book.")]},
        {"systemInstruction": {"parts": [{"text": "be brief"}]}},
    ],
)
async def test_a_token_is_good_for_its_own_request(changed: Json) -> None:
    async with asking(google()) as ask:
        token = ends(await hop(ask, book()))[1]
        body = book(continuationToken=token) | changed
        response = await ask.gemini(body, MODEL, STREAM)
    assert response.status_code == 400
    assert message_of(response) == "Invalid continuation token."


async def test_a_token_survives_a_lost_connection() -> None:
    made = google()
    async with asking(made) as ask:
        token = ends(await hop(ask, book()))[1]
        made.fail(failures.connection_cut(after=1))
        with pytest.raises(httpx.RemoteProtocolError):
            await ask.gemini(book(continuationToken=token), MODEL, STREAM)
        again = await hop(ask, book(continuationToken=token))
    assert texts_of(again) == SAID[40:160]


async def test_older_models_know_no_hops() -> None:
    made = google()
    async with asking(made) as ask:
        response = await ask.gemini(book(), "gemini-3.8-flash", STREAM)
    assert texts_of(events_of(response.content)) == SAID


async def test_input_and_output_share_one_window() -> None:
    small = FakeModel(id=MODEL, family=V4, input_limit=50)
    made = FakeGoogle(history=NEW_FREE, catalogue=(small,))
    made.answers.append(Answer(parts=[{"text": SAID}]))
    async with asking(made) as ask:
        chunks = await hop(ask, {"contents": [user("x" * 120)]})
    reason, token, usage = ends(chunks)
    assert (reason, token, usage["totalTokenCount"]) == ("MAX_TOKENS", None, 50)


def test_a_call_is_never_cut_in_two() -> None:
    call: Json = {"functionCall": {"name": "f", "args": {"a": "x" * 40}}}
    now, later = split(Answer(parts=[{"text": "abcd"}, call]), 3)
    assert now.parts == [{"text": "abcd"}]
    assert later is not None
    assert later.parts == [call]
