"""Models that die, on a key that may not use them, or that answer for others: whole sessions."""

import asyncio
import json
from dataclasses import replace
from pathlib import Path
from time import monotonic
from typing import Any

import httpx
import pytest

from server.auth import adc
from server.demo.errors import GoogleError
from server.gemini.catalogue import catalogue, today
from server.gemini.signatures import BYPASS
from server.upstreams.learned_models import FILE
from tests.faults import signed_in
from tests.google import failures, keys
from tests.google.account import PROJECT
from tests.google.failures import refuse
from tests.google.google import GENERATE, FakeGoogle
from tests.rig import GEMINI_KEY, Rig, running
from tests.support import events_of
from tests.test_refusals import CALLS, MODEL

Json = dict[str, Any]

# ── models that die ──

FIRST, SECOND, *_ = catalogue().candidates("best", "free", today())
PAID = "gemini-3.1-pro-preview"


def dead(google: FakeGoogle, *models: str) -> None:
    """Google no longer has these models for this key, though its list still shows them."""
    for model in models:
        refusal = refuse(keys.no_longer_available(model))
        google.fail(refusal, model=model, times=None, methods={*GENERATE, "countTokens"})


def asked(rig: Rig) -> list[str | None]:
    """The models of the generate requests that reached Google, in order."""
    return [e.model for e in rig.google.requests if e.call.endswith("enerateContent")]


def named(kind: str, model: str, **more: Any) -> tuple[str, Json]:
    path, body = CALLS[kind]
    if kind == "gemini":
        return path.replace(MODEL, model), {**body, **more}
    return path, {**body, "model": model, **more}


async def ask_for(rig: Rig, kind: str, model: str, **more: Any) -> httpx.Response:
    path, body = named(kind, model, **more)
    return await rig.http.post(path, json=body)


@pytest.mark.parametrize(
    "name", ["gemini-best", "gpt-5", "claude-opus-5-5", "claude-gp-gemini-best"]
)
@pytest.mark.parametrize("kind", CALLS)
async def test_a_dead_model_of_a_tier_gives_way_at_once_and_is_remembered(
    tmp_path: Path, kind: str, name: str
) -> None:
    google = FakeGoogle(api_keys={GEMINI_KEY, "another-gemini-key"})
    dead(google, FIRST)
    async with running(tmp_path, google=google) as rig:
        answer = await ask_for(rig, kind, name)
        assert (answer.status_code, answer.headers["x-gemini-model"]) == (200, SECOND)
        assert asked(rig) == [FIRST, SECOND]
        row = (await rig.usage())["recent_requests"][0]
        assert (row["model"], row["instead_of"], row["attempts"]) == (SECOND, FIRST, 2)
        await ask_for(rig, kind, name)
        assert asked(rig) == [FIRST, SECOND, SECOND], "once is enough"
    async with running(tmp_path, google=google) as rig:
        await ask_for(rig, kind, name)
        assert asked(rig)[3:] == [SECOND], "a restart remembers"
    async with running(tmp_path, google=google, gemini_api_key="another-gemini-key") as rig:
        await ask_for(rig, kind, name)
        assert asked(rig)[4:] == [FIRST, SECOND], "another key has to find out itself"
    assert GEMINI_KEY not in (tmp_path / FILE).read_text()


async def test_the_lists_leave_out_what_is_refused(tmp_path: Path) -> None:
    google = FakeGoogle(api_keys={GEMINI_KEY})
    dead(google, FIRST)
    async with running(tmp_path, google=google) as rig:
        assert FIRST in (await rig.http.get("/v1/models")).text
        await ask_for(rig, "chat", "gemini-best")
        for headers in ({}, {"anthropic-version": "1"}, {"x-goog-api-key": "k"}):
            listed = (await rig.http.get("/v1/models?limit=1000", headers=headers)).text
            assert f'"{FIRST}"' not in listed
            assert f'"models/{FIRST}"' not in listed
            assert SECOND in listed


