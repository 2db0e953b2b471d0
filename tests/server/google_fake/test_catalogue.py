"""The models' table."""

import pytest

from server.google_fake.catalogue import CATALOGUE, FakeModel


@pytest.mark.parametrize(
    ("model_id", "version", "signs", "matches_ids"),
    [
        ("gemini-2.5-pro", (2, 5), False, False),
        ("gemini-3-flash-preview", (3, 0), True, False),
        ("gemini-3.5-flash-lite", (3, 5), True, True),
        ("gemini-4-neon", (4, 0), True, True),
    ],
)
def test_the_generation_decides(
    model_id: str, version: tuple[int, int], signs: bool, matches_ids: bool
) -> None:
    model = FakeModel(id=model_id)
    assert (model.version, model.signs, model.matches_ids) == (version, signs, matches_ids)


def test_ids_are_unique_and_every_model_stands_behind_some_door() -> None:
    assert len({model.id for model in CATALOGUE}) == len(CATALOGUE)
    assert all(m.on_code_assist or m.on_gemini_api or m.on_vertex for m in CATALOGUE)


def test_an_entry_of_the_list_tells_what_the_model_is_for() -> None:
    by_id = {model.id: model.described() for model in CATALOGUE}
    assert "generateContent" in by_id["gemini-2.5-pro"]["supportedGenerationMethods"]
    assert "embedContent" in by_id["gemini-embedding-2"]["supportedGenerationMethods"]
    assert by_id["gemini-2.5-pro"]["thinking"]
