"""The program as users start it: banner, exit codes, one line per mistake."""

import os
import re
import signal
import socket
import subprocess
import sys
import time
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from html import unescape
from pathlib import Path

import httpx
import pytest

import main
from tests.support import HANGS_S, free_port, nobody

MAIN = Path(__file__).parents[1] / "main.py"
NOTHING = {"PATH": os.environ["PATH"], "HOME": "/nonexistent", "PYTHONDONTWRITEBYTECODE": "1"}


def run(tmp_path: Path, *arguments: str, **environ: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, str(MAIN), "--data-dir", str(tmp_path), *arguments],
        env={**NOTHING, **environ},
        cwd="/",
        capture_output=True,
        text=True,
        timeout=2 * HANGS_S,
        check=False,
    )


@contextmanager
def started(
    tmp_path: Path, *arguments: str, **environ: str
) -> Iterator[tuple[subprocess.Popen[str], int]]:
    port = free_port()
    process = subprocess.Popen(
        [sys.executable, str(MAIN), "--data-dir", str(tmp_path), "--port", str(port), *arguments],
        env={**NOTHING, **environ},
        cwd="/",
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )
    try:
        wait_for(port, process)
        yield process, port
    finally:
        process.kill()
        process.communicate()


def wait_for(port: int, process: subprocess.Popen[str]) -> None:
    end = time.monotonic() + HANGS_S
    while time.monotonic() < end:
        assert process.poll() is None, process.communicate()
        try:
            with urllib.request.urlopen(f"http://127.0.0.1:{port}/health", timeout=10) as answer:
                assert answer.status == 200
                return
        except OSError:
            time.sleep(0.05)
    pytest.fail("the server did not answer")


def finish(process: subprocess.Popen[str], number: signal.Signals) -> tuple[int, str, str]:
    process.send_signal(number)
    out, err = process.communicate(timeout=HANGS_S)
    return process.returncode, out, err


def test_a_users_table_of_models_with_a_fault_is_one_line_and_exit_code_2(tmp_path: Path) -> None:
    (tmp_path / "models.toml").write_text("[models.gemini-x]\nlevels = ['vast']\n", "utf-8")
    result = run(tmp_path, "--headless")
    assert result.returncode == 2
    assert str(tmp_path / "models.toml") in result.stderr
    assert "models.gemini-x.levels[0]: 'vast' cannot be used; allowed: minimal" in result.stderr
    assert result.stderr.count("\n") == 1


def test_version(tmp_path: Path) -> None:
    assert run(tmp_path, "--version").stdout.startswith("gemini-api-proxy ")


@pytest.mark.parametrize(
    ("arguments", "environ", "named"),
    [
        ((), {"PORT": "http"}, "PORT"),
        (("--port", "99999"), {}, "99999"),
        ((), {"WAIT_MODE": "maybe"}, "WAIT_MODE"),
        (("--upstream", "openai"), {}, "UPSTREAM"),
        (("--host", "203.0.113.7"), {}, "203.0.113.7"),
    ],
)
def test_a_wrong_setting_is_one_line_and_exit_code_2(
    tmp_path: Path, arguments: tuple[str, ...], environ: dict[str, str], named: str
) -> None:
    result = run(tmp_path, "--headless", *arguments, **environ)
    assert result.returncode == 2
    assert named in result.stderr
    assert "allowed" in result.stderr
    assert result.stderr.count("\n") == 1


def test_a_wrong_argument_is_exit_code_2(tmp_path: Path) -> None:
    assert run(tmp_path, "--colour").returncode == 2


