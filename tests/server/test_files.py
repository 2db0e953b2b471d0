"""Files with secrets: private from the first moment, replaced whole or not at all."""

import os
import stat
from pathlib import Path

import pytest

from server.files import write_private


def test_the_file_is_private_and_replaces_the_old_one(tmp_path: Path) -> None:
    path = tmp_path / "deep" / "secret.json"
    write_private(path, "one")
    path.chmod(0o644)
    write_private(path, "two")
    assert path.read_text("utf-8") == "two"
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    assert [entry.name for entry in path.parent.iterdir()] == ["secret.json"]


def test_a_failed_write_leaves_the_old_file_and_no_litter(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / "secret.json"
    write_private(path, "one")

    def full(handle: int) -> None:
        raise OSError(28, "No space left on device", str(handle))

    monkeypatch.setattr(os, "fsync", full)
    with pytest.raises(OSError, match="No space"):
        write_private(path, "two")
    assert path.read_text("utf-8") == "one"
    assert len(list(tmp_path.iterdir())) == 1
