"""The Gemini API of the demo, over httpx as the upstream speaks to it."""

from typing import Any

import httpx
import pytest

from server.demo.gemini_api import GeminiApi, tier_of
from tests.support import events_of, message_of, texts_of, user, weather_tool

Json = dict[str, Any]
HELLO: Json = {"contents": [user("hello")]}
MODEL = "gemini-3.8-flash"
LONG = "gemini-4-hydrogen"
MODELS = "http://demo.invalid/v1beta/models"


def client(google: GeminiApi | None = None) -> httpx.AsyncClient:
    transport = httpx.MockTransport((google or GeminiApi()).handle)
    return httpx.AsyncClient(transport=transport, base_url=MODELS)


async def test_a_stream_and_a_unary_answer_say_the_same() -> None:
    async with client() as http:
        unary = await http.post(f"/{MODEL}:generateContent", json=HELLO)
        stream = await http.post(f"/{MODEL}:streamGenerateContent?alt=sse", json=HELLO)
    assert stream.headers["content-type"] == "text/event-stream"
    assert (
        texts_of([unary.json()]) == texts_of(events_of(stream.content)) == "[demo] You said: hello"
    )
    assert unary.json()["modelVersion"] == MODEL


async def test_a_stream_takes_its_time() -> None:
    slept: list[float] = []

    async def sleep(seconds: float) -> None:
        slept.append(seconds)

    async with client(GeminiApi(chunk_delay_s=0.5, sleep=sleep)) as http:
        stream = await http.post(f"/{MODEL}:streamGenerateContent?alt=sse", json=HELLO)
    assert slept == [0.5] * (len(events_of(stream.content)) - 1) != []


async def test_a_name_that_google_moves_is_answered_by_the_model_behind_it() -> None:
    async with client() as http:
        answer = await http.post("/gemini-flash-latest:generateContent", json=HELLO)
        listed = (await http.get(MODELS)).json()["models"]
    assert answer.json()["modelVersion"] == MODEL
    assert {"models/gemini-flash-latest", f"models/{MODEL}"} <= {entry["name"] for entry in listed}


@pytest.mark.parametrize(
    ("model", "method"),
    [
        ("gemini-9", "generateContent"),
        ("gemini-embedding-001", "generateContent"),
        ("gemini-embedding-001", "embedContent"),
        (MODEL, "embedContent"),
        (MODEL, "fly"),
    ],
)
async def test_unknown_models_and_methods(model: str, method: str) -> None:
    async with client() as http:
        response = await http.post(f"/{model}:{method}", json=HELLO)
    assert response.status_code == 404
    assert f"models/{model} is not found for API version v1beta" in message_of(response)


async def test_there_is_nothing_beside_the_models() -> None:
    async with client() as http:
        assert (await http.get("http://demo.invalid/v1beta/files")).status_code == 404


@pytest.mark.parametrize(
    ("body", "words"),
    [
        (HELLO | {"labels": {"a": "b"}}, 'Unknown name "labels"'),
        ({"contents": []}, "contents is not specified"),
        (HELLO | {"generationConfig": {"temperature": 9}}, "temperature value of 9"),
        (HELLO | {"continuationToken": "bm9uZQ=="}, "Invalid continuation token."),
    ],
)
async def test_wrong_requests_are_refused_in_googles_shape(body: Json, words: str) -> None:
    async with client() as http:
        response = await http.post(f"/{LONG}:generateContent", json=body)
    assert response.status_code == 400
    assert response.json()["error"]["status"] == "INVALID_ARGUMENT"
    assert words in message_of(response)


async def test_count_tokens_equals_the_later_prompt_tokens() -> None:
    request = HELLO | {"tools": [weather_tool()]}
    whole = {"generateContentRequest": {"model": f"models/{MODEL}", **request}}
    async with client() as http:
        counted = (await http.post(f"/{MODEL}:countTokens", json=whole)).json()
        answered = (await http.post(f"/{MODEL}:generateContent", json=request)).json()
    assert counted["totalTokens"] == answered["usageMetadata"]["promptTokenCount"] > 2


async def test_a_long_beginning_comes_from_the_cache_the_second_time() -> None:
    body = {"contents": [user("word " * 8000)]}
    async with client() as http:
        answers = [await http.post(f"/{MODEL}:generateContent", json=body) for _ in range(2)]
    usages = [answer.json()["usageMetadata"] for answer in answers]
    assert "cachedContentTokenCount" not in usages[0]
    assert usages[1]["cachedContentTokenCount"] == usages[1]["promptTokenCount"]


async def test_the_served_tier_is_the_one_asked_for() -> None:
    async with client() as http:
        plain = await http.post(f"/{MODEL}:generateContent", json=HELLO)
        wish = HELLO | {"serviceTier": "priority"}
        asked = await http.post(f"/{MODEL}:streamGenerateContent?alt=sse", json=wish)
    assert plain.headers["x-gemini-service-tier"] == "standard"
    assert "serviceTier" not in plain.json()["usageMetadata"]
    assert asked.headers["x-gemini-service-tier"] == "priority"
    assert events_of(asked.content)[-1]["usageMetadata"]["serviceTier"] == "priority"


@pytest.mark.parametrize(
    ("wish", "tier"),
    [("SERVICE_TIER_FLEX", "flex"), ("SERVICE_TIER_UNSPECIFIED", "standard"), ("flex", "flex")],
)
def test_tiers_are_spelt_in_two_ways(wish: str, tier: str) -> None:
    assert tier_of({"serviceTier": wish}) == tier
