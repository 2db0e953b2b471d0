"""What is saved stays saved: full disks, read-only folders, damaged files, and kill -9."""

import asyncio
import contextlib
import itertools
import json
import math
import os
import re
import shutil
import signal
import sqlite3
import subprocess
import sys
import time
import tomllib
from collections.abc import Callable
from pathlib import Path
from typing import Any

import httpx
import pytest

from server.auth.token_files import parse_token_file
from server.files import write_private
from server.gemini.signatures import StoredSignature
from server.settings import load as settings_file
from server.storage.metrics import Metrics
from server.storage.signatures import SignatureStore
from server.storage.usage import UsageLog
from tests.faults import ENDS, ask, last_entry, request_of, signed_in
from tests.google.google import FakeGoogle
from tests.google.model import Answer
from tests.rig import Rig, running
from tests.support import HANGS_S, call, free_port, serve

ROOT = Path(__file__).parents[1]


async def answers_everybody(rig: Rig) -> None:
    """Every dialect gets its answer, and every answer its row."""
    for dialect in ENDS:
        assert (await ask(rig, dialect, stream=True)).status_code == 200
        assert (await last_entry(rig))["outcome"] == "ok"


@pytest.mark.parametrize("name", ["usage.sqlite3", "signatures.sqlite3"])
async def test_a_damaged_database_is_set_aside_and_replaced(tmp_path: Path, name: str) -> None:
    (tmp_path / name).write_bytes(b"this is no database" * 100)
    async with running(tmp_path) as rig:
        await answers_everybody(rig)
        assert rig.gateway.usage.persistent
    assert len(list(tmp_path.glob(f"{name}.corrupt-*"))) == 1
    async with running(tmp_path) as rig:
        assert (await rig.usage())["total_requests"] == 4


async def test_a_damaged_token_is_set_aside_and_the_client_told_to_sign_in(tmp_path: Path) -> None:
    async with signed_in(tmp_path) as rig:
        token = tmp_path / "google_token.json"
        token.write_text('{"token": "ya29.half')
        os.utime(token, (1, 1))
        for dialect in ENDS:
            answer = await ask(rig, dialect)
            assert answer.status_code == 401
            assert "/setup" in answer.text
        assert len(list(tmp_path.glob("google_token.json.corrupt-*"))) == 1


def test_damaged_settings_end_the_start_with_one_line(tmp_path: Path) -> None:
    (tmp_path / "settings.toml").write_text("PORT = = 1")
    command = [sys.executable, "main.py", "--headless", "--data-dir", str(tmp_path)]
    ended = subprocess.run(
        command, check=False, cwd=ROOT, capture_output=True, text=True, timeout=HANGS_S
    )
    assert ended.returncode == 2
    assert "settings.toml" in ended.stderr
    assert "Traceback" not in ended.stderr
    assert (tmp_path / "settings.toml").read_text() == "PORT = = 1"


async def test_a_data_folder_that_cannot_be_used_costs_saving_not_service(tmp_path: Path) -> None:
    blocked = tmp_path / "file"
    blocked.write_text("a file where the folder should be")
    async with running(blocked / "data") as rig:
        await answers_everybody(rig)
        assert rig.gateway.usage.persistent is False
        assert (await rig.usage())["total_requests"] == 4
        await rig.gateway.change("RATE_LIMIT", 0)


@pytest.mark.parametrize("noticed", ["while running", "at the stop"])
async def test_a_data_folder_that_can_be_used_after_all_gets_every_row(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, noticed: str
) -> None:
    """As when a disk that was full at the start has room again."""
    folder = tmp_path / "data"
    folder.write_text("a file where the folder should be")
    monkeypatch.setattr(
        "server.storage.database.LOOK_AGAIN_S", 0.0 if noticed == "while running" else 1e9
    )
    async with running(folder) as rig:
        await answers_everybody(rig)
        folder.unlink()
        await answers_everybody(rig)
        assert (await rig.usage())["total_requests"] == 8
        await answers_everybody(rig)
        assert rig.gateway.usage.persistent is (noticed == "while running")
        assert (await rig.usage())["total_requests"] == 12
    with contextlib.closing(sqlite3.connect(folder / "usage.sqlite3")) as saved:
        assert saved.execute("SELECT count(*) FROM entries").fetchone()[0] == 12


