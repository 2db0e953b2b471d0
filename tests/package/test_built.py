"""The built program, started as users start it: by a double click, from anywhere."""

import json
import os
import shutil
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import httpx
import pytest

from package.__main__ import built, program, self_test, size_mb
from package.linux import SYSTEM_LIBRARIES
from tests.certificates import self_signed
from tests.desktop.conftest import missing
from tests.support import HANGS_S, free_port

HI = {"model": "gpt-4o", "messages": [{"role": "user", "content": "hi"}]}

LARGEST_MB = 90.0
"""65 MB with a stripped Python; a Python with its debug symbols is 25 MB more."""

pytestmark = [
    pytest.mark.skipif(
        sys.platform != "linux", reason="not applicable: there, make package tests what it built"
    ),
    pytest.mark.skipif(
        sys.platform == "linux" and bool(missing()) and not os.environ.get("CI"),
        reason="missing for a desktop build: make test installs it",
    ),
]


@contextmanager
def started(
    command: list[str], environ: dict[str, str], log: Path, *, streams: bool = True
) -> Iterator[subprocess.Popen[bytes]]:
    """The program with the root as its folder; without standard streams as in a windowed one."""
    closing = [] if streams else ["sh", "-c", 'exec "$0" "$@" <&- >&- 2>&-']
    with log.open("wb") as file:
        process = subprocess.Popen(
            [*closing, *command], env=environ, cwd="/", stdout=file, stderr=file
        )
        try:
            yield process
        finally:
            process.kill()
            process.wait()
    assert "Traceback" not in log.read_text()


def health(port: int, process: subprocess.Popen[bytes]) -> None:
    until = time.monotonic() + 2 * HANGS_S
    while time.monotonic() < until:
        assert process.poll() is None
        try:
            if httpx.get(f"http://127.0.0.1:{port}/health", trust_env=False).status_code == 200:
                return
        except httpx.TransportError:
            time.sleep(0.05)
    pytest.fail("the server did not answer")


def plain(tmp_path: Path) -> dict[str, str]:
    """An environment without a display and without a Python of ours."""
    return {"PATH": "/usr/bin:/bin", "HOME": str(tmp_path), "UPSTREAM": "demo"}


def test_it_is_small_and_holds_what_it_must(dist: Path) -> None:
    assert size_mb(built(dist)) < LARGEST_MB
    names = {path.name for path in built(dist).rglob("*")}
    assert [name for name in names if name.startswith(SYSTEM_LIBRARIES)] == []
    assert names.isdisjoint({"numpy", "hypothesis", "openai", "_tkinter.so", "pytest", "Xlib"})
    assert {
        "COPYING.LGPL",
        "Python.txt",
        "cacert.pem",
        "layout.html",
        "style.css",
        "models.toml",
    } <= names


def test_the_self_test_passes(dist: Path, capfd: pytest.CaptureFixture[str]) -> None:
    code = self_test(dist)
    assert code == 0, capfd.readouterr()
    report = json.loads((dist / "self-test.json").read_text())
    assert report["ok"] is True
    assert report["frozen"] is True
    names = [step["name"] for step in report["steps"] if step["ok"]]
    assert {"the window shows the page", "the server stops", "the server starts again"} <= {*names}
    assert "the table of models is read" in names


def test_without_streams_it_serves_pages_and_licences(dist: Path, tmp_path: Path) -> None:
    port = free_port()
    command = [str(program(dist)), "--headless", "--host", "127.0.0.1", "--port", str(port)]
    environ = plain(tmp_path)
    with started(command, environ, tmp_path / "log.txt", streams=False) as process:
        health(port, process)
        with httpx.Client(base_url=f"http://127.0.0.1:{port}", trust_env=False) as http:
            pages = ("/", "/setup", "/connect", "/settings", "/help", "/about", "/static/style.css")
            assert {page: http.get(page).status_code for page in pages} == dict.fromkeys(pages, 200)
            about = http.get("/about").text
            assert "(packaged)" in about
            for name in ("pystray", "Python", "PyInstaller bootloader", "pywebview"):
                text = http.get("/about", params={"licence": name})
                assert text.status_code == 200, name
                assert len(text.text) > 1500, name
            assert "LESSER" in http.get("/about", params={"licence": "pystray"}).text
            assert http.post("/v1/chat/completions", json=HI).status_code == 200
        process.send_signal(signal.SIGTERM)
        assert process.wait(HANGS_S) == 0
    assert (tmp_path / ".local/share/gemini-api-proxy").is_dir()


