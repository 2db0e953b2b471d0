"""Models: which Gemini ids a name leads to, and what a list shows."""

from collections.abc import Iterator
from datetime import UTC, date, datetime
from pathlib import Path
from time import perf_counter

import pytest

from server.errors import NotFoundError
from server.gemini.catalogue import catalogue, use
from server.gemini.known import Door
from server.gemini.model_names import STABLE_NAMES
from server.gemini.models import (
    ADVERTISED_ALIASES,
    Aliases,
    Model,
    OwnModelsError,
    bare_name,
    describe,
    living_models,
    use_own_models,
)
from server.settings.load import SettingsError

NOW = date(2026, 11, 28)
FREE = living_models("free", NOW)
BEST, NEXT, *_ = catalogue().candidates("best", "free", NOW)
FAST = catalogue().candidates("fast", "free", NOW)[0]
NEWEST = FREE[0].id


@pytest.fixture
def own(tmp_path: Path) -> Iterator[Path]:
    """A data folder whose table of models is in use no longer than the test."""
    yield tmp_path
    use(None)


def sent(name: str, aliases: Aliases | None = None, available: tuple[Model, ...] = FREE) -> str:
    return (aliases or Aliases(on=NOW)).resolve(name, available).id


@pytest.mark.parametrize(
    ("asked", "expected"),
    [
        ("gemini-2.5-flash", "gemini-2.5-flash"),
        ("Gemini 2.5 Pro", "gemini-2.5-pro"),
        ("vertex_ai/gemini-2.5-pro", "gemini-2.5-pro"),
        ("google/gemini-9-future", "gemini-9-future"),
        ("gpt-gemini-2.5-pro", "gemini-2.5-pro"),
        ("claude-gp-gemini-2.5-flash-lite", "gemini-2.5-flash-lite"),
        ("text-embedding-005", "text-embedding-005"),
        ("gemini-best", BEST),
        ("models/Gemini Main", BEST),
        ("claude-gp-gemini-fast[1m]", FAST),
        ("claude-haiku-4-5-20251001", FAST),
        ("gpt-4o-mini", FAST),
        ("o3-mini", FAST),
        ("gpt-4o", BEST),
        ("claude-opus-5-5", BEST),
        ("anthropic/claude-sonnet-5-5[1m]", BEST),
        ("lite-llm/claude-opus-5-5", BEST),
    ],
)
def test_names_lead_to_gemini_ids(asked: str, expected: str) -> None:
    assert sent(asked) == expected


@pytest.mark.parametrize(
    "name",
    ["my-gemini-pro", "gemini", "gemini/claude-opus", "my gemini mini", "llama-3", "", "/", "[1m]"],
)
def test_a_name_with_gemini_in_it_or_without_a_rule_reaches_no_tier(name: str) -> None:
    with pytest.raises(NotFoundError) as caught:
        sent(name)
    assert caught.value.code == "model_not_found"
    assert "Near it: " in caught.value.message


def test_an_unknown_name_is_refused_with_the_nearest_living_ones() -> None:
    with pytest.raises(NotFoundError, match=r"Near it: .*gemini-3\.8-flash"):
        sent("gemni-3.8")


def test_what_neither_chats_nor_embeds_is_near_no_name() -> None:
    with pytest.raises(NotFoundError) as caught:
        sent("my-gemini-3-pro-image", None, (*FREE, describe("gemini-3-pro-image")))
    assert ": gemini-3-pro-image" not in caught.value.message
    assert ", gemini-3-pro-image" not in caught.value.message


@pytest.mark.parametrize("name", ["x" * 100_000, "gemini-" + "x" * 100_000, "models/" * 300_000])
def test_a_name_without_end_is_unknown_soon_and_not_repeated(name: str) -> None:
    began = perf_counter()
    with pytest.raises(NotFoundError) as caught:
        sent(name)
    assert len(caught.value.message) < 400
    assert perf_counter() - began < 1


# ── the user's own words ──


def test_the_users_own_alias_wins_over_every_rule() -> None:
    aliases = Aliases({"gpt-4o": "Gemini 4 Neon", "mine": "models/gemini-fast"}, on=NOW)
    assert sent("gpt-4o", aliases) == sent("gpt-4o-2024-08-06", aliases) == "gemini-4-neon"
    assert sent("openai/gpt-4o:latest", aliases) == "gemini-4-neon"
    assert sent("mine", aliases) == FAST
    assert aliases.meant("gpt-4o", FREE).tier is None
    assert aliases.meant("mine", FREE).tier == "fast"


