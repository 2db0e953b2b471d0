"""The Vertex AI upstream: tables of what it sends, then all of it against the strict fake."""

import asyncio
import json
import math
from collections.abc import AsyncIterator, Callable
from contextlib import aclosing, asynccontextmanager
from pathlib import Path
from typing import Any

import httpx
import pytest

from server.auth.adc import Adc, Minted
from server.auth.eligibility import EligibilityError
from server.errors import (
    AuthenticationError,
    BadRequestError,
    NotFoundError,
    OverloadedError,
    RateLimitError,
    UpstreamError,
)
from server.gemini.models import Aliases
from server.gemini.types import EmbedCall, GenerateRequest
from server.upstreams.base import Outgoing
from server.upstreams.vertex import (
    EMBEDS_AT_ONCE,
    MOST_CHARACTERS,
    Vertex,
    content_bodies,
    endpoint,
    instance_bodies,
)
from tests.google import failures
from tests.google.account import PROJECT
from tests.google.transport import InProcessTransport
from tests.rig import Rig, running
from tests.support import old_google, serve

Json = dict[str, Any]
HELLO: GenerateRequest = {"contents": [{"role": "user", "parts": [{"text": "hello"}]}]}
BASE = "http://google.test"


class World:
    """A fake Google, and credentials it takes: each minting is a new sign-in there."""

    def __init__(self, tmp_path: Path) -> None:
        self.google = old_google()
        self.http = httpx.AsyncClient(transport=InProcessTransport(self.google))
        self.file = tmp_path / "key.json"
        self.file.write_text("{}", "utf-8")
        self.minted = 0
        self.upstream = self.new()

    def mint(self, _file: Path | None) -> Minted:
        self.minted += 1
        token = self.google.oauth.sign_in()["access_token"]
        return Minted(token=token, lifetime_s=3600, email="sa@example.com")

    def new(self, project: str | None = PROJECT, location: str = "global") -> Vertex:
        return Vertex(self.http, Adc(self.file, mint=self.mint), project, location, BASE)


@pytest.fixture
async def world(tmp_path: Path) -> AsyncIterator[World]:
    world = World(tmp_path)
    async with world.http:
        yield world


def outgoing(model: str = "gemini-2.5-flash", *, unary: bool = False, **request: Any) -> Outgoing:
    merged: Any = {**HELLO, **request}
    return Outgoing(model=model, request=merged, session="s-1", prompt_id="p-1", unary=unary)


async def read(upstream: Vertex, out: Outgoing) -> list[Json]:
    async with aclosing(upstream.generate(out)) as batches:
        return [dict(chunk) async for batch in batches for chunk in batch]


def answering(answer: Callable[[httpx.Request], Any], tmp_path: Path) -> Vertex:
    """An upstream whose Google is a function."""
    file = tmp_path / "key.json"
    file.write_text("{}", "utf-8")
    adc = Adc(file, mint=lambda _: Minted(token="t", lifetime_s=3600))
    http = httpx.AsyncClient(transport=httpx.MockTransport(answer))
    return Vertex(http, adc, "p", "global")


# ── what is sent ──


@pytest.mark.parametrize(
    ("location", "host"),
    [
        ("global", "https://aiplatform.googleapis.com"),
        ("us", "https://aiplatform.us.rep.googleapis.com"),
        ("eu", "https://aiplatform.eu.rep.googleapis.com"),
        ("us-central1", "https://us-central1-aiplatform.googleapis.com"),
        ("europe-west4", "https://europe-west4-aiplatform.googleapis.com"),
    ],
)
def test_every_location_has_its_host(location: str, host: str) -> None:
    assert endpoint(location) == host


async def test_an_answer_streams_without_any_envelope(world: World) -> None:
    chunks = await read(world.upstream, outgoing(labels={"team": "a"}, cachedContent=None))
    assert chunks[-1]["usageMetadata"]["totalTokenCount"] > 0
    sent = world.google.calls("streamGenerateContent")[0]
    resource = f"projects/{PROJECT}/locations/global/publishers/google/models/gemini-2.5-flash"
    assert sent.path == f"/v1/{resource}:streamGenerateContent"
    assert sent.json == {**HELLO, "labels": {"team": "a"}}
    assert sent.headers["authorization"].startswith("Bearer ")
    assert "x-goog-user-project" not in sent.headers


