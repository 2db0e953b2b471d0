"""The Vertex AI door: addresses, tokens, fields of its own, embeddings."""

from typing import Any

import httpx
import pytest

from tests.google.account import PROJECT
from tests.google.google import FakeGoogle
from tests.google.model import Answer
from tests.support import (
    Asking,
    asking,
    events_of,
    message_of,
    old_google,
    texts_of,
    user,
    weather_tool,
)

Json = dict[str, Any]
HELLO: Json = {"contents": [user("hello")]}


async def vertex(
    ask: Asking,
    body: Json,
    method: str = "generateContent",
    model: str = "gemini-3.8-flash",
    *,
    project: str = PROJECT,
    location: str = "global",
    headers: dict[str, str] | None = None,
) -> httpx.Response:
    url = f"/v1/projects/{project}/locations/{location}/publishers/google/models/{model}:{method}"
    return await ask.http.post(url, json=body, headers=ask.headers if headers is None else headers)


async def test_a_token_of_any_client_opens_the_door() -> None:
    google = FakeGoogle()
    other = google.oauth.sign_in(client_id="another-client")["access_token"]
    async with asking(google) as ask:
        good = await vertex(ask, HELLO)
        stream = await vertex(ask, HELLO, "streamGenerateContent?alt=sse", location="us-central1")
        foreign = await vertex(ask, HELLO, headers={"authorization": f"Bearer {other}"})
        wrong = await vertex(ask, HELLO, headers={"authorization": "Bearer nonsense"})
        none = await vertex(ask, HELLO, headers={})
        key = await vertex(ask, HELLO, headers=ask.key)
    assert texts_of([good.json()]) == texts_of(events_of(stream.content)) == "You said: hello"
    assert foreign.status_code == 200
    assert [r.status_code for r in (wrong, none, key)] == [401, 401, 401]


async def test_scopes_and_quota_projects_are_checked() -> None:
    google = FakeGoogle()
    narrow = google.oauth.sign_in(scopes=("openid",))["access_token"]
    async with asking(google) as ask:
        scope = await vertex(ask, HELLO, headers={"authorization": f"Bearer {narrow}"})
        quota = await vertex(ask, HELLO, headers={**ask.headers, "x-goog-user-project": "p"})
    assert scope.json()["error"]["details"][0]["reason"] == "ACCESS_TOKEN_SCOPE_INSUFFICIENT"
    assert quota.json()["error"]["details"][0]["reason"] == "USER_PROJECT_DENIED"


@pytest.mark.parametrize(
    ("where", "status", "words"),
    [
        ({"project": "someone-elses"}, 403, "Permission denied on resource project"),
        ({"location": "moon"}, 404, "Location moon is not found"),
        ({"model": "gemini-9"}, 404, "Publisher Model `projects/"),
        ({"model": "gemini-3-flash-preview", "location": "us"}, 404, "Publisher Model `projects/"),
        ({"model": "gemini-embedding-2"}, 400, "not supported"),
        ({"method": "embedContent"}, 400, "not supported"),
        ({"method": "batchEmbedContents", "model": "gemini-embedding-2"}, 400, "not supported"),
    ],
)
async def test_what_is_not_there_is_refused(where: Json, status: int, words: str) -> None:
    async with asking(FakeGoogle()) as ask:
        response = await vertex(ask, HELLO, **where)
    assert response.status_code == status
    assert words in message_of(response)


@pytest.mark.parametrize(
    "field",
    [
        {"session_id": "s"},
        {"store": True},
        {"model": "models/gemini-3.8-flash"},
        {"toolConfig": {"includeServerSideToolInvocations": True}},
        {"tools": [{"fileSearch": {}}]},
        {"contents": [user({"toolCall": {}})]},
    ],
)
async def test_fields_of_the_gemini_api_are_unknown(field: Json) -> None:
    async with asking(FakeGoogle()) as ask:
        response = await vertex(ask, HELLO | field)
    assert response.status_code == 400
    assert message_of(response).endswith(": Cannot find field.")


async def test_fields_of_its_own_are_known_and_roles_are_demanded() -> None:
    own = {
        "labels": {"team": "a"},
        "generationConfig": {"audioTimestamp": False, "routingConfig": {}},
        "safetySettings": [
            {"category": "HARM_CATEGORY_HARASSMENT", "threshold": "OFF", "method": "SEVERITY"}
        ],
    }
    async with asking(FakeGoogle()) as ask:
        good = await vertex(ask, HELLO | own)
        bad = await vertex(ask, {"contents": [{"parts": [{"text": "hello"}]}]})
    assert good.status_code == 200
    assert message_of(bad) == "Please use a valid role: user, model."


async def test_built_in_tools_never_stand_beside_functions() -> None:
    tools = {"tools": [weather_tool(), {"googleSearch": {}}]}
    async with asking(FakeGoogle()) as ask:
        response = await vertex(ask, HELLO | tools, model="gemini-3.5-flash")
    assert response.status_code == 400


