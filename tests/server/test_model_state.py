"""What people are shown of models."""

from dataclasses import replace
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest

from server.gemini import catalogue as catalogue_module
from server.gemini.catalogue import Catalogue, catalogue, today
from server.gemini.known import TIERS
from server.gemini.served import ModelStatus
from server.model_state import model_state
from tests.server.test_doors import doors

FIRST, SECOND, *_ = catalogue().candidates("best", "free", today())


def test_each_tier_has_its_model_and_the_reason(tmp_path: Path) -> None:
    state = model_state(doors(tmp_path, gemini_api_key="k", model_fast="gemini-x"))
    assert [one.tier for one in state.standing] == list(TIERS)
    best, _, fast = state.standing
    assert (best.model, best.why) == (FIRST, "the first choice here")
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
    assert model_state(there).standing[-1].model is None


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
    assert soon.isoformat() in ends[0].sentence
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
