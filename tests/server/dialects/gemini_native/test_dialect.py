"""Gemini's own dialect: nothing is lost on the way to Google, and Google's own SDK is content."""

import json
from collections.abc import AsyncIterator, Callable
from pathlib import Path
from typing import Any

import pytest
from google import genai
from google.genai import errors, types
from hypothesis import given

from server.dialects.base import Params
from server.dialects.gemini_native.dialect import parse_count, parse_stream, parse_unary, speaks
from server.dialects.gemini_native.stream import Array, Events, encoder
from server.errors import BadRequestError
from server.gemini.fit import fit
from server.gemini.models import describe
from server.gemini.types import Call, Json
from server.upstreams.base import Outgoing
from server.upstreams.gemini_api import sendable
from tests.google import failures
from tests.google.google import FakeGoogle
from tests.google.http import FakeRequest, FakeResponse
from tests.rig import Rig, running
from tests.server.dialects.gemini_native.support import (
    HELLO,
    MODEL,
    OBJECTS,
    PARAMS,
    SSE,
    elements_of,
    exactly,
    text_of,
)
from tests.support import call as function_call
from tests.support import result, serve, user, weather_tool

# ── the request ──


@given(more=OBJECTS, content=OBJECTS)
def test_every_field_of_a_request_reaches_google(more: Json, content: Json) -> None:
    """Only the model's name is ours to settle, and a null means the same as nothing."""
    body = {**more, "contents": [content]}
    body.pop("systemInstruction", None)
    call = parse_unary(body, PARAMS)
    model = describe("gemini-2.5-flash")
    request = fit(call, model, no_signatures()).request
    out = Outgoing(model=model.id, request=request, session="", prompt_id="")
    kept = {name: value for name, value in body.items() if name != "model" and value is not None}
    assert exactly(sendable(out)) == exactly(kept)
    assert call.dropped == ()


def no_signatures() -> Any:
    """A verbatim call may not even look for one."""
    return None


@pytest.mark.parametrize(
    ("parse", "params", "stream", "kind"),
    [
        (parse_unary, PARAMS, False, None),
        (parse_stream, PARAMS, True, Array),
        (parse_stream, SSE, True, Events),
        (parse_stream, Params(path=PARAMS.path, query={"alt": "json"}), True, Array),
    ],
)
def test_the_address_names_model_and_framing(
    parse: Callable[[Json, Params], Call], params: Params, stream: bool, kind: type | None
) -> None:
    call = parse({**HELLO, "model": "models/another"}, params)
    assert (call.model, call.stream, call.verbatim) == ("gemini-2.5-flash", stream, True)
    assert call.request == HELLO
    assert kind is None or type(encoder(call)) is kind


@pytest.mark.parametrize("parse", [parse_unary, parse_stream, parse_count])
@pytest.mark.parametrize(
    ("body", "param"),
    [
        ({}, "contents"),
        ({"contents": None}, "contents"),
        ({"contents": "Hello"}, "contents"),
        ({"contents": {"parts": []}}, "contents"),
        ({"contents": ["Hello"]}, "contents[0]"),
        ({"contents": [], "systemInstruction": "Be brief."}, "systemInstruction"),
    ],
)
def test_what_cannot_be_read_names_its_field(
    parse: Callable[[Json, Params], Call], body: Json, param: str
) -> None:
    with pytest.raises(BadRequestError) as caught:
        parse(body, PARAMS)
    assert caught.value.param == param


@pytest.mark.parametrize("name", ["generateContentRequest", "generate_content_request"])
def test_a_count_takes_contents_or_a_whole_request(name: str) -> None:
    assert parse_count(HELLO, PARAMS).request == HELLO
    whole = {**HELLO, "model": "models/x", "tools": [weather_tool()]}
    assert parse_count({name: whole}, PARAMS).request == {**HELLO, "tools": [weather_tool()]}
    with pytest.raises(BadRequestError, match="Only one of"):
        parse_count({name: whole, **HELLO}, PARAMS)
    with pytest.raises(BadRequestError, match=r"generateContentRequest\.contents"):
        parse_count({"generateContentRequest": {}}, PARAMS)


@pytest.mark.parametrize(
    ("headers", "ours"),
    [
        ({"x-goog-api-key": "any"}, True),
        ({"x-goog-api-client": "google-genai-sdk/3.4.0"}, True),
        ({"x-api-key": "any", "anthropic-version": "2023-06-01"}, False),
        ({"authorization": "Bearer any"}, False),
    ],
)
def test_googles_clients_are_known_by_their_headers(headers: dict[str, str], ours: bool) -> None:
    assert speaks(headers) is ours