async def test_counting_includes_system_and_tools() -> None:
    request = HELLO | {
        "systemInstruction": {"parts": [{"text": "Be terse, please."}]},
        "tools": [weather_tool()],
    }
    async with asking(FakeGoogle()) as ask:
        counted = (await vertex(ask, request, "countTokens")).json()["totalTokens"]
        answered = (await vertex(ask, request)).json()["usageMetadata"]["promptTokenCount"]
        wrapped = await vertex(ask, {"generateContentRequest": HELLO}, "countTokens")
    assert counted == answered > 10
    assert wrapped.status_code == 400


async def test_embed_content_takes_one_text() -> None:
    body = {"content": user("a red apple"), "outputDimensionality": 8, "autoTruncate": True}
    async with asking(FakeGoogle()) as ask:
        answer = (await vertex(ask, body, "embedContent", "gemini-embedding-2")).json()
        listed = await vertex(ask, {"requests": [body]}, "embedContent", "gemini-embedding-2")
    assert len(answer["embedding"]["values"]) == 8
    assert answer["usageMetadata"]["promptTokenCount"] == 3
    assert listed.status_code == 400


def instances(count: int, text: str = "a", **more: Any) -> Json:
    return {"instances": [{"content": text, **more}] * count}


async def test_predict_answers_in_order_with_counts() -> None:
    body = {
        "instances": [{"content": "one"}, {"content": "three words here"}],
        "parameters": {"outputDimensionality": 16},
    }
    async with asking(FakeGoogle()) as ask:
        answer = (await vertex(ask, body, "predict", "text-embedding-005")).json()
    found = [entry["embeddings"] for entry in answer["predictions"]]
    assert [len(entry["values"]) for entry in found] == [16, 16]
    assert [entry["statistics"]["token_count"] for entry in found] == [1, 4]


@pytest.mark.parametrize(
    ("model", "body"),
    [
        ("gemini-embedding-001", instances(2)),
        ("text-embedding-005", instances(251)),
        ("text-embedding-005", instances(0)),
        ("text-embedding-005", instances(11, "x" * 8000)),
        ("text-embedding-005", instances(1, "")),
        ("text-embedding-005", {**instances(1), "parameters": {"outputDimensionality": 769}}),
        ("text-embedding-005", instances(1, title="t", task_type="CLUSTERING")),
    ],
)
async def test_predict_has_limits(model: str, body: Json) -> None:
    async with asking(FakeGoogle()) as ask:
        response = await vertex(ask, body, "predict", model)
    assert response.status_code == 400


@pytest.mark.parametrize("model", ["gemini-2.5-flash", "gemini-2.5-pro", "gemini-2.5-flash-lite"])
async def test_projects_without_a_past_do_not_get_the_25_family(model: str) -> None:
    google = old_google(vertex_projects={PROJECT, "new"})
    async with asking(google) as ask:
        old = await vertex(ask, HELLO, model=model)
        new = await vertex(ask, HELLO, model=model, project="new")
    assert (old.status_code, new.status_code) == (200, 404)
    assert message_of(new).startswith("Publisher Model `projects/new/locations/global/")


@pytest.mark.parametrize(
    ("location", "status"), [("global", 200), ("us", 200), ("eu", 200), ("us-central1", 404)]
)
async def test_generation_4_is_served_in_three_places(location: str, status: int) -> None:
    async with asking(FakeGoogle()) as ask:
        response = await vertex(ask, HELLO, model="gemini-4-hydrogen", location=location)
    assert response.status_code == status


@pytest.mark.parametrize(
    ("headers", "told"),
    [
        ({}, "ON_DEMAND"),
        ({"x-vertex-ai-llm-shared-request-type": "flex"}, "ON_DEMAND_FLEX"),
        ({"x-vertex-ai-llm-shared-request-type": "priority"}, "ON_DEMAND_PRIORITY"),
    ],
)
async def test_the_tier_is_asked_by_header_and_told_as_traffic(
    headers: dict[str, str], told: str
) -> None:
    async with asking(FakeGoogle()) as ask:
        response = await vertex(
            ask, HELLO, model="gemini-3.8-flash", headers={**ask.headers, **headers}
        )
    assert response.json()["usageMetadata"]["trafficType"] == told
    assert "modelStatus" not in response.json()


async def test_only_the_beta_goes_on_with_a_long_answer() -> None:
    google = FakeGoogle(hop_tokens=4)
    body = HELLO | {"generationConfig": {"maxOutputTokens": 9}}
    path = f"projects/{PROJECT}/locations/global/publishers/google/models/gemini-4-hydrogen"
    google.answers.append(Answer(parts=[{"text": "12345678" * 4}]))
    async with asking(google) as ask:
        url = f"/v1/{path}:generateContent"
        first = (await ask.http.post(url, json=body, headers=ask.headers)).json()
        token = {"continuationToken": first["candidates"][0]["continuationToken"]}
        stable = await ask.http.post(url, json=body | token, headers=ask.headers)
        beta = await ask.http.post(
            url.replace("/v1/", "/v1beta1/"), json=body | token, headers=ask.headers
        )
    assert stable.status_code == 400
    assert texts_of([first, beta.json()]) == "12345678" * 4


async def test_the_answering_model_may_carry_its_revision() -> None:
    async with asking(FakeGoogle(revision="@001")) as ask:
        response = await vertex(ask, HELLO, model="gemini-3.8-flash")
    assert response.json()["modelVersion"] == "gemini-3.8-flash@001"