async def test_a_unary_answer_is_one_chunk(world: World) -> None:
    chunks = await read(world.upstream, outgoing(unary=True))
    assert len(chunks) == 1
    assert world.google.requests[0].call == "generateContent"


async def test_counting_includes_system_tools_and_settings(world: World) -> None:
    system = {"parts": [{"text": "Be terse. " * 40}]}
    plain = (await world.upstream.count_tokens(outgoing())).tokens
    out = outgoing(systemInstruction=system, generationConfig={"topK": 1}, tools=[])
    assert (await world.upstream.count_tokens(out)).tokens > plain + 50
    settings = {"generationConfig": {"topK": 1}}
    sent = {**HELLO, "systemInstruction": system, **settings}
    assert world.google.calls("countTokens")[1].json == sent


async def test_no_name_can_leave_its_place_in_the_address(tmp_path: Path) -> None:
    seen: list[str] = []

    def note(request: httpx.Request) -> httpx.Response:
        seen.append(request.url.raw_path.decode())
        return httpx.Response(200, json={"totalTokens": 1})

    await answering(note, tmp_path).count_tokens(outgoing("gemini-x/../../y?z#"))
    assert seen == [
        "/v1/projects/p/locations/global/publishers/google/models/"
        "gemini-x%2F..%2F..%2Fy%3Fz%23:countTokens"
    ]


# ── refusals ──


async def test_one_token_serves_many_requests(world: World) -> None:
    for _ in range(3):
        await read(world.upstream, outgoing())
    assert world.minted == 1


async def test_a_refused_token_costs_one_refresh_and_one_retry(world: World) -> None:
    await read(world.upstream, outgoing())
    world.google.oauth.expire_access()
    assert await read(world.upstream, outgoing())
    assert (world.minted, len(world.google.requests)) == (2, 3)


async def test_credentials_refused_twice_say_what_to_do(world: World) -> None:
    world.google.fail(failures.unauthenticated(), times=None)
    with pytest.raises(AuthenticationError, match="application-default login") as caught:
        await read(world.upstream, outgoing())
    assert (caught.value.code, caught.value.should_retry) == ("ADC_REFUSED", False)
    assert len(world.google.requests) == 2
    assert not world.upstream.account().authenticated


async def test_a_switched_off_api_comes_with_the_link_to_enable_it(world: World) -> None:
    world.google.fail(failures.service_disabled("aiplatform.googleapis.com"))
    with pytest.raises(EligibilityError) as caught:
        await read(world.upstream, outgoing())
    assert caught.value.problem.message.startswith("The Vertex AI API is switched off")
    assert caught.value.problem.link
    shown = world.upstream.account()
    assert (shown.authenticated, shown.problem) == (True, caught.value.problem)
    await read(world.upstream, outgoing())
    assert world.upstream.account().problem is None


async def test_a_model_may_be_missing_in_this_location(world: World) -> None:
    with pytest.raises(NotFoundError, match="GOOGLE_CLOUD_LOCATION"):
        await read(world.new(location="us-central1"), outgoing("gemini-3-flash-preview"))


async def test_a_bare_429_is_a_limit_without_a_time(world: World) -> None:
    world.google.fail(failures.shared_capacity())
    with pytest.raises(RateLimitError) as caught:
        await read(world.upstream, outgoing())
    assert (caught.value.retry_after_s, caught.value.exhausted) == (None, False)


async def test_without_a_project_nothing_is_asked(world: World) -> None:
    upstream = world.new(project=None)
    with pytest.raises(EligibilityError, match="Set GOOGLE_CLOUD_PROJECT") as caught:
        await read(upstream, outgoing())
    assert "licence" not in caught.value.message
    assert upstream.account().problem == caught.value.problem
    assert (world.minted, world.google.requests) == (0, [])


