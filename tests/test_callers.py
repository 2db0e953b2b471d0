"""What callers are told before anything is read: in their dialect, with an id, however they ask."""

import asyncio
import gzip
import itertools
import logging
import time
from pathlib import Path
from typing import Any

import httpx
import pytest

from server.edge.guesses import Guesses
from server.edge.rights import PAGES
from tests.faults import BODIES, raw, requests
from tests.faults import request_of as hello
from tests.google import failures
from tests.rig import Rig, running

KEY = "the-right-key-of-this-server"
ELSEWHERE = {"x-forwarded-for": "192.0.2.7"}
BROWSER = {"accept": "text/html,application/xhtml+xml,*/*;q=0.8"}
HUGE = gzip.compress(b" " * 33 * 1024 * 1024)

PATHS = {
    "/v1/messages": "anthropic",
    "/v1/messages/count_tokens": "anthropic",
    "/v1/chat/completions": "openai",
    "/v1/responses": "openai",
    "/v1/embeddings": "openai",
    "/v1beta/openai/chat/completions": "openai",
    "/v1beta/models/gemini-2.5-pro:generateContent": "gemini",
    "/v1alpha/models/gemini-2.5-pro:countTokens": "gemini",
    "/v1/models/gemini-2.5-pro:generateContent": "gemini",
    "/v1/models/gemini-2.5-pro:streamGenerateContent": "gemini",
}
HEADERS: tuple[dict[str, str], ...] = (
    {},
    {"anthropic-version": "2023-06-01"},
    {"x-goog-api-client": "genai-js/1"},
)


def dialect_of(answer: httpx.Response) -> str:
    """Told by the shape of an error."""
    body = answer.json()
    if body.get("type") == "error":
        assert answer.headers["request-id"] == answer.headers["x-request-id"]
        return "anthropic"
    return "gemini" if "status" in body["error"] else "openai"


async def refusals(rig: Rig, path: str, headers: dict[str, str]) -> dict[int, httpx.Response]:
    """One answer of each early refusal."""
    json = {**headers, "x-api-key": KEY, "content-type": "application/json"}
    packed = {**json, "content-encoding": "gzip"}
    asked = (
        rig.http.post(path, headers={**ELSEWHERE, **headers}),
        rig.http.post(path, headers={**headers, "x-api-key": "wrong"}),
        rig.http.post(path, headers={**json, "origin": "https://evil.example"}),
        rig.http.post(path, headers={**headers, "host": "evil.example"}),
        rig.http.post(path, headers={**json, "via": "1.1 gemini-api-proxy"}),
        rig.http.post(path, content=b"{}", headers={**json, "content-type": "text/plain"}),
        rig.http.post(path, content=HUGE, headers=packed),
        rig.http.post(path, headers=[*json.items(), ("origin", "a"), ("origin", "b")]),
        rig.http.put(path, headers=json),
        rig.http.post(path, headers={**json, "authorization": "Bearer another"}),
    )
    return {answer.status_code: answer for answer in [await one for one in asked]}


@pytest.mark.parametrize("headers", HEADERS)
async def test_the_address_words_every_early_refusal(
    tmp_path: Path, headers: dict[str, str]
) -> None:
    async with running(tmp_path, api_keys=(KEY,)) as rig:
        seldom = itertools.count(0.0, 1e6).__next__  # nobody is slowed down
        rig.edge.access.guesses = Guesses(now=seldom)
        for path, dialect in PATHS.items():
            answers = await refusals(rig, path, headers)
            assert {400, 401, 403, 413, 415, 421, 508} <= set(answers), (path, set(answers))
            for status, answer in answers.items():
                assert dialect_of(answer) == dialect, (path, status, answer.text)
                assert answer.headers["x-request-id"].startswith("req_")


async def test_every_answer_has_an_id(tmp_path: Path) -> None:
    async with running(tmp_path) as rig:
        seen = []
        for path in (
            *("/", "/setup", "/settings", "/login", "/static/style.css", "/static/no.css"),
            *("/nowhere", "/v1/nowhere", "/health", "/usage", "/metrics", "/openapi.json"),
            *("/auth", "/v1/models", "/api/hello"),
        ):
            for headers in ({}, BROWSER):
                answer = await rig.http.get(path, headers=headers)
                seen.append(answer.headers.get_list("x-request-id"))
        answer = await rig.http.request("TRACE", "/settings")
        seen.append(answer.headers.get_list("x-request-id"))
        answer = await rig.http.options("/settings")
        seen.append(answer.headers.get_list("x-request-id"))
    assert all(len(ids) == 1 and ids[0].startswith("req_") for ids in seen), seen
    assert len({ids[0] for ids in seen}) == len(seen)


