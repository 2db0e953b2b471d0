"""Remembering, and taking back only what was ours."""

from pathlib import Path

import pytest

from server.connect.ledger import CannotUndoError, Entry, Ledger, State, sparse, without_ours

BEFORE = b'{\n  "a": 1\n}\n'
AFTER = b'{\n  "a": 1,\n  "ours": {\n    "x": 2\n  }\n}\n'
STATE = State(AFTER, BEFORE, 0o644)
ENTRY = Entry("/x", (STATE,))


def test_a_record_survives_and_goes_when_it_is_empty(tmp_path: Path) -> None:
    ledger = Ledger(tmp_path)
    old, new = State(None, None, None), State(b"\xff", None, None)
    entries = [ENTRY, Entry("/y", (old, new), ("/made",), "/.y.1234")]
    ledger.write("tool", entries)
    assert ledger.read("tool") == entries
    folder = ledger.folder("tool")
    assert {path.read_bytes() for path in folder.glob("*-x")} == {BEFORE, AFTER}
    assert {p.stat().st_mode & 0o777 for p in folder.iterdir()} == {0o600}
    ledger.write("tool", [ENTRY])
    (folder / ".record.json.left").write_text("of a killed run")
    ledger.write("tool", [ENTRY])
    assert len(list(folder.iterdir())) == 3  # the record and two contents
    ledger.write("tool", [])
    assert not ledger.folder("tool").exists()
    assert ledger.read("tool") == []


@pytest.mark.parametrize("damage", ["record", "content", "missing"])
def test_a_damaged_record_is_said_and_never_overwritten(damage: str, tmp_path: Path) -> None:
    ledger = Ledger(tmp_path)
    ledger.write("tool", [ENTRY])
    content = next(ledger.folder("tool").glob("*-x"))
    match damage:
        case "record":
            (ledger.folder("tool") / "record.json").write_text("[{")
        case "content":
            content.write_bytes(b"x")
        case _:
            content.unlink()
    with pytest.raises(CannotUndoError, match=r"record\.json\) cannot be read"):
        ledger.read("tool")


def test_a_file_that_neither_state_says_comes_from_the_one_it_is_like() -> None:
    mine = State(b"a\nb\nc\n", b"a\nb\nc\n", 0o644)
    ours = State(b"a\nb\nx\ny\nz\n", b"a\nb\nc\n", 0o644)
    entry = Entry("/x", (mine, ours))
    assert entry.candidates(ours.now) == [ours]
    assert entry.candidates(mine.now) == [mine]
    assert entry.candidates(b"a\nb\nc\nd\n")[0] == mine
    assert entry.candidates(b"a\nb\nx\ny\n")[0] == ours


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
    assert without_ours(STATE, now) == wanted


def test_a_line_of_ours_that_the_user_rewrote_is_theirs() -> None:
    state = State(b"model = 8\nname = 9\n", b"model = 1\nname = 2\n", None)
    assert without_ours(state, b"model = 5\nname = 9\n") == b"model = 5\nname = 2\n"


def test_a_file_that_was_all_ours_leaves_what_the_user_added() -> None:
    state = State(b"a: 1\nb: 2\n", None, None)
    assert without_ours(state, b"a: 1\nc: 3\nb: 2\n") == b"c: 3\n"


def test_places_made_for_us_count_as_nothing() -> None:
    assert sparse({"a": {}, "b": [{"c": None}], "d": 0}) == {"b": [{}], "d": 0}
