"""The one-minute form of the benchmark: every process starts, no event gets lost, and nothing costs
more than twice what the last full run recorded, in CPU time next to a byte pump."""

import json
from pathlib import Path

import pytest

from tests.perf import report
from tests.perf.__main__ import main
from tests.perf.processes import MEASURABLE, Summary
from tests.perf.scenarios import Row, failures

linux = pytest.mark.skipif(not MEASURABLE, reason="reads /proc: Linux only")


@linux
def test_the_quick_benchmark_runs_without_errors_or_missing_events(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    code = main(["--quick", "--json", str(tmp_path / "rows.json")])
    told = capsys.readouterr()
    assert code == 0, told.err
    rows = (tmp_path / "rows.json").read_text("utf-8").splitlines()
    assert len(rows) > 15
    for name in ("start", "idle", "json c=16", "agent c=4", "burst c=16", "paced c=16", "leak"):
        assert f"| {name} |" in told.out


@linux
def test_a_server_that_costs_too_much_fails_the_quick_benchmark(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """Recorded as a hundredth of what any server can do, so that this one is far too slow."""
    record = tmp_path / "recorded.json"
    known = {"json c=16 openai": 0.1}
    record.write_text(json.dumps({"pump": known, "pace": known}), "utf-8")
    monkeypatch.setattr(report, "RECORDED", record)
    assert main(["--quick", "--only", "json c=16", "--dialect", "openai"]) == 1
    assert "times the pump (recorded: 0.1)" in capsys.readouterr().err


def row(*ratios: float, paces: tuple[float, ...] = ()) -> Row:
    """Rounds of one load, by default as costly next to Python's pace as next to the pump."""
    return Row("json c=16", "openai", "ms/request", ratios, ratios, paces=paces or ratios)


def test_one_round_within_twice_the_recorded_ratio_is_enough() -> None:
    known = {"pump": {"json c=16 openai": 30.0}, "pace": {"json c=16 openai": 30.0}}
    assert report.too_slow(row(59.0), known) is None
    assert report.too_slow(row(90.0, 75.0, 45.0), known) is None
    assert report.too_slow(row(90.0, 61.0), known)
    assert report.too_slow(row(1000.0), {}) is None


def test_a_pump_that_a_busy_machine_makes_cheap_accuses_nobody() -> None:
    known = {"pump": {"json c=16 openai": 30.0}, "pace": {"json c=16 openai": 30.0}}
    assert report.too_slow(row(90.0, paces=(59.0,)), known) is None
    assert report.too_slow(row(59.0, paces=(90.0,)), known) is None
    assert report.too_slow(row(90.0, paces=(61.0,)), known) == (
        "json c=16 openai: 90 times the pump (recorded: 30), 61 times the pace (recorded: 30)"
    )


def test_errors_and_missing_events_void_a_load() -> None:
    good: Summary = {"requests": 1, "errors": 0, "missing": 0, "first_error": ""}
    assert not failures(good)
    assert failures({**good, "errors": 1})
    assert failures({**good, "missing": 1})
    assert failures({**good, "requests": 0})


def test_the_figures_of_a_run_are_put_into_the_page(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    page, record = tmp_path / "performance.md", tmp_path / "recorded.json"
    page.write_text("Before\n<!-- measured -->\nold\n<!-- end of measured -->\nAfter\n", "utf-8")
    before = {"agent c=4 openai": 40.0, "json c=16 openai": 1.0}
    record.write_text(json.dumps({"pump": before, "pace": before}), "utf-8")
    monkeypatch.setattr(report, "PAGE", page)
    monkeypatch.setattr(report, "RECORDED", record)
    report.write([row(33.0, 29.0, 31.0), Row("ladder", "openai", "streams", (128.0,))])
    text = page.read_text("utf-8")
    assert text.startswith("Before\n<!-- measured -->\n")
    assert text.endswith("<!-- end of measured -->\nAfter\n")
    assert "old" not in text
    assert "| json c=16 | openai | ms/request | 29 | 31 | 33 | 31.0 |" in text
    assert "| paced streams within the limits | 96 | 192 | 128 | must |" in text
    after = {"agent c=4 openai": 40.0, "json c=16 openai": 31.0}
    assert report.recorded() == {"pump": after, "pace": after}


def test_the_page_has_the_place_for_the_figures() -> None:
    text = report.PAGE.read_text("utf-8")
    assert text.index("<!-- measured -->") < text.index("<!-- end of measured -->")
