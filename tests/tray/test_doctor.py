"""What the doctor says of a desktop."""

import sys
from pathlib import Path
from types import SimpleNamespace

import pytest

from tray import doctor, icon
from tray.autostart import Autostart


def test_a_toolkit_is_named_and_a_missing_one_says_what_to_install(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    class Icon:
        __module__ = "pystray._appindicator"

    monkeypatch.setattr(icon, "load", lambda: SimpleNamespace(Icon=Icon))
    assert (doctor.tray()[0].level, doctor.tray()[0].told) == ("ok", "appindicator")
    for has_display, level in ((True, "warn"), (False, "ok")):
        error = icon.NoToolkitError("install python3-gi", has_display=has_display)
        monkeypatch.setattr(icon, "load", lambda error=error: _raise(error))
        found = doctor.tray()[0]
        assert found.level == level
        assert (found.remedy == "install python3-gi") is has_display


def _raise(error: Exception) -> None:
    raise error


@pytest.mark.skipif(sys.platform != "linux", reason="elsewhere the system has a web view")
def test_the_web_view_is_found_or_named(monkeypatch: pytest.MonkeyPatch) -> None:
    def require(there: str) -> SimpleNamespace:
        def require_version(_name: str, version: str) -> None:
            if version != there:
                raise ValueError(version)

        return SimpleNamespace(require_version=require_version)

    monkeypatch.setitem(sys.modules, "gi", require("4.0"))
    assert doctor.window()[0].told == "WebKitGTK 4.0"
    monkeypatch.setitem(sys.modules, "gi", require("none"))
    assert "gir1.2-webkit2-4.1" in doctor.window()[0].remedy
    monkeypatch.setitem(sys.modules, "gi", None)
    assert "python3-gi" in doctor.window()[0].remedy


@pytest.mark.skipif(sys.platform == "win32", reason="the registry is not a folder")
def test_start_at_login_is_read_from_the_system(tmp_path: Path) -> None:
    autostart = Autostart([sys.executable], home=tmp_path)
    look = {check.what: check.look for check in doctor.checks(autostart)}["start at login"]
    assert look()[0].told == "off"
    autostart.set(enabled=True)
    assert look()[0].told == "on"
