"""Remembering, and taking back only what was ours."""

from pathlib import Path

import pytest

from server.connect.ledger import Entry, Ledger, sparse, without_ours

BEFORE = b'{\n  "a": 1\n}\n'
AFTER = b'{\n  "a": 1,\n  "ours": {\n    "x": 2\n  }\n}\n'
ENTRY = Entry("/x", BEFORE, 0o644, AFTER)


def test_a_record_survives_and_goes_when_it_is_empty(tmp_path: Path) -> None:
    ledger = Ledger(tmp_path)
    entries = [ENTRY, Entry("/y", None, None, b"\xff", ("/made",))]
    ledger.write("tool", entries)
    assert ledger.read("tool") == entries
    assert (ledger.folder("tool") / "0.before").read_bytes() == BEFORE
    assert {p.stat().st_mode & 0o777 for p in ledger.folder("tool").iterdir()} == {0o600}
    ledger.write("tool", [])
    assert not ledger.folder("tool").exists()
    assert ledger.read("tool") == []


def test_a_damaged_record_counts_as_none(tmp_path: Path) -> None:
    ledger = Ledger(tmp_path)
    ledger.write("tool", [ENTRY])
    (ledger.folder("tool") / "record.json").write_text("[{")
    assert ledger.read("tool") == []


@pytest.mark.parametrize(
    ("now", "wanted"),
    [
        (AFTER, BEFORE),
        (BEFORE, BEFORE),
        (b"// mine\n" + AFTER, b"// mine\n" + BEFORE),
        (AFTER + b"// mine\n", BEFORE + b"// mine\n"),
        (AFTER.replace(b"\n", b"\r\n"), BEFORE.replace(b"\n", b"\r\n")),
        (None, None),
    ],
)
def test_our_lines_go_and_the_others_stay(now: bytes | None, wanted: bytes | None) -> None:
    assert without_ours(ENTRY, now) == wanted


def test_a_line_of_ours_that_the_user_rewrote_is_theirs() -> None:
    entry = Entry("/x", b"model = 1\nname = 2\n", None, b"model = 8\nname = 9\n")
    assert without_ours(entry, b"model = 5\nname = 9\n") == b"model = 5\nname = 2\n"


def test_a_file_that_was_all_ours_leaves_what_the_user_added() -> None:
    entry = Entry("/x", None, None, b"a: 1\nb: 2\n")
    assert without_ours(entry, b"a: 1\nc: 3\nb: 2\n") == b"c: 3\n"


def test_places_made_for_us_count_as_nothing() -> None:
    assert sparse({"a": {}, "b": [{"c": None}], "d": 0}) == {"b": [{}], "d": 0}
