"""Refusals that no repeating ends, as every client sees them: one request, the exact error."""

import sqlite3
from contextlib import closing
from dataclasses import replace
from pathlib import Path
from typing import Any

import httpx
import pytest

from server.demo.errors import GoogleError
from server.logs import recent_lines
from tests.google import failures
from tests.google.failures import refuse
from tests.rig import Rig, running

Json = dict[str, Any]

MODEL = "gemini-3.8-flash"
PREPAID = (
    "Your prepayment credits are depleted. Please go to AI Studio at https://ai.studio/projects to "
    "manage your project and billing."
)
HELLO = [{"role": "user", "content": "hello"}]
CALLS: dict[str, tuple[str, Json]] = {
    "chat": ("/v1/chat/completions", {"model": MODEL, "messages": HELLO}),
    "completions": ("/v1/completions", {"model": MODEL, "prompt": "hello"}),
    "responses": ("/v1/responses", {"model": MODEL, "input": "hello"}),
    "messages": ("/v1/messages", {"model": MODEL, "messages": HELLO, "max_tokens": 64}),
    "gemini": (
        f"/v1beta/models/{MODEL}:generateContent",
        {"contents": [{"role": "user", "parts": [{"text": "hello"}]}]},
    ),
}


async def ask(rig: Rig, kind: str, **more: Any) -> httpx.Response:
    path, body = CALLS[kind]
    return await rig.http.post(path, json={**body, **more})


def sent(rig: Rig) -> int:
    """Generate requests that reached Google."""
    return sum(entry.call.endswith("enerateContent") for entry in rig.google.requests)


@pytest.mark.parametrize("wait_mode", [False, True])
async def test_an_empty_balance_is_final_in_every_dialect(tmp_path: Path, wait_mode: bool) -> None:
    async with running(tmp_path, wait_mode=wait_mode) as rig:
        rig.google.fail(refuse(GoogleError(429, PREPAID)), times=None)
        for number, kind in enumerate(CALLS, 1):
            answer = await ask(rig, kind)
            assert answer.status_code == 429
            assert answer.headers["x-should-retry"] == "false"
            assert "retry-after" not in answer.headers
            assert "https://ai.studio/projects" in answer.text
            assert sent(rig) == number
            if kind in ("chat", "completions", "responses"):
                assert answer.json()["error"]["code"] == "insufficient_quota"
        problem = rig.gateway.status().account.problem
        assert problem is not None
        assert problem.code == "CREDITS_DEPLETED"
        assert "prepaid balance" in (await rig.http.get("/")).text


async def test_a_key_typed_as_a_models_name_is_kept_nowhere(tmp_path: Path) -> None:
    key = "AQ.Ab8RN6synthetic_synthetic-synthetic"
    async with running(tmp_path) as rig:
        for path in ("/v1/chat/completions", "/v1/messages", "/v1/embeddings"):
            body = {"model": key, "messages": HELLO, "max_tokens": 9, "input": "x"}
            answer = await rig.http.post(path, json=body, headers={"user-agent": key})
            assert "synthetic" not in answer.text
        await rig.http.post(f"/v1beta/models/{key}:generateContent", json=CALLS["gemini"][1])
        pages = [await rig.http.get(path) for path in ("/", "/usage", "/metrics", "/log")]
        assert all("synthetic" not in page.text for page in pages)
        rig.gateway.usage._store.flush()
        kept = [path.read_bytes() for path in tmp_path.glob("usage.sqlite3*")]
        assert kept
        assert all(b"synthetic" not in content for content in kept)
        with closing(sqlite3.connect(tmp_path / "usage.sqlite3")) as database:
            assert database.execute("SELECT count(*) FROM entries").fetchone()[0] == 4
        assert all("synthetic" not in line for line in recent_lines())


CUT: dict[str, tuple[list[str | int], str]] = {
    "chat": (["choices", 0, "finish_reason"], "length"),
    "completions": (["choices", 0, "finish_reason"], "length"),
    "responses": (["incomplete_details", "reason"], "max_output_tokens"),
    "messages": (["stop_reason"], "max_tokens"),
    "gemini": (["candidates", 0, "finishReason"], "CONTINUATION"),
}


@pytest.mark.parametrize("kind", CUT)
async def test_an_answer_that_google_would_continue_is_no_normal_end(
    tmp_path: Path, kind: str
) -> None:
    path, last = CUT[kind]
    async with running(tmp_path) as rig:
        bend = failures.Failure(bend=lambda answer: replace(answer, finish="CONTINUATION"))
        rig.google.fail(bend, times=None)
        value: Any = (await ask(rig, kind)).json()
        for step in path:
            value = value[step]
        assert value == last
        if kind not in ("gemini", "completions"):
            events = (await ask(rig, kind, stream=True)).text
            assert last in events
            assert "end_turn" not in events
            assert '"finish_reason":"stop"' not in events.replace(" ", "")


async def test_a_long_answer_in_one_piece_is_asked_for_as_a_stream(tmp_path: Path) -> None:
    async with running(tmp_path) as rig:
        for kind in ("chat", "completions", "responses", "messages"):
            field = "max_output_tokens" if kind == "responses" else "max_tokens"
            assert (await ask(rig, kind, **{field: 60_000})).status_code == 200
        assert {entry.call for entry in rig.google.requests} <= {"models", "streamGenerateContent"}
        assert all(body["generationConfig"]["maxOutputTokens"] >= 60_000 for body in rig.sent)
        assert all(body["store"] is False for body in rig.sent)
        await ask(rig, "gemini", generationConfig={"maxOutputTokens": 60_000})
        last = rig.google.requests[-1]
        assert (last.call, "store" in last.json) == ("generateContent", False)


async def test_storing_at_google_is_a_choice_made_live(tmp_path: Path) -> None:
    async with running(tmp_path) as rig:
        await rig.gateway.change("STORE_AT_GOOGLE", "true")
        await ask(rig, "chat")
        await rig.gateway.change("STORE_AT_GOOGLE", "false")
        await ask(rig, "chat")
        assert [body.get("store") for body in rig.sent] == [None, False]
