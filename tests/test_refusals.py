"""Refusals that no repeating ends, as every client sees them: one request, the exact error."""

import sqlite3
from contextlib import closing
from pathlib import Path
from typing import Any

import httpx
import pytest

from server.google_fake.failures import refuse
from server.google_fake.http import GoogleError
from server.logs import recent_lines
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
