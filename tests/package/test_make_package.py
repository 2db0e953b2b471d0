"""``make package`` succeeds only when the built program said so itself."""

import json
import sys
from pathlib import Path

import pytest

from package.__main__ import main, program

pytestmark = pytest.mark.skipif(sys.platform == "win32", reason="not applicable: shell scripts")


def pretend(dist: Path, script: str) -> None:
    """A built program that does what a test wants; ``$3`` is where the report goes."""
    place = program(dist)
    place.parent.mkdir(parents=True)
    place.write_text(f"#!/bin/sh\n{script}\n")
    place.chmod(0o755)


@pytest.mark.parametrize(
    ("script", "code", "words"),
    [
        ("echo '{\"ok\": true}' > $3", 0, "The report is in"),
        ("echo '{\"ok\": false}' > $3", 1, "The report is in"),
        ("echo '{\"ok\": true}' > $3; exit 1", 1, "The report is in"),
        ("exit 0", 1, "wrote no report"),
        ("exit 127", 1, "ended with 127"),
    ],
)
def test_the_report_decides(
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
    *,
    script: str,
    code: int,
    words: str,
) -> None:
    monkeypatch.setenv("DISPLAY", ":7")
    pretend(tmp_path, script)
    (tmp_path / "self-test.json").write_text(json.dumps({"ok": True}))  # of an older build
    assert main(["--no-build", "--dist", str(tmp_path)]) == code
    out, err = capsys.readouterr()
    assert words in out + err


def test_without_a_way_to_a_screen_it_fails_and_says_so(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    for name in ("DISPLAY", "WAYLAND_DISPLAY"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("PATH", str(tmp_path))
    pretend(tmp_path, "echo '{\"ok\": true}' > $3")
    assert main(["--no-build", "--dist", str(tmp_path)]) == 1
    assert "Xvfb" in capsys.readouterr().err
