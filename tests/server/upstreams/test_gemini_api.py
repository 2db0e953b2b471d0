"""The Gemini API upstream against the strict fake Google."""

import json
import math
from collections.abc import AsyncIterator
from contextlib import aclosing
from dataclasses import replace
from typing import Any

import httpx
import pytest

from server.errors import AuthenticationError, BadRequestError, OverloadedError, UpstreamError
from server.gemini.models import living_models
from server.gemini.types import EmbedCall, GenerateRequest
from server.upstreams.base import Outgoing
from server.upstreams.gemini_api import (
    GeminiApi,
    embed_bodies,
    read_model,
)
from tests.google import failures
from tests.google.google import API_KEY
from tests.google.transport import InProcessTransport
from tests.support import old_google

Json = dict[str, Any]
HELLO: GenerateRequest = {"contents": [{"role": "user", "parts": [{"text": "hello"}]}]}
BASE = "http://google.test"


class World:
    def __init__(self) -> None:
        self.google = old_google()
        self.time = 1000.0
        self.http = httpx.AsyncClient(transport=InProcessTransport(self.google))
        self.upstream = self.new()

    def new(self, key: str = API_KEY) -> GeminiApi:
        return GeminiApi(self.http, BASE, key, now=lambda: self.time)


@pytest.fixture
async def world() -> AsyncIterator[World]:
    world = World()
    async with world.http:
        yield world


def outgoing(**request: Any) -> Outgoing:
    merged: Any = {**HELLO, **request}
    return Outgoing(model="gemini-2.5-flash", request=merged, session="s-1", prompt_id="p-1")


async def read(upstream: GeminiApi, out: Outgoing) -> list[Json]:
    async with aclosing(upstream.generate(out)) as batches:
        return [dict(chunk) async for batch in batches for chunk in batch]


def answering(*answers: Json) -> GeminiApi:
    """An upstream whose Google gives these answers in turn."""
    left = list(answers)
    transport = httpx.MockTransport(lambda request: httpx.Response(200, json=left.pop(0)))
    return GeminiApi(httpx.AsyncClient(transport=transport), BASE, "k")


# ── generate and count ──


async def test_an_answer_ends_the_trouble_and_a_refused_key_begins_it(world: World) -> None:
    world.google.fail(failures.unavailable(), methods={"models"}, times=None)
    problem = (await world.upstream.check()).problem
    assert problem is not None
    await read(world.upstream, outgoing())
    assert world.upstream.account().problem is None
    world.google.api_keys.clear()
    with pytest.raises(AuthenticationError):
        await read(world.upstream, outgoing())
    problem = world.upstream.account().problem
    assert problem is not None
    assert problem.code == "API_KEY_INVALID"
    world.google.api_keys.add(API_KEY)
    await world.upstream.count_tokens(outgoing())
    assert world.upstream.account().problem is None


async def test_an_answer_streams_without_any_envelope(world: World) -> None:
    chunks = await read(world.upstream, outgoing(cachedContent=None))
    assert chunks[-1]["usageMetadata"]["totalTokenCount"] > 0
    sent = world.google.calls("streamGenerateContent")[0]
    assert sent.path == "/v1beta/models/gemini-2.5-flash:streamGenerateContent"
    assert sent.json == {"store": False, **HELLO}
    assert sent.headers["x-goog-api-key"] == API_KEY
    assert API_KEY not in sent.path + str(sent.query)


async def test_a_unary_answer_is_one_chunk(world: World) -> None:
    chunks = await read(world.upstream, replace(outgoing(novel=None), unary=True, verbatim=True))
    assert [chunk["candidates"][0]["finishReason"] for chunk in chunks] == ["STOP"]
    sent = world.google.calls("generateContent")[0]
    assert (sent.query, sent.json) == ({}, HELLO)
    world.google.fail(failures.capacity())
    with pytest.raises(OverloadedError):
        await read(world.upstream, replace(outgoing(), unary=True))