def test_a_tier_that_is_set_is_exactly_that_model() -> None:
    aliases = Aliases(best="Gemini-2.5-Pro", on=NOW)
    meant = aliases.meant("gemini-best", FREE)
    assert [model.id for model in meant.models] == ["gemini-2.5-pro"]
    assert meant.tier is None
    assert aliases.meant("gemini-main", FREE).tier == "main"


def test_unknown_model_is_the_last_resort() -> None:
    assert sent("llama-3-70b", Aliases(unknown="gemini-4-neon")) == "gemini-4-neon"
    assert sent("x" * 9999, Aliases(unknown="gemini-fast", on=NOW)) == FAST
    assert sent("gpt-4o", Aliases(unknown="gemini-4-neon", on=NOW)) == BEST


# ── tiers ──


def test_a_tier_has_its_candidates_in_order_and_goes_without_the_refused() -> None:
    meant = Aliases(on=NOW).meant("gpt-5", FREE)
    assert [model.id for model in meant.models][:2] == [BEST, NEXT]
    assert meant.tier == "best"
    assert sent("gpt-5", Aliases(refused={BEST}, on=NOW)) == NEXT


def test_a_successor_is_of_the_tier_that_the_model_serves_whatever_its_name() -> None:
    main, flash = catalogue().candidates("main", "free", NOW), "gemini-3.8-flash"
    place = main.index(flash)
    left = Aliases(refused=set(main[:place]), on=NOW)
    assert left.successor(flash, FREE) == main[place + 1]
    assert Aliases(on=NOW).successor("gemini-9-unheard", FREE) == BEST
    assert Aliases(on=NOW).successor("gemini-9-lite", FREE) == FAST


def test_an_alias_with_a_models_own_name_stands_in_its_place() -> None:
    own, target = FREE[0].id, FREE[1].id
    listed = Aliases({own: target}, on=NOW).listed(FREE)
    assert [model.alias_of for model in listed if model.id == own] == [target]
    assert Aliases({own: target}, on=NOW).find(own, FREE).alias_of == target


@pytest.mark.parametrize(
    ("door", "best"),
    [("free", BEST), ("paid", BEST), ("vertex", BEST), ("code-assist", "gemini-3.1-pro-preview")],
)
def test_each_door_has_its_own_list(door: Door, best: str) -> None:
    aliases = Aliases(door=door, on=NOW)
    assert sent("gemini-best", aliases, living_models(door, NOW)) == best


def test_only_what_the_upstream_lists_is_taken() -> None:
    listed = (describe("gemini-3-pro-image"), describe("gemini-3.6-flash"))
    assert sent("gpt-5", None, listed) == "gemini-3.6-flash"
    with pytest.raises(NotFoundError, match="Set MODEL_FAST"):
        sent("gpt-4o-mini", None, listed[:1])


# ── lists ──


def ids_of(aliases: Aliases, available: tuple[Model, ...] = FREE) -> list[str]:
    return [model.id for model in aliases.listed(available)]


def test_the_list_begins_with_the_stable_names_then_real_models_then_aliases() -> None:
    ids = ids_of(Aliases({"mine": FAST}, on=NOW))
    assert ids[:3] == list(STABLE_NAMES)
    assert ids[3:6] == [f"claude-gp-{name}" for name in STABLE_NAMES]
    assert ids[6 : 6 + len(FREE)] == [model.id for model in FREE]
    assert len(ids) == len(set(ids))
    assert {"mine", "gpt-4o", f"claude-gp-{BEST}"} <= set(ids)


def test_the_newest_stand_first_and_an_unknown_one_counts_as_new() -> None:
    available = (*FREE, describe("gemini-5-boron"))
    real = [m.id for m in Aliases(on=NOW).listed(available) if m.alias_of is None]
    assert real[:2] == ["gemini-5-boron", NEWEST]


def test_what_does_not_chat_stands_behind_what_does() -> None:
    odd = (describe("gemini-robotics-er-9-preview"), describe("lyria-9"))
    real = [m.id for m in Aliases(on=NOW).listed((*odd, *FREE)) if m.alias_of is None]
    assert real[0] == NEWEST
    assert set(real[-2:]) < {m.id for m in (*odd, *FREE) if not m.chats}


