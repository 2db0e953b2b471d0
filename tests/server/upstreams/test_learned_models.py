"""What is remembered of models, for each credential."""

import json
import stat
from pathlib import Path

import pytest

from server.gemini.catalogue import catalogue
from server.gemini.served import ModelStatus
from server.upstreams.learned_models import (
    FILE,
    KEPT_S,
    MOST_CREDENTIALS,
    MOST_MODELS,
    LearnedModels,
    fingerprint,
    is_paid_only,
)

PAID = next(model.id for model in catalogue().models() if is_paid_only(model.id))
FREE = catalogue().candidates("main", "free", catalogue().checked)[0]


class Clock:
    def __init__(self) -> None:
        self.time = 1_000_000.0

    def __call__(self) -> float:
        return self.time


@pytest.fixture
def clock() -> Clock:
    return Clock()


async def test_a_mark_survives_a_restart_and_belongs_to_one_credential(
    tmp_path: Path, clock: Clock
) -> None:
    learned = LearnedModels(tmp_path, now=clock)
    assert await learned.refuse("mine", FREE, "gone")
    assert not await learned.refuse("mine", FREE, "gone"), "no news the second time"
    again = LearnedModels(tmp_path, now=clock)
    assert list(again.refused("mine")) == [FREE]
    assert again.refused("mine")[FREE].why == "gone"
    assert again.refused("another") == {}
    assert stat.S_IMODE((tmp_path / FILE).stat().st_mode) == 0o600


async def test_a_mark_is_forgotten_after_half_a_day(tmp_path: Path, clock: Clock) -> None:
    learned = LearnedModels(tmp_path, now=clock)
    await learned.refuse("mine", FREE, "unknown")
    clock.time += KEPT_S + 1
    assert learned.refused("mine") == {}
    assert LearnedModels(tmp_path, now=clock).refused("mine") == {}
    await refusals_from_tomorrow(tmp_path, clock)
    assert LearnedModels(tmp_path, now=clock).refused("mine") == {}


async def refusals_from_tomorrow(tmp_path: Path, clock: Clock) -> None:
    """As a clock leaves them that is set back afterwards."""
    clock.time += 86_400
    await LearnedModels(tmp_path, now=clock).refuse("mine", FREE, "unknown")
    clock.time -= 86_400


async def test_an_answer_takes_the_mark_away(tmp_path: Path, clock: Clock) -> None:
    learned = LearnedModels(tmp_path, now=clock)
    await learned.refuse("mine", FREE, "gone")
    await learned.answered("mine", FREE)
    assert LearnedModels(tmp_path, now=clock).refused("mine") == {}


async def test_a_quota_of_nothing_for_a_paid_model_shows_a_free_key(
    tmp_path: Path, clock: Clock
) -> None:
    learned = LearnedModels(tmp_path, now=clock)
    await learned.refuse("mine", FREE, "plan")
    assert learned.plan("mine") == ""
    await learned.refuse("mine", PAID, "plan")
    assert learned.plan("mine") == "free"
    clock.time += KEPT_S + 1
    assert LearnedModels(tmp_path, now=clock).plan("mine") == "free"
    await learned.answered("mine", FREE)
    assert learned.plan("mine") == "free"
    await learned.answered("mine", PAID)
    assert LearnedModels(tmp_path, now=clock).plan("mine") == "paid"


async def test_what_may_be_free_as_well_tells_nothing_of_a_key(
    tmp_path: Path, clock: Clock
) -> None:
    """No source says whether a free key is served these: an answer proves no paid key."""
    learned = LearnedModels(tmp_path, now=clock)
    await learned.refuse("mine", PAID, "plan")
    for model in (known for known in catalogue().models() if known.free_unknown):
        await learned.answered("mine", model.id)
    assert (learned.plan("mine"), list(learned.refused("mine"))) == ("free", [PAID])
    await learned.refuse("yours", "gemini-3-flash-preview", "plan")
    assert learned.plan("yours") == ""


async def test_two_servers_on_a_folder_keep_each_others_marks(tmp_path: Path, clock: Clock) -> None:
    one, two = LearnedModels(tmp_path, now=clock), LearnedModels(tmp_path, now=clock)
    await one.refuse("mine", "gemini-a", "gone")
    await two.refuse("mine", "gemini-b", "gone")
    assert set(LearnedModels(tmp_path, now=clock).refused("mine")) == {"gemini-a", "gemini-b"}


async def test_a_key_typed_as_a_name_is_not_learnt(tmp_path: Path, clock: Clock) -> None:
    learned = LearnedModels(tmp_path, now=clock)
    assert not await learned.refuse("mine", "AQ.Ab8RN6synthetic", "unknown")
    assert not (tmp_path / FILE).exists()


