"""The Gemini API door: keys, lists, counting, embeddings."""

import math
from typing import Any

import pytest

from tests.google.google import FakeGoogle
from tests.google.keys import NEW_FREE, NEW_PAID, OLD_PAID, Key
from tests.support import asking, events_of, message_of, texts_of, user, weather_tool

Json = dict[str, Any]
HELLO: Json = {"contents": [user("hello")]}


async def test_a_key_in_the_header_opens_the_door() -> None:
    google = FakeGoogle()
    async with asking(google) as ask:
        good = await ask.gemini(HELLO)
        stream = await ask.gemini(HELLO, method="streamGenerateContent?alt=sse")
        ask.key = {"x-goog-api-key": "wrong"}
        bad = await ask.gemini(HELLO)
        ask.key = {}
        none = await ask.gemini(HELLO)
        in_url = await ask.http.get("/v1beta/models?key=fake-api-key")
    assert texts_of([good.json()]) == texts_of(events_of(stream.content)) == "You said: hello"
    assert (bad.status_code, none.status_code, in_url.status_code) == (400, 403, 403)
    assert bad.json()["error"]["details"][0]["reason"] == "API_KEY_INVALID"


@pytest.mark.parametrize(
    "field", [{"session_id": "s"}, {"labels": {"a": "b"}}, {"project": "p"}, {"stream": True}]
)
async def test_fields_of_the_other_door_are_unknown(field: Json) -> None:
    async with asking(FakeGoogle()) as ask:
        response = await ask.gemini(HELLO | field)
    assert response.status_code == 400
    assert message_of(response).endswith(": Cannot find field.")


@pytest.mark.parametrize(
    ("model", "method"),
    [
        ("gemini-9", "generateContent"),
        ("gemini-embedding-001", "generateContent"),
        ("gemini-3.8-flash", "embedContent"),
        ("gemini-3.8-flash", "fly"),
        ("text-embedding-004", "embedContent"),
    ],
)
async def test_unknown_models_and_methods(model: str, method: str) -> None:
    async with asking(FakeGoogle()) as ask:
        response = await ask.gemini(HELLO, model, method)
    assert response.status_code == 404
    assert f"models/{model} is not found for API version v1beta" in message_of(response)


async def test_the_list_comes_in_pages() -> None:
    async with asking(FakeGoogle()) as ask:
        names: list[str] = []
        token = ""
        while True:
            url = f"/v1/models?pageSize=5&pageToken={token or 0}"
            page = (await ask.http.get(url, headers=ask.key)).json()
            assert len(page["models"]) <= 5
            names += [model["name"] for model in page["models"]]
            if not (token := page.get("nextPageToken", "")):
                break
        one = (await ask.http.get("/v1beta/models/gemini-2.5-pro", headers=ask.key)).json()
    assert len(names) == len(set(names)) == len(FakeGoogle().models("gemini-api"))
    assert one["inputTokenLimit"] == 1_048_576
    assert "models/gemini-embedding-2" in names


async def test_count_tokens_equals_the_later_prompt_tokens() -> None:
    request = HELLO | {
        "systemInstruction": {"parts": [{"text": "Be terse, please."}]},
        "tools": [weather_tool()],
    }
    whole = {"generateContentRequest": {"model": "models/gemini-3.8-flash", **request}}
    async with asking(FakeGoogle()) as ask:
        counted = (await ask.gemini(whole, method="countTokens")).json()["totalTokens"]
        bare = (await ask.gemini(HELLO, method="countTokens")).json()["totalTokens"]
        answered = (await ask.gemini(request)).json()["usageMetadata"]["promptTokenCount"]
    assert counted == answered > bare == 2


@pytest.mark.parametrize(
    ("body", "words"),
    [
        ({"generateContentRequest": HELLO}, "unexpected model name"),
        (HELLO | {"systemInstruction": user("x")}, 'Unknown name "systemInstruction"'),
        (HELLO | {"generateContentRequest": HELLO}, "Only one of"),
    ],
)
async def test_wrong_counts(body: Json, words: str) -> None:
    async with asking(FakeGoogle()) as ask:
        response = await ask.gemini(body, method="countTokens")
    assert response.status_code == 400
    assert words in message_of(response)


def _embed(text: str, **more: object) -> Json:
    return {"content": {"parts": [{"text": text}]}, **more}


def _length(vector: list[float]) -> float:
    return math.sqrt(sum(value * value for value in vector))