@pytest.mark.parametrize("path", ["/v1/models", "/v1beta/models"])
async def test_a_refused_model_cannot_be_looked_up_either(tmp_path: Path, path: str) -> None:
    google = FakeGoogle(api_keys={GEMINI_KEY})
    dead(google, FIRST)
    async with running(tmp_path, google=google) as rig:
        assert (await rig.http.get(f"{path}/{FIRST}")).status_code == 200
        await ask_for(rig, "chat", "gemini-best")
        for name in (FIRST, f"claude-gp-{FIRST}"):
            answer = await rig.http.get(f"{path}/{name}")
            assert answer.status_code == 404
            assert f"Use {SECOND} instead" in answer.text
        assert (await rig.http.get(f"{path}/gemini-best")).status_code == 200


@pytest.mark.parametrize("name", ["gemini-best", "gpt-5", FIRST, "nomic-embed"])
async def test_what_makes_no_vectors_is_told_without_asking(tmp_path: Path, name: str) -> None:
    async with running(tmp_path) as rig:
        answer = await rig.http.post("/v1/embeddings", json={"model": name, "input": "x"})
        assert (answer.status_code, answer.json()["error"]["code"]) == (404, "model_not_found")
        assert "gemini-embedding-001" in answer.text
        assert not [e for e in rig.google.requests if "mbed" in e.call]


async def test_a_tier_without_any_model_left_is_the_last_refusal(tmp_path: Path) -> None:
    google = FakeGoogle(api_keys={GEMINI_KEY})
    every = catalogue().candidates("best", "free", today())
    dead(google, *every)
    async with running(tmp_path, google=google) as rig:
        answer = await ask_for(rig, "chat", "gemini-best")
        assert (answer.status_code, answer.json()["error"]["code"]) == (404, "model_not_found")
        assert asked(rig) == list(every)
        again = await ask_for(rig, "chat", "gemini-best")
        assert (again.status_code, again.json()["error"]["code"]) == (404, "model_not_found")
        assert asked(rig) == list(every)


@pytest.mark.parametrize("kind", CALLS)
async def test_an_exact_id_that_is_gone_is_an_error_that_names_another(
    tmp_path: Path, kind: str
) -> None:
    google = FakeGoogle(api_keys={GEMINI_KEY}, history=keys.NEW_FREE)
    async with running(tmp_path, google=google) as rig:
        for number in range(3):
            answer = await ask_for(rig, kind, "gemini-2.5-flash", stream=kind == "messages")
            assert answer.status_code == 404
            assert "gemini-3.5-flash-lite" in answer.text
            assert "no longer" in answer.text
            if kind in ("chat", "completions", "responses"):
                assert answer.json()["error"]["code"] == "model_not_found"
            assert len(asked(rig)) == 1, number


@pytest.mark.parametrize("wait_mode", [False, True])
@pytest.mark.parametrize("kind", CALLS)
async def test_a_paid_model_on_a_free_key_is_final(
    tmp_path: Path, kind: str, wait_mode: bool
) -> None:
    google = FakeGoogle(api_keys={GEMINI_KEY}, history=keys.NEW_FREE)
    async with running(tmp_path, google=google, wait_mode=wait_mode) as rig:
        for _ in range(2):
            answer = await ask_for(rig, kind, PAID)
            assert answer.status_code == 429
            assert answer.headers["x-should-retry"] == "false"
            assert "retry-after" not in answer.headers
            assert "instead" in answer.text
            if kind in ("chat", "completions", "responses"):
                assert answer.json()["error"]["code"] == "insufficient_quota"
        assert asked(rig) == [PAID]
        credential = rig.gateway.doors.chosen().credential
        assert rig.gateway.learned.plan(credential) == "free"


