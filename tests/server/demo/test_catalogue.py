"""The demo's models come from the data file, and agree with an independent table."""

import pytest

from server.demo.catalogue import Model, models
from server.gemini.catalogue import catalogue
from tests.google.google import FakeGoogle
from tests.google.keys import OLD_PAID

DEMO = {model.id: model for model in models()}
FAKE = FakeGoogle(history=OLD_PAID, today=catalogue().checked.isoformat())
FAKES = {model.id: model for model in FAKE.models("gemini-api")}
CHATS = [model for model in DEMO.values() if model.kind == "chat"]
DEFAULTS = {"gemini-3-flash-preview", "gemini-3.1-flash-lite"}
"""The data file does not know how much these think unasked."""


def test_ids_are_unique_and_every_name_leads_to_a_model() -> None:
    assert len(models()) == len(DEMO)
    targets = {model.alias_of for model in DEMO.values()} - {None}
    assert targets
    assert targets <= set(DEMO)


def test_it_lists_every_chat_model_of_the_day_and_no_other() -> None:
    assert {model.id for model in CHATS} == {
        model_id for model_id, model in FAKES.items() if model.kind == "text"
    }


@pytest.mark.parametrize(
    "model", [m for m in DEMO.values() if m.kind == "chat"], ids=lambda m: m.id
)
def test_it_answers_as_google_does(model: Model) -> None:
    """Where it is as strict or stricter, and by whom a name is answered."""
    fake = FAKE.served(model.id, "gemini-api")
    assert fake is not None
    demo = DEMO[model.alias_of or model.id]
    assert demo.id == fake.id
    assert demo.levels == fake.levels
    assert demo.default_level == fake.default_level or demo.id in DEFAULTS
    assert demo.budget in (fake.budget, None)
    assert demo.signs == fake.signs
    assert demo.family.prefills == fake.family.prefills
    assert demo.family.continues == fake.family.continues
    assert set(model.methods) <= set(FAKES[model.id].methods)


def test_an_entry_of_the_list_shows_neither_price_nor_end_nor_levels() -> None:
    model = DEMO["gemini-2.5-pro"]
    assert model.described().keys() == {
        "name",
        "version",
        "displayName",
        "description",
        "inputTokenLimit",
        "outputTokenLimit",
        "supportedGenerationMethods",
        "temperature",
        "topP",
        "topK",
        "maxTemperature",
        "thinking",
    }
    assert DEMO["gemini-flash-latest"].described()["version"] == "latest"
    assert "thinking" not in Model(id="e", kind="embedding").described()
