"""The table against the dossier: what it says of 2026-11-28, and of the days after."""

import pytest

from tests.google.catalogue import find, served
from tests.google.messages import Door
from tests.google.table import CATALOGUE

TODAY = "2026-11-28"


def on(door: Door, day: str = TODAY) -> dict[str, str]:
    """Model id -> who answers, for all that a door serves."""
    found = {m.id: served(CATALOGUE, m, door, day) for m in CATALOGUE if door in m.doors}
    return {model_id: model.id for model_id, model in found.items() if model is not None}


def test_ids_are_unique_and_every_route_leads_to_a_model() -> None:
    ids = [model.id for model in CATALOGUE]
    assert len(set(ids)) == len(ids)
    targets = {t for m in CATALOGUE for t in (m.routed_to, m.alias_of) if t is not None}
    assert targets <= set(ids)
    assert all(model.doors for model in CATALOGUE)
    assert all(m.default_level in (None, "MEDIUM", *m.levels) for m in CATALOGUE)


@pytest.mark.parametrize(
    ("day", "asked", "answers"),
    [
        ("2026-10-07", "gemini-3.7-flash", "gemini-3.7-flash"),
        (TODAY, "gemini-3.7-flash", "gemini-3.8-flash"),
        (TODAY, "gemini-3.5-flash", "gemini-3.6-flash"),
        (TODAY, "gemini-2.5-pro", "gemini-2.5-pro"),
        ("2026-12-01", "gemini-2.5-pro", "gemini-3.8-flash"),
        ("2026-12-01", "gemini-2.5-flash", "gemini-3.5-flash-lite"),
        ("2027-07-01", "gemini-2.5-flash-lite", "gemini-2.5-flash-lite"),
        (TODAY, "gemini-flash-latest", "gemini-3.8-flash"),
        (TODAY, "gemini-pro-latest", "gemini-3.1-pro-preview"),
    ],
)
def test_routes_of_the_gemini_api(day: str, asked: str, answers: str) -> None:
    assert on("gemini-api", day)[asked] == answers


@pytest.mark.parametrize(
    ("door", "day", "gone"),
    [
        ("gemini-api", TODAY, "gemini-3-pro-preview"),
        ("gemini-api", TODAY, "gemini-3.1-flash-image"),
        ("gemini-api", "2027-05-07", "gemini-3.1-flash-lite"),
        ("vertex", "2027-01-28", "gemini-3.6-flash"),
        ("vertex", "2027-03-31", "gemini-2.5-pro"),
        ("code-assist", TODAY, "gemini-4-hydrogen"),
    ],
)
def test_what_a_door_does_not_serve(door: Door, day: str, gone: str) -> None:
    assert gone not in on(door, day)


def test_paid_models_and_prices_of_the_day() -> None:
    paid = {m.id for m in CATALOGUE if m.paid_only and m.kind == "text"}
    assert paid == {
        "gemini-3.1-pro-preview",
        "gemini-3.1-pro-preview-customtools",
        "gemini-4-argon",
        "gemini-4-carbon",
        "gemini-4-neon",
    }
    argon = find(CATALOGUE, "gemini-4-argon")
    assert argon is not None
    assert [(p.since, p.input, p.output) for p in argon.prices] == [
        ("", 2, 10),
        ("2026-12-01", 4, 20),
    ]


@pytest.mark.parametrize(
    ("model_id", "levels", "default"),
    [
        ("gemini-4-neon", "LOW MEDIUM HIGH XHIGH", "HIGH"),
        ("gemini-4-hydrogen", "LOW MEDIUM HIGH XHIGH", "HIGH"),
        ("gemini-4-carbon", "LOW MEDIUM HIGH", "MEDIUM"),
        ("gemini-4-argon", "LOW MEDIUM HIGH", "MEDIUM"),
        ("gemini-3.8-flash", "LOW MEDIUM HIGH", "MEDIUM"),
        ("gemini-3.6-flash", "MINIMAL LOW MEDIUM HIGH", "MEDIUM"),
        ("gemini-3.5-flash-lite", "MINIMAL LOW MEDIUM HIGH", "MINIMAL"),
    ],
)
def test_levels(model_id: str, levels: str, default: str) -> None:
    model = find(CATALOGUE, model_id)
    assert model is not None
    assert " ".join(model.levels) == levels
    assert model.default_level == default


def test_entries_that_mislead_stand_in_the_list() -> None:
    """Each takes ``generateContent`` and is no chat model: the method alone proves nothing."""
    listed = {m.id for m in CATALOGUE if m.kind != "text" and "generateContent" in m.methods}
    for word in ("image", "tts", "transcribe", "robotics", "computer", "deep-research", "banana"):
        assert any(word in model_id for model_id in listed), word
    assert any(m.kind == "live" and "generateContent" not in m.methods for m in CATALOGUE)
