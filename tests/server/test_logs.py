"""Logs: every credential is blanked out, whatever module wrote it."""

import logging
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from server.limits import LOG_CHARS, LOG_ENTRIES
from server.logs import configure_logging, log_file, recent_lines, redact
from server.settings.load import Settings


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


@pytest.fixture
def root() -> Iterator[logging.Logger]:
    """The root logger, as it was before afterwards."""
    root = logging.getLogger()
    before, level = root.handlers[:], root.level
    yield root
    for handler in set(root.handlers) - set(before):
        handler.close()
    root.handlers[:], root.level = before, level


def test_the_desktop_app_keeps_a_small_private_file(
    tmp_path: Path, root: logging.Logger, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("server.logs.FILE_BYTES", 2000)
    configure_logging(Settings(data_dir=tmp_path), to_file=True)
    for number in range(100):
        root.warning("line %d with token ya29.exampleexample", number)
    files = sorted(path.name for path in tmp_path.iterdir())
    assert files == ["log.txt", "log.txt.1"]
    for name in files:
        path = tmp_path / name
        assert path.stat().st_size <= 2000
        assert "exampleexample" not in path.read_text()
        if sys.platform != "win32":
            assert path.stat().st_mode & 0o777 == 0o600
    assert "line 99" in log_file(tmp_path).read_text()


def test_a_server_alone_writes_no_file(tmp_path: Path, root: logging.Logger) -> None:
    configure_logging(Settings(data_dir=tmp_path))
    root.warning("hello")
    assert list(tmp_path.iterdir()) == []


def test_without_a_folder_to_write_the_log_goes_on(
    tmp_path: Path, root: logging.Logger, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "file").touch()
    configure_logging(Settings(data_dir=tmp_path / "file"), to_file=True)
    root.warning("hello")
    err = capsys.readouterr().err
    assert "There is no log file" in err
    assert "hello" in err


_CRASH = """
import ctypes, logging, pathlib, sys, threading
sys.path.insert(0, sys.argv[2])
from server.logs import configure_logging, log_crashes
from server.settings.load import Settings
folder = pathlib.Path(sys.argv[1])
configure_logging(Settings(data_dir=folder), to_file=True)
log_crashes(folder)
thread = threading.Thread(target=lambda: {}["lost"])
thread.start()
thread.join()
ctypes.string_at(0)
"""


def test_a_crash_leaves_a_trace(tmp_path: Path) -> None:
    root = str(Path(__file__).parents[2])
    command = [sys.executable, "-c", _CRASH, str(tmp_path), root]
    assert subprocess.run(command, capture_output=True, check=False).returncode != 0
    assert "KeyError: 'lost'" in log_file(tmp_path).read_text()
    assert "string_at" in (tmp_path / "crash.txt").read_text()


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
        for number in range(LOG_ENTRIES):
            logging.getLogger("server.test").info("line %d", number)
            if not number:
                assert any("sent gp-… away" in line for line in recent_lines())
    finally:
        root.handlers[:] = before
        root.setLevel(level)
    lines = recent_lines()
    assert len(lines) == LOG_ENTRIES
    assert lines[-1].endswith(f"line {LOG_ENTRIES - 1}")


def test_an_entry_of_megabytes_is_cut_and_no_cut_shows_half_a_secret(
    root: logging.Logger, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    configure_logging(Settings(data_dir=tmp_path))
    log = logging.getLogger("server.test")
    secret = "gp-x7Kq2mVexampleKey" * 20
    for before in range(LOG_CHARS - 300, LOG_CHARS + 50, 7):
        log.info("%s %s %s", "a" * before, secret, "b" * 1_000_000)
    log.info("it failed", exc_info=ValueError("c" * 1_000_000))
    for line in (*recent_lines(), *capsys.readouterr().err.splitlines()):
        assert len(line) <= LOG_CHARS + 100
        assert "x7Kq2" not in line
