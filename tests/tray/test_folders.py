"""The data folder goes to the file manager, whatever its name."""

import os
import subprocess
import sys
import time
from pathlib import Path

import pytest

from tests.support import HANGS_S
from tests.tray.platforms import module_on
from tray.folders import open_folder


@pytest.mark.skipif(sys.platform != "linux", reason="not applicable: the desktops of Linux")
def test_linux_asks_its_file_manager(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    taken = tmp_path / "taken"
    program = tmp_path / "xdg-open"
    program.write_text(f'#!/bin/sh\nprintf "%s" "$1" > "{taken}.new"\nmv "{taken}.new" "{taken}"\n')
    program.chmod(0o700)
    monkeypatch.setenv("PATH", f"{tmp_path}{os.pathsep}{os.environ['PATH']}")
    folder = tmp_path / "Дані 100% & «ключі» #1"
    assert open_folder(folder)
    end = time.monotonic() + HANGS_S
    while not taken.exists() and time.monotonic() < end:
        time.sleep(0.01)
    assert taken.read_text("utf-8") == str(folder)


def test_without_one_it_says_so(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))
    monkeypatch.setattr(sys, "platform", "linux")
    assert open_folder(tmp_path) is False


def test_windows_and_macos_have_theirs(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    opened: list[object] = []
    monkeypatch.setattr(os, "startfile", opened.append, raising=False)
    assert module_on(monkeypatch, "win32", "tray.folders").open_folder(tmp_path)
    assert opened == [tmp_path]
    mac = module_on(monkeypatch, "darwin", "tray.folders")
    monkeypatch.setattr(subprocess, "Popen", lambda command, **_: _Done(opened, command))
    assert mac.open_folder(tmp_path)
    assert opened[1] == ["/usr/bin/open", str(tmp_path)]


class _Done:
    def __init__(self, opened: list[object], command: list[str]) -> None:
        opened.append(command)

    def wait(self) -> int:
        return 0