@pytest.mark.parametrize(
    ("arguments", "code", "words"),
    [
        (["--version"], 0, "gemini-api-proxy "),
        (["--help"], 0, "--headless"),
        (["--doctor"], 0, "gemini-api-proxy"),
        (["--show-key"], 0, "gp-"),
        (["--port", "none", "--headless"], 2, "PORT"),
        (["--no-such-thing"], 2, "usage"),
    ],
)
def test_the_command_line_works(
    dist: Path, tmp_path: Path, arguments: list[str], code: int, words: str
) -> None:
    got = subprocess.run(
        [program(dist), *arguments],
        env=plain(tmp_path),
        cwd="/",
        capture_output=True,
        text=True,
        timeout=2 * HANGS_S,
        check=False,
    )
    assert got.returncode == code, got
    assert words in (got.stdout + got.stderr)


class Answer(BaseHTTPRequestHandler):
    """The shortest of models."""

    def do_POST(self) -> None:
        self.rfile.read(int(self.headers["Content-Length"]))
        part = {"content": {"parts": [{"text": "hello"}]}, "finishReason": "STOP"}
        self.send_response(200)
        self.send_header("Content-Type", "text/event-stream")
        self.end_headers()
        self.wfile.write(b"data: " + json.dumps({"candidates": [part]}).encode() + b"\r\n\r\n")

    def log_message(self, *_: object) -> None:
        pass


@pytest.mark.parametrize(("vouched", "status"), [(False, 502), (True, 200)])
def test_it_brings_the_authorities_that_it_trusts(
    dist: Path, tmp_path: Path, vouched: bool, status: int
) -> None:
    with ThreadingHTTPServer(("127.0.0.1", 0), Answer) as google:
        google.socket = self_signed(tmp_path)[0].wrap_socket(google.socket, server_side=True)
        threading.Thread(target=google.serve_forever, args=(0.02,), daemon=True).start()
        port = free_port()
        environ = {**plain(tmp_path), "UPSTREAM": "gemini-api", "GEMINI_API_KEY": "k" * 20}
        environ["GOOGLE_GEMINI_BASE_URL"] = f"https://127.0.0.1:{google.server_address[1]}"
        if vouched:
            environ["SSL_CERT_FILE"] = str(tmp_path / "certificate.pem")
        command = [str(program(dist)), "--headless", "--host", "127.0.0.1", "--port", str(port)]
        with started(command, environ, tmp_path / "log.txt") as process:
            health(port, process)
            url = f"http://127.0.0.1:{port}/v1/chat/completions"
            answer = httpx.post(url, json=HI, trust_env=False, timeout=HANGS_S)
            assert answer.status_code == status, answer.text
            assert ("hello" if vouched else "CERTIFICATE_VERIFY_FAILED") in answer.text
        google.shutdown()


def test_without_gtk_it_serves_and_opens_the_users_browser(
    dist: Path, tmp_path: Path, desktop: dict[str, str]
) -> None:
    place = tmp_path / "program"
    shutil.copytree(built(dist), place, symlinks=True, copy_function=os.link)
    for library in (place / "_internal" / "gi").glob("_gi.*"):
        library.unlink()  # as if libgirepository were not there
    browser = tmp_path / "browser"
    told = tmp_path / "told.txt"
    browser.write_text(f'#!/bin/sh\n{{ echo "$@"; env; }} > {told}.part && mv {told}.part {told}\n')
    browser.chmod(0o755)
    port = free_port()
    environ = {**desktop, **plain(tmp_path), "BROWSER": str(browser), "PORT": str(port)}
    environ["LD_LIBRARY_PATH"] = "/opt/of-the-user"
    log = tmp_path / "log.txt"
    with started([str(place / program(dist).name)], environ, log) as process:
        health(port, process)
        until = time.monotonic() + HANGS_S
        while not told.exists() and time.monotonic() < until:
            time.sleep(0.05)
        lines = told.read_text().splitlines()
        assert lines[0] == f"http://127.0.0.1:{port}/"
        # The browser must not be made to load our libraries.
        assert [line for line in lines if "_internal" in line] == []
        assert "LD_LIBRARY_PATH=/opt/of-the-user" in lines
    (hint,) = [line for line in log.read_text().splitlines() if "No tray" in line]
    assert "gir1.2-webkit2-4.1" in hint
    assert "make" not in hint


def test_menu_window_and_second_launch_work_as_from_source(dist: Path) -> None:
    chosen = "test_the_menu_stops or test_the_window_opens or test_a_second_launch or test_quit"
    got = subprocess.run(
        [sys.executable, "-m", "pytest", "tests/desktop/test_tray.py", "-q", "-k", chosen],
        env={**os.environ, "GAP_TEST_PROGRAM": str(program(dist))},
        cwd=Path(__file__).parents[2],
        capture_output=True,
        text=True,
        timeout=15 * HANGS_S,
        check=False,
    )
    assert got.returncode == 0, got.stdout
    assert "6 passed" in got.stdout