# ── over the wire ──


async def test_unary_sse_and_array_tell_the_same(tmp_path: Path) -> None:
    async with running(tmp_path) as rig:
        unary = await rig.http.post(f"{MODEL}:generateContent", json=HELLO)
        sse = await elements_of(rig, f"{MODEL}:streamGenerateContent?alt=sse")
        array = await elements_of(rig, f"{MODEL}:streamGenerateContent")
        assert text_of([unary.json()]) == text_of(sse) == text_of(array) == "You said: Hello"
        assert unary.headers["x-gemini-model"] == "gemini-2.5-flash"
        assert len(sse) == len(array) > 1
        assert [entry.call for entry in rig.google.requests if entry.call != "models"] == [
            "generateContent",
            "streamGenerateContent",
            "streamGenerateContent",
        ]
        recent = (await rig.usage())["recent_requests"]
        assert [entry["dialect"] for entry in recent] == ["gemini"] * 3
        for entry, chunk in zip(recent, (array[-1], sse[-1], unary.json()), strict=True):
            usage = chunk["usageMetadata"]
            assert entry["input_tokens"] == usage["promptTokenCount"]
            assert entry["estimated"] is False


@pytest.mark.parametrize("version", ["/v1beta", "/v1", "/v1beta/v1beta", "/v1/v1beta"])
async def test_both_versions_lead_to_the_same_road(tmp_path: Path, version: str) -> None:
    async with running(tmp_path) as rig:
        path = f"{version}/models/claude-haiku-4-5:generateContent"
        answer = await rig.http.post(path, json=HELLO)
        assert answer.json()["modelVersion"] == "gemini-3.5-flash-lite"
        listed = await rig.http.get(f"{version}/models", headers={"x-goog-api-key": "any"})
        assert listed.json()["models"][0]["name"].startswith("models/gemini-")


async def test_v1beta_speaks_gemini_to_anybody_and_v1_models_does_not(tmp_path: Path) -> None:
    async with running(tmp_path) as rig:
        assert "models" in (await rig.http.get("/v1beta/models")).json()
        assert "data" in (await rig.http.get("/v1/models")).json()
        one = await rig.http.get("/v1beta/models/gemini-2.5-pro")
        assert one.json()["name"] == "models/gemini-2.5-pro"


FUTURE: Json = {
    "contents": [
        {"role": "user", "parts": [{"text": "Hi", "hologram": {"depth": 1.0}}], "mood": None},
        {"role": "model", "parts": [{"functionCall": {"name": "odd name!", "id": "c/1"}}]},
        {"role": "user", "parts": [{"functionResponse": {"id": "other", "response": {}}}]},
    ],
    "tools": [{"timeMachine": {"year": 3000}}, {"functionDeclarations": [{"strict": True}]}],
    "generationConfig": {"presencePenalty": 1, "warp": 9.5, "stopSequences": ["a"] * 9},
    "labels": {"team": "é"},
    "newField": [1, 2.5, "\u2028", {"deep": [None, False]}],
}


async def test_unknown_fields_survive_the_whole_way(tmp_path: Path) -> None:
    """No repair, no clean-up, no renaming: what Google does not know, Google says."""
    given: list[Json] = [
        {"candidates": [{"content": {"parts": [{"hologram": {"x": [1.0]}}]}}], "aura": "é\u2028"},
        {"candidates": [{"finishReason": "STOP", "karma": -1}], "usageMetadata": {"warp": 1}},
    ]
    whole = {"candidates": [given[0]["candidates"][0] | given[1]["candidates"][0]], "aura": 0.5}
    got: list[bytes] = []

    async def google(request: FakeRequest) -> FakeResponse:
        if request.method == "GET":
            return FakeResponse(200, {"content-type": "application/json"}, once(b"{}"))
        got.append(request.body)
        if request.path.endswith(":generateContent"):
            body = once(json.dumps(whole).encode())
            return FakeResponse(200, {"content-type": "application/json"}, body)
        frames = b"".join(b"data: " + json.dumps(chunk).encode() + b"\r\n\r\n" for chunk in given)
        return FakeResponse(200, {"content-type": "text/event-stream"}, once(frames))

    async with (
        serve(google) as address,
        running(tmp_path, in_process=False, google_gemini_base_url=address) as rig,
    ):
        sse = await elements_of(rig, f"{MODEL}:streamGenerateContent?alt=sse", FUTURE)
        array = await elements_of(rig, f"{MODEL}:streamGenerateContent", FUTURE)
        unary = await rig.http.post(f"{MODEL}:generateContent", json=FUTURE)
    assert [exactly(chunks) for chunks in (sse, array)] == [exactly(given)] * 2
    assert exactly(unary.json()) == exactly(whole)
    assert [exactly(json.loads(body)) for body in got] == [exactly(FUTURE)] * 3


