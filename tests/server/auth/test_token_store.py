"""Which sign-in counts when several files, programs and processes have a say."""

import json
import os
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from server.auth import token_store
from server.auth.oauth_client import make_client
from server.auth.token_files import Credential, render_token_file
from server.auth.token_store import TokenStore

Json = dict[str, Any]
CLIENT = make_client({"client_id": "id-1", "client_secret": "shh"})
OURS = Credential(access_token="a-1", refresh_token="r-1", expires_at=5000.0, client=CLIENT)


class Disk:
    """A data folder, another program's folder, and a clock later than every file in them."""

    def __init__(self, root: Path) -> None:
        self.data, self.elsewhere = root / "data", root / "elsewhere"
        self.data.mkdir()
        self.elsewhere.mkdir()
        self.own = self.data / "google_token.json"
        self.cli = self.elsewhere / "oauth_creds.json"
        self.original = self.elsewhere / "opt_token.json"
        self.time = 0.0

    def store(self, token_file: Path | None = None) -> TokenStore:
        return TokenStore(
            token_file or self.own,
            self.data,
            now=lambda: self.time,
            original_file=self.original,
        )

    def cli_file(self, token: str = "a-cli", refresh: str = "r-cli", expires: int = 100) -> None:
        content = {"access_token": token, "refresh_token": refresh, "expiry_date": expires * 1000}
        write(self.cli, json.dumps(content))

    def original_file(self, refresh: str = "r-old") -> None:
        content = {"access_token": "a-old", "refresh_token": refresh, "expires_in": 3599}
        write(self.original, json.dumps(content))


def write(path: Path, text: str) -> None:
    """Write with an mtime of 0, so that no file is "just being written" by the test's clock."""
    path.write_text(text)
    os.utime(path, ns=(0, 0))


@pytest.fixture
def disk(tmp_path: Path) -> Disk:
    return Disk(tmp_path)


def held_by(store: TokenStore) -> str | None:
    assert store.scan()
    return store.held.refresh_token if store.held else None


def test_nothing_there_is_nobody_signed_in(disk: Disk) -> None:
    assert held_by(disk.store()) is None


def test_what_is_written_is_private_and_found_by_the_next_process(disk: Disk) -> None:
    disk.store().write(OURS)
    if os.name == "posix":
        assert disk.own.stat().st_mode & 0o777 == 0o600
    assert held_by(disk.store()) == "r-1"


def test_a_newer_file_of_another_process_is_noticed(disk: Disk) -> None:
    here, there = disk.store(), disk.store()
    here.write(OURS)
    assert held_by(there) == "r-1"
    there.write(replace(OURS, access_token="a-2", refresh_token="r-2"))
    assert held_by(here) == "r-2"
    there.remove()
    assert held_by(here) is None


def test_a_folder_that_cannot_be_written_keeps_the_sign_in_in_memory(disk: Disk) -> None:
    blocked = disk.elsewhere / "file"
    blocked.write_text("not a folder")
    store = disk.store(blocked / "token.json")
    store.write(OURS)
    assert held_by(store) == "r-1"


# ── other programs ──


def test_gemini_clis_file_is_never_written(disk: Disk) -> None:
    disk.cli_file()
    before = disk.cli.read_bytes()
    store = disk.store(disk.cli)
    assert held_by(store) == "r-cli"
    assert store.held is not None
    assert store.is_borrowed(store.held)
    store.write(replace(store.held, access_token="fresh", expires_at=900.0, copied=True))
    again = disk.store(disk.cli)
    again.scan()
    assert again.held is not None
    assert again.held.access_token == "fresh"
    assert disk.cli.read_bytes() == before
    assert json.loads(disk.own.read_text())["token"] == "fresh"


def test_of_gemini_clis_sign_in_and_our_copy_the_fresher_counts(disk: Disk) -> None:
    disk.cli_file("a-cli", expires=100)
    copy = Credential(access_token="a-copy", refresh_token="r-cli", expires_at=200.0, copied=True)
    write(disk.own, render_token_file(copy))
    store = disk.store(disk.cli)
    store.scan()
    assert store.held is not None
    assert store.held.access_token == "a-copy"
    disk.cli_file("a-cli-2", expires=300)
    store.scan()
    assert store.held.access_token == "a-cli-2"