async def test_what_the_user_chose_is_an_exact_id(tmp_path: Path) -> None:
    google = FakeGoogle(api_keys={GEMINI_KEY}, history=keys.NEW_FREE)
    own = {"mine": "gemini-2.5-flash"}
    async with running(tmp_path, google=google, aliases=own, model_best=PAID) as rig:
        assert (await ask_for(rig, "chat", "mine")).status_code == 404
        assert (await ask_for(rig, "chat", "gpt-5")).status_code == 429
        assert asked(rig) == ["gemini-2.5-flash", PAID]


@pytest.mark.parametrize(
    "history", [keys.INVALID, keys.EXPIRED, keys.LEAKED, keys.BLOCKED, keys.STANDARD, keys.ABROAD]
)
async def test_what_concerns_the_key_is_answered_at_once_and_not_learnt(
    tmp_path: Path, history: keys.Key
) -> None:
    google = FakeGoogle(api_keys={GEMINI_KEY}, history=history)
    async with running(tmp_path, google=google) as rig:
        answer = await ask_for(rig, "chat", "gemini-best")
        assert answer.status_code in (400, 401, 403)
        assert answer.headers["x-should-retry"] == "false"
        assert asked(rig) == [FIRST]
        assert not (tmp_path / FILE).exists()
        google.history = keys.NEW_FREE
        assert (await ask_for(rig, "chat", "gemini-best")).status_code == 200


async def test_the_mark_can_be_taken_away(tmp_path: Path) -> None:
    google = FakeGoogle(api_keys={GEMINI_KEY}, history=keys.NEW_FREE)
    async with running(tmp_path, google=google) as rig:
        assert (await ask_for(rig, "chat", PAID)).status_code == 429
        google.history = keys.NEW_PAID
        assert (await ask_for(rig, "chat", PAID)).status_code == 429
        assert [mark.model for mark in rig.gateway.models().refused] == [PAID]
        assert rig.gateway.models().plan == "free"
        await rig.gateway.check_door("gemini-api")
        assert (await ask_for(rig, "chat", PAID)).status_code == 200
        credential = rig.gateway.doors.chosen().credential
        assert rig.gateway.learned.plan(credential) == "paid"


async def test_a_model_outside_the_licence_gives_way(tmp_path: Path) -> None:
    async with signed_in(tmp_path) as rig:
        offered = [one.model for one in rig.gateway.models().standing if one.tier == "best"]
        await ask_for(rig, "messages", "gemini-best")
        first = asked(rig)[0] or ""
        assert [first] == offered
        missing = refuse(GoogleError(404, "Requested entity was not found."))
        rig.google.fail(missing, model=first, times=None)
        answer = await ask_for(rig, "messages", "gemini-best")
        assert answer.status_code == 200
        assert answer.headers["x-gemini-model"] != first
        assert len(asked(rig)) == 3
        exact = await ask_for(rig, "chat", first)
        assert (exact.status_code, exact.json()["error"]["code"]) == (404, "model_not_found")
        assert len(asked(rig)) == 3
        (mark,) = rig.gateway.models().refused
        assert (mark.model, mark.why) == (first, "licence")