async def test_a_full_disk_costs_saving_not_service(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    async with signed_in(tmp_path) as rig:
        assert (await ask(rig, "openai")).status_code == 200

        def full(*_given: object, **_more: object) -> Any:
            raise OSError(28, "No space left on device")

        saved = (tmp_path / "google_token.json").read_text()
        monkeypatch.setattr("server.files.tempfile.mkstemp", full)
        rig.google.oauth.expire_access()
        await answers_everybody(rig)
        await rig.gateway.change("WAIT_MODE", "true")
        assert rig.gateway.settings.wait_mode is True
        assert (tmp_path / "google_token.json").read_text() == saved


async def test_a_full_database_saves_everything_once_there_is_room(tmp_path: Path) -> None:
    """SQLite takes no rows for a while, whatever the reason: they wait for the next commit."""
    async with running(tmp_path) as rig:
        store = rig.gateway.usage._store
        await answers_everybody(rig)
        full = sqlite3.connect(tmp_path / "usage.sqlite3", isolation_level=None)
        full.execute("ALTER TABLE entries RENAME TO elsewhere")
        for _ in range(3):
            assert (await ask(rig, "openai")).status_code == 200
        await asyncio.to_thread(store.flush)
        assert store.read("SELECT count(*) FROM elsewhere")[0][0] == 4
        full.execute("ALTER TABLE elsewhere RENAME TO entries")
        full.close()
        usage = await rig.usage()
        assert usage["total_requests"] == len(usage["recent_requests"]) == 7
        assert store._unsaved == []


KILLED = """
import sys, itertools
from pathlib import Path
sys.path.insert(0, {root!r})
from server.files import write_private
folder = Path({folder!r})
print("ready", flush=True)
for number in itertools.count():
    write_private(folder / "google_token.json", '{{"number": ' + str(number) + ', "rest": "'
        + "x" * 20_000 + '"}}')
"""


def killed(script: str, made: Path, after_s: float) -> None:
    """Run a script that prints once it is busy, and kill it in the middle of its work."""
    started = subprocess.Popen([sys.executable, "-c", script], stdout=subprocess.PIPE, cwd=ROOT)
    assert started.stdout is not None
    started.stdout.readline()
    while not made.exists():
        assert started.poll() is None
        time.sleep(0.01)
    time.sleep(after_s)
    started.send_signal(signal.SIGKILL)
    started.wait()
    started.stdout.close()


@pytest.mark.skipif(sys.platform == "win32", reason="there is no SIGKILL")
def test_kill_9_while_a_secret_is_written_leaves_a_whole_file(tmp_path: Path) -> None:
    for round_ in range(3):
        script, token = KILLED.format(root=str(ROOT), folder=str(tmp_path)), "google_token.json"
        killed(script, tmp_path / token, 0.1 + 0.05 * round_)
        assert json.loads((tmp_path / token).read_text())["number"] >= 0
        assert (tmp_path / token).stat().st_mode & 0o077 == 0


RECORDING = """
import sys, itertools
from pathlib import Path
sys.path.insert(0, {root!r})
from server.core.request_record import Exchange
from server.gemini.signatures import StoredSignature
from server.storage.metrics import Metrics
from server.storage.signatures import SignatureStore
from server.storage.usage import UsageLog
folder = Path({folder!r})
usage, kept = UsageLog(folder, Metrics()), SignatureStore(folder)
for number in itertools.count():
    usage.record(Exchange(id=str(number), dialect="d", operation="generate", client="c").entry())
    kept.keep_call(f"call-{{number}}", StoredSignature("gemini-3", "signature", None))
    if number % 20 == 0:
        usage._store.flush()
        kept._store.flush()
        print(number + 1, flush=True)
"""


@pytest.mark.skipif(sys.platform == "win32", reason="there is no SIGKILL")
def test_kill_9_loses_no_committed_row(tmp_path: Path) -> None:
    script = RECORDING.format(root=str(ROOT), folder=str(tmp_path))
    started = subprocess.Popen([sys.executable, "-c", script], stdout=subprocess.PIPE, cwd=ROOT)
    assert started.stdout is not None
    told = 0
    while told < 200:
        told = int(started.stdout.readline())
    started.send_signal(signal.SIGKILL)
    started.wait()
    started.stdout.close()
    usage, kept = UsageLog(tmp_path, Metrics()), SignatureStore(tmp_path)
    try:
        entries = usage._store.read("SELECT count(*) FROM entries")[0][0]
        assert usage._summary()["total_requests"] == entries >= told
        assert kept.call("call-1") == StoredSignature("gemini-3", "signature", None)
    finally:
        usage.close()
        kept.close()


def test_a_write_that_fails_halfway_leaves_the_old_file(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fails(_handle: int) -> None:
        raise OSError(28, "No space left on device")

    path = tmp_path / "secret"
    write_private(path, "old")
    monkeypatch.setattr("server.files.os.fsync", fails)
    with pytest.raises(OSError, match="No space"):
        write_private(path, "new")
    assert path.read_text() == "old"
    assert list(tmp_path.iterdir()) == [path]


def test_settings_that_cannot_be_saved_leave_the_old_ones(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    settings_file.save(tmp_path, {"RATE_LIMIT": 2.5})
    before = (tmp_path / "settings.toml").read_text()

    def fails(*_given: object) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr("server.files.os.fsync", fails)
    with pytest.raises(OSError, match="No space"):
        settings_file.save(tmp_path, {"RATE_LIMIT": 3})
    assert (tmp_path / "settings.toml").read_text() == before


async def test_a_renewed_sign_in_is_on_disk_before_it_is_used(tmp_path: Path) -> None:
    async with signed_in(tmp_path) as rig:
        rig.google.oauth.expire_access()
        path, body = request_of("openai", stream=False)
        assert (await rig.http.post(path, json=body)).status_code == 200
        used = rig.google.calls("streamGenerateContent")[0].headers["authorization"]
        saved = parse_token_file((tmp_path / "google_token.json").read_text())
        assert used == f"Bearer {saved.access_token}"


# ── the whole program, really started ────────────────────────────────────────────────────────────


@pytest.mark.parametrize("name", ["usage.sqlite3", "signatures.sqlite3"])
@pytest.mark.parametrize("how", ["overwritten", "torn", "deleted"])
async def test_a_database_that_breaks_while_running_is_replaced(
    tmp_path: Path, name: str, how: str
) -> None:
    file = tmp_path / name
    async with running(tmp_path) as rig:
        await answers_everybody(rig)
        await asyncio.to_thread(rig.gateway.usage._store.flush)
        journal = file.with_name(f"{name}-wal")
        if how == "overwritten":
            file.write_bytes(os.urandom(50_000))
            journal.write_bytes(os.urandom(50_000))
        elif how == "torn":
            file.write_bytes(file.read_bytes()[:5000] + os.urandom(9_000))
            journal.write_bytes(b"")
        else:
            file.unlink()
        for _ in range(2):
            for dialect in ENDS:
                assert (await ask(rig, dialect, stream=True)).status_code == 200
            assert (await rig.http.get("/usage")).status_code == 200
        before = (await rig.usage())["total_requests"]
        await ask(rig, "openai")
        assert (await rig.usage())["total_requests"] == before + 1
    async with running(tmp_path) as rig:
        assert (await rig.usage())["total_requests"] == before + 1


def answering(port: int, ended: Callable[[], object] = lambda: None) -> None:
    """Return once the server answers."""
    end = time.monotonic() + HANGS_S
    while time.monotonic() < end and ended() is None:
        with contextlib.suppress(httpx.HTTPError):
            if httpx.get(f"http://127.0.0.1:{port}/health", timeout=HANGS_S).status_code == 200:
                return
        time.sleep(0.05)
    pytest.fail("the server did not start")


def chat(port: int) -> int:
    path, body = request_of("openai", stream=False)
    return httpx.post(f"http://127.0.0.1:{port}{path}", json=body, timeout=HANGS_S).status_code


def total(port: int) -> int:
    answer = httpx.get(f"http://127.0.0.1:{port}/usage", timeout=HANGS_S)
    return int(answer.json()["total_requests"])


def works(*command: str) -> bool:
    """Whether this machine lets us."""
    if shutil.which(command[0]) is None:
        return False
    return subprocess.run(command, check=False, capture_output=True).returncode == 0


OWN_DISK = ("unshare", "--user", "--map-root-user", "--mount")
POWERLESS = ("setpriv", "--bounding-set=-all", "--inh-caps=-all")
FULL = """
set -e; mount -t tmpfs -o size=900k tmpfs "$1"
"$2" main.py --headless --upstream demo --host 127.0.0.1 --port "$3" --data-dir "$1" & pid=$!
read -r _; cat /dev/zero > "$1/fill" 2>/dev/null || true; echo full
read -r _; rm "$1/fill"; echo room
read -r _; kill -TERM $pid; wait $pid; cp "$1"/usage.sqlite3* "$4"; echo kept
"""


@pytest.mark.skipif(sys.platform != "linux", reason="a disk of its own takes Linux")
def test_a_real_read_only_folder_and_a_really_full_disk(tmp_path: Path) -> None:
    locked, disk, kept = tmp_path / "locked", tmp_path / "disk", tmp_path / "kept"
    for folder in (locked, disk, kept):
        folder.mkdir()
    locked.chmod(0o500)
    if os.geteuid() != 0 or works(*POWERLESS, "true"):
        serves_from_memory(locked, POWERLESS if os.geteuid() == 0 else ())
    if works(*OWN_DISK, "sh", "-c", f"mount -t tmpfs tmpfs {disk}"):
        serves_on_a_full_disk(disk, kept)


def serves_from_memory(folder: Path, powerless: tuple[str, ...]) -> None:
    port = free_port()
    options = ("--headless", "--upstream", "demo", "--host", "127.0.0.1", "--port", str(port))
    command = [*powerless, sys.executable, "main.py", *options, "--data-dir", str(folder)]
    started = subprocess.Popen(command, cwd=ROOT, stderr=subprocess.PIPE, text=True)
    try:
        answering(port, started.poll)
        assert [chat(port) for _ in range(3)] == [200] * 3
        assert total(port) == 3
    finally:
        started.terminate()
        _, told = started.communicate(timeout=HANGS_S)
    assert started.returncode == 0
    assert "nothing will be saved" in told
    assert "Traceback" not in told
    assert list(folder.iterdir()) == []


def serves_on_a_full_disk(disk: Path, kept: Path) -> None:
    port = free_port()
    arguments = ("sh", "-c", FULL, "sh", str(disk), sys.executable, str(port), str(kept))
    started = subprocess.Popen(
        [*OWN_DISK, *arguments],
        cwd=ROOT,
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
    )
    assert started.stdin is not None
    assert started.stdout is not None
    told = ""

    def go_on(until_said: str) -> None:
        nonlocal told
        started.stdin.write("\n")  # type: ignore[union-attr]
        started.stdin.flush()  # type: ignore[union-attr]
        for line in started.stdout:  # type: ignore[union-attr]
            told += line
            if line.strip() == until_said:
                return
        pytest.fail(told)

    try:
        answering(port, started.poll)
        assert chat(port) == 200
        go_on("full")
        assert [chat(port) for _ in range(40)] == [200] * 40
        assert total(port) == 41
        go_on("room")
        assert chat(port) == 200
        assert total(port) == 42
        go_on("kept")
    finally:
        started.kill()
        started.wait()
        started.stdin.close()
        started.stdout.close()
    assert "Traceback" not in told
    with contextlib.closing(sqlite3.connect(kept / "usage.sqlite3")) as saved:
        assert saved.execute("SELECT count(*) FROM entries").fetchone()[0] == 42


@pytest.mark.skipif(sys.platform == "win32", reason="there is no SIGKILL")
async def test_kill_9_of_a_busy_server_again_and_again(tmp_path: Path) -> None:
    """Rows, renewed sign-ins, settings, signatures and kept answers are all being written."""
    google = FakeGoogle()
    called = Answer(parts=[call("get_weather", {"city": "Oslo"})], signed=True)
    google.answers.extend([called] * 5000)
    async with serve(google) as base:
        (tmp_path / "google_token.json").write_text(json.dumps(google.oauth.credentials(base)))
        (tmp_path / "client.json").write_text(json.dumps(google.oauth.client_config(base)))
        told = 0
        for round_ in range(3):
            told = await busy_until_killed(tmp_path, base, google, told, 0.8 + 0.3 * round_)
            for database in tmp_path.glob("*.sqlite3"):
                with contextlib.closing(sqlite3.connect(database)) as file:
                    assert file.execute("PRAGMA integrity_check").fetchone()[0] == "ok"
            parse_token_file((tmp_path / "google_token.json").read_text())
            assert "WAIT_MODE" in tomllib.loads((tmp_path / "settings.toml").read_text())
        for name, table in (("signatures", "signatures"), ("responses", "answers")):
            with contextlib.closing(sqlite3.connect(tmp_path / f"{name}.sqlite3")) as file:
                assert file.execute(f"SELECT count(*) FROM {table}").fetchone()[0] > 0  # noqa: S608
        usage = UsageLog(tmp_path, Metrics())
        assert usage._summary()["total_requests"] >= told > 0
        usage.close()
        assert len(google.calls("token")) > 3
        assert list(tmp_path.glob("*.corrupt-*")) == []


async def busy_until_killed(
    folder: Path, base: str, google: FakeGoogle, told: int, busy_s: float
) -> int:
    """Start the server, use it from all sides, kill it. Returns the rows it has told of."""
    port = free_port()
    given = {
        **os.environ,
        "GOOGLE_OAUTH_CLIENT_FILE": str(folder / "client.json"),
        "CODE_ASSIST_ENDPOINT": base,
        "RESPONSE_STORE": "disk",
    }
    options = ("--headless", "--upstream", "code-assist", "--host", "127.0.0.1")
    place = ("--port", str(port), "--data-dir", str(folder))
    command = [sys.executable, "main.py", *options, *place]
    started = await asyncio.to_thread(
        subprocess.Popen, command, cwd=ROOT, env=given, stdout=subprocess.DEVNULL
    )
    try:
        await asyncio.to_thread(answering, port, started.poll)
        async with httpx.AsyncClient(base_url=f"http://127.0.0.1:{port}", timeout=HANGS_S) as http:
            page = (await http.get("/settings")).text
            token = re.findall(r'name="token" value="([^"]+)"', page)[0]
            known = (await http.get("/usage")).json()["total_requests"]
            assert known >= told
            busy = [asyncio.create_task(keep_asking(http)) for _ in range(4)]
            busy.append(asyncio.create_task(keep_changing(http, token, google)))
            renewed, end = len(google.calls("token")), math.inf
            while time.monotonic() < end:
                known = (await http.get("/usage")).json()["total_requests"]
                busy_enough = known >= told + 10 and len(google.calls("token")) >= renewed + 2
                if end == math.inf and busy_enough and (folder / "settings.toml").exists():
                    end = time.monotonic() + busy_s
                assert not any(task.done() for task in busy), busy
            started.kill()
            await asyncio.gather(*busy, return_exceptions=True)
    finally:
        started.kill()
        started.wait()
    return int(known)


async def keep_asking(http: httpx.AsyncClient) -> None:
    body = {"model": "gemini-3-pro-preview", "input": "Weather?", "tools": [WEATHER]}
    while True:
        await http.post("/v1/responses", json=body)


async def keep_changing(http: httpx.AsyncClient, token: str, google: FakeGoogle) -> None:
    for number in itertools.count():
        google.oauth.expire_access()
        form = {"token": token, "WAIT_MODE": str(number % 2 == 0).lower(), "RATE_LIMIT": "0"}
        await http.post("/settings", data=form)


WEATHER = {
    "type": "function",
    "name": "get_weather",
    "parameters": {"type": "object", "properties": {"city": {"type": "string"}}},
}
