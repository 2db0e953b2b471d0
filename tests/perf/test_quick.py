"""The one-minute form of the benchmark: every process starts, and no event gets lost.

Figures are not judged here; machines that run tests are busy with other things.
"""

from pathlib import Path

import pytest

from tests.perf.__main__ import main
from tests.perf.processes import MEASURABLE


@pytest.mark.skipif(not MEASURABLE, reason="reads /proc: Linux only")
def test_the_quick_benchmark_runs_without_errors_or_missing_events(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["--quick", "--json", str(tmp_path / "rows.json")]) == 0
    table = capsys.readouterr().out
    rows = (tmp_path / "rows.json").read_text("utf-8").splitlines()
    assert len(rows) > 15
    for name in ("start", "idle", "json c=16", "agent c=4", "burst c=16", "paced c=16", "leak"):
        assert f"| {name} |" in table