def test_a_port_in_use_is_exit_code_3_and_names_a_free_one(tmp_path: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as listener:
        port = listener.getsockname()[1]
        result = run(tmp_path, "--headless", "--host", "127.0.0.1", "--port", str(port))
    assert result.returncode == 3
    assert str(port) in result.stderr
    assert re.search(r"--port \d+", result.stderr)
    assert result.stderr.count("\n") == 1


def test_a_port_held_by_ourselves_says_so(tmp_path: Path) -> None:
    with started(tmp_path, "--upstream", "demo", "--host", "127.0.0.1") as (_, port):
        other = tmp_path / "other"
        result = run(other, "--headless", "--host", "127.0.0.1", "--port", str(port))
    assert result.returncode == 3
    assert "already running" in result.stderr


def test_the_banner_tells_everything_and_sigterm_is_a_clean_end(tmp_path: Path) -> None:
    with started(tmp_path, "--headless", "--host", "127.0.0.1", RATE_LIMIT="2.5") as (
        process,
        port,
    ):
        code, out, err = finish(process, signal.SIGTERM)
    assert code == 0
    for part in (f":{port}/v1", f":{port}/setup", "Upstream: none", "2.5 s", "API key for callers"):
        assert part in out
    assert "Traceback" not in err
    with started(tmp_path, "--headless", "--host", "127.0.0.1") as (process, _):
        _, again, _ = finish(process, signal.SIGTERM)
    assert "API key for callers" not in again


def test_the_banner_says_that_the_demo_is_for_looking(tmp_path: Path) -> None:
    with started(tmp_path, "--headless", "--upstream", "demo") as (process, _):
        _, out, _ = finish(process, signal.SIGTERM)
    assert "Upstream: demo" in out
    assert "for looking, not for agents" in out


def test_ctrl_c_is_130(tmp_path: Path) -> None:
    with started(tmp_path, "--headless", "--upstream", "demo") as (process, _):
        code, _, err = finish(process, signal.SIGINT)
    assert code == 130
    assert "Traceback" not in err


def test_the_generated_key_can_be_shown_again(tmp_path: Path) -> None:
    first = run(tmp_path, "--show-key").stdout.strip()
    assert first.startswith("gp-")
    assert run(tmp_path, "--show-key").stdout.strip() == first
    assert run(tmp_path, "--show-key", API_KEY="mine,yours").stdout.split() == ["mine", "yours"]


def test_without_a_display_one_line_says_so(tmp_path: Path) -> None:
    with started(tmp_path, "--upstream", "demo") as (process, _):
        _, out, _ = finish(process, signal.SIGTERM)
    assert "Listening on 127.0.0.1, ::1" in out
    assert out.count("No display") == 1


@pytest.mark.skipif(sys.platform != "linux", reason="elsewhere the toolkit comes with pip")
def test_a_display_without_a_toolkit_names_what_to_install(tmp_path: Path) -> None:
    absent = tmp_path / "absent" / "gi"
    absent.mkdir(parents=True)
    (absent / "__init__.py").write_text("raise ImportError('no PyGObject here')")
    nowhere = {"DISPLAY": "127.0.0.1:4711", "BROWSER": "true", "PYTHONPATH": str(absent.parent)}
    with started(tmp_path, "--upstream", "demo", **nowhere) as (process, _):
        code, out, err = finish(process, signal.SIGTERM)
    assert code == 0
    assert "Listening on 127.0.0.1, ::1" in out
    assert out.count("gir1.2-ayatanaappindicator3-0.1") == 1
    assert "Traceback" not in err


def test_the_doctor_tells_everything_but_secrets(tmp_path: Path) -> None:
    result = run(tmp_path, "--doctor", API_KEY="hide-me")
    assert result.returncode == 0
    for topic in ("port", "localhost", "data folder", "upstream", "account", "last refusal"):
        assert topic in result.stdout
    assert "hide-me" not in result.stdout


@pytest.mark.parametrize("arguments", [(), ("--headless",)])
def test_a_bad_settings_file_ends_a_program_without_a_tray(
    tmp_path: Path, arguments: tuple[str, ...]
) -> None:
    (tmp_path / "settings.toml").write_text('WAIT_MODE = "maybe"\n')
    result = run(tmp_path, *arguments)
    assert result.returncode == 2
    assert "WAIT_MODE" in result.stderr


def test_an_explicit_headless_listens_everywhere(tmp_path: Path) -> None:
    with started(tmp_path, "--headless", "--upstream", "demo") as (process, _):
        _, out, _ = finish(process, signal.SIGTERM)
    assert "Listening on 0.0.0.0, ::" in out


def test_both_loopback_addresses_answer(tmp_path: Path) -> None:
    with started(tmp_path, "--upstream", "demo") as (_, port):
        for host in ("127.0.0.1", "[::1]"):
            with urllib.request.urlopen(f"http://{host}:{port}/health", timeout=HANGS_S) as answer:
                assert answer.status == 200


def test_a_port_saved_on_the_page_is_taken_after_a_confirmed_restart(tmp_path: Path) -> None:
    new = free_port()
    with started(tmp_path, "--headless", UPSTREAM="demo", HOST="127.0.0.1") as (process, old):
        at = f"http://127.0.0.1:{old}/settings"
        with httpx.Client(trust_env=False, timeout=HANGS_S) as http:
            token = token_in(http.get(at).text)
            http.post(at, data={"token": token, "PORT": str(new)})
            with socket.create_server(("127.0.0.1", new)):
                answer = http.post(at, data={"token": token, "action": "restart", "sure": "yes"})
                assert answer.status_code == 409
                assert f"Port {new} on 127.0.0.1 is in use" in answer.text
            asked = http.post(at, data={"token": token, "action": "restart"})
            assert "Restart the server?" in asked.text
            assert f"http://127.0.0.1:{new}/settings" in asked.text
            sure = http.post(at, data={"token": token, "action": "restart", "sure": "yes"})
            assert sure.headers["refresh"].endswith(f"http://127.0.0.1:{new}/settings")
        wait_for(new, process)
        with pytest.raises(OSError, match="refused"):
            socket.create_connection(("127.0.0.1", old), 1)
        code, _, err = finish(process, signal.SIGTERM)
        assert (code, "Traceback" in err) == (0, False)


def token_in(html: str) -> str:
    found = re.search(r'name="token" value="([^"]*)"', html)
    assert found
    return unescape(found[1])


@pytest.mark.skipif(sys.platform != "linux", reason="PyInstaller does this on Linux only")
@pytest.mark.parametrize("before", ["/usr/lib/special", None])
def test_programs_that_a_packaged_one_starts_get_the_systems_libraries(
    monkeypatch: pytest.MonkeyPatch, before: str | None
) -> None:
    monkeypatch.setattr(sys, "frozen", True, raising=False)
    monkeypatch.setenv("LD_LIBRARY_PATH", "/bundle")
    if before is not None:
        monkeypatch.setenv("LD_LIBRARY_PATH_ORIG", before)
    main.leave_bundle()
    assert os.environ.get("LD_LIBRARY_PATH") == before


def test_connect_shows_writes_and_takes_back(tmp_path: Path) -> None:
    """The whole command, in a home folder of its own; nothing answers, and that is said."""
    home = tmp_path / "home"
    home.mkdir()
    environ = {**os.environ, "HOME": str(home), "USERPROFILE": str(home), "CODEX_HOME": ""}

    def connect(*words: str) -> tuple[int, str]:
        command = [sys.executable, str(MAIN), "--port", "1", "connect", *words]
        ran = subprocess.run(
            [*command, "--data-dir", str(tmp_path / "data")],
            env=environ,
            input="",
            capture_output=True,
            text=True,
            timeout=2 * HANGS_S,
            check=False,
        )
        assert "Traceback" not in ran.stderr
        return ran.returncode, ran.stdout

    assert connect("nothing")[0] == 2
    code, text = connect("codex", "--yes")
    assert code == 1
    assert "Nothing answers at http://127.0.0.1:1." in text
    assert (home / ".codex" / "config.toml").exists()
    assert connect("codex", "--undo", "--yes")[0] == 0
    assert list(home.iterdir()) == []


def test_a_terminal_that_knows_few_letters_is_no_reason_to_stop(tmp_path: Path) -> None:
    home = tmp_path / "home"
    (home / ".codex").mkdir(parents=True)
    (home / ".codex" / "config.toml").write_text("# мой файл\nmodel = 'gpt-5'\n", "utf-8")
    ran = subprocess.run(
        [sys.executable, "main.py", "--data-dir", str(tmp_path), "connect", "codex", "--dry-run"],
        cwd=Path(main.__file__).parent,
        env={**os.environ, **nobody(home), "PYTHONIOENCODING": "cp1252"},
        capture_output=True,
        check=False,
    )
    assert (ran.returncode, ran.stderr) == (0, b"")
    assert b"# ??? ????" in ran.stdout


@pytest.mark.skipif(sys.platform == "win32", reason="a closed pipe is an OSError of another kind")
def test_a_reader_that_goes_ends_connect_without_a_traceback(tmp_path: Path) -> None:
    reading, writing = os.pipe()
    os.close(reading)
    ran = subprocess.run(
        [sys.executable, "main.py", "--data-dir", str(tmp_path), "connect"],
        cwd=Path(main.__file__).parent,
        env={**os.environ, **nobody(tmp_path)},
        stdout=writing,
        stderr=subprocess.PIPE,
        check=False,
    )
    os.close(writing)
    assert (ran.returncode, ran.stderr) == (1, b"")


def test_ctrl_c_at_the_question_changes_nothing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def interrupted(_question: str) -> str:
        raise KeyboardInterrupt

    for name, value in nobody(tmp_path).items():
        monkeypatch.setenv(name, value)
    monkeypatch.setattr("builtins.input", interrupted)
    assert main.main(["--data-dir", str(tmp_path / "data"), "connect", "codex"]) == 130
    assert not (tmp_path / ".codex").exists()