async def test_a_refusal_keeps_its_meaning(world: World) -> None:
    world.google.fail(failures.capacity())
    with pytest.raises(OverloadedError):
        await read(world.upstream, outgoing())


async def test_a_bad_key_says_so_and_asks_nobody_to_retry(world: World) -> None:
    upstream = world.new("wrong")
    with pytest.raises(AuthenticationError) as caught:
        await read(upstream, outgoing())
    assert (caught.value.code, caught.value.should_retry) == ("invalid_api_key", False)
    assert "wrong" not in caught.value.message


async def test_nothing_translated_is_stored_at_google_unless_the_setting_says_so(
    world: World,
) -> None:
    await read(world.upstream, outgoing())
    await read(world.upstream, replace(outgoing(store=True), verbatim=True))
    await read(world.upstream, replace(outgoing(), verbatim=True))
    await world.upstream.count_tokens(outgoing())
    world.upstream = GeminiApi(world.http, BASE, API_KEY, stored=True)
    await read(world.upstream, outgoing())
    sent = world.google.calls("streamGenerateContent")
    assert [entry.json.get("store") for entry in sent] == [False, True, None, None]
    assert "store" not in world.google.calls("countTokens")[0].json["generateContentRequest"]


async def test_counting_includes_system_and_tools(world: World) -> None:
    plain = (await world.upstream.count_tokens(outgoing())).tokens
    system = {"parts": [{"text": "Be terse. " * 40}]}
    full = (await world.upstream.count_tokens(outgoing(systemInstruction=system))).tokens
    assert full > plain + 50
    sent = world.google.calls("countTokens")[-1].json["generateContentRequest"]
    assert sent["model"] == "models/gemini-2.5-flash"


async def test_a_count_without_a_number_is_an_error() -> None:
    with pytest.raises(UpstreamError):
        await answering({}).count_tokens(outgoing())


async def test_a_model_name_cannot_leave_its_place_in_the_address() -> None:
    seen: list[str] = []

    def note(request: httpx.Request) -> httpx.Response:
        seen.append(request.url.raw_path.decode())
        return httpx.Response(200, json={"totalTokens": 1})

    async with httpx.AsyncClient(transport=httpx.MockTransport(note)) as http:
        out = Outgoing(model="gemini-x/../../y?z#", request=HELLO, session="s", prompt_id="p")
        await GeminiApi(http, BASE, "k").count_tokens(out)
    assert seen == ["/v1beta/models/gemini-x%2F..%2F..%2Fy%3Fz%23:countTokens"]


# ── models ──


async def test_models_are_asked_once_an_hour(world: World) -> None:
    models = {model.id: model for model in await world.upstream.models()}
    await world.upstream.models()
    assert len(world.google.calls("models")) == 1
    assert models["gemini-2.5-flash"].input_limit_tokens == 1_048_576
    assert not models["gemini-2.5-flash"].embeds
    assert models["gemini-embedding-001"].embeds
    world.time += 3600
    await world.upstream.models()
    assert len(world.google.calls("models")) == 2


async def test_every_page_of_the_list_is_read() -> None:
    first = {"name": "models/gemini-a", "supportedGenerationMethods": ["generateContent"]}
    second = {**first, "name": "models/gemini-b"}
    upstream = answering({"models": [first], "nextPageToken": "2"}, {"models": [second]})
    assert [model.id for model in await upstream.models()] == ["gemini-a", "gemini-b"]


async def test_a_list_that_cannot_be_had_is_the_catalogue_for_a_while(world: World) -> None:
    world.google.fail(failures.internal(), methods={"models"})
    assert await world.upstream.models() == living_models("free")
    assert await world.upstream.models() == living_models("free")
    assert len(world.google.calls("models")) == 1
    world.time += 30
    assert await world.upstream.models() != living_models("free")


async def test_the_account_tells_whether_google_takes_the_key(world: World) -> None:
    assert (await world.upstream.check()).problem is None
    refused = await world.new("wrong").check()
    assert not refused.authenticated
    assert refused.problem is not None
    assert refused.problem.code == "API_KEY_INVALID"