async def test_a_service_account_brings_its_project(world: World) -> None:
    world.file.write_text(json.dumps({"project_id": PROJECT}), "utf-8")
    upstream = world.new(project=None)
    assert await read(upstream, outgoing())
    assert upstream.account().project == PROJECT


# ── account and models ──


async def test_the_account_is_project_location_and_address(world: World) -> None:
    before = world.upstream.account()
    assert (before.authenticated, before.email) == (True, None)
    shown = await world.upstream.check()
    assert (shown.authenticated, shown.problem) == (True, None)
    assert (shown.project, shown.tier) == (PROJECT, "Vertex AI in global")
    assert shown.email == "sa@example.com"
    assert [entry.call for entry in world.google.requests] == ["countTokens"]


async def test_a_check_tells_what_is_wrong(world: World) -> None:
    shown = await world.new(project="someone-elses").check()
    assert shown.problem is not None
    assert shown.problem.code == "CONSUMER_INVALID"
    world.google.fail(failures.unavailable(), methods={"countTokens"})
    away = await world.upstream.check()
    assert away.authenticated
    assert away.problem is not None


async def test_a_location_without_the_first_model_is_no_problem(world: World) -> None:
    world.google.fail(failures.not_found(), methods={"countTokens"})
    assert (await world.upstream.check()).problem is None
    assert len({entry.path for entry in world.google.calls("countTokens")}) == 2


async def test_a_location_without_any_of_the_models_is_a_problem(world: World) -> None:
    world.google.fail(failures.not_found(), methods={"countTokens"}, times=None)
    problem = (await world.upstream.check()).problem
    assert problem is not None
    assert "not found" in problem.sentence


async def test_no_credentials_at_all_is_said_without_waiting(world: World) -> None:
    world.file.unlink()
    assert not world.upstream.account().authenticated
    shown = await world.upstream.check()
    assert shown.problem is not None
    assert shown.problem.code == "ADC_MISSING"


async def test_the_models_are_the_catalogue_and_the_embedding_models(world: World) -> None:
    models = {model.id: model for model in await world.upstream.models()}
    assert not models["gemini-3.8-flash"].embeds
    assert "gemini-2.5-pro" not in models
    assert models["gemini-embedding-001"].embeds
    assert models["text-embedding-005"].embeds
    assert world.google.requests == []


@pytest.mark.parametrize(("location", "served"), [("us", True), ("us-central1", False)])
async def test_a_location_lists_only_what_it_serves(
    world: World, location: str, served: bool
) -> None:
    models = await world.new(location=location).models()
    listed = [model.id for model in models]
    assert ("gemini-4-hydrogen" in listed) is served
    best = Aliases(door="vertex").resolve("gemini-best", models).id
    assert best == ("gemini-4-hydrogen" if served else "gemini-3.8-flash")


# ── embeddings ──


def embed(*inputs: str | tuple[int, ...], **more: Any) -> EmbedCall:
    return EmbedCall(dialect="openai", model="text-embedding-3-small", inputs=inputs, **more)


@pytest.mark.parametrize(
    ("asked", "used", "method", "calls"),
    [
        ("text-embedding-3-small", "gemini-embedding-001", "predict", 3),
        ("gemini-embedding-001", "gemini-embedding-001", "predict", 3),
        ("gemini-embedding-2", "gemini-embedding-2", "embedContent", 3),
        ("text-embedding-005", "text-embedding-005", "predict", 1),
    ],
)
async def test_real_vectors_of_length_one_in_order(
    world: World, asked: str, used: str, method: str, calls: int
) -> None:
    call = embed("alpha", "beta", "alpha", dimensions=256)
    embedding = await world.upstream.embed(call, asked)
    assert [len(vector) for vector in embedding.vectors] == [256] * 3
    assert all(math.isclose(math.hypot(*v), 1, abs_tol=1e-3) for v in embedding.vectors)
    assert embedding.vectors[0] == embedding.vectors[2] != embedding.vectors[1]
    assert (embedding.prompt_tokens, embedding.estimated, embedding.mock) == (5, False, False)
    sent = world.google.calls(method)
    assert [f"/models/{used}:{method}" in entry.path for entry in sent] == [True] * calls
    assert world.minted == 1


