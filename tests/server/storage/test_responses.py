"""What is kept of answers: bounded, recalled by id or by an item's id, and gone when wiped."""

import stat
from dataclasses import dataclass
from pathlib import Path

import pytest

from server.dialects.base import Record
from server.limits import RESPONSES
from server.storage import responses as response_store
from server.storage.database import Store
from server.storage.responses import KEPT_S, ResponseStore

MODES = ["memory", "disk"]


@dataclass(slots=True)
class Clock:
    at: float = 1_000_000.0

    def __call__(self) -> float:
        return self.at


def record(number: int, text: str = "") -> Record:
    return Record(f"resp_{number}", {"number": number, "text": text}, (f"msg_{number}", "msg_all"))


def numbers(store: ResponseStore, upto: int) -> list[int]:
    return [number for number in range(upto) if store.get(f"resp_{number}") is not None]


@pytest.mark.parametrize("mode", MODES)
def test_a_record_is_found_by_its_id_and_recalled_by_an_item(tmp_path: Path, mode: str) -> None:
    store = ResponseStore(mode, tmp_path)
    store.keep(record(1))
    store.keep(record(2))
    store.keep(None)
    assert store.get("resp_1") == {"number": 1, "text": ""}
    assert store.get("msg_1") is None
    assert store.recall("resp_2") == store.recall("msg_2") == store.recall("msg_all")
    assert store.recall("msg_") is None
    store.close()


def test_what_is_handed_out_is_nobody_elses(tmp_path: Path) -> None:
    store = ResponseStore("memory", tmp_path)
    store.keep(record(1))
    (store.get("resp_1") or {})["number"] = 5
    assert store.get("resp_1") == {"number": 1, "text": ""}


@pytest.mark.parametrize("mode", MODES)
def test_the_oldest_make_room(tmp_path: Path, mode: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(response_store, "RESPONSES_BYTES", 5000)
    clock = Clock()
    store = ResponseStore(mode, tmp_path, now=clock)
    for number in range(RESPONSES + 5):
        clock.at += 1
        store.keep(record(number) if number < RESPONSES else record(number, "x" * 1000))
    kept = numbers(store, RESPONSES + 5)
    assert kept[-4:] == [RESPONSES + 1, RESPONSES + 2, RESPONSES + 3, RESPONSES + 4]
    assert sum(number >= RESPONSES for number in kept) == 4
    store.keep(record(999, "x" * 6000))
    assert store.get("resp_999") is None
    assert numbers(store, RESPONSES + 5) == kept
    store.close()
    again = ResponseStore(mode, tmp_path, now=clock)
    assert numbers(again, RESPONSES + 5) == (kept if mode == "disk" else [])
    again.close()


@pytest.mark.parametrize("mode", MODES)
def test_nothing_is_older_than_an_hour(tmp_path: Path, mode: str) -> None:
    clock = Clock()
    store = ResponseStore(mode, tmp_path, now=clock)
    store.keep(record(1))
    clock.at += KEPT_S + 1
    assert store.get("resp_1") is None
    assert store.recall("msg_1") is None
    store.close()


def test_a_restart_keeps_what_is_on_disk_and_throws_away_what_is_too_old(tmp_path: Path) -> None:
    clock = Clock()
    store = ResponseStore("disk", tmp_path, now=clock)
    store.keep(record(1))
    clock.at += KEPT_S / 2
    store.keep(record(2))
    store.close()
    clock.at += KEPT_S / 2 + 1
    again = ResponseStore("disk", tmp_path, now=clock)
    assert numbers(again, 3) == [2]
    assert again.recall("msg_2") == {"number": 2, "text": ""}
    again.close()
    assert rows(tmp_path) == ["resp_2"]


def rows(data_dir: Path) -> list[str]:
    store = Store(data_dir / "responses.sqlite3", "")
    found = [row["id"] for row in store.read("SELECT id FROM answers")]
    store.close()
    return found


def test_two_servers_share_a_folder(tmp_path: Path) -> None:
    one, other = ResponseStore("disk", tmp_path), ResponseStore("disk", tmp_path)
    one.keep(record(1))
    one.forget("resp_0")
    one.close()
    assert numbers(other, 2) == [1]
    other.close()


@pytest.mark.parametrize("mode", MODES)
def test_one_is_forgotten_and_all_are_wiped(tmp_path: Path, mode: str) -> None:
    store = ResponseStore(mode, tmp_path)
    for number in range(3):
        store.keep(record(number, "a secret of the conversation"))
    assert store.forget("resp_1")
    assert not store.forget("resp_1")
    assert not store.forget("msg_2")
    assert numbers(store, 3) == [0, 2]
    store.wipe()
    assert numbers(store, 3) == []
    left = b"".join(path.read_bytes() for path in tmp_path.iterdir())
    assert b"a secret" not in left
    store.keep(record(4))
    assert numbers(store, 5) == [4]
    store.close()


def test_the_file_is_private(tmp_path: Path) -> None:
    store = ResponseStore("disk", tmp_path)
    store.keep(record(1))
    store.close()
    mode = (tmp_path / "responses.sqlite3").stat().st_mode
    assert stat.S_IMODE(mode) == 0o600


@pytest.mark.parametrize("mode", ["memory", "off"])
def test_without_disk_no_file_is_left(tmp_path: Path, mode: str) -> None:
    before = ResponseStore("disk", tmp_path)
    before.keep(record(1))
    before.close()
    store = ResponseStore(mode, tmp_path)
    assert list(tmp_path.iterdir()) == []
    store.keep(record(2))
    assert numbers(store, 3) == ([2] if mode == "memory" else [])
    store.close()


def test_the_ids_of_a_record_count_as_well(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(response_store, "RESPONSES_BYTES", 5000)
    store = ResponseStore("memory", tmp_path)
    store.keep(Record("resp_1", {}, items=("x" * 6000,)))
    assert store.get("resp_1") is None


@pytest.mark.parametrize("mode", ["memory", "disk"])
def test_only_the_key_that_made_an_answer_reads_and_deletes_it(tmp_path: Path, mode: str) -> None:
    store = ResponseStore(mode, tmp_path)
    store.keep(record(1), "alice")
    stores = [store]
    if mode == "disk":
        store.close()
        stores = [ResponseStore(mode, tmp_path)]
    for kept in stores:
        for other in ("", "bob"):
            assert kept.get("resp_1", other) is None
            assert kept.recall("resp_1", other) is None
            assert kept.recall("msg_1", other) is None
            assert kept.forget("resp_1", other) is False
        assert kept.get("resp_1", "alice") is not None
        assert kept.recall("msg_1", "alice") is not None
        assert kept.forget("resp_1", "alice") is True
        kept.close()