async def test_vectors_have_length_one_and_know_likeness() -> None:
    name = "gemini-embedding-2"
    texts = ["a red apple on the table", "a red apple on a chair", "quarterly tax report"]
    body = {"requests": [_embed(text, model=f"models/{name}") for text in texts]}
    async with asking(FakeGoogle()) as ask:
        batch = (await ask.gemini(body, name, "batchEmbedContents")).json()["embeddings"]
        single = (await ask.gemini(_embed(texts[0]), name, "embedContent")).json()["embedding"]
        short = await ask.gemini(_embed("a", outputDimensionality=768), name, "embedContent")
    first, second, third = (entry["values"] for entry in batch)
    assert single["values"] == first
    assert len(first) == 3072
    assert _length(first) == pytest.approx(1)
    near = sum(a * b for a, b in zip(first, second, strict=True))
    far = sum(a * b for a, b in zip(first, third, strict=True))
    assert near > 0.5 > far
    assert _length(short.json()["embedding"]["values"]) == pytest.approx(1)


async def test_embedding_001_leaves_shortened_vectors_unnormalised() -> None:
    body = _embed("a few words", outputDimensionality=768)
    async with asking(FakeGoogle()) as ask:
        response = await ask.gemini(body, "gemini-embedding-001", "embedContent")
    vector = response.json()["embedding"]["values"]
    assert len(vector) == 768
    assert _length(vector) < 0.9


@pytest.mark.parametrize(
    ("body", "method", "words"),
    [
        (_embed(""), "embedContent", "contains an empty Part"),
        ({"content": {"parts": []}}, "embedContent", "contains an empty Part"),
        (_embed("a", outputDimensionality=4000), "embedContent", "between 1 and 3072"),
        (_embed("a", title="t"), "embedContent", "only applicable"),
        (_embed("a", taskType="GUESSING"), "embedContent", "TaskType"),
        (_embed("a", input="a"), "embedContent", 'Unknown name "input"'),
        ({"requests": []}, "batchEmbedContents", "required field is empty"),
        ({"requests": [_embed("a")]}, "batchEmbedContents", "model must match"),
        (
            {"requests": [_embed("a", model="models/gemini-embedding-001")] * 101},
            "batchEmbedContents",
            "at most 100 requests",
        ),
    ],
)
async def test_wrong_embedding_requests(body: Json, method: str, words: str) -> None:
    async with asking(FakeGoogle()) as ask:
        response = await ask.gemini(body, "gemini-embedding-001", method)
    assert response.status_code == 400
    assert words in message_of(response)


def _on(history: Key, **fields: Any) -> FakeGoogle:
    return FakeGoogle(history=history, **fields)


@pytest.mark.parametrize(
    ("asked", "google", "served"),
    [
        (None, _on(NEW_PAID), "standard"),
        ("flex", _on(NEW_PAID), "flex"),
        ("SERVICE_TIER_PRIORITY", _on(NEW_PAID), "priority"),
        ("priority", _on(NEW_PAID, served_tier="standard"), "standard"),
        ("priority", _on(NEW_FREE), "standard"),
    ],
)
async def test_the_served_tier_is_told_in_header_and_usage(
    asked: str | None, google: FakeGoogle, served: str
) -> None:
    body = HELLO | ({"serviceTier": asked} if asked else {})
    async with asking(google) as ask:
        unary = await ask.gemini(body, "gemini-3.8-flash")
        stream = await ask.gemini(body, "gemini-3.8-flash", "streamGenerateContent?alt=sse")
    for response in (unary, stream):
        assert response.headers["x-gemini-service-tier"] == served
    usage = unary.json()["usageMetadata"]
    assert usage.get("serviceTier") == (served if asked else None)
    assert "trafficType" not in usage


async def test_a_tier_that_is_none_is_refused() -> None:
    async with asking(FakeGoogle()) as ask:
        response = await ask.gemini(HELLO | {"serviceTier": "turbo"}, "gemini-3.8-flash")
    assert response.status_code == 400
    assert "ServiceTier" in message_of(response)


@pytest.mark.parametrize(
    ("history", "more", "stored"),
    [
        (NEW_PAID, {}, True),
        (NEW_PAID, {"store": False}, False),
        (OLD_PAID, {}, False),
        (NEW_FREE, {}, False),
        (NEW_FREE, {"store": True}, True),
    ],
)
async def test_new_paid_projects_store_what_does_not_say_otherwise(
    history: Key, more: Json, stored: bool
) -> None:
    google = _on(history)
    async with asking(google) as ask:
        await ask.gemini(HELLO | more, "gemini-3.8-flash")
        await ask.gemini({"contents": []} | more, "gemini-3.8-flash")
    assert [entry.stored for entry in google.requests] == [stored, False]
