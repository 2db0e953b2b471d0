"""What people are shown of models."""

from dataclasses import replace
from datetime import date, timedelta
from pathlib import Path
from typing import Any

import pytest

from server.gemini import catalogue as catalogue_module
from server.gemini.catalogue import Catalogue, catalogue, today
from server.gemini.known import TIERS, Door
from server.gemini.models import Aliases, describe
from server.gemini.served import ModelStatus
from server.upstreams.model_state import model_state
from tests.google import keys
from tests.google.failures import refuse
from tests.google.google import FakeGoogle
from tests.rig import GEMINI_KEY, running
from tests.server.upstreams.test_choice import doors

CHECKED = catalogue().checked
FIRST, SECOND, *_ = catalogue().candidates("best", "free", today())


def test_each_tier_has_its_model_and_the_reason(tmp_path: Path) -> None:
    state = model_state(doors(tmp_path, gemini_api_key="k", model_fast="gemini-x"))
    assert [one.tier for one in state.standing] == list(TIERS)
    best, _, fast = state.standing
    assert best.sentence == f"gemini-best: {FIRST} (first choice for free keys)"
    assert (fast.model, fast.why) == ("gemini-x", "chosen by MODEL_FAST")
    assert (state.refused, state.plan) == ((), "")


async def test_a_refused_model_is_named_with_the_reason(tmp_path: Path) -> None:
    there = doors(tmp_path, gemini_api_key="k")
    await there.learned.refuse(there.chosen().credential, FIRST, "gone")
    state = model_state(there)
    assert [mark.model for mark in state.refused] == [FIRST]
    assert state.standing[0].model == SECOND
    assert FIRST in state.standing[0].why
    assert "no longer" in state.standing[0].why


async def test_a_tier_may_have_nothing_left(tmp_path: Path) -> None:
    there = doors(tmp_path, gemini_api_key="k")
    for model in catalogue().candidates("fast", "free", today()):
        await there.learned.refuse(there.chosen().credential, model, "unknown")
    fast = model_state(there).standing[-1]
    assert fast.model is None
    assert fast.why.startswith("no choice is left for free keys; ")


async def test_googles_word_of_an_end_counts(tmp_path: Path) -> None:
    there = doors(tmp_path, gemini_api_key="k")
    soon, late = today() + timedelta(days=3), today() + timedelta(days=90)
    credential = there.chosen().credential
    for model, day in ((FIRST, soon), (SECOND, late)):
        status = ModelStatus(stage="LEGACY", retirement=f"{day}T00:00:00Z", message="Move on.")
        await there.learned.answered(credential, model, status=status)
    await there.learned.answered(credential, "gemini-y", status=ModelStatus(stage="DEPRECATED"))
    ends = model_state(there).ending
    assert [(end.model, end.on) for end in ends] == [(FIRST, soon), ("gemini-y", None)]
    assert f"ends on {soon.day} {soon:%B %Y}, in 3 days." in ends[0].sentence
    assert "Move on" in ends[0].sentence
    assert ends[0].instead is not None


