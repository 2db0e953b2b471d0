"""Names that people and programs use, on keys of every past and on later days: a living model.

The machine's clock is set by hand; the fake Google keeps its own table of models, with a clock too.
"""

from datetime import UTC, date, datetime
from pathlib import Path
from typing import Any

import pytest

from server.gemini.catalogue import catalogue
from server.gemini.known import Door
from server.gemini.model_names import STABLE_NAMES, TWIN_PREFIX
from server.gemini.models import ADVERTISED_ALIASES
from tests.google.catalogue import FakeModel
from tests.google.google import FakeGoogle
from tests.google.keys import NEW_FREE, NEW_PAID, OLD_PAID, Key
from tests.google.table import CATALOGUE
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
    return FakeGoogle(api_keys={GEMINI_KEY}, history=key, **more)


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


# ── the program's table beside the fake's ──

DIFFERENCES = {
    ("gemini-2.5-pro", "default level"),  # by budget: what the fake thinks by itself
    ("gemini-2.5-flash", "default level"),
    ("gemini-3-flash-preview", "default level"),  # the dossier says none
    ("gemini-3.1-flash-lite", "default level"),
    ("gemini-3-pro-preview", "default level"),
    ("gemini-3-flash-preview", "paid only"),  # "?": the program does not count on it
    ("gemini-pro-latest", "paid only"),  # the fake refuses its target instead
    ("gemini-3.1-pro-preview-customtools", "doors"),  # a hidden variant of Gemini CLI
    ("gemini-3-pro-preview", "doors"),  # Code Assist alone, where a licence has it
    ("gemini-3-pro-preview", "ends"),  # the fake has no door that it ended at
    ("gemma-4-31b-it", "output"),  # the dossier says none
    ("gemma-4-26b-a4b-it", "output"),
}
"""What the two tables, each written from the dossier, say differently of models that chat."""


def of_program(model_id: str) -> dict[str, object]:
    known = catalogue().model(model_id)
    doors: dict[Door, str] = {
        "paid": "gemini-api",
        "vertex": "vertex",
        "code-assist": "code-assist",
    }
    ends = {name: str(known.ends(door)) for door, name in doors.items() if known.ends(door)}
    for route in known.routes:
        ends["gemini-api"] = str(route.since)
    return {
        "released": str(known.released or ""),
        "ends": ends,
        "closed": {doors[d]: str(day) for d, day in known.closed.items() if d in doors},
        "doors": {doors[d] for d in known.doors if d in doors} | ends.keys(),
        "paid only": "paid" in known.doors and "free" not in known.doors,
        "levels": [level.upper() for level in known.traits.levels],
        "default level": (known.traits.default_level or "").upper(),
        "prices": [
            (
                str(p.since or ""),
                p.input,
                p.output,
                p.cached,
                p.above and (p.above.input, p.above.output),
            )
            for p in known.prices
        ],
        "answered by": next((route.to for route in known.routes), None),
        "stands for": known.stands_for,
        "sampling": known.traits.uses_sampling,
        "signatures": known.traits.signatures_required,
        "prefill": known.traits.prefill,
        "continuation": known.traits.continuation,
        "output": known.traits.output_tokens,
    }


def of_fake(model: FakeModel) -> dict[str, object]:
    moved = next((m for m in CATALOGUE if m.id == model.alias_of), model)
    return {
        "released": model.released,
        "ends": dict(model.ends),
        "closed": dict(model.closed),
        "doors": set(model.doors),
        "paid only": model.paid_only,
        "levels": list(moved.levels),
        "default level": moved.default_level or "",
        "prices": [(p.since, p.input, p.output, p.cached, p.above_200k) for p in moved.prices],
        "answered by": model.routed_to,
        "stands for": model.alias_of,
        "sampling": moved.family.samples,
        "signatures": moved.family.signs,
        "prefill": moved.family.prefills,
        "continuation": moved.family.continues,
        "output": model.output_limit,
    }


def test_the_two_tables_differ_only_where_it_is_said() -> None:
    found = set()
    for model in CATALOGUE:
        if model.kind == "text" and catalogue().model(model.id).listed:
            ours, fakes = of_program(model.id), of_fake(model)
            found |= {(model.id, fact) for fact in ours if ours[fact] != fakes[fact]}
    assert found == DIFFERENCES


def test_every_model_of_the_fake_that_does_not_chat_is_known_for_none() -> None:
    for model in CATALOGUE:
        assert (catalogue().model(model.id).kind == "chat") is (model.kind == "text"), model.id