async def once(body: bytes) -> AsyncIterator[bytes]:
    yield body


async def test_signatures_ids_and_names_are_passed_untouched(tmp_path: Path) -> None:
    model = "/v1beta/models/gemini-3-flash-preview"
    async with running(tmp_path) as rig:
        ask = user("Weather in both Paris and Rome?")
        body: Json = {"contents": [ask], "tools": [weather_tool(name="my.tool-1")]}
        chunks = await elements_of(rig, f"{model}:streamGenerateContent?alt=sse", body)
        parts = [p for c in chunks for p in c["candidates"][0]["content"].get("parts", [])]
        parts = [part for part in parts if "functionCall" in part]
        assert [part["functionCall"]["name"] for part in parts] == ["my.tool-1"] * 2
        assert parts[0]["thoughtSignature"]
        ids = [part["functionCall"]["id"] for part in parts]
        results = [result("my.tool-1", {"output": "22"}, id=call_id) for call_id in ids]
        answer = {"role": "model", "parts": parts}
        body["contents"] = [ask, answer, {"role": "user", "parts": results}]
        done = await rig.http.post(f"{model}:generateContent", json=body)
        assert "The tool answered" in text_of([done.json()])
        assert rig.google.calls("generateContent")[0].json == body
        kept = rig.gateway.signatures.call(ids[0])
        assert kept is not None
        assert kept.signature == parts[0]["thoughtSignature"]


async def test_a_refused_signature_is_googles_word_to_the_client(tmp_path: Path) -> None:
    """In other dialects the proxy put it there and mends it; here it is the client's own."""
    contents = [user("Weather?"), {"role": "model", "parts": [function_call("get_weather")]}]
    contents.append(user(result("get_weather", {"output": "22"})))
    body = {"contents": contents, "tools": [weather_tool()]}
    async with running(tmp_path) as rig:
        path = "/v1beta/models/gemini-3-flash-preview:generateContent"
        answer = await rig.http.post(path, json=body)
        assert answer.status_code == 400
        assert "thought_signature" in answer.json()["error"]["message"]
        assert len(rig.google.calls("generateContent")) == 1


async def test_code_assist_gets_the_request_inside_its_envelope(tmp_path: Path) -> None:
    google = FakeGoogle()
    base = "http://127.0.0.1:9"
    (tmp_path / "google_token.json").write_text(json.dumps(google.oauth.credentials(base)))
    body: Json = {**HELLO, "generationConfig": {"temperature": 0.0}}
    body["contents"] = [{"role": "user", **HELLO["contents"][0]}]
    settings: Json = {"upstream": "code-assist", "code_assist_endpoint": base}
    async with running(tmp_path, google=google, **settings) as rig:
        unary = await rig.http.post(f"{MODEL}:generateContent", json=body)
        sse = await elements_of(rig, f"{MODEL}:streamGenerateContent?alt=sse", body)
        assert text_of([unary.json()]) == text_of(sse) == "You said: Hello"
        assert "response" not in unary.json()
        for method in ("generateContent", "streamGenerateContent"):
            sent = google.calls(method)[0].json
            assert sent["model"] == "gemini-2.5-flash"
            session = sent["request"].pop("session_id")
            assert session
            assert sent["request"] == body
        refused = await rig.http.post(f"{MODEL}:generateContent", json={**body, "novel": 1})
        assert refused.status_code == 400
        assert "novel" in refused.json()["error"]["message"]
        counted = await rig.http.post(f"{MODEL}:countTokens", json=body)
        assert counted.json()["totalTokens"] > 0


# ── failures ──


async def test_a_refusal_has_googles_shape_and_status(tmp_path: Path) -> None:
    async with running(tmp_path) as rig:
        rig.google.fail(failures.rate_limited(delay_s=7.5))
        answer = await rig.http.post(f"{MODEL}:generateContent", json=HELLO)
        error = answer.json()["error"]
        assert (answer.status_code, error["code"], error["status"]) == (
            429,
            429,
            "RESOURCE_EXHAUSTED",
        )
        assert {"7.5s"} == {d["retryDelay"] for d in error["details"] if "retryDelay" in d}
        assert answer.headers["retry-after"] == "8"
        bad = await rig.http.post(f"{MODEL}:generateContent", json={"contents": "Hi"})
        assert bad.status_code == 400
        violation = bad.json()["error"]["details"][-1]["fieldViolations"][0]
        assert violation["field"] == "contents"
        unknown = await rig.http.post("/v1beta/models/no-such:generateContent", json=HELLO)
        assert unknown.json()["error"]["status"] == "NOT_FOUND"
        lost = await rig.http.post("/v1beta/nothing", json={}, headers={"x-goog-api-key": "any"})
        assert lost.json()["error"]["status"] == "NOT_FOUND"


