"""A screen where there is none; the user's own where there is one."""

import subprocess
import sys
from pathlib import Path

import pytest

from package.screen import NoScreenError, screen


def test_the_users_own_display_is_used() -> None:
    with screen({"DISPLAY": ":7"}) as environ:
        assert environ == {"DISPLAY": ":7"}


def test_a_machine_without_one_gets_one_that_works(desktop: dict[str, str]) -> None:
    code = "import gi; gi.require_version('Gtk', '3.0'); from gi.repository import Gtk;"
    code += "print(Gtk.init_check())"
    got = subprocess.run(
        [sys.executable, "-c", code], env=desktop, capture_output=True, text=True, check=True
    )
    assert "True" in got.stdout


def test_what_is_missing_for_one_is_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))
    with pytest.raises(NoScreenError, match="Xvfb and dbus-daemon not found"), screen({}):
        pass