@pytest.mark.parametrize(
    ("method", "path"),
    [
        ("POST", "/upload/v1beta/files"),
        ("POST", "/openai/v1/chat/completions"),
        ("GET", "/openai/v1/models"),
        ("POST", "/api/v1/chat/completions"),
        ("GET", "/api/v1/models"),
        ("POST", "/nowhere"),
        ("PUT", "/nowhere"),
        ("GET", "/nowhere"),
    ],
)
async def test_programs_get_json_for_what_is_not_there(
    tmp_path: Path, method: str, path: str
) -> None:
    async with running(tmp_path) as rig:
        google = await rig.http.request(method, path, headers={"x-goog-api-key": "any"})
        assert google.status_code == 404
        assert google.json()["error"]["status"] == "NOT_FOUND"
        headers = {"authorization": "Bearer any", "accept": "text/html"}
        openai = await rig.http.request(method, path, headers=headers)
        assert openai.status_code == 404
        assert openai.json()["error"]["type"] == "invalid_request_error"


PAGE_ADDRESSES = sorted(
    (method, path)
    for path in PAGES
    for method in ("GET", "POST", "PUT", "DELETE")
    if not path.startswith("/static/")
)


@pytest.mark.parametrize(("method", "path"), PAGE_ADDRESSES)
async def test_programs_get_json_at_the_address_of_a_page(
    tmp_path: Path, method: str, path: str
) -> None:
    form = {"content-type": "application/x-www-form-urlencoded"}
    said: list[tuple[dict[str, str], bytes]] = [
        ({"accept": "application/json"}, b""),
        ({"accept": "application/json", **form}, b"action=check"),
        ({"content-type": "application/json"}, b'{"model": "x"}'),
        ({"content-type": "application/vnd.api+json; charset=utf-8"}, b"{}"),
    ]
    async with running(tmp_path) as rig:
        for headers, content in said:
            answer = await rig.http.request(method, path, headers=headers, content=content)
            assert answer.status_code == 404, headers
            assert "web page" in answer.json()["error"]["message"]
        assert "text/html" not in (await rig.http.request("PUT", path)).headers["content-type"]


async def test_programs_without_a_key_get_json_at_the_address_of_a_page(tmp_path: Path) -> None:
    async with running(tmp_path, api_keys=(KEY,)) as rig:
        for headers in ({"accept": "application/json"}, {"content-type": "application/json"}, {}):
            answer = await rig.http.post("/setup", content=b"{}", headers=headers)
            assert answer.status_code == 401
            assert answer.json()["error"]["code"] == "invalid_api_key"
        page = await rig.http.post("/setup", data={"action": "check"}, headers=BROWSER)
        assert page.status_code == 401
        assert "<form" in page.text


async def test_a_form_without_its_token_is_refused_in_the_language_of_its_sender(
    tmp_path: Path,
) -> None:
    async with running(tmp_path) as rig:
        for path in ("/setup", "/settings", "/connect", "/inspect", "/help", "/about", "/logout"):
            page = await rig.http.post(path, data={"action": "check"}, headers=BROWSER)
            assert (page.status_code, "<h1>" in page.text) == (403, True)
            told = await rig.http.post(path, data={"action": "check"})
            assert (told.status_code, list(told.json())) == (403, ["error"])


@pytest.mark.parametrize("version", ["v1alpha", "v1beta", "v1"])
async def test_every_version_of_geminis_address_answers(tmp_path: Path, version: str) -> None:
    async with running(tmp_path) as rig:
        path = f"/{version}/models/gemini-2.5-pro:generateContent"
        answer = await rig.http.post(path, json=BODIES["gemini"][1])
        assert answer.status_code == 200, answer.text
        assert answer.json()["candidates"]


async def test_googles_compatible_address_is_openais(tmp_path: Path) -> None:
    async with running(tmp_path) as rig:
        _, body = BODIES["openai"]
        headers = {"x-goog-api-key": "any"}
        path = "/v1beta/openai/chat/completions"
        answer = await rig.http.post(path, json=body, headers=headers)
        assert answer.json()["choices"][0]["message"]["content"]
        models = await rig.http.get("/v1beta/openai/models", headers=headers)
        assert models.json()["object"] == "list"


# ── keys ─────────────────────────────────────────────────────────────────────────────────────────