def test_a_new_sign_in_in_gemini_cli_replaces_our_copy(disk: Disk) -> None:
    write(disk.own, render_token_file(replace(OURS, copied=True)))
    disk.cli_file(refresh="r-new")
    assert held_by(disk.store(disk.cli)) == "r-new"


def test_our_own_sign_in_goes_before_gemini_clis(disk: Disk) -> None:
    disk.cli_file()
    store = disk.store(disk.cli)
    store.scan()
    store.write(OURS)
    assert held_by(disk.store(disk.cli)) == "r-1"


def test_a_gemini_cli_file_that_is_not_there_yet_is_not_written_either(disk: Disk) -> None:
    disk.store(disk.cli).write(OURS)
    assert not disk.cli.exists()
    assert disk.own.exists()


def test_the_original_programs_file_is_imported_once(disk: Disk) -> None:
    disk.original_file()
    store = disk.store()
    assert held_by(store) == "r-old"
    assert store.held is not None
    store.write(replace(store.held, format="authorized_user", copied=True))
    disk.original.unlink()
    assert held_by(store) == "r-old"
    disk.original_file()
    store.remove()
    assert held_by(disk.store()) is None


def test_the_original_format_inside_our_folder_is_ours_to_convert(disk: Disk) -> None:
    write(disk.own, '{"access_token": "a", "refresh_token": "r", "expires_in": 3599}')
    store = disk.store()
    assert held_by(store) == "r"
    store.write(OURS)
    assert json.loads(disk.own.read_text())["type"] == "authorized_user"


def test_signing_out_leaves_gemini_clis_file_and_stays_signed_out(disk: Disk) -> None:
    disk.cli_file()
    store = disk.store(disk.cli)
    store.scan()
    store.remove()
    assert disk.cli.exists()
    assert held_by(disk.store(disk.cli)) is None
    disk.cli_file(refresh="r-again")
    assert held_by(store) == "r-again"


# ── what Google ended ──


def test_a_rejected_sign_in_is_kept_aside(disk: Disk) -> None:
    store = disk.store()
    store.write(OURS)
    disk.time = 77.0
    store.reject(OURS)
    assert held_by(store) is None
    assert (disk.data / "google_token.json.rejected-77").exists()


def test_a_rejected_sign_in_of_another_program_is_not_tried_again(disk: Disk) -> None:
    disk.cli_file()
    store = disk.store(disk.cli)
    store.scan()
    assert store.held is not None
    store.reject(store.held)
    assert held_by(store) is None
    assert held_by(disk.store(disk.cli)) is None


def test_rejecting_an_old_sign_in_spares_a_newer_one(disk: Disk) -> None:
    store = disk.store()
    disk.store().write(replace(OURS, refresh_token="r-2"))
    store.reject(OURS)
    assert held_by(store) == "r-2"


# ── broken files ──


def test_a_half_written_file_gets_two_seconds(disk: Disk) -> None:
    text = render_token_file(OURS)
    write(disk.own, text[:40])
    disk.time = 1.0
    store = disk.store()
    assert not store.scan()
    write(disk.own, text)
    assert held_by(store) == "r-1"


def test_while_a_file_is_rewritten_the_old_sign_in_is_kept(disk: Disk) -> None:
    disk.cli_file()
    store = disk.store(disk.cli)
    assert held_by(store) == "r-cli"
    write(disk.cli, "")
    disk.time = 1.0
    assert not store.scan()
    assert store.held is not None


def test_a_broken_file_in_our_folder_is_set_aside(disk: Disk) -> None:
    write(disk.own, "{broken")
    disk.time = 2.0
    store = disk.store()
    assert held_by(store) is None
    assert store.broken
    assert (disk.data / "google_token.json.corrupt-2").read_text() == "{broken"
    assert not disk.own.exists()
    write(disk.own, render_token_file(OURS))
    assert held_by(store) == "r-1"
    assert not store.broken


