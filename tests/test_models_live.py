"""Names that people and programs use, on keys of every past and on later days: a living model.

The machine's clock is set by hand; the fake Google keeps its own table of models, with a clock too.
"""

from datetime import UTC, date, datetime
from pathlib import Path
from typing import Any

import pytest

from server.gemini.catalogue import catalogue
from server.gemini.known import Door
from server.google_fake.google import FakeGoogle
from server.google_fake.keys import NEW_FREE, NEW_PAID, OLD_PAID, Key
from server.model_names import STABLE_NAMES, TWIN_PREFIX
from server.models import ADVERTISED_ALIASES
from tests.rig import GEMINI_KEY, Rig, running

DAYS = ("2026-11-28", "2026-12-02", "2027-02-01", "2027-07-01")
NAMES = (
    *STABLE_NAMES,
    *(TWIN_PREFIX + name for name in STABLE_NAMES),
    *ADVERTISED_ALIASES,
    "gpt-3.5-turbo",
    "o3",
    "anthropic/claude-sonnet-4-5-20250929[1m]",
    "default",
)
LIVING = (
    "vertex_ai/gemini-3.8-flash",
    "Gemini 3.8 Flash",
    "GEMINI 4 HYDROGEN",
    "projects/p/locations/global/publishers/google/models/gemini-3.5-flash-lite",
    "gpt-gemini-3.6-flash",
)
OTHER_LIVES = ("image", "tts", "live", "robotics", "transcribe", "research", "omni", "lyria")


@pytest.fixture(params=DAYS)
def day(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> date:
    """The machine's clock stands at noon of a day."""
    on = date.fromisoformat(request.param)
    noon = datetime(on.year, on.month, on.day, 20, tzinfo=UTC).timestamp()
    monkeypatch.setattr("time.time", lambda: noon)
    return on


def google_with(key: Key, **more: Any) -> FakeGoogle:
    return FakeGoogle(api_keys={GEMINI_KEY}, history=key, shows_others=True, **more)


async def asked(rig: Rig, dialect: str, name: str) -> tuple[int, str]:
    """The status of a short question, and the model that it was sent to."""
    said = [{"role": "user", "content": "Hello"}]
    path, body = {
        "openai": ("/v1/chat/completions", {"model": name, "messages": said}),
        "responses": ("/v1/responses", {"model": name, "input": "Hello"}),
        "anthropic": ("/v1/messages", {"model": name, "max_tokens": 99, "messages": said}),
    }[dialect]
    answer = await rig.http.post(path, json=body)
    return answer.status_code, answer.headers.get("x-gemini-model", "")


@pytest.mark.parametrize("key", [NEW_FREE, NEW_PAID, OLD_PAID], ids=["free", "paid", "old"])
async def test_every_name_is_answered_by_a_living_model(
    tmp_path: Path, day: date, key: Key
) -> None:
    door: Door = "paid" if key.paid else "free"
    async with running(tmp_path, google=google_with(key)) as rig:
        for number, name in enumerate((*NAMES, *LIVING)):
            dialect = ("openai", "responses", "anthropic")[number % 3]
            status, model = await asked(rig, dialect, name)
            assert (name, status) == (name, 200)
            assert model in catalogue().living(door, day), name
        generated = rig.google.calls("streamGenerateContent")
        assert len(generated) == len(NAMES) + len(LIVING)


async def test_no_list_holds_what_is_no_chat_model(tmp_path: Path) -> None:
    anthropic = {"anthropic-version": "2023-06-01"}
    async with running(tmp_path, google=google_with(NEW_FREE)) as rig:
        shown = await rig.http.get("/v1beta/models", headers={"x-goog-api-key": "any"})
        googles = [entry["name"] for entry in shown.json()["models"]]
        assert [name for name in googles if "image" in name]
        for headers in ({}, anthropic):
            listed = await rig.http.get("/v1/models", headers=headers)
            ids = [entry["id"] for entry in listed.json()["data"]]
            assert ids[:3] == list(STABLE_NAMES)
            assert not [i for i in ids if set(OTHER_LIVES) & set(i.split("-"))]
            assert "claude-gp-gemini-best" in ids
            assert "gemini-4-hydrogen" in ids
        assert not [i for i in ids if "embedding" in i]  # the last one was Anthropic's


async def test_every_listed_name_can_be_asked_for_alone(tmp_path: Path) -> None:
    async with running(tmp_path, google=google_with(NEW_FREE)) as rig:
        for headers in ({}, {"anthropic-version": "2023-06-01"}):
            listed = (await rig.http.get("/v1/models", headers=headers)).json()["data"]
            for entry in listed:
                one = await rig.http.get(f"/v1/models/{entry['id']}", headers=headers)
                assert one.json() == entry


async def test_a_users_own_model_needs_no_code(tmp_path: Path) -> None:
    """Of an id that Google lists and the table does not know: found, sent, and answered."""
    async with running(tmp_path, google=google_with(OLD_PAID), model_best="gemini-4-neon") as rig:
        assert await asked(rig, "openai", "gemini-best") == (200, "gemini-4-neon")
        assert await asked(rig, "anthropic", "claude-opus-5-5") == (200, "gemini-4-neon")
        assert await asked(rig, "openai", "gemini-main") == (200, "gemini-4-hydrogen")
        status, _ = await asked(rig, "openai", "my-gemini-pro")
        assert status == 404