async def test_forgetting_is_for_one_credential(tmp_path: Path, clock: Clock) -> None:
    learned = LearnedModels(tmp_path, now=clock)
    await learned.refuse("mine", FREE, "gone")
    await learned.refuse("yours", FREE, "gone")
    await learned.forget("mine")
    again = LearnedModels(tmp_path, now=clock)
    assert (again.refused("mine"), list(again.refused("yours"))) == ({}, [FREE])


async def test_the_file_is_bounded(tmp_path: Path, clock: Clock) -> None:
    learned = LearnedModels(tmp_path, now=clock)
    await learned.refuse("mine", "x" * 1000, "gone")
    for number in range(MOST_MODELS + 5):
        clock.time += 1
        await learned.refuse("mine", f"gemini-{number}", "gone")
    for number in range(MOST_CREDENTIALS + 5):
        await learned.refuse(f"key {number}", FREE, "gone")
    held = json.loads((tmp_path / FILE).read_text())["credentials"]
    assert len(held) == MOST_CREDENTIALS
    assert all(len(one["refused"]) <= MOST_MODELS for one in held.values())


@pytest.mark.parametrize(
    "content",
    [
        "",
        "[]",
        "{",
        '{"credentials": 3}',
        '{"credentials": {"mine": {"refused": {"a": {"why": "x", "since": 1}, "b": 2}}}}',
        '{"credentials": {"mine": {"refused": {"a": {"model": "a", "why": "x", "since": 9e9}}}}}',
        '{"credentials": {"mine": {"refused": {"a": {"model": 1, "why": "gone", "since": 9e9}}}}}',
        '{"credentials": {"mine": {"refused": {"a": {"why": "gone", "since": "now"}}}}}',
        '{"credentials": {"mine": {"refused": [], "ending": 3, "plan": "rich"}, "yours": 1}}',
    ],
)
async def test_a_broken_file_is_begun_anew(tmp_path: Path, clock: Clock, content: str) -> None:
    (tmp_path / FILE).write_text(content)
    learned = LearnedModels(tmp_path, now=clock)
    assert learned.refused("mine") == {}
    assert learned.plan("mine") == ""
    await learned.refuse("mine", FREE, "gone")
    assert list(LearnedModels(tmp_path, now=clock).refused("mine")) == [FREE]


async def test_a_folder_that_cannot_be_written_costs_the_memory_only(
    tmp_path: Path, clock: Clock
) -> None:
    (tmp_path / "file").write_text("")
    learned = LearnedModels(tmp_path / "file" / "folder", now=clock)
    await learned.refuse("mine", FREE, "gone")
    assert list(learned.refused("mine")) == [FREE]


async def test_who_answers_for_another_is_known_until_it_answers_itself(
    tmp_path: Path, clock: Clock
) -> None:
    learned = LearnedModels(tmp_path, now=clock)
    assert learned.answering("mine", "gemini-old") is None
    await learned.answered("mine", "gemini-old", by="gemini-new")
    assert LearnedModels(tmp_path, now=clock).answering("mine", "gemini-old") == "gemini-new"
    assert learned.answering("yours", "gemini-old") is None
    await learned.answered("mine", "gemini-old")
    assert LearnedModels(tmp_path, now=clock).answering("mine", "gemini-old") is None


async def test_an_answer_of_a_paid_model_by_another_shows_nothing(
    tmp_path: Path, clock: Clock
) -> None:
    learned = LearnedModels(tmp_path, now=clock)
    await learned.answered("mine", PAID, by=FREE)
    assert learned.plan("mine") == ""


async def test_what_google_says_of_an_end_is_kept(tmp_path: Path, clock: Clock) -> None:
    learned = LearnedModels(tmp_path, now=clock)
    status = ModelStatus(stage="LEGACY", retirement="2026-12-01T00:00:00Z", message="Move on.")
    await learned.answered("mine", FREE, status=status)
    ending = LearnedModels(tmp_path, now=clock).ending("mine")[FREE]
    assert (ending.stage, ending.retirement) == (status.stage, status.retirement)


async def test_an_answer_that_tells_nothing_new_writes_nothing(
    tmp_path: Path, clock: Clock
) -> None:
    learned = LearnedModels(tmp_path, now=clock)
    await learned.answered("mine", FREE)
    assert not (tmp_path / FILE).exists()


def test_a_credential_is_known_by_all_its_parts() -> None:
    assert fingerprint("gemini-api", "a", "b") == fingerprint("gemini-api", "a", "b")
    assert len({fingerprint("x", "k"), fingerprint("y", "k"), fingerprint("x", None)}) == 3
    assert "secret" not in fingerprint("secret")