async def test_a_model_that_a_project_is_not_served_gives_way(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    google = FakeGoogle()
    token = google.oauth.sign_in()["access_token"]
    monkeypatch.setattr(adc, "mint_token", lambda file: adc.Minted(token=token, lifetime_s=3600))
    file = tmp_path / "adc.json"
    file.write_text(json.dumps({"type": "service_account", "project_id": PROJECT}))
    chosen: Json = {"upstream": "vertex", "google_application_credentials": file}
    async with running(tmp_path, google=google, **chosen) as rig:
        first = rig.gateway.models().standing[0].model or ""
        text = (
            f"Publisher Model `{first}` was not found or your project does not have access to it."
        )
        google.fail(refuse(GoogleError(404, text)), model=first, times=None)
        for _ in range(2):
            answer = await ask_for(rig, "responses", "gpt-5")
            assert answer.status_code == 200
        assert [model == first for model in asked(rig)] == [True, False, False]
        exact = await ask_for(rig, "gemini", first)
        assert (exact.status_code, exact.json()["error"]["status"]) == (404, "NOT_FOUND")
        assert len(asked(rig)) == 3


async def test_a_licence_that_is_missing_as_a_whole_is_answered_at_once(tmp_path: Path) -> None:
    async with signed_in(tmp_path) as rig:
        whole = "You do not have a valid license of this product. (#3501)"
        rig.google.fail(refuse(GoogleError(403, whole)), times=None)
        answer = await ask_for(rig, "chat", "gemini-best")
        assert answer.status_code == 403
        assert "licence" in answer.text
        assert len(set(asked(rig))) == 1
        assert rig.gateway.models().refused == ()


@pytest.mark.parametrize("name", ["text-embedding-3-small", "gemini-embedding-001"])
async def test_a_dead_embedding_model_is_learnt_too(tmp_path: Path, name: str) -> None:
    google = FakeGoogle(api_keys={GEMINI_KEY})
    dead = refuse(keys.no_longer_available("gemini-embedding-001"))
    google.fail(dead, model="gemini-embedding-001", methods={"batchEmbedContents"}, times=None)
    async with running(tmp_path, google=google) as rig:
        for _ in range(2):
            answer = await rig.http.post("/v1/embeddings", json={"model": name, "input": "x"})
            exact = name.startswith("gemini")
            assert answer.status_code == (404 if exact else 200)
            used = "gemini-embedding-2"
            assert used in (answer.text if exact else answer.headers["x-gemini-model"])
        tried = [entry.model for entry in rig.google.calls("batchEmbedContents")]
        assert tried == ["gemini-embedding-001"] + ([] if exact else [used, used])


async def test_a_chat_with_an_embedding_model_does_not_cost_its_vectors(tmp_path: Path) -> None:
    async with running(tmp_path) as rig:
        name = "gemini-embedding-001"
        assert (await ask_for(rig, "chat", name)).status_code == 404
        answer = await rig.http.post("/v1/embeddings", json={"model": name, "input": "x"})
        assert answer.status_code == 200


async def test_those_who_wait_in_the_queue_learn_from_the_first(tmp_path: Path) -> None:
    google = FakeGoogle(api_keys={GEMINI_KEY})
    slow = replace(refuse(keys.no_longer_available(FIRST)), first_byte_s=0.2)
    google.fail(slow, model=FIRST, times=None)
    async with running(tmp_path, google=google, rate_limit_s=0.5, wait_mode=True) as rig:
        await rig.http.get("/v1/models")
        answers = await asyncio.gather(*(ask_for(rig, "chat", "gpt-5") for _ in range(4)))
        assert [answer.status_code for answer in answers] == [200] * 4
        assert asked(rig).count(FIRST) == 1


# ── a session whose model dies ──

WEATHER: Json = {
    "name": "get_weather",
    "description": "The weather in a city",
    "input_schema": {
        "type": "object",
        "properties": {"city": {"type": "string"}},
        "required": ["city"],
    },
}


def message_of(events: list[Json]) -> list[Json]:
    """The assistant's blocks of a streamed message, as a client sends them back."""
    blocks: list[Json] = []
    texts: dict[int, str] = {}
    for event in events:
        if event["type"] == "content_block_start":
            blocks.append(dict(event["content_block"]))
        elif event["type"] == "content_block_delta":
            delta = event["delta"]
            for key in ("text", "thinking", "partial_json", "signature"):
                if key in delta:
                    texts[event["index"]] = texts.get(event["index"], "") + delta[key]
    for number, block in enumerate(blocks):
        if block["type"] == "tool_use":
            block["input"] = json.loads(texts.get(number, "") or "{}")
        elif block["type"] == "text":
            block["text"] = texts.get(number, "")
    return [block for block in blocks if block["type"] in ("text", "tool_use")]


async def test_a_tool_loop_survives_the_death_of_its_model(tmp_path: Path) -> None:
    """Claude Code, streaming, between a call and its result: the history has the signatures of
    the model that is gone."""
    google = FakeGoogle(api_keys={GEMINI_KEY})
    async with running(tmp_path, google=google) as rig:
        body: Json = {
            "model": "claude-opus-5-5",
            "max_tokens": 4096,
            "stream": True,
            "tools": [WEATHER],
            "tool_choice": {"type": "any"},
            "messages": [{"role": "user", "content": "What is the weather in Paris?"}],
        }
        first = await rig.http.post("/v1/messages", json=body)
        blocks = message_of(events_of(first.content))
        used = [block for block in blocks if block["type"] == "tool_use"]
        assert used
        body["messages"] += [
            {"role": "assistant", "content": blocks},
            {
                "role": "user",
                "content": [
                    {"type": "tool_result", "tool_use_id": block["id"], "content": "sunny"}
                    for block in used
                ],
            },
        ]
        del body["tool_choice"]
        dead(google, FIRST)
        second = await rig.http.post("/v1/messages", json=body)
        events = events_of(second.content)
        assert events[-1]["type"] == "message_stop"
        assert second.headers["x-gemini-model"] == SECOND
        assert asked(rig) == [FIRST, FIRST, SECOND]
        parts = [part for content in rig.sent[-1]["contents"] for part in content["parts"]]
        signed = [part["thoughtSignature"] for part in parts if "functionCall" in part]
        assert signed[0] == BYPASS
        third = await rig.http.post("/v1/messages", json=body)
        assert events_of(third.content)[-1]["type"] == "message_stop"
        assert asked(rig)[3:] == [SECOND]


# ── the answering model counts ──

ROUTED, BY = "gemini-3.7-flash", "gemini-3.8-flash"


@pytest.mark.parametrize("kind", CALLS)
async def test_another_model_that_answers_is_told(tmp_path: Path, kind: str) -> None:
    async with running(tmp_path) as rig:
        answer = await ask_for(rig, kind, ROUTED)
        assert answer.headers["x-gemini-model"] == ROUTED
        assert answer.headers["x-gemini-model-version"] == BY
        row = (await rig.usage())["recent_requests"][0]
        assert (row["model"], row["served"]) == (ROUTED, BY)
        if kind == "messages":
            streamed = await ask_for(rig, kind, ROUTED, stream=True)
            assert streamed.headers["x-gemini-model-version"] == BY
        answer = await ask_for(rig, kind, BY)
        assert "x-gemini-model-version" not in answer.headers
        assert (await rig.usage())["recent_requests"][0]["served"] == BY


async def test_the_rules_of_the_next_request_are_those_of_the_model_that_answered(
    tmp_path: Path,
) -> None:
    """A re-route that no table knows: the first answer tells it."""
    google = FakeGoogle(api_keys={GEMINI_KEY})
    unknown = "gemini-3.5-flash-lite"
    google.catalogue = tuple(
        replace(one, ends={"gemini-api": "2026-01-01"}, routed_to=BY) if one.id == unknown else one
        for one in google.catalogue
    )
    async with running(tmp_path, google=google) as rig:
        await ask_for(rig, "chat", unknown)
        answer = await ask_for(rig, "chat", unknown, reasoning_effort="minimal", temperature=0.5)
        assert answer.status_code == 200
        config = rig.sent[-1]["generationConfig"]
        assert config["thinkingConfig"]["thinkingLevel"] == "LOW", "it has no minimal"
        assert "temperature" not in config
        assert asked(rig) == [unknown, unknown]


async def test_a_name_of_which_nothing_is_known_brings_no_rules(tmp_path: Path) -> None:
    """What a gateway between here and Google calls the model."""
    google = FakeGoogle(api_keys={GEMINI_KEY})
    google.catalogue = tuple(
        replace(one, ends={"gemini-api": "2026-01-01"}, routed_to="deployment-7")
        if one.id == BY
        else replace(one, id="deployment-7")
        if one.id == FIRST
        else one
        for one in google.catalogue
    )
    async with running(tmp_path, google=google) as rig:
        configs = []
        for _ in range(2):
            answer = await ask_for(rig, "chat", BY, max_tokens=10)
            assert answer.headers["x-gemini-model-version"] == "deployment-7"
            configs.append(rig.sent[-1]["generationConfig"])
        assert configs[0] == configs[1]
        assert configs[1]["maxOutputTokens"] > 10, "room for the thoughts"


@pytest.mark.parametrize("kind", ["chat", "messages", "responses"])
async def test_a_model_that_answers_unannounced_by_stricter_rules_costs_one_request(
    tmp_path: Path, kind: str
) -> None:
    """Budgets were right for the id asked for; its new master knows levels only and refuses them
    before any answer could name it."""
    google = FakeGoogle(api_keys={GEMINI_KEY}, history=keys.OLD_PAID)
    by = FIRST
    google.catalogue = tuple(
        replace(one, ends={"gemini-api": "2026-01-01"}, routed_to=by)
        if one.id == "gemini-2.5-flash-lite"
        else one
        for one in google.catalogue
    )
    wishes: dict[str, Json] = {
        "chat": {"reasoning_effort": "high"},
        "messages": {"thinking": {"type": "enabled", "budget_tokens": 2000}, "max_tokens": 5000},
        "responses": {"reasoning": {"effort": "high"}},
    }
    wish = wishes[kind]
    async with running(tmp_path, google=google) as rig:
        answer = await ask_for(rig, kind, "gemini-2.5-flash-lite", **wish)
        assert (answer.status_code, answer.headers["x-gemini-model-version"]) == (200, by)
        assert "thinkingConfig" in answer.headers["x-proxy-dropped"]
        assert len(asked(rig)) == 2
        again = await ask_for(rig, kind, "gemini-2.5-flash-lite", **wish)
        assert (again.status_code, len(asked(rig))) == (200, 3)
        assert "thinkingLevel" in rig.sent[-1]["generationConfig"]["thinkingConfig"]


# ── counts ──


async def count_for(rig: Rig, model: str, words: str) -> httpx.Response:
    said = [{"role": "user", "content": words}]
    return await rig.http.post("/v1/messages/count_tokens", json={"model": model, "messages": said})


async def test_a_count_learns_what_is_dead_and_goes_on(tmp_path: Path) -> None:
    google = FakeGoogle(api_keys={GEMINI_KEY})
    dead(google, FIRST)
    async with running(tmp_path, google=google) as rig:
        for words in ("one", "two", "three"):
            assert (await count_for(rig, "gemini-best", words)).status_code == 200
        counted = [e.model for e in rig.google.requests if e.call == "countTokens"]
        assert counted == [FIRST, SECOND, SECOND, SECOND]
        answer = await ask_for(rig, "chat", "gemini-best")
        assert (answer.status_code, asked(rig)) == (200, [SECOND])


async def test_a_count_for_an_exact_id_that_is_dead_is_an_estimate_and_asks_once(
    tmp_path: Path,
) -> None:
    google = FakeGoogle(api_keys={GEMINI_KEY})
    dead(google, FIRST)
    async with running(tmp_path, google=google) as rig:
        for words in ("one", "two"):
            answer = await count_for(rig, FIRST, words)
            assert answer.json()["input_tokens"] > 0
        assert [e.call for e in rig.google.requests].count("countTokens") == 1


# ── lists never wait long ──


async def test_a_list_does_not_wait_for_a_silent_google(tmp_path: Path) -> None:
    google = FakeGoogle(api_keys={GEMINI_KEY})
    google.fail(failures.Failure(first_byte_s=60), methods={"models"}, times=None)
    async with running(tmp_path, google=google) as rig:
        rig.gateway.doors._list_within_s = 0.2
        began = monotonic()
        listed = await rig.http.get("/v1/models")
        again = await rig.http.get("/v1/models")
        assert monotonic() - began < 5
        assert FIRST in listed.text
        assert again.json() == listed.json()