async def test_only_a_few_texts_are_on_their_way_at_once(tmp_path: Path) -> None:
    under_way, most = 0, 0

    async def slow(request: httpx.Request) -> httpx.Response:
        nonlocal under_way, most
        under_way += 1
        most = max(most, under_way)
        for _ in range(5):
            await asyncio.sleep(0)
        under_way -= 1
        text = json.loads(request.content)["content"]["parts"][0]["text"]
        return httpx.Response(200, json={"embedding": {"values": [float(text), 1.0]}})

    upstream = answering(slow, tmp_path)
    texts = [str(number) for number in range(100)]
    embedding = await upstream.embed(embed(*texts), "gemini-embedding-2")
    ratios = [round(vector[0] / vector[1]) for vector in embedding.vectors]
    assert ratios == list(range(100))
    assert most <= EMBEDS_AT_ONCE


async def test_the_first_failure_ends_an_embedding(world: World) -> None:
    world.google.fail(failures.unavailable(), methods={"embedContent"})
    with pytest.raises(OverloadedError):
        await world.upstream.embed(embed("a", "b", "c"), "gemini-embedding-2")


async def test_a_missing_vector_is_an_error_not_a_gap(tmp_path: Path) -> None:
    upstream = answering(lambda _: httpx.Response(200, json={"predictions": []}), tmp_path)
    with pytest.raises(UpstreamError, match="0 vectors of 1 texts"):
        await upstream.embed(embed("x"), "text-embedding-005")


async def test_token_ids_are_refused_with_the_way_out(world: World) -> None:
    with pytest.raises(BadRequestError, match="check_embedding_ctx_length=False"):
        await world.upstream.embed(embed("x", (1, 2)), "text-embedding-3-small")
    assert world.google.requests == []


def test_options_stand_where_each_method_wants_them() -> None:
    call = embed("x", dimensions=8, task_type="RETRIEVAL_DOCUMENT", title="t")
    content = {"role": "user", "parts": [{"text": "x"}]}
    assert content_bodies(call, ["x"]) == [
        {
            "content": content,
            "taskType": "RETRIEVAL_DOCUMENT",
            "title": "t",
            "outputDimensionality": 8,
        }
    ]
    instance = {"content": "x", "task_type": "RETRIEVAL_DOCUMENT", "title": "t"}
    parameters = {"outputDimensionality": 8}
    assert instance_bodies(call, ["x"], 250) == [
        {"instances": [instance], "parameters": parameters}
    ]
    assert instance_bodies(embed("x"), ["x"], 250) == [{"instances": [{"content": "x"}]}]


@pytest.mark.parametrize(
    ("texts", "most", "sizes"),
    [
        (["a"] * 501, 250, [250, 250, 1]),
        (["a", "b"], 1, [1, 1]),
        (["x" * MOST_CHARACTERS, "y", "z"], 250, [1, 2]),
        (["x" * 9_000] * 5, 250, [2, 2, 1]),
        (["x" * 2 * MOST_CHARACTERS, "y"], 250, [1, 1]),
        (["", ""], 250, [2]),
        ([], 250, []),
    ],
)
def test_texts_are_divided_as_predict_can_take_them(
    texts: list[str], most: int, sizes: list[int]
) -> None:
    bodies = instance_bodies(embed(), texts, most)
    assert [len(body["instances"]) for body in bodies] == sizes
    assert [i["content"] for body in bodies for i in body["instances"]] == texts


# ── the whole program ──