@pytest.mark.parametrize("name", ["deep-research-pro-preview-12-2025", "gemini-3.8-live"])
def test_what_generate_requests_cannot_reach_lists_no_method_for_them(name: str) -> None:
    """Google's list names ``generateContent`` for some of them."""
    assert describe(name, methods=("generateContent", "countTokens")).methods == ()
    assert describe("gemini-9", methods=("generateContent",)).methods == ("generateContent",)


def test_a_revision_is_as_old_as_its_model() -> None:
    available = (describe("gemini-2.5-pro-preview-06-05"), *FREE)
    real = [m.id for m in Aliases(on=NOW).listed(available) if m.alias_of is None]
    assert real[0] == NEWEST


def test_a_list_never_fails_for_one_entry() -> None:
    odd = (
        describe("deep-research-pro-preview-10-2026"),
        describe("aqa"),
        describe("Odd Name/with path"),
    )
    listed = Aliases({"broken": "nothing at all"}, on=NOW).listed((*FREE, *odd))
    ids = [model.id for model in listed]
    assert {model.id for model in odd} <= set(ids)
    assert not [name for name in ids if name.startswith("claude-gp-deep")]
    for model in listed:
        assert Aliases({"broken": "nothing at all"}, on=NOW).find(model.id, (*FREE, *odd))
    assert Aliases(on=NOW).listed(odd)
    assert ids_of(Aliases(on=NOW), (describe("gemini-3-pro-image"),)) == ["gemini-3-pro-image"]


def test_refused_ids_are_on_no_list_and_behind_no_name() -> None:
    listed = Aliases(refused={BEST}, on=NOW).listed(FREE)
    assert BEST not in [model.id for model in listed]
    assert BEST not in [model.alias_of for model in listed]


def test_every_advertised_name_is_listed_and_found() -> None:
    aliases = Aliases(on=NOW)
    assert set(ADVERTISED_ALIASES) <= set(ids_of(aliases))
    for name in (*ADVERTISED_ALIASES, *STABLE_NAMES):
        assert aliases.find(name, FREE).alias_of in (BEST, FAST)


def test_a_single_model_is_found_under_any_name_that_resolves() -> None:
    aliases = Aliases(on=NOW)
    assert aliases.find(BEST, FREE).alias_of is None
    assert aliases.find("claude-whatever", FREE).alias_of == BEST
    with pytest.raises(NotFoundError):
        aliases.find("gemini-9-future", FREE)


# ── what is known of them ──


def test_limits_and_release_come_from_the_data() -> None:
    flash = describe("gemini-3.8-flash", input_limit_tokens=7, display_name="Named by Google")
    assert (flash.input_limit_tokens, flash.output_limit_tokens) == (1_048_576, 65_536)
    assert flash.display_name == "Named by Google"
    assert datetime.fromtimestamp(flash.created, UTC).date() == date(2026, 9, 2)
    assert describe("gemini-9-future", input_limit_tokens=7).input_limit_tokens == 7
    assert describe("gemini-4-neon").display_name == "Gemini 4 Neon"


def test_a_plain_name_for_embedding_is_google_s() -> None:
    assert bare_name("google/Gemini-Embedding-001") == "gemini-embedding-001"
    assert bare_name("openai/text-embedding-3-small") == "text-embedding-3-small"
    assert bare_name("x" * 9999) == "x" * 9999


def test_a_users_own_table_is_laid_over_what_ships(own: Path) -> None:
    use_own_models(own)
    assert catalogue().model("gemini-5-boron").listed is False
    text = '[models.gemini-5-boron]\nbase = "4"\nreleased = 2027-01-01\ndoors = ["gemini-api"]\n'
    text += '[preferences.free]\nbest = ["gemini-5-boron"]\n'
    (own / "models.toml").write_text(text, "utf-8")
    use_own_models(own)
    available = living_models("free", NOW)
    assert available[0].id == "gemini-5-boron"
    assert sent("gpt-5", None, available) == "gemini-5-boron"


def test_a_users_table_with_a_fault_is_a_wrong_setting(own: Path) -> None:
    (own / "models.toml").write_text("[models.gemini-x]\nlevels = 3\n", "utf-8")
    with pytest.raises(SettingsError) as caught:
        use_own_models(own)
    assert isinstance(caught.value, OwnModelsError)
    assert str(own / "models.toml") in str(caught.value)
    assert "models.gemini-x.levels" in caught.value.sentence