def test_a_broken_file_elsewhere_is_reported_and_left(
    disk: Disk, caplog: pytest.LogCaptureFixture
) -> None:
    write(disk.cli, "{broken")
    disk.time = 2.0
    store = disk.store(disk.cli)
    assert held_by(store) is None
    assert held_by(store) is None
    assert disk.cli.read_text() == "{broken"
    assert len(caplog.records) == 1
    assert "left as it is" in caplog.text


# ── places that cannot be written, and files that are somebody's ──


def frozen(monkeypatch: pytest.MonkeyPatch) -> None:
    """As on a read-only file system, or with a single mounted file."""

    def refuse(*_: object, **__: object) -> None:
        raise OSError(30, "Read-only file system")

    monkeypatch.setattr(token_store, "write_private", refuse)
    monkeypatch.setattr(Path, "unlink", refuse)
    monkeypatch.setattr(Path, "replace", refuse)


@pytest.mark.parametrize("where", ["own", "mounted"])
def test_where_nothing_can_be_written_an_end_is_remembered(
    disk: Disk, where: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = disk.own if where == "own" else disk.elsewhere / "token.json"
    write(path, render_token_file(OURS))
    store = disk.store(path)
    assert held_by(store) == "r-1"
    frozen(monkeypatch)
    store.reject(OURS)
    assert held_by(store) is None
    os.utime(path, ns=(1, 1))
    assert held_by(store) is None
    anew = replace(OURS, refresh_token="r-2")
    store.write(anew)
    assert held_by(store) == "r-2"
    store.remove()
    assert held_by(store) is None
    assert json.loads(path.read_text())["refresh_token"] == "r-1"


def test_a_file_outside_our_folder_is_never_renamed(disk: Disk) -> None:
    path = disk.elsewhere / "token.json"
    write(path, render_token_file(OURS))
    store = disk.store(path)
    store.scan()
    store.reject(OURS)
    assert held_by(store) is None
    assert held_by(disk.store(path)) is None  # also after a restart
    assert [found.name for found in disk.elsewhere.iterdir()] == ["token.json"]


def test_signing_out_of_what_cannot_be_deleted_lasts(
    disk: Disk, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = disk.elsewhere / "token.json"
    write(path, render_token_file(OURS))
    store = disk.store(path)
    store.scan()
    unlink = Path.unlink

    def busy(self: Path, *, missing_ok: bool = False) -> None:
        if self == path:
            raise OSError(16, "Device or resource busy")
        unlink(self, missing_ok=missing_ok)

    monkeypatch.setattr(Path, "unlink", busy)
    store.remove()
    assert held_by(store) is None
    assert held_by(disk.store(path)) is None
    store.write(OURS)  # the same sign-in, given again
    assert held_by(store) == "r-1"
    assert held_by(disk.store(path)) == "r-1"


@pytest.mark.parametrize("content", ["export PATH=/bin\n", "", "{}", '{"token": 1}'])
@pytest.mark.parametrize("way", ["elsewhere", "dots", "link"])
def test_a_sign_in_never_overwrites_a_file_of_somebodys(disk: Disk, content: str, way: str) -> None:
    theirs = disk.elsewhere / ".bashrc"
    write(theirs, content)
    path = theirs
    if way == "dots":
        path = disk.data / ".." / "elsewhere" / ".bashrc"
    elif way == "link":
        (disk.data / "link").symlink_to(disk.elsewhere)
        path = disk.data / "link" / ".bashrc"
    disk.time = 1000.0
    store = disk.store(path)
    store.scan()
    store.write(OURS)
    assert held_by(store) == "r-1"
    assert held_by(disk.store(path)) == "r-1"
    store.remove()
    assert theirs.read_text() == content
    assert [found.name for found in disk.elsewhere.iterdir()] == [".bashrc"]


def test_a_token_file_outside_that_is_not_there_yet_is_made(disk: Disk) -> None:
    path = disk.elsewhere / "token.json"
    disk.store(path).write(OURS)
    assert held_by(disk.store(path)) == "r-1"
    assert path.exists()
    assert not disk.own.exists()