@asynccontextmanager
async def rig(tmp_path: Path, kind: str) -> AsyncIterator[Rig]:
    """A server on Vertex AI: tokens come over a socket, everything else stays in the process."""
    google = old_google()
    async with serve(google) as tokens_at:
        if kind == "service_account":
            content = google.oauth.service_account(tokens_at, PROJECT)
        else:
            content = {"type": kind, "quota_project_id": "q", **google.oauth.credentials(tokens_at)}
        file = tmp_path / "adc.json"
        file.write_text(json.dumps(content), "utf-8")
        async with running(
            tmp_path,
            google=google,
            upstream="vertex",
            google_vertex_base_url=BASE,
            google_cloud_project=PROJECT,
            google_application_credentials=file,
        ) as rig:
            yield rig


@pytest.mark.parametrize("kind", ["service_account", "authorized_user"])
async def test_both_sdks_reach_vertex(tmp_path: Path, kind: str) -> None:
    async with rig(tmp_path, kind) as server:
        chat = await server.openai().chat.completions.create(
            model="gpt-4o-mini", messages=[{"role": "user", "content": "hello"}]
        )
        assert chat.choices[0].message.content == "You said: hello"
        async with server.anthropic().messages.stream(
            model="claude-sonnet-4-6",
            max_tokens=1000,
            messages=[{"role": "user", "content": "hello"}],
        ) as stream:
            assert await stream.get_final_text() == "You said: hello"
        count = await server.anthropic().messages.count_tokens(
            model="claude-sonnet-4-6", messages=[{"role": "user", "content": "hello"}]
        )
        assert count.input_tokens > 0
        health = (await server.http.get("/health")).json()
        asked = [entry.call for entry in server.google.requests]
        headers = [entry.headers for entry in server.google.requests]
    assert (health["upstream"], health["authenticated"]) == ("vertex", True)
    assert asked.count("token") == 1
    assert asked.count("streamGenerateContent") == 2
    assert not any("x-goog-user-project" in entry for entry in headers)


async def test_embeddings_through_the_openai_sdk_are_real(tmp_path: Path) -> None:
    async with rig(tmp_path, "service_account") as server:
        answer = await server.openai().embeddings.create(
            model="text-embedding-3-small", input=["one", "two"], dimensions=64
        )
        raw = await server.http.post("/v1/embeddings", json={"model": "m", "input": [[1, 2]]})
        named = await server.http.post(
            "/v1/embeddings", json={"model": "text-embedding-005", "input": "one"}
        )
    assert [len(entry.embedding) for entry in answer.data] == [64, 64]
    assert raw.status_code == 400
    assert "check_embedding_ctx_length=False" in raw.text
    assert "x-embedding-mock" not in named.headers
    assert len(named.json()["data"][0]["embedding"]) == 768


async def test_ended_credentials_reach_the_client_as_a_401_with_the_remedy(tmp_path: Path) -> None:
    async with rig(tmp_path, "authorized_user") as server:
        server.google.oauth.revoke_all()
        answer = await server.http.post(
            "/v1/messages",
            json={
                "model": "claude-sonnet-4-6",
                "max_tokens": 10,
                "messages": [{"role": "user", "content": "hello"}],
            },
        )
    assert answer.status_code == 401
    assert answer.headers["x-should-retry"] == "false"
    assert "gcloud auth application-default login" in answer.json()["error"]["message"]


async def test_pictures_are_embedded_where_the_model_can(world: World) -> None:
    """Gemini's own request goes as it is; a model behind ``predict`` takes text only."""
    blob = {"inlineData": {"mimeType": "image/png", "data": "iVBORw0KGgo="}}
    request: Json = {"content": {"parts": [{"text": "a"}, blob]}, "outputDimensionality": 256}
    call = EmbedCall(dialect="gemini", model="m", inputs=("a",), requests=(request,))
    embedding = await world.upstream.embed(call, "gemini-embedding-2")
    (sent,) = world.google.calls("embedContent")
    assert sent.json == {**request, "content": {"role": "user", **request["content"]}}
    assert len(embedding.entries[0]["values"]) == 256
    with pytest.raises(BadRequestError, match="embeds text only on vertex"):
        await world.upstream.embed(call, "text-embedding-005")
