"""The clipboard, program by program; GTK's own is tested on the private desktop."""

import ctypes
import os
import sys
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from tests.tray.platforms import module_on
from tray import clipboard


@pytest.fixture
def without_gtk(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Path:
    monkeypatch.setattr(sys, "platform", "linux")
    monkeypatch.setitem(sys.modules, "gi", None)
    monkeypatch.setenv("PATH", f"{tmp_path}{os.pathsep}/usr/bin{os.pathsep}/bin")
    return tmp_path


@pytest.mark.skipif(sys.platform == "win32", reason="the stand-in is a shell script")
def test_without_gtk_a_program_takes_the_text(without_gtk: Path) -> None:
    program = without_gtk / "wl-copy"
    program.write_text(f'#!/bin/sh\nexec cat > "{without_gtk}/got"\n')
    program.chmod(0o700)
    assert clipboard.copy("http://127.0.0.1:8081/v1")
    assert (without_gtk / "got").read_text() == "http://127.0.0.1:8081/v1"


def test_with_no_way_to_copy_it_says_so(without_gtk: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATH", str(without_gtk))
    assert not clipboard.copy("x")


class Windows:
    """``user32`` and ``kernel32``: one clipboard, held by another program for a while."""

    def __init__(self, busy: int) -> None:
        self.busy = busy
        self.calls: list[str] = []
        self.memory = ctypes.create_string_buffer(1000)
        self.text = ""
        names = ("CreateWindowExW", "OpenClipboard", "EmptyClipboard", "SetClipboardData")
        user = {name: self._function(name) for name in (*names, "CloseClipboard", "DestroyWindow")}
        kernel = {
            name: self._function(name) for name in ("GlobalAlloc", "GlobalLock", "GlobalUnlock")
        }
        self.user32, self.kernel32 = SimpleNamespace(**user), SimpleNamespace(**kernel)

    def _function(self, name: str) -> Any:
        def called(*given: Any) -> Any:
            self.calls.append(name)
            if name == "OpenClipboard" and self.busy:
                self.busy -= 1
                return 0
            if name == "SetClipboardData":
                assert given[0] == 13
                self.text = self.memory.raw.decode("utf-16-le").partition("\0")[0]
            return ctypes.addressof(self.memory) if name == "GlobalLock" else 1

        return called


def test_windows_takes_the_text_when_the_clipboard_is_free(monkeypatch: pytest.MonkeyPatch) -> None:
    windows = Windows(busy=3)
    monkeypatch.setattr(ctypes, "windll", windows, raising=False)
    module = module_on(monkeypatch, "win32", "tray.clipboard")
    assert module.copy("http://127.0.0.1:8081/v1 – é")
    assert windows.text == "http://127.0.0.1:8081/v1 – é"
    assert windows.calls[-2:] == ["CloseClipboard", "DestroyWindow"]


def test_windows_says_when_the_clipboard_stays_held(monkeypatch: pytest.MonkeyPatch) -> None:
    windows = Windows(busy=1000)
    monkeypatch.setattr(ctypes, "windll", windows, raising=False)
    module = module_on(monkeypatch, "win32", "tray.clipboard")
    assert not module.copy("x")
    assert windows.calls[-1] == "DestroyWindow"
    assert "EmptyClipboard" not in windows.calls


def test_macos_uses_its_own_program(monkeypatch: pytest.MonkeyPatch) -> None:
    ran: list[tuple[Any, Any]] = []
    module = module_on(monkeypatch, "darwin", "tray.clipboard")
    monkeypatch.setattr(
        module.subprocess, "run", lambda command, **more: ran.append((command, more["input"]))
    )
    assert module.copy("é")
    assert ran == [(("/usr/bin/pbcopy",), "é".encode())]
