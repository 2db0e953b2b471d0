"""Logs: every credential is blanked out, whatever module wrote it."""

import logging
from pathlib import Path

import pytest

from server.logs import KEPT_LINES, configure_logging, recent_lines, redact
from server.settings import Settings


@pytest.mark.parametrize(
    "secret",
    [
        "ya29.a0AfH6SMBexample",
        "1//0gexampleRefreshToken",
        "gp-x7Kq2mVexampleKey",
        "sk-ant-exampleexample",
        "4/0AexampleCode",
    ],
)
def test_known_shapes_are_blanked(secret: str) -> None:
    text = redact(f"sent {secret} to Google")
    assert secret not in text
    assert text.startswith("sent ")
    assert text.endswith(" to Google")


@pytest.mark.parametrize(
    "line",
    [
        "Authorization: Bearer abcdefghijklmnop",
        '{"refresh_token": "abcdefghijklmnop"}',
        "client_secret=abcdefghijklmnop",
        "code: abcdefghijklmnop",
    ],
)
def test_values_after_telling_names_are_blanked(line: str) -> None:
    assert "abcdefghijklmnop" not in redact(line)


def test_ordinary_lines_stay_as_they_are() -> None:
    line = "req_4tZ anthropic ok gemini-2.5-pro 120 ms, in 10 out 5, code 404"
    assert redact(line) == line


def test_tracebacks_are_redacted_too(
    capsys: pytest.CaptureFixture[str], tmp_path_factory: pytest.TempPathFactory
) -> None:
    root = logging.getLogger()
    before, level = root.handlers[:], root.level
    try:
        configure_logging(Settings(data_dir=tmp_path_factory.mktemp("data")))
        refused = RuntimeError("token ya29.exampleexample was refused")
        logging.getLogger("test").error("failed", exc_info=refused)
    finally:
        root.handlers[:], root.level = before, level
    text = capsys.readouterr().err
    assert "RuntimeError" in text
    assert "exampleexample" not in text


def test_the_last_lines_are_kept_redacted(tmp_path: Path) -> None:
    root = logging.getLogger()
    before, level = list(root.handlers), root.level
    try:
        configure_logging(Settings(data_dir=tmp_path))
        logging.getLogger("server.test").warning("sent gp-x7Kq2mVexampleKey away")
        for number in range(KEPT_LINES):
            logging.getLogger("server.test").info("line %d", number)
            if not number:
                assert any("sent gp-… away" in line for line in recent_lines())
    finally:
        root.handlers[:] = before
        root.setLevel(level)
    lines = recent_lines()
    assert len(lines) == KEPT_LINES
    assert lines[-1].endswith(f"line {KEPT_LINES - 1}")
