"""Models: which Gemini id a name leads to, and what a list shows."""

import pytest

from server.errors import NotFoundError
from server.models import CATALOGUE, Aliases, bare_name, describe, version_of

BEST, FAST = "gemini-2.5-pro", "gemini-2.5-flash"


@pytest.mark.parametrize(
    ("asked", "sent"),
    [
        ("gemini-2.5-flash", FAST),
        ("models/gemini-2.5-flash", FAST),
        ("google/gemini-9-future", "gemini-9-future"),
        ("gpt-gemini-2.5-pro", "gemini-2.5-pro"),
        ("claude-haiku-4-5-20251001", FAST),
        ("claude-3-haiku-20240307", FAST),
        ("gpt-4o-mini", FAST),
        ("gpt-3.5-turbo", FAST),
        ("o3-mini", FAST),
        ("gpt-4o", BEST),
        ("o1", BEST),
        ("claude-opus-5-5", BEST),
        ("claude-3-opus-latest", BEST),
        ("claude-sonnet-4-5@20250929", BEST),
        ("anthropic/claude-sonnet-5-5[1m]", BEST),
        ("claude-gp-gemini-2.5-flash-lite", "gemini-2.5-flash-lite"),
    ],
)
def test_names_lead_to_gemini_ids(asked: str, sent: str) -> None:
    assert Aliases().resolve(asked, CATALOGUE).id == sent


def test_the_users_own_alias_wins_over_every_rule() -> None:
    aliases = Aliases({"gpt-4o": "gemini-3-flash-preview", "mine": FAST})
    assert aliases.resolve("gpt-4o", CATALOGUE).id == "gemini-3-flash-preview"
    assert aliases.resolve("mine", CATALOGUE).id == FAST


def test_an_unknown_name_is_refused_with_the_nearest_ones() -> None:
    with pytest.raises(NotFoundError) as caught:
        Aliases().resolve("llama-3-70b", CATALOGUE)
    assert caught.value.code == "model_not_found"
    with pytest.raises(NotFoundError, match="gemini"):
        Aliases().resolve("gemni-2.5-pro", CATALOGUE)


@pytest.mark.parametrize("name", ["x" * 100_000, "gemini-" + "x" * 100_000, "gpt-4o" + "-" * 999])
def test_a_name_without_end_is_unknown_and_not_repeated(name: str) -> None:
    with pytest.raises(NotFoundError) as caught:
        Aliases().resolve(name, CATALOGUE)
    assert len(caught.value.message) < 400


def test_unknown_model_is_the_last_resort() -> None:
    assert Aliases(unknown=FAST).resolve("llama-3-70b", CATALOGUE).id == FAST


def test_a_tier_moves_to_the_newest_of_its_kind_when_its_model_is_gone() -> None:
    left = [m for m in CATALOGUE if not m.id.startswith("gemini-2.5")]
    assert Aliases().resolve("claude-opus-5-5", left).id == "gemini-3.1-pro-preview"
    assert Aliases().resolve("gpt-4o-mini", left).id == "gemini-3.8-flash"


def test_the_list_holds_real_models_first_then_aliases_without_repeats() -> None:
    listed = Aliases({"mine": FAST}).listed(CATALOGUE)
    ids = [m.id for m in listed]
    assert ids[: len(CATALOGUE)] == [m.id for m in listed if m.alias_of is None]
    assert len(ids) == len(set(ids))
    assert {"mine", "gpt-4o", "claude-gp-gemini-2.5-pro"} <= set(ids)


def test_a_single_model_is_found_under_any_name_that_resolves() -> None:
    assert Aliases().find("gemini-2.5-pro", CATALOGUE).alias_of is None
    assert Aliases().find("claude-whatever", CATALOGUE).alias_of == BEST
    with pytest.raises(NotFoundError):
        Aliases().find("gemini-9-future", CATALOGUE)


def test_decorations_are_stripped() -> None:
    assert bare_name(" anthropic/claude-sonnet-4-6-20260101[1m] ") == "claude-sonnet-4-6"
    assert bare_name("claude-3-opus-latest") == "claude-3-opus"
    assert bare_name("models/google/gemini-2.5-pro") == "gemini-2.5-pro"


def test_versions_are_read_from_ids() -> None:
    assert version_of("gemini-3.1-pro-preview") == (3, 1)
    assert version_of("gemini-4-argon") == (4, 0)
    assert version_of("gemini-flash") == (0, 0)
    assert describe("gemini-3.1-pro-preview").display_name == "Gemini 3.1 Pro Preview"
