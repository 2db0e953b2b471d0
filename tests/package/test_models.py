"""The judge of the data file of models, and the file itself on the day it was checked."""

import subprocess
import sys
from datetime import date
from pathlib import Path

import pytest

from package import ROOT
from package.models import choices, faults, main, news
from server.gemini.catalogue import Catalogue
from server.gemini.catalogue_file import read_table

CHECKED = read_table().checked


def own(tmp_path: Path, text: str) -> Path:
    path = tmp_path / "models.toml"
    path.write_text(text, "utf-8")
    return path


def test_the_file_holds_on_the_day_it_was_checked() -> None:
    assert faults(Catalogue(read_table()), CHECKED) == []


@pytest.mark.parametrize("on", ["2026-12-02", "2027-02-01", "2027-07-01"])
def test_it_holds_on_later_days_and_tells_its_age(
    on: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["--on", on]) == 0
    said = capsys.readouterr()
    assert said.err == ""
    assert "free keys of the Gemini API: best gemini-4-hydrogen" in said.out
    assert ("days old" in said.out) is (on != "2026-12-02")


def test_what_comes_within_90_days_is_told() -> None:
    told = news(Catalogue(read_table()), date(2026, 11, 28))
    assert told == sorted(told)
    assert "2026-12-01 gemini-2.5-pro ends at the Gemini API; then gemini-3.8-flash" in told
    assert "2026-12-01 gemini-2.5-flash is answered by gemini-3.5-flash-lite" in told
    assert "2026-12-01 gemini-4-argon costs 4 in, 20 out" in told
    assert "2027-01-28 gemini-3.6-flash ends at Vertex AI; then gemini-3.8-flash" in told
    assert not [line for line in told if line > "2027-02-27"]
    assert not [line for line in told if "latest" in line]


def test_every_door_has_a_choice_for_every_tier() -> None:
    for line in choices(Catalogue(read_table()), CHECKED):
        assert "nothing" not in line


@pytest.mark.parametrize(
    ("text", "told"),
    [
        (
            '[preferences.free]\nfast = ["gemini-2.0-flash"]',
            "preferences.free.fast: no model of it lives",
        ),
        ("[preferences.vertex]\nbest = []", "preferences.vertex.best: no model of it lives"),
        (
            '[preferences.free]\nbest = ["gemini-4-hydrogen", "gemini-4-neon"]',
            "gemini-4-neon is not served there",
        ),
        (
            '[preferences.paid]\nbest = ["gemini-4-hydrogen", "gemini-4-neon"]',
            "gemini-4-neon is dearer",
        ),
        (
            '[preferences.paid]\nbest = ["gemini-4-hydrogen", "gemini-3-pro-image"]',
            "gemini-3-pro-image does not chat",
        ),
        (
            '[preferences.paid]\nbest = ["gemini-4-hydrogen", "gemini-3.1-pro-preview"]',
            "gemini-3.1-pro-preview is a preview",
        ),
        (
            '[models.gemini-x]\nbase = "4"\ndoors = ["gemini-api"]\n'
            '[preferences.free]\nbest = ["gemini-4-hydrogen", "gemini-x"]',
            "gemini-x has no price",
        ),
        ('[models.gemini-4-neon]\nsuccessor = "gemini-99"', "its successor gemini-99 is not"),
        (
            "[models.gemini-4-neon]\nends = { paid = 2027-01-01 }",
            "gemini-4-neon: it ends, and no successor",
        ),
        (
            "[models.gemini-4-neon]\nends = { paid = 2026-01-01 }\nsuccessor = 'gemini-4-argon'",
            "gemini-4-neon: released on 2026-11-18, which is after",
        ),
        ("[models.gemini-4-neon]\nreleased = 2030-01-01", "released on 2030-01-01"),
        (
            '[models."gemini-2.5-pro"]\nclosed = { gemini-api = 2027-01-01 }',
            "closed on 2027-01-01, after its end",
        ),
        ("[models.gemini-4-carbon]\nlevel = 'minimal'", "default level minimal is none"),
        (
            "[models.gemini-4-carbon]\nbudget = { least = 1, most = 2 }",
            "it has levels and a budget",
        ),
        (
            "[reroutes.gemini-4-carbon]\nto = 'gemini-99'\nsince = 2027-01-01\ndoors = ['paid']",
            "answered by gemini-99, which is not in the file",
        ),
        (
            "[reroutes.gemini-4-carbon]\nto = 'gemini-4-neon'\nsince = 2027-01-01\n"
            "doors = ['free']\nsource = '?'",
            "answered by gemini-4-neon, which free keys of the Gemini API are not served",
        ),
        (
            "[reroutes.gemini-4-carbon]\nto = 'gemini-4-neon'\nsince = 2027-01-01\n"
            "doors = ['paid']",
            "no source is given for its re-route",
        ),
        ("[models.gemini-x]\nreleased = 2026-01-01", "no source is given for released"),
        ("checked = 2026-11-29", "checked: 2026-11-29 has not come yet"),
        ('embeddings = ["gemini-4-neon"]', "embeddings: none of them is one"),
    ],
)
def test_each_kind_of_fault_is_told(
    tmp_path: Path, text: str, told: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["--on", "2026-11-28", "--with", str(own(tmp_path, text))]) == 1
    assert told in capsys.readouterr().err


def test_a_file_that_cannot_be_read_is_told(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["--with", str(own(tmp_path, "[models"))]) == 1
    assert "models.toml" in capsys.readouterr().err


def test_an_engineer_adds_a_model_by_the_file_alone(tmp_path: Path) -> None:
    text = (
        "[models.gemini-5-boron]\n"
        'base = "4"\n'
        "released = 2026-11-27\n"
        'doors = ["gemini-api", "vertex"]\n'
        "prices = [{ input = 1.0, output = 5.0, cached = 0.1 }]\n"
        'source = { released = "D", prices = "D" }\n'
        "[preferences.free]\n"
        'best = ["gemini-5-boron", "gemini-4-hydrogen"]\n'
    )
    known = Catalogue(read_table(own(tmp_path, text)))
    assert faults(known, CHECKED) == []
    assert known.choose("best", "free", CHECKED) == "gemini-5-boron"


def test_today_is_the_clocks_day() -> None:
    code = (
        "import sys, time; time.time = lambda: 1_801_483_200.0; "
        "from package.models import main; sys.exit(main([]))"
    )
    got = subprocess.run(
        [sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, check=False
    )
    assert (got.returncode, got.stderr) == (0, "")
    assert "judged for 2027-02-01." in got.stdout
