"""Reading and replacing files: links, marks, line endings and rights stay as they are."""

import os
import stat
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from server.connect.edits import CannotEditError
from server.connect.files import (
    ChangedMeanwhileError,
    Snapshot,
    changes,
    difference,
    look,
    prepare,
    with_text,
)
from server.connect.ledger import Entry, Ledger, State


def rights(path: Path) -> int:
    return stat.S_IMODE(path.stat().st_mode)


@pytest.mark.parametrize(
    ("raw", "text", "wanted"),
    [
        (b"a\r\nb\r\n", "a\nnew\nb\n", b"a\r\nnew\r\nb\r\n"),
        (b"a\nb", "a\nb\nnew\n", b"a\nb\nnew\n"),
        (b"\xef\xbb\xbfa\n", "a\nnew\n", b"\xef\xbb\xbfa\nnew\n"),
        (b"one\r\ntwo\nthree\r\n", "one\ntwo\nnew\nthree\n", b"one\r\ntwo\nnew\r\nthree\r\n"),
        (b"a\r\n\r\n", "a\n\n", b"a\r\n\r\n"),
        (b"", "a\n", b"a\n"),
    ],
)
def test_endings_and_mark_stay(raw: bytes, text: str, wanted: bytes) -> None:
    assert with_text(Snapshot(Path("x"), raw), text) == wanted


@given(st.text("ab\r\n\ufeff", max_size=30))
def test_the_same_text_gives_the_same_bytes(text: str) -> None:
    raw = text.encode()
    snapshot = Snapshot(Path("x"), raw)
    assert with_text(snapshot, snapshot.text) == raw


def test_what_is_not_utf8_is_refused() -> None:
    with pytest.raises(CannotEditError, match="UTF-8"):
        _ = Snapshot(Path("x"), b"\xff\xfe").text


def test_a_folder_in_the_place_of_the_file_is_refused(tmp_path: Path) -> None:
    with pytest.raises(CannotEditError, match="not a file"):
        look(tmp_path)


def test_a_symbolic_link_stays_one(tmp_path: Path) -> None:
    real = tmp_path / "dotfiles" / "config"
    real.parent.mkdir()
    real.write_bytes(b"old")
    real.chmod(0o640)
    link = tmp_path / "config"
    link.symlink_to("dotfiles/config")
    prepare(look(link), b"new").carry_out()
    assert link.is_symlink()
    assert real.read_bytes() == b"new"
    assert rights(real) == 0o640
    assert [p.name for p in real.parent.iterdir()] == ["config"]


def test_a_new_file_is_private_and_its_folders_are_told(tmp_path: Path) -> None:
    path = tmp_path / "a" / "b" / "config"
    writing = prepare(look(path), b"x")
    assert writing.folders == (tmp_path / "a", tmp_path / "a" / "b")
    writing.carry_out()
    assert rights(path) == 0o600
    assert rights(path.parent) == 0o700


@pytest.mark.skipif(not hasattr(os, "geteuid") or os.geteuid() != 0, reason="only root can give")
def test_what_root_makes_in_a_users_home_belongs_to_that_user(tmp_path: Path) -> None:
    home = tmp_path / "home"
    home.mkdir()
    os.chown(home, 12345, 12346)
    prepare(look(home / ".tool" / "sub" / "config"), b"x").carry_out()
    ledger = Ledger(home / "data")
    with ledger.held():
        ledger.write("tool", [Entry("/x", (State(b"a", b"b", None),))])
    made = [path for path in home.rglob("*") if (path.stat().st_uid, path.stat().st_gid)]
    assert {(path.stat().st_uid, path.stat().st_gid) for path in made} == {(12345, 12346)}
    assert len(made) == 10
    prepare(look(home / ".tool" / "sub" / "config"), b"y").carry_out()
    assert (home / ".tool" / "sub" / "config").stat().st_uid == 12345


def test_a_file_that_somebody_else_wrote_meanwhile_is_left_alone(tmp_path: Path) -> None:
    path = tmp_path / "config"
    path.write_bytes(b"old")
    seen = look(path)
    path.write_bytes(b"theirs")
    with pytest.raises(ChangedMeanwhileError, match="changed meanwhile"):
        prepare(seen, b"ours").carry_out()
    assert path.read_bytes() == b"theirs"
    assert list(tmp_path.iterdir()) == [path]


def test_a_folder_that_cannot_be_written_leaves_everything_as_it_was(tmp_path: Path) -> None:
    path = tmp_path / "config" / "file"
    path.parent.write_text("a file where a folder should be")
    with pytest.raises((OSError, CannotEditError)):
        prepare(look(path), b"x").carry_out()
    assert path.parent.read_text() == "a file where a folder should be"


def test_a_diff_names_the_file_and_both_sides() -> None:
    text = difference("~/x", "a\nb\n", "a\nc\n")
    assert text.splitlines()[:2] == ["--- ~/x (now)", "+++ ~/x (then)"]
    assert text.endswith(" a\n-b\n+c")


_lines = st.lists(st.sampled_from(["a", "b", "c", ""]), max_size=12)


@given(_lines, _lines)
def test_what_became_of_lines_leads_from_one_to_the_other(
    before: list[str], after: list[str]
) -> None:
    made: list[str] = []
    seen = 0
    for tag, start, end, other, stop in changes(before, after):
        assert (start, other) == (seen, len(made))
        assert tag != "equal" or before[start:end] == after[other:stop]
        made += before[start:end] if tag == "equal" else after[other:stop]
        seen = end
    assert (seen, made) == (len(before), after)