def test_the_tables_own_end_of_a_model_in_use_is_told(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    ends: Any = {"free": today() + timedelta(days=13)}
    known = replace(catalogue().model(FIRST), end_days=ends)
    table = replace(catalogue().table, models={**catalogue().table.models, FIRST: known})
    monkeypatch.setattr(catalogue_module._InUse, "catalogue", Catalogue(table))
    (end,) = model_state(doors(tmp_path, gemini_api_key="k")).ending
    assert (end.model, end.on) == (FIRST, ends["free"])


def test_without_an_upstream_there_is_still_a_state(tmp_path: Path) -> None:
    assert model_state(doors(tmp_path)).standing[0].model == FIRST


@pytest.mark.parametrize(
    ("on", "said"),
    [
        (date(2026, 11, 16), None),
        (date(2026, 11, 17), "gemini-2.5-pro ends on 1 December 2026, in 14 days."),
        (date(2026, 11, 30), "gemini-2.5-pro ends on 1 December 2026, tomorrow."),
        (date(2026, 12, 2), "gemini-2.5-pro has ended on 1 December 2026."),
    ],
)
async def test_the_pages_tell_an_end_of_what_is_in_use(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, on: date, said: str | None
) -> None:
    """Not of every model there is."""
    monkeypatch.setattr("server.upstreams.choice.today", lambda: on)
    async with running(tmp_path, aliases={"mine": "gemini-2.5-pro"}) as rig:
        for path in ("/", "/setup"):
            page = (await rig.http.get(path)).text
            assert (said in page) if said else ("data-ending" not in page)
    there = doors(tmp_path, gemini_api_key="k")
    ends = [end.model for end in model_state(there, ["gemini-2.5-pro"]).ending]
    assert ends == (["gemini-2.5-pro"] if said else [])


async def test_pages_and_lists_say_what_stands_behind_the_names_and_why(tmp_path: Path) -> None:
    google = FakeGoogle(api_keys={GEMINI_KEY})
    google.fail(refuse(keys.no_longer_available(FIRST)), model=FIRST, times=None)
    reason = f"{FIRST}: Google no longer offers it to this credential"
    async with running(tmp_path, google=google) as rig:
        body = {"model": "gemini-best", "messages": [{"role": "user", "content": "hello"}]}
        assert (await rig.http.post("/v1/chat/completions", json=body)).status_code == 200
        for path in ("/", "/setup"):
            page = (await rig.http.get(path)).text
            assert f"next choice for free keys; {reason}" in page
            assert f"<li>{reason}.</li>" in page
        listed = (await rig.http.get("/v1/models")).json()["data"]
        best = next(model for model in listed if model["id"] == "gemini-best")
        assert best["alias_of"] == SECOND
        assert best["description"] == (
            f"Answered by {SECOND} (next choice for free keys; {reason})"
        )
        assert FIRST not in [model["id"] for model in listed]
        headers = {"anthropic-version": "2023-06-01"}
        listed = (await rig.http.get("/v1/models", headers=headers)).json()["data"]
        twin = next(model for model in listed if model["id"] == "claude-gp-gemini-best")
        assert reason in twin["description"]


@pytest.mark.parametrize(
    ("door", "on", "listed", "why"),
    [
        ("free", CHECKED, (SECOND,), f"next choice for free keys; {FIRST}: the upstream does not"),
        ("vertex", CHECKED, (), "first choice on Vertex AI"),
        ("code-assist", CHECKED, (), "first choice on Code Assist"),
        ("paid", CHECKED, (), "first choice for paid keys"),
    ],
)
def test_each_door_has_words_for_its_choice(
    door: Door, on: date, listed: tuple[str, ...], why: str
) -> None:
    available = tuple(describe(model) for model in listed)
    assert Aliases(door=door, on=on).why("best", available).startswith(why)


def test_what_is_passed_over_is_explained(monkeypatch: pytest.MonkeyPatch) -> None:
    wanted = ["gemini-2.5-pro", "gemini-3-flash-preview", "gemini-4-argon", FIRST]
    preferences: Any = {**catalogue().table.preferences, "paid": {"best": tuple(wanted)}}
    table = replace(catalogue().table, preferences=preferences)
    monkeypatch.setattr(catalogue_module._InUse, "catalogue", Catalogue(table))
    why = Aliases(door="paid", on=date(2026, 12, 2)).why("best", ())
    assert why == (
        "next choice for paid keys; gemini-2.5-pro: ended on 2026-12-01; "
        "gemini-3-flash-preview: a preview; "
        "gemini-4-argon: dearer than every model of the free list"
    )
    chosen = Aliases(best="gemini-4-argon", reasons={"gemini-4-argon": "no quota"})
    assert chosen.why("best", ()) == "chosen by MODEL_BEST; no quota"
