"""The signature store: bounded, private, and still there after a restart."""

import stat
from pathlib import Path

import pytest

from server.gemini.signatures import StoredSignature
from server.limits import TOOL_ID_CHARS
from server.storage import signatures as signature_store
from server.storage.signatures import KEPT_S, SignatureStore

ONE = StoredSignature("gemini-3-pro-preview", "c2ln", "up1")


def test_a_signature_is_found_at_once_and_after_a_restart(tmp_path: Path) -> None:
    store = SignatureStore(tmp_path)
    store.keep_call("call_1", ONE)
    store.keep_text("digest", ONE)
    assert store.call("call_1") == ONE
    store.close()
    again = SignatureStore(tmp_path)
    assert again.call("call_1") == ONE
    assert again.text("digest") == ONE
    assert again.call("digest") is None
    assert again.call("call_2") is None
    again.close()


def test_what_another_server_in_the_same_folder_kept_is_found(tmp_path: Path) -> None:
    first, second = SignatureStore(tmp_path), SignatureStore(tmp_path)
    first.keep_call("call_1", ONE)
    first._store.flush()
    assert second.call("call_1") == ONE
    first.close()
    second.close()


def test_after_a_week_it_is_gone(tmp_path: Path) -> None:
    now = [1000.0]
    store = SignatureStore(tmp_path, now=lambda: now[0])
    store.keep_call("call_1", ONE)
    store.close()
    now[0] += KEPT_S + 1
    later = SignatureStore(tmp_path, now=lambda: now[0])
    assert later.call("call_1") is None
    later.close()


def test_the_oldest_make_room(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(signature_store, "SIGNATURES", 5)
    monkeypatch.setattr(signature_store, "_TRIM_EVERY", 10)
    monkeypatch.setattr(signature_store, "SIGNATURES_IN_MEMORY", 3)
    now = [0.0]

    def tick() -> float:
        now[0] += 1
        return now[0]

    store = SignatureStore(tmp_path, now=tick)
    for number in range(10):
        store.keep_call(f"call_{number}", ONE)
    store._store.flush()
    assert store.call("call_0") is None
    assert store.call("call_9") == ONE
    assert len(store._recent) <= 3
    store.close()


def test_wiping_forgets_everything_and_the_file_is_private(tmp_path: Path) -> None:
    store = SignatureStore(tmp_path)
    store.keep_call("call_1", ONE)
    store.wipe()
    assert store.call("call_1") is None
    store.close()
    assert stat.S_IMODE((tmp_path / "signatures.sqlite3").stat().st_mode) == 0o600


def test_what_is_kept_is_bounded_in_bytes(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(signature_store, "SIGNATURES_IN_MEMORY_BYTES", 10_000)
    monkeypatch.setattr(signature_store, "SIGNATURES_BYTES", 20_000)
    monkeypatch.setattr(signature_store, "_TRIM_EVERY", 10)
    now = [0.0]

    def tick() -> float:
        now[0] += 1
        return now[0]

    store = SignatureStore(tmp_path, now=tick)
    large = StoredSignature("gemini-3-pro-preview", "c" * 3000, None)
    for number in range(20):
        store.keep_call(f"call_{number}", large)
    assert store.call("call_19") == large
    assert sum(len(found.signature or "") for found in store._recent.values() if found) <= 10_000
    store._store.flush()
    kept = store._store.read("SELECT sum(length(signature)) FROM signatures")[0][0]
    assert kept <= 20_000
    store.close()


def test_an_id_of_megabytes_is_neither_kept_nor_looked_for(tmp_path: Path) -> None:
    store = SignatureStore(tmp_path)
    long = "call_" + "x" * TOOL_ID_CHARS
    store.keep_call(long, ONE)
    assert store.call(long) is None
    assert not store._recent
    store.close()
