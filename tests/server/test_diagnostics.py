"""Diagnostics hold everything but credentials."""

from pathlib import Path

from server.diagnostics import report
from server.options import ALL_OPTIONS
from server.settings import load


def test_every_setting_is_there_and_no_secret(tmp_path: Path) -> None:
    secret = "AIza" + "x" * 20
    loaded = load(
        {"DATA_DIR": str(tmp_path), "HOST": "127.0.0.1"},
        {"GEMINI_API_KEY": secret, "API_KEY": "first,second"},
    )
    text = report(loaded)
    for name in ALL_OPTIONS:
        assert f"{name} = " in text
    assert "GEMINI_API_KEY = (set) (environment)" in text
    assert "HOST = 127.0.0.1 (command line)" in text
    assert "UNKNOWN_MODEL = (not set) (default)" in text
    for hidden in (secret, "first", "second"):
        assert hidden not in text
