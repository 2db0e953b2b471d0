"""How the columns of the models' table are read."""

from tests.google.catalogue import V2_5, V3, V3_5, V3_6, V4, FakeModel, find, served
from tests.google.messages import Door

OLD = FakeModel(
    id="old",
    family=V2_5,
    ends={"gemini-api": "2026-12-01", "vertex": "2027-03-31"},
    routed_to="new",
    closed={"gemini-api": "2026-07-21"},
)
NEW = FakeModel(id="new", family=V3_6, ends={"gemini-api": "2027-05-07"})
NAME = FakeModel(id="latest", alias_of="old")
TABLE = (OLD, NEW, NAME)


def answering(model_id: str, day: str, door: Door = "gemini-api") -> str | None:
    asked = find(TABLE, model_id)
    assert asked is not None
    model = served(TABLE, asked, door, day)
    return model.id if model is not None else None


def test_a_route_begins_on_its_day_and_only_on_the_gemini_api() -> None:
    assert answering("old", "2026-11-30") == "old"
    assert answering("old", "2026-12-01") == "new"
    assert answering("old", "2026-12-01", "vertex") == "old"
    assert answering("old", "2027-03-31", "vertex") is None
    assert answering("old", "2030-01-01", "code-assist") == "old"


def test_what_ends_without_a_route_is_gone_and_names_lead_on() -> None:
    assert answering("latest", "2026-11-30") == "old"
    assert answering("latest", "2026-12-01") == "new"
    assert answering("latest", "2027-05-07") is None


def test_the_state_of_a_model_is_told_when_there_is_news() -> None:
    assert OLD.status("gemini-api", "2026-08-01") == {
        "modelStage": "LEGACY",
        "message": "Use a newer model.",
        "retirementTime": "2026-12-01T00:00:00Z",
    }
    assert OLD.status("vertex", "2026-08-01") is None
    assert NAME.status("gemini-api", "2026-08-01") is None
    preview = FakeModel(id="gemini-3.1-pro-preview")
    assert preview.status("gemini-api", "2026-08-01") == {"modelStage": "PREVIEW"}


def test_the_columns_of_table_1_2() -> None:
    families = (V2_5, V3, V3_5, V3_6, V4)
    assert [f.signs for f in families] == [False, True, True, True, True]
    assert [f.matches_ids for f in families] == [False, False, True, True, True]
    assert [f.samples for f in families] == [True, True, True, False, False]
    assert [f.prefills for f in families] == [True, True, True, False, False]
    assert [f.continues for f in families] == [False, False, False, False, True]
    assert [f.cache_floor for f in families] == [2048, 4096, 4096, 4096, 4096]
    argon = FakeModel(id="gemini-4-argon", family=V4)
    assert (argon.cache_floor("gemini-api"), argon.cache_floor("vertex")) == (4096, 6144)


def test_an_entry_of_the_list_shows_neither_price_nor_end_nor_levels() -> None:
    assert OLD.described().keys() == {
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
    assert NAME.described()["version"] == "latest"
    assert "thinking" not in FakeModel(id="e", kind="embedding").described()
