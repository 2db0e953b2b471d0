"""What is saved stays saved: full disks, read-only folders, damaged files, and kill -9."""

import asyncio
import json
import os
import signal
import sqlite3
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import pytest

from server import settings as settings_file
from server.files import write_private
from server.gemini.signatures import StoredSignature
from server.metrics import Metrics
from server.signature_store import SignatureStore
from server.token_files import parse_token_file
from server.usage import UsageLog
from tests.faults import ENDS, ask, last_entry, request_of, signed_in
from tests.rig import Rig, running

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
        command, check=False, cwd=ROOT, capture_output=True, text=True, timeout=30
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


def killed(script: str, after_s: float = 0.4) -> None:
    """Run a script that prints once it is busy, and kill it in the middle of its work."""
    started = subprocess.Popen([sys.executable, "-c", script], stdout=subprocess.PIPE, cwd=ROOT)
    assert started.stdout is not None
    started.stdout.readline()
    time.sleep(after_s)
    started.send_signal(signal.SIGKILL)
    started.wait()
    started.stdout.close()


@pytest.mark.skipif(sys.platform == "win32", reason="there is no SIGKILL")
def test_kill_9_while_a_secret_is_written_leaves_a_whole_file(tmp_path: Path) -> None:
    for round_ in range(3):
        killed(KILLED.format(root=str(ROOT), folder=str(tmp_path)), 0.1 + 0.05 * round_)
        content = json.loads((tmp_path / "google_token.json").read_text())
        assert content["number"] >= 0
        assert (tmp_path / "google_token.json").stat().st_mode & 0o077 == 0


RECORDING = """
import sys, itertools
from pathlib import Path
sys.path.insert(0, {root!r})
from server.exchange import Exchange
from server.gemini.signatures import StoredSignature
from server.metrics import Metrics
from server.signature_store import SignatureStore
from server.usage import UsageLog
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