async def test_a_network_failure_does_not_make_the_key_wrong(world: World) -> None:
    world.google.fail(failures.unavailable(), methods={"models"})
    shown = await world.upstream.check()
    assert shown.authenticated
    assert shown.problem is not None


def test_an_entry_of_the_list_becomes_a_model() -> None:
    entry = {
        "name": "models/gemini-x",
        "displayName": "Gemini X",
        "description": "Nice.",
        "inputTokenLimit": 10,
        "outputTokenLimit": 5,
        "supportedGenerationMethods": ["generateContent", "countTokens"],
    }
    model = read_model(entry)
    assert model is not None
    assert (model.id, model.display_name, model.description) == ("gemini-x", "Gemini X", "Nice.")
    assert (model.input_limit_tokens, model.output_limit_tokens) == (10, 5)
    assert model.methods == ("generateContent", "countTokens")
    assert read_model({**entry, "supportedGenerationMethods": ["predict"]}) is None
    assert read_model({}) is None


# ── embeddings ──


def embed(*inputs: str | tuple[int, ...], **more: Any) -> EmbedCall:
    return EmbedCall(dialect="openai", model="text-embedding-3-small", inputs=inputs, **more)


async def test_real_vectors_of_length_one_in_order(world: World) -> None:
    call = embed("alpha", "beta", "alpha", dimensions=256)
    embedding = await world.upstream.embed(call, call.model)
    assert not embedding.mock
    assert [len(vector) for vector in embedding.vectors] == [256] * 3
    assert all(math.isclose(math.hypot(*v), 1, abs_tol=1e-3) for v in embedding.vectors)
    assert embedding.vectors[0] == embedding.vectors[2] != embedding.vectors[1]
    assert embedding.prompt_tokens > 0
    assert "/models/gemini-embedding-001:" in world.google.calls("batchEmbedContents")[0].path


async def test_shortened_vectors_are_brought_to_length_one() -> None:
    upstream = answering({"models": []}, {"embeddings": [{"values": [3.0, 4.0]}]})
    embedding = await upstream.embed(embed("x"), "gemini-embedding-001")
    assert embedding.vectors == ((0.6, 0.8),)
    assert embedding.estimated


async def test_googles_own_count_is_the_truth() -> None:
    answer = {"embeddings": [{"values": [1.0]}], "usageMetadata": {"promptTokenCount": 7}}
    embedding = await answering({"models": []}, answer).embed(embed("x"), "gemini-embedding-001")
    assert (embedding.prompt_tokens, embedding.estimated) == (7, False)


async def test_a_missing_vector_is_an_error_not_a_gap() -> None:
    upstream = answering({"models": []}, {"embeddings": [{"values": [1.0]}]})
    with pytest.raises(UpstreamError, match="1 vectors of 2 texts"):
        await upstream.embed(embed("x", "y"), "gemini-embedding-001")


async def test_token_ids_are_refused_with_the_way_out(world: World) -> None:
    with pytest.raises(BadRequestError, match="check_embedding_ctx_length=False") as caught:
        await world.upstream.embed(embed("x", (1, 2)), "text-embedding-3-small")
    assert caught.value.param == "input"
    assert world.google.requests == []


def test_many_texts_go_in_batches_of_a_hundred() -> None:
    texts = [str(number) for number in range(250)]
    bodies = embed_bodies(embed(*texts, dimensions=8, task_type="T", title="t"), "m", texts)
    assert [len(body["requests"]) for body in bodies] == [100, 100, 50]
    assert bodies[1]["requests"][0] == {
        "model": "models/m",
        "content": {"parts": [{"text": "100"}]},
        "taskType": "T",
        "title": "t",
        "outputDimensionality": 8,
    }


def test_the_key_is_in_no_repr(world: World) -> None:
    assert API_KEY not in repr(world.upstream) + json.dumps(str(vars(world.upstream)["_base"]))
