"""The request a tool would send, sent: what it says when it works and when it does not."""

from pathlib import Path

import pytest

from server.connect import probe
from server.connect.tool import Ask, Dialect
from tests.google import failures
from tests.google.google import FakeGoogle
from tests.rig import GEMINI_KEY, running

PATHS: dict[Dialect, str] = {
    "chat": "/v1/chat/completions",
    "responses": "/v1/responses",
    "messages": "/v1/messages?beta=true",
    "gemini": "/v1beta/models/gemini-3.8-flash:streamGenerateContent?alt=sse",
}


@pytest.mark.parametrize("dialect", PATHS)
async def test_each_dialect_is_asked_and_read_to_its_end(dialect: Dialect, tmp_path: Path) -> None:
    async with running(tmp_path) as rig:
        ask = Ask(dialect, rig.url + PATHS[dialect], "gemini-3.8-flash", "any")
        answer = await probe.ask(ask)
        assert answer.ok
        assert answer.told.startswith("gemini-3.8-flash answered: ")
        (entry,) = (await rig.usage())["recent_requests"]
        assert entry["outcome"] == "ok"
        assert entry["client"] == "gemini-api-proxy-connect"


@pytest.mark.parametrize("dialect", PATHS)
async def test_a_refusal_is_told_in_its_own_words(dialect: Dialect, tmp_path: Path) -> None:
    async with running(tmp_path, api_keys=("right",)) as rig:
        ask = Ask(dialect, rig.url + PATHS[dialect], "gemini-3.8-flash", "wrong")
        answer = await probe.ask(ask)
        assert not answer.ok
        assert answer.told.startswith("401: ")
        assert "API key" in answer.told
        again = Ask(dialect, rig.url + PATHS[dialect], "gemini-3.8-flash", "right")
        assert (await probe.ask(again)).ok


@pytest.mark.parametrize("dialect", PATHS)
async def test_an_answer_that_breaks_off_is_no_answer(dialect: Dialect, tmp_path: Path) -> None:
    google = FakeGoogle(api_keys={GEMINI_KEY})
    async with running(tmp_path, google=google) as rig:
        google.fail(failures.truncated(), times=None)
        ask = Ask(dialect, rig.url + PATHS[dialect], "gemini-3.8-flash", None)
        assert not (await probe.ask(ask)).ok


async def test_nobody_there() -> None:
    answer = await probe.ask(Ask("chat", "http://127.0.0.1:1/v1/chat/completions", "m", None))
    assert answer == probe.Answer(
        ok=False, told="Nothing answers at http://127.0.0.1:1. Start Gemini API Proxy first."
    )


async def test_an_address_that_is_none_is_told(tmp_path: Path) -> None:
    assert not (await probe.ask(Ask("chat", "http://[::1", "m", None))).ok
