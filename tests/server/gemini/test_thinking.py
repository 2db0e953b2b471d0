"""The wish to think, in the words of each model."""

import pytest

from server.gemini.model_traits import traits
from server.gemini.thinking import leave_room, thinking_config, thinks
from server.gemini.types import Json, Level, Thinking

PRO_25, FLASH_25, LITE_25 = "gemini-2.5-pro", "gemini-2.5-flash", "gemini-2.5-flash-lite"
PRO_3, PRO_31, FLASH_3 = "gemini-3-pro-preview", "gemini-3.1-pro-preview", "gemini-3-flash-preview"
FLASH_38, NEON = "gemini-3.8-flash", "gemini-4-neon"


def config(model_id: str, thinking: Thinking) -> Json:
    return thinking_config(thinking, traits(model_id))


@pytest.mark.parametrize(
    ("model_id", "wanted", "sent"),
    [
        (PRO_3, "off", "LOW"),
        (PRO_3, "minimal", "LOW"),
        (PRO_3, "medium", "HIGH"),
        (PRO_3, "xhigh", "HIGH"),
        (PRO_31, "medium", "MEDIUM"),
        (FLASH_3, "off", "MINIMAL"),
        (FLASH_3, "high", "HIGH"),
        (FLASH_38, "minimal", "LOW"),
        (NEON, "off", "LOW"),
        (NEON, "xhigh", "XHIGH"),
        ("gemini-9-flash", "medium", "MEDIUM"),
    ],
)
def test_a_level_becomes_the_least_that_is_enough(model_id: str, wanted: Level, sent: str) -> None:
    assert config(model_id, Thinking(level=wanted)) == {"thinkingLevel": sent}


@pytest.mark.parametrize(
    ("budget", "sent"),
    [
        (0, "MINIMAL"),
        (1024, "MINIMAL"),
        (4096, "LOW"),
        (16_384, "MEDIUM"),
        (30_000, "HIGH"),
        (-1, None),
    ],
)
def test_a_bare_budget_becomes_a_level_on_later_models(budget: int, sent: str | None) -> None:
    expected = {"thinkingLevel": sent} if sent else {}
    assert config(FLASH_3, Thinking(budget_tokens=budget)) == expected


@pytest.mark.parametrize(
    ("model_id", "thinking", "sent"),
    [
        (PRO_25, Thinking(level="off"), 128),
        (FLASH_25, Thinking(level="off"), 0),
        (LITE_25, Thinking(level="off", budget_tokens=4096), 0),
        (PRO_25, Thinking(level="low"), 1024),
        (FLASH_25, Thinking(level="xhigh"), 24_576),
        (PRO_25, Thinking(level="xhigh"), 32_768),
        (PRO_25, Thinking(level="low", budget_tokens=2048), 2048),
        (PRO_25, Thinking(budget_tokens=10), 128),
        (PRO_25, Thinking(budget_tokens=0), 128),
        (LITE_25, Thinking(budget_tokens=10), 512),
        (FLASH_25, Thinking(budget_tokens=100_000), 24_576),
        (FLASH_25, Thinking(budget_tokens=-1), -1),
        (FLASH_25, Thinking(budget_tokens=-7), -1),
    ],
)
def test_a_budget_is_clamped_to_the_model(model_id: str, thinking: Thinking, sent: int) -> None:
    assert config(model_id, thinking) == {"thinkingBudget": sent}


@pytest.mark.parametrize("model_id", [PRO_25, FLASH_25, LITE_25, PRO_3, FLASH_38, NEON])
def test_without_a_wish_the_model_decides(model_id: str) -> None:
    assert config(model_id, Thinking()) == {}


@pytest.mark.parametrize(
    ("model_id", "thinking", "expected"),
    [
        (PRO_25, Thinking(include=True), {"includeThoughts": True}),
        (NEON, Thinking(include=True), {"includeThoughts": True}),
        (LITE_25, Thinking(include=True), {"thinkingBudget": -1, "includeThoughts": True}),
        (FLASH_25, Thinking(level="off", include=True), {"thinkingBudget": 0}),
    ],
)
def test_thoughts_are_only_asked_for_where_there_are_some(
    model_id: str, thinking: Thinking, expected: Json
) -> None:
    assert config(model_id, thinking) == expected


@pytest.mark.parametrize(
    ("model_id", "written", "expected"),
    [
        (PRO_25, {"thinkingBudget": 4096, "includeThoughts": True}, None),
        (NEON, {"thinkingLevel": "xhigh"}, {"thinkingLevel": "XHIGH"}),
        (NEON, {"thinkingLevel": "LOW", "thinkingBudget": 9}, {"thinkingLevel": "LOW"}),
        (PRO_25, {"thinkingLevel": "HIGH"}, {"thinkingBudget": 24_576}),
        (NEON, {"thinkingBudget": 1024}, {"thinkingLevel": "LOW"}),
        (NEON, {"thinkingLevel": "SOMEHOW", "includeThoughts": False}, {}),
        (NEON, {"futureField": 1}, {"futureField": 1}),
    ],
)
def test_a_config_the_client_wrote_wins_and_is_made_to_fit(
    model_id: str, written: Json, expected: Json | None
) -> None:
    thinking = Thinking(level="low", budget_tokens=1, config=written)
    assert config(model_id, thinking) == (written if expected is None else expected)


@pytest.mark.parametrize(
    "model_id", ["gemini-2.0-flash", "gemma-4-31b-it", "gemini-2.5-flash-image"]
)
def test_models_that_cannot_think_are_sent_nothing(model_id: str) -> None:
    for thinking in (Thinking(level="high", include=True), Thinking(config={"thinkingBudget": 1})):
        assert config(model_id, thinking) == {}


@pytest.mark.parametrize(
    ("model_id", "sent", "expected"),
    [
        (PRO_25, {}, True),
        (LITE_25, {}, False),
        (LITE_25, {"thinkingBudget": 512}, True),
        (FLASH_25, {"thinkingBudget": 0}, False),
        (FLASH_25, {"thinkingBudget": -1}, True),
        (NEON, {"thinkingLevel": "LOW"}, True),
        ("gemini-2.0-flash", {}, False),
    ],
)
def test_whether_the_model_will_think(model_id: str, sent: Json, expected: bool) -> None:
    assert thinks(sent, traits(model_id)) is expected


@pytest.mark.parametrize(
    ("limit", "budget", "left"),
    [
        (32_000, 31_999, 27_904),
        (2000, 31_999, 1000),
        (100, 8192, 128),
        (32_000, 4096, 4096),
        (32_000, -1, -1),
    ],
)
def test_a_budget_leaves_room_for_the_answer(limit: int, budget: int, left: int) -> None:
    room = leave_room({"thinkingBudget": budget}, traits(PRO_25), limit)
    assert room == {"thinkingBudget": left}


def test_room_is_no_matter_where_there_is_no_budget() -> None:
    assert leave_room({"thinkingLevel": "LOW"}, traits(NEON), 10) == {"thinkingLevel": "LOW"}