# ── counts and vectors ──


async def test_a_count_is_of_the_whole_request(tmp_path: Path) -> None:
    async with running(tmp_path) as rig:
        few = await rig.http.post(f"{MODEL}:countTokens", json=HELLO)
        more: Json = {**HELLO, "model": "models/gpt-4o", "tools": [weather_tool()]}
        many = await rig.http.post(
            "/v1beta/models/gpt-4o:countTokens", json={"generateContentRequest": more}
        )
        assert 0 < few.json()["totalTokens"] < many.json()["totalTokens"]
        odd = await rig.http.post(f"{MODEL}:countTokens", json={**HELLO, "tools": {"odd": [1]}})
        assert odd.status_code == 400
        assert odd.json()["error"]["status"] == "INVALID_ARGUMENT"
        rig.google.fail(failures.unavailable(), methods={"countTokens"})
        body = {"contents": [{"parts": {"text": "other"}}], "tools": None}
        guess = await rig.http.post(f"{MODEL}:countTokens", json=body)
        assert guess.headers["x-token-estimate"] == "true"


async def test_embeddings_of_one_and_of_many(tmp_path: Path) -> None:
    content = {"parts": [{"text": "hello"}]}
    model = "/v1beta/models/gemini-embedding-001"
    async with running(tmp_path) as rig:
        one = await rig.http.post(
            f"{model}:embedContent", json={"content": content, "outputDimensionality": 8}
        )
        assert len(one.json()["embedding"]["values"]) == 8
        requests = [
            {"content": content, "taskType": "RETRIEVAL_DOCUMENT", "title": title}
            for title in ("A", "B")
        ]
        many = await rig.http.post(f"{model}:batchEmbedContents", json={"requests": requests})
        assert [len(entry["values"]) for entry in many.json()["embeddings"]] == [3072, 3072]
        sent = rig.google.calls("batchEmbedContents")[-1].json["requests"]
        assert [request["title"] for request in sent] == ["A", "B"]
        assert {request["model"] for request in sent} == {"models/gemini-embedding-001"}
        assert (await rig.usage())["recent_requests"][0]["operation"] == "embed"


async def test_mock_vectors_say_so_here_too(tmp_path: Path) -> None:
    async with running(tmp_path, upstream="demo") as rig:
        answer = await rig.http.post(
            "/v1beta/models/gemini-embedding-001:embedContent",
            json={"content": {"parts": [{"text": "hello"}]}, "outputDimensionality": 4},
        )
        assert answer.headers["x-embedding-mock"] == "true"
        assert len(answer.json()["embedding"]["values"]) == 4


# ── judged by the official SDK ──


def client_of(rig: Rig) -> genai.Client:
    return genai.Client(api_key="any", http_options=types.HttpOptions(base_url=rig.url))


async def text_from(stream: AsyncIterator[types.GenerateContentResponse]) -> str:
    return "".join([chunk.text or "" async for chunk in stream])


def get_weather(city: str) -> str:
    """The weather of a city."""
    return f"22 degrees in {city}"


async def test_the_sdk_generates_and_streams(tmp_path: Path) -> None:
    async with running(tmp_path) as rig, client_of(rig).aio as client:
        config = types.GenerateContentConfig(system_instruction="Be brief.", temperature=0)
        answer = await client.models.generate_content(
            model="gemini-2.5-flash", contents="Hello", config=config
        )
        assert answer.text == "You said: Hello"
        assert answer.usage_metadata
        sent = rig.google.calls("generateContent")[0].json
        assert sent["systemInstruction"]["parts"] == [{"text": "Be brief."}]
        stream = await client.models.generate_content_stream(model="gpt-4o", contents="Hello")
        chunks = [chunk async for chunk in stream]
        assert "".join(chunk.text or "" for chunk in chunks) == "You said: Hello"
        assert chunks[-1].model_version == "gemini-4-hydrogen"
        entry = (await rig.usage())["recent_requests"][0]
        assert chunks[-1].usage_metadata
        assert entry["input_tokens"] == chunks[-1].usage_metadata.prompt_token_count
        assert (entry["client"], entry["dialect"]) == ("google-genai-sdk", "gemini")


