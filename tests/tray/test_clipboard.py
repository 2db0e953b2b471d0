"""The clipboard, program by program; GTK's own is tested on the private desktop."""

import os
import sys
from pathlib import Path

import pytest

from tray import clipboard


@pytest.fixture
def without_gtk(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Path:
    monkeypatch.setattr(sys, "platform", "linux")
    monkeypatch.setitem(sys.modules, "gi", None)
    monkeypatch.setenv("PATH", f"{tmp_path}{os.pathsep}/usr/bin{os.pathsep}/bin")
    return tmp_path


@pytest.mark.skipif(sys.platform == "win32", reason="the stand-in is a shell script")
def test_without_gtk_a_program_takes_the_text(without_gtk: Path) -> None:
    program = without_gtk / "wl-copy"
    program.write_text(f'#!/bin/sh\nexec cat > "{without_gtk}/got"\n')
    program.chmod(0o700)
    assert clipboard.copy("http://127.0.0.1:8081/v1")
    assert (without_gtk / "got").read_text() == "http://127.0.0.1:8081/v1"


def test_with_no_way_to_copy_it_says_so(without_gtk: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATH", str(without_gtk))
    assert not clipboard.copy("x")
