"""The inspector's page: off at first, four sides while on, nothing after."""

import json
import re
from html import unescape
from pathlib import Path

from server.inspector import Inspector, note
from server.logs import redact
from tests.google.failures import quota_exhausted
from tests.google.google import FakeGoogle
from tests.rig import GEMINI_KEY, Rig, running
from webui.inspect import panes_of, rows_of

CHAT = {"model": "gpt-4o", "messages": [{"role": "user", "content": "A word of mine"}]}


async def switch(rig: Rig, on: str) -> None:
    html = (await rig.http.get("/inspect")).text
    found = re.search(r'name="token" value="([^"]*)"', html)
    assert found
    answer = await rig.http.post("/inspect", data={"token": unescape(found[1]), "on": on})
    assert answer.status_code == 303


async def sides(rig: Rig, request_id: str = "") -> dict[str, str]:
    """The text of each pane of the page."""
    address = f"/inspect?id={request_id}" if request_id else "/inspect"
    html = unescape((await rig.http.get(address)).text)
    panes = re.split(r'<div id="side-(\w+)">', html)[1:]
    return dict(zip(panes[::2], panes[1::2], strict=True))


async def test_four_sides_of_a_request_while_it_is_on(tmp_path: Path) -> None:
    async with running(tmp_path) as rig:
        await rig.http.post("/v1/chat/completions", json=CHAT)
        assert "A word of mine" not in (await rig.http.get("/inspect")).text
        await switch(rig, "yes")
        for stream in (False, True):
            await rig.http.post("/v1/chat/completions", json={**CHAT, "stream": stream})
            seen = await sides(rig)
            assert '"content": "A word of mine"' in seen["client"]
            assert '"text": "A word of mine"' in seen["upstream"]
            assert "/models/gemini-4-hydrogen:streamGenerateContent?alt=sse" in seen["upstream"]
            assert '"finishReason": "STOP"' in seen["stream"]
            assert ("data: [DONE]" in seen["answer"]) == stream
        await switch(rig, "no")
        assert "A word of mine" not in (await rig.http.get("/inspect")).text


async def test_code_assist_is_shown_in_its_envelope(tmp_path: Path) -> None:
    google = FakeGoogle()
    (tmp_path / "google_token.json").write_text(
        json.dumps(google.oauth.credentials("http://127.0.0.1:1")), "utf-8"
    )
    async with running(tmp_path, google=google, gemini_api_key=None) as rig:
        await switch(rig, "yes")
        answer = await rig.http.post("/v1/chat/completions", json=CHAT)
        assert answer.status_code == 200, answer.text
        seen = await sides(rig)
    for part in ('"project"', '"user_prompt_id"', '"session_id"', "v1internal:"):
        assert part in seen["upstream"], part
    assert '"response": {' in seen["stream"]
    token = google.oauth.sign_in()["access_token"][:12]
    assert token not in str(seen)


async def test_token_counts_and_embeddings_are_seen_too(tmp_path: Path) -> None:
    async with running(tmp_path) as rig:
        await switch(rig, "yes")
        counted = await rig.http.post("/v1/messages/count_tokens", json=CHAT)
        assert counted.status_code == 200
        seen = await sides(rig)
        assert ":countTokens" in seen["upstream"]
        assert '"totalTokens"' in seen["stream"]
        assert '"input_tokens"' in seen["answer"]
        body = {"model": "text-embedding-3-small", "input": "A word of mine"}
        await rig.http.post("/v1/embeddings", json=body)
        seen = await sides(rig)
        assert ":batchEmbedContents" in seen["upstream"]
        assert '"values"' in seen["stream"]
        html = (await rig.http.get("/inspect")).text
        assert "POST /v1/messages/count_tokens" in html


async def test_a_refusal_shows_what_google_said(tmp_path: Path) -> None:
    async with running(tmp_path) as rig:
        await switch(rig, "yes")
        rig.google.fail(quota_exhausted())
        answer = await rig.http.post("/v1/chat/completions", json=CHAT)
        seen = await sides(rig, answer.headers["x-request-id"])
    assert "HTTP 429" in seen["stream"]
    assert "QUOTA_EXHAUSTED" in seen["stream"]
    assert "HTTP 429" in seen["answer"]


async def test_the_key_is_on_no_side(tmp_path: Path) -> None:
    async with running(tmp_path) as rig:
        await switch(rig, "yes")
        body = {**CHAT, "messages": [{"role": "user", "content": f"my key is {GEMINI_KEY}"}]}
        await rig.http.post("/v1/chat/completions", json=body)
        assert GEMINI_KEY not in (await rig.http.get("/inspect")).text


async def test_it_cannot_be_switched_on_from_elsewhere(tmp_path: Path) -> None:
    async with running(tmp_path) as rig:
        answer = await rig.http.post("/inspect", data={"on": "yes"})
        assert answer.status_code == 403
        assert not rig.gateway.pipeline.inspector.on


async def test_a_row_without_a_usage_entry_ends_with_its_status() -> None:
    inspector = Inspector(redact)
    inspector.switch(on=True)
    inspector.attend()
    inspector.watch("1", "POST /v1/messages/count_tokens", "tool", 0.0, {})
    (row,) = rows_of(inspector.traces(), {})
    assert (row.outcome, row.took_ms) == ("", None)
    note("answer", b"{}", "HTTP 200")
    (row,) = rows_of(inspector.traces(), {})
    assert row.outcome == "HTTP 200"
    (row,) = rows_of(inspector.traces(), {"1": {"outcome": "rate_limit", "latency_ms": 5}})
    assert (row.outcome, row.took_ms) == ("rate_limit", 5)
    assert [pane.side for pane in panes_of(inspector.traces()[0])] == [
        *("client", "upstream", "stream", "answer")
    ]


async def test_it_says_which_model_answered_where_it_was_another(tmp_path: Path) -> None:
    async with running(tmp_path) as rig:
        await switch(rig, "yes")
        for model, told in (("gemini-3.8-flash", False), ("gemini-3.7-flash", True)):
            await rig.http.post("/v1/chat/completions", json={**CHAT, "model": model})
            html = (await rig.http.get("/inspect")).text
            words = "gemini-3.7-flash was answered by <strong>gemini-3.8-flash</strong>"
            assert (words in html) is told
            assert ("was answered by" in html) is told
