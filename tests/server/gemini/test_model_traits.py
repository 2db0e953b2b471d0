"""What a model can do, by its id."""

import pytest

from server.gemini.known import LEVELS, Budget
from server.gemini.model_traits import traits
from server.gemini.types import Level

ALL: tuple[Level, ...] = ("minimal", "low", "medium", "high")
LMH: tuple[Level, ...] = ("low", "medium", "high")


@pytest.mark.parametrize(
    ("model_id", "levels"),
    [
        ("gemini-3-pro-preview", ("low", "high")),
        ("gemini-3.1-pro-preview", LMH),
        ("gemini-3.1-pro-preview-customtools", LMH),
        ("gemini-3-flash-preview", ALL),
        ("gemini-3-flash", ALL),
        ("gemini-3.1-flash-lite", ALL),
        ("gemini-3.5-flash-lite", ALL),
        ("gemini-3.5-flash", ALL),
        ("gemini-3.6-flash", ALL),
        ("gemini-3.7-flash", LMH),
        ("gemini-3.8-flash", LMH),
        ("gemini-4-argon", LMH),
        ("gemini-4-neon", (*LMH, "xhigh")),
        ("gemini-4-hydrogen", (*LMH, "xhigh")),
        ("gemini-4-carbon", LMH),
        ("gemini-flash-lite-latest", ALL),
        ("gemini-pro-latest", LMH),
        ("gemini-3.8-flash@default", LMH),
        ("gemini-exp-1206", LMH),
        ("gemini-5.5-flash-lite", LMH),
        ("gemini-flash-latest", LMH),
        ("gemini-2.5-pro", ()),
        ("gemini-3-pro-image-preview", ()),
        ("gemma-4-31b-it", ()),
    ],
)
def test_thinking_levels(model_id: str, levels: tuple[Level, ...]) -> None:
    assert traits(model_id).levels == levels


@pytest.mark.parametrize(
    ("model_id", "budget"),
    [
        ("gemini-2.5-pro", Budget(128, 32_768, can_be_off=False)),
        ("gemini-2.5-pro-preview-06-05", Budget(128, 32_768, can_be_off=False)),
        ("gemini-2.5-flash", Budget(1, 24_576)),
        ("gemini-2.5-flash-lite", Budget(512, 24_576, off_by_default=True)),
        ("gemini-2.5-flash-image", None),
        ("gemini-2.5-flash-preview-tts", None),
        ("gemini-2.0-flash", None),
        ("gemini-2.0-flash-001", None),
        ("gemini-3-flash-preview", None),
    ],
)
def test_thinking_budgets(model_id: str, budget: Budget | None) -> None:
    assert traits(model_id).budget == budget


@pytest.mark.parametrize(
    ("model_id", "modern"),
    [
        ("gemini-2.5-pro", False),
        ("gemini-2.0-flash", False),
        ("gemma-4-31b-it", False),
        ("gemini-2.0-flash-001", False),
        ("gemini-3-pro-preview", True),
        ("gemini-3.8-flash", True),
        ("gemini-17-krypton", True),
    ],
)
def test_generation_three_brought_ids_signatures_and_nested_media(
    model_id: str, modern: bool
) -> None:
    found = traits(model_id)
    assert found.signatures_required is modern
    assert found.uses_call_ids is modern
    assert found.media_in_results is modern
    assert found.json_with_tools is modern


@pytest.mark.parametrize(
    ("model_id", "ignored"),
    [
        ("gemini-2.5-pro", False),
        ("gemini-3.5-flash", False),
        ("gemini-3.5-flash-lite", True),
        ("gemini-3.1-flash-lite", False),
        ("gemini-3.6-flash", True),
        ("gemini-4-neon", True),
        ("gemini-flash-latest", True),
        ("gemini-pro-latest", False),
        ("gemini-9-future", True),
    ],
)
def test_sampling_is_ignored_by_recent_models(model_id: str, ignored: bool) -> None:
    assert traits(model_id).ignores_sampling is ignored


def test_only_flash_lite_of_2_5_does_not_think_by_itself() -> None:
    thinkers = ["gemini-2.5-pro", "gemini-2.5-flash", "gemini-3-flash-preview", "gemini-4-argon"]
    assert all(traits(model_id).thinks_by_default for model_id in thinkers)
    assert not traits("gemini-2.5-flash-lite").thinks_by_default
    assert not traits("gemini-2.0-flash").thinks_by_default


def test_levels_are_listed_from_least_to_most() -> None:
    for model_id in ("gemini-3-pro-preview", "gemini-3.5-flash", "gemini-4-neon"):
        positions = [LEVELS.index(level) for level in traits(model_id).levels]
        assert positions == sorted(positions)