@pytest.mark.parametrize("model", ["gemini-2.5-flash", "gemini-3-flash-preview"])
async def test_a_chat_with_tools_through_the_sdk(tmp_path: Path, model: str) -> None:
    """The SDK calls the function itself and carries ids and signatures through the turns."""
    async with running(tmp_path) as rig, client_of(rig).aio as client:
        config = types.GenerateContentConfig(tools=[get_weather])
        chat = client.chats.create(model=model, config=config)
        one = await chat.send_message("Weather in Paris?")
        assert one.text == "The tool answered: get_weather: 22 degrees in Paris"
        two = await chat.send_message("Now both Rome and Oslo, please")
        assert "22 degrees in Rome" in (two.text or "")
        assert len(rig.google.calls("generateContent")) == 4
        assert all(entry["success"] for entry in (await rig.usage())["recent_requests"])


async def test_a_streamed_chat_with_tools_through_the_sdk(tmp_path: Path) -> None:
    async with running(tmp_path) as rig, client_of(rig).aio as client:
        config = types.GenerateContentConfig(tools=[get_weather])
        chat = client.chats.create(model="gemini-2.5-flash", config=config)
        for city in ("Paris", "Rome"):
            stream = await chat.send_message_stream(f"Weather in {city}?")
            assert f"22 degrees in {city}" in await text_from(stream)
        assert len(rig.google.calls("streamGenerateContent")) == 4


async def test_counts_vectors_and_models_through_the_sdk(tmp_path: Path) -> None:
    async with running(tmp_path) as rig, client_of(rig).aio as client:
        count = await client.models.count_tokens(model="gemini-2.5-flash", contents="Hello")
        assert count.total_tokens
        texts: list[Any] = ["one", "two"]
        vectors = await client.models.embed_content(
            model="gemini-embedding-001",
            contents=texts,
            config=types.EmbedContentConfig(output_dimensionality=8, task_type="CLUSTERING"),
        )
        assert [len(v.values or []) for v in vectors.embeddings or []] == [8, 8]
        sent = rig.google.calls("batchEmbedContents")[0].json["requests"]
        assert [request["taskType"] for request in sent] == ["CLUSTERING"] * 2
        pager = await client.models.list(config=types.ListModelsConfig(page_size=7))
        names = [model.name async for model in pager]
        assert len(names) == len(set(names)) > 7
        assert {"models/gemini-2.5-pro", "models/gpt-4o"} <= set(names)
        one = await client.models.get(model="gemini-2.5-pro")
        assert (one.name, one.input_token_limit) == ("models/gemini-2.5-pro", 1_048_576)


async def test_the_sdk_raises_what_went_wrong(tmp_path: Path) -> None:
    async with running(tmp_path) as rig, client_of(rig).aio as client:
        rig.google.fail(failures.quota_exhausted())
        with pytest.raises(errors.ClientError) as refused:
            await client.models.generate_content(model="gemini-2.5-flash", contents="Hello")
        assert (refused.value.code, refused.value.status) == (429, "RESOURCE_EXHAUSTED")
        rig.google.fail(failures.error_event())
        stream = await client.models.generate_content_stream(
            model="gemini-2.5-flash", contents="Hello"
        )
        with pytest.raises(errors.ServerError) as broken:
            await text_from(stream)
        assert broken.value.code == 503


async def test_the_sdk_waits_through_keep_alives(tmp_path: Path) -> None:
    async with (
        running(tmp_path, wait_mode=True, keep_alive_s=0.05) as rig,
        client_of(rig).aio as client,
    ):
        rig.google.fail(failures.rate_limited(delay_s=0.4))
        stream = await client.models.generate_content_stream(
            model="gemini-2.5-flash", contents="Hello"
        )
        assert await text_from(stream) == "You said: Hello"


async def test_counts_and_vectors_come_as_google_sends_them(tmp_path: Path) -> None:
    async with running(tmp_path) as rig:
        counted = await rig.http.post(f"{MODEL}:countTokens", json=HELLO)
        asked = {"contents": HELLO["contents"], "model": "models/gemini-2.5-flash"}
        own = await rig.google_answer("models/gemini-2.5-flash:countTokens", asked)
        assert counted.json() == own
        assert own["promptTokensDetails"]
        body = {"content": {"parts": [{"text": "one"}]}, "outputDimensionality": 8}
        path = "/v1beta/models/gemini-embedding-001:embedContent"
        vector = (await rig.http.post(path, json=body)).json()["embedding"]["values"]
        batch = {"requests": [{"model": "models/gemini-embedding-001", **body}]}
        own = await rig.google_answer("models/gemini-embedding-001:batchEmbedContents", batch)
        assert vector == own["embeddings"][0]["values"]