async def test_a_key_in_the_address_opens_geminis_paths_and_is_seen_nowhere(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.DEBUG)
    spelled = "?%6bey=" + KEY
    async with running(tmp_path, api_keys=(KEY,)) as rig:
        rig.gateway.pipeline.inspector.switch(on=True)
        path, body = hello("gemini", stream=False)
        for query in (f"?key={KEY}", f"?alt=sse&key={KEY}&x=y", spelled):
            answer = await rig.http.post(path + query, json=body, headers=ELSEWHERE)
            assert answer.status_code == 200, answer.text
        assert (await rig.http.get(f"/v1beta/models?key={KEY}")).status_code == 200
        both = await rig.http.post(f"{path}?key={KEY}&key=other", json=body)
        assert both.status_code == 400
        assert "different keys" in both.json()["error"]["message"]
        same = {"x-goog-api-key": KEY}
        assert (await rig.http.post(f"{path}?key={KEY}", json=body, headers=same)).is_success
        other = {"x-goog-api-key": "other"}
        assert (await rig.http.post(f"{path}?key={KEY}", json=body, headers=other)).is_error
        rig.google.fail(failures.not_found())
        await rig.http.post(f"{path}?key={KEY}", json=body)
        for elsewhere in ("/v1/chat/completions", "/v1/models", "/v1beta/openai/models", "/usage"):
            answer = await rig.http.get(f"{elsewhere}?key={KEY}")
            assert answer.status_code == 401, elsewhere
            assert "?key= counts on Gemini's own paths only" in answer.text
        rebound = await rig.http.post(
            f"{path}?key={KEY}", json=body, headers={"host": "evil.example"}
        )
        assert rebound.status_code == 421
        mine = {"x-api-key": KEY}
        pages = [await rig.http.get(at, headers=mine) for at in ("/inspect", "/log", "/usage")]
        sent = [call for call in rig.google.requests if KEY in repr(call)]
    assert sent == []
    assert [answer.url for answer in pages if KEY in answer.text] == []
    ours = [record for record in caplog.records if record.name.startswith(("server", "webui"))]
    assert ours
    assert [record.getMessage() for record in ours if KEY in record.getMessage()] == []


async def test_guessing_is_slowed_and_a_right_key_is_not(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.INFO)
    async with running(tmp_path, api_keys=(KEY,)) as rig:

        async def guess(number: int) -> None:
            headers = {"x-api-key": f"guess-{number}"}
            assert (await rig.http.get("/v1/models", headers=headers)).status_code == 401

        began = time.monotonic()
        tasks = [asyncio.create_task(guess(number)) for number in range(12)]
        await asyncio.sleep(0.5)
        for path in ("/v1/models", "/settings"):
            asked = time.monotonic()
            answer = await rig.http.get(path, headers={"x-api-key": KEY})
            assert answer.status_code == 200
            assert time.monotonic() - asked < 1
        done, waiting = await asyncio.wait(tasks, timeout=2)
        assert len(waiting) >= 5, time.monotonic() - began
        assert len(done) >= 5
        for task in waiting:
            task.cancel()
        await asyncio.wait(tasks)
        login: Any = await rig.http.post("/login", data={"key": KEY})
        assert login.status_code == 303
    told = [record.getMessage() for record in caplog.records if "wrong key" in record.getMessage()]
    assert told == ["wrong key from 127.0.0.1"]


async def test_whoever_leaves_while_held_back_costs_nothing(tmp_path: Path) -> None:
    async with running(tmp_path, api_keys=(KEY,)) as rig:
        for _ in range(6):
            rig.edge.access.guesses.wrong("127.0.0.1")
        before = len(asyncio.all_tasks())
        head = b"GET /v1/models HTTP/1.1\r\nHost: 127.0.0.1\r\nx-api-key: wrong\r\n\r\n"
        await asyncio.gather(*(raw(rig, head, within_s=0.2) for _ in range(20)))
        await asyncio.sleep(0.5)
        assert len(asyncio.all_tasks()) < before + 10


async def test_every_dialect_answers_with_a_key_in_each_header(tmp_path: Path) -> None:
    async with running(tmp_path, api_keys=(KEY,)) as rig:
        for dialect, stream in requests():
            path, body = hello(dialect, stream=stream)
            for name in ("authorization", "x-api-key", "x-goog-api-key"):
                given = f"Bearer {KEY}" if name == "authorization" else KEY
                answer = await rig.http.post(path, json=body, headers={name: given})
                assert answer.status_code == 200


async def test_a_page_of_an_allowed_origin_reads_answers_refusals_and_our_headers(
    tmp_path: Path,
) -> None:
    origin = {"origin": "http://localhost:3000"}
    async with running(tmp_path, api_keys=(KEY,), rate_limit_s=0.001) as rig:
        path, body = BODIES["openai"]
        mine = {**origin, "x-api-key": KEY}
        answer = await rig.http.post(path, json={**body, "logit_bias": {"1": 2}}, headers=mine)
        refused = await rig.http.post(path, json=body, headers=origin)
        rig.google.fail(failures.quota_exhausted())
        limited = await rig.http.post(path, json=body, headers=mine)
        assert (answer.status_code, refused.status_code, limited.status_code) == (200, 401, 429)
        for one in (answer, refused, limited):
            assert one.headers["access-control-allow-origin"] == origin["origin"]
            shown = one.headers["access-control-expose-headers"].split(", ")
            ours = {name for name in one.headers if name.startswith(("x-", "retry-after"))}
            assert ours <= set(shown)
        assert "x-gemini-model" in answer.headers["access-control-expose-headers"]
        assert "retry-after" in limited.headers["access-control-expose-headers"]
        foreign = await rig.http.post(path, json=body, headers={"origin": "https://evil.example"})
        assert "access-control-allow-origin" not in foreign.headers
