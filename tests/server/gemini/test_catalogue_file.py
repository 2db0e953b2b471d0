"""The reader of ``models.toml``: what ships, what a user lays over it, and what is refused."""

from datetime import date
from pathlib import Path

import pytest

from server.gemini.catalogue import Catalogue
from server.gemini.catalogue_file import SHIPPED, CatalogueError, read_table

NOW = date(2026, 11, 28)


def over(tmp_path: Path, text: str) -> Catalogue:
    path = tmp_path / "models.toml"
    path.write_text(text, "utf-8")
    return Catalogue(read_table(path))


def test_what_ships_is_read_and_without_a_users_file_it_is_all() -> None:
    assert read_table(Path("no such folder/models.toml")) == read_table()
    assert SHIPPED.name == "models.toml"


def test_an_engineer_adds_a_model_by_the_data_alone(tmp_path: Path) -> None:
    known = over(
        tmp_path,
        "[models.gemini-5-boron]\n"
        'base = "4"\n'
        "released = 2026-12-24\n"
        'doors = ["gemini-api", "vertex"]\n'
        'levels = ["low", "high"]\n'
        "prices = [{ input = 1.0, output = 5.0 }]\n"
        "[preferences.free]\n"
        'best = ["gemini-5-boron", "gemini-4-hydrogen"]\n',
    )
    boron = known.model("gemini-5-boron")
    assert boron.listed
    assert boron.name == "Gemini 5 Boron"
    assert boron.doors == ("free", "paid", "vertex")
    assert boron.traits.levels == ("low", "high")
    assert boron.traits.unary_output_tokens == 32_768
    assert known.choose("best", "free", NOW) == "gemini-5-boron"
    assert known.choose("main", "free", NOW) == "gemini-4-hydrogen"
    assert known.living("vertex", NOW)[0] == "gemini-5-boron"


def test_a_model_without_a_base_has_the_newest(tmp_path: Path) -> None:
    known = over(tmp_path, "[models.gemini-5-boron]\ndoors = ['paid']\n")
    assert known.model("gemini-5-boron").traits == known.table.newest.traits


def test_a_users_entry_changes_only_what_it_names(tmp_path: Path) -> None:
    known = over(
        tmp_path,
        '[models."gemini-3.8-flash"]\n'
        "ends = { gemini-api = 2027-01-15 }\n"
        "prices = [{ input = 9.0, output = 9.0 }]\n",
    )
    flash, shipped = known.model("gemini-3.8-flash"), Catalogue(read_table()).model
    assert flash.ends("free") == flash.ends("paid") == date(2027, 1, 15)
    assert flash.ends("vertex") is None
    assert [price.input for price in flash.prices] == [9.0]
    assert flash.traits == shipped("gemini-3.8-flash").traits
    assert known.model("gemini-flash-latest").prices == flash.prices
    assert known.model("gemini-4-argon") == shipped("gemini-4-argon")


@pytest.mark.parametrize(
    ("text", "named"),
    [
        ("= nothing", "models.toml cannot be read"),
        ("[models.gemini-x]\nlevels = ['high', 'low']", "models.gemini-x.levels"),
        ("[models.gemini-x]\nlevels = ['vast']", "models.gemini-x.levels[0]"),
        ("[models.gemini-x]\nreleased = '2026-11-28'", "models.gemini-x.released"),
        ("[models.gemini-x]\nreleased = 2026-11-28T01:02:03", "models.gemini-x.released"),
        ("[models.gemini-x]\nrelaesed = 2026-11-28", "models.gemini-x.relaesed is unknown"),
        ("[models.gemini-x]\nbase = '99'", "models.gemini-x.base"),
        ("[models.gemini-x]\ndoors = ['antigravity']", "models.gemini-x.doors[0]"),
        ("[models.gemini-x]\ndoors = 'free'", "models.gemini-x.doors"),
        ("[models.gemini-x]\nends = { azure = 2026-11-28 }", "models.gemini-x.ends.azure"),
        ("[models.gemini-x]\npreview = 1", "models.gemini-x.preview"),
        ("[models.gemini-x]\ncontext = -1", "models.gemini-x.context"),
        ("[models.gemini-x]\ncontext = true", "models.gemini-x.context"),
        ("[models.gemini-x]\nbudget = { least = 1 }", "models.gemini-x.budget"),
        ("[models.gemini-x]\nprices = [{ input = 1 }]", "models.gemini-x.prices[0]"),
        ("[models.gemini-x]\nprices = [{ input = -1, output = 1 }]", "prices[0].input"),
        ("[models.gemini-x]\nprices = [{ input = nan, output = 1 }]", "prices[0].input"),
        (
            "[models.gemini-x]\nprices = [{ input = 1, output = 1 }, { input = 2, output = 2 }]",
            "models.gemini-x.prices",
        ),
        ("[models.gemini-x]\nstands_for = 'gemini-y'", "models.gemini-x.stands_for"),
        ("[models.gemini-x]\nsuccessor = ''", "models.gemini-x.successor"),
        ("models = 1", "models"),
        ("[models]\ngemini-x = 1", "models.gemini-x"),
        ("[preferences.free]\nbest = ['gemini-x']", "preferences.free.best[0]"),
        ("[preferences.free]\nslow = []", "preferences.free.slow is unknown"),
        ("[reroutes.gemini-x]\nto = 'gemini-4-argon'", "reroutes.gemini-x"),
        (
            "[reroutes.gemini-x]\nto = 'gemini-4-argon'\nsince = 2027-01-01\ndoors = ['paid']",
            "reroutes.gemini-x",
        ),
        ("[service_tiers]\nflex = 'half'", "service_tiers.flex"),
        ("checked = 1", "checked"),
        ("colour = 'blue'", "colour is unknown"),
    ],
)
def test_a_users_file_with_a_fault_names_file_and_key(
    tmp_path: Path, text: str, named: str
) -> None:
    with pytest.raises(CatalogueError) as caught:
        over(tmp_path, text)
    message = str(caught.value)
    assert str(tmp_path / "models.toml") in message
    assert named in message
    assert "\n" not in message
    assert len(message) < len(str(tmp_path)) + 600


def test_a_users_file_that_is_no_text_is_refused(tmp_path: Path) -> None:
    (tmp_path / "models.toml").write_bytes(b"\xff\xfe")
    with pytest.raises(CatalogueError, match="cannot be read"):
        read_table(tmp_path / "models.toml")
