"""Start at login: what is written for each system, and that the state is read back from it."""

import ctypes
import plistlib
import sys
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from server.host.control import Status
from tests.tray.platforms import Registry, module_on
from tray.autostart import Autostart, desktop, is_passing, plist
from tray.menu import Action, menu

ODD = ["/opt/my apps/50% $off/python", "main.py", "--hidden"]


def test_linux_has_a_desktop_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "platform", "linux")
    ours = Autostart(["/usr/bin/app", "--hidden"], home=tmp_path)
    assert ours.enabled() is False
    ours.set(enabled=True)
    text = (tmp_path / ".config/autostart/gemini-api-proxy.desktop").read_text()
    assert "Exec=/usr/bin/app --hidden\n" in text
    assert ours.enabled() is True
    ours.set(enabled=False)
    ours.set(enabled=False)
    assert ours.enabled() is False


@pytest.mark.parametrize("line", ["Hidden=true", "X-GNOME-Autostart-enabled=false"])
def test_what_the_desktops_settings_switched_off_is_off(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, line: str
) -> None:
    monkeypatch.setattr(sys, "platform", "linux")
    ours = Autostart(["app"], home=tmp_path)
    ours.set(enabled=True)
    file = tmp_path / ".config/autostart/gemini-api-proxy.desktop"
    file.write_text(file.read_text() + line + "\n")
    assert ours.enabled() is False
    ours.set(enabled=True)
    assert ours.enabled() is True


def test_xdg_config_home_is_honoured(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "platform", "linux")
    Autostart(["app"], home=tmp_path, config=tmp_path / "xdg").set(enabled=True)
    assert (tmp_path / "xdg/autostart/gemini-api-proxy.desktop").exists()


def test_a_desktop_file_quotes_twice() -> None:
    """The Exec rules, then the escaping of every value in the file."""
    assert 'Exec="/opt/my apps/50%% \\\\$off/python" main.py --hidden\n' in desktop(ODD)


def test_macos_has_a_launch_agent(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "platform", "darwin")
    ours = Autostart(ODD, home=tmp_path)
    ours.set(enabled=True)
    (file,) = (tmp_path / "Library/LaunchAgents").iterdir()
    table = plistlib.loads(file.read_bytes())
    assert table["ProgramArguments"] == ODD
    assert table["RunAtLoad"] is True
    assert "KeepAlive" not in table
    assert ours.enabled() is True


def test_a_program_on_a_disk_image_cannot_start_at_login(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sys, "platform", "darwin")
    assert Autostart(["/Volumes/Proxy/app"], home=tmp_path).enabled() is None
    assert is_passing("/private/var/AppTranslocation/x/app")
    assert plist(["a"]).startswith("<?xml")


def test_windows_has_a_value_of_the_run_key(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    registry = Registry()
    module = module_on(monkeypatch, "win32", "tray.autostart", winreg=registry)
    ours = module.Autostart([r"C:\Program Files\app.exe", "--hidden"], home=tmp_path)
    place = (registry.HKEY_CURRENT_USER, r"Software\Microsoft\Windows\CurrentVersion\Run")
    assert ours.enabled() is False
    ours.set(enabled=False)
    ours.set(enabled=True)
    line = r'"C:\Program Files\app.exe" "--hidden"'
    assert registry.held[place] == {"gemini-api-proxy": line}
    assert ours.enabled() is True
    switch = (1, module.SWITCH_KEY)
    registry.held[switch] = {"gemini-api-proxy": b"\x03" + bytes(11)}  # Task Manager
    assert ours.enabled() is False
    ours.set(enabled=True)
    assert ours.enabled() is True
    registry.held[switch] = {"gemini-api-proxy": b"\x02" + bytes(11)}
    assert ours.enabled() is True
    del registry.held[place]["gemini-api-proxy"]  # the user, in Windows' own settings
    assert ours.enabled() is False
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("platform", ["linux", "darwin"])
def test_a_program_that_has_gone_is_seen(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, platform: str
) -> None:
    monkeypatch.setattr(sys, "platform", platform)
    script = tmp_path / "my apps 50% $off" / "main.py"
    script.parent.mkdir()
    script.touch()
    ours = Autostart([sys.executable, str(script), "--data-dir", "/nowhere"], home=tmp_path)
    assert ours.broken() is False  # it is off
    ours.set(enabled=True)
    assert ours.broken() is False
    script.unlink()
    assert (ours.enabled(), ours.broken()) == (True, True)
    (item,) = (i for i in menu(Status(), autostart=True, vanished=True) if i and "login" in i.text)
    assert "broken" in item.text
    assert (item.checked, item.action) == (False, Action("autostart", value=True))


def test_windows_gets_a_line_that_its_run_key_takes(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    registry = Registry()
    short: dict[str, str] = {}

    def name(word: str, room: Any, _size: int) -> int:
        room.value = short.get(word, "")
        return len(room.value)

    windll = SimpleNamespace(kernel32=SimpleNamespace(GetShortPathNameW=name))
    monkeypatch.setattr(ctypes, "windll", windll, raising=False)
    module = module_on(monkeypatch, "win32", "tray.autostart", winreg=registry)
    program = "C:\\" + "long folder\\" * 25 + "pythonw.exe"
    ours = module.Autostart([program, "--hidden"], home=tmp_path)
    with pytest.raises(OSError, match="259"):
        ours.set(enabled=True)
    short[program] = "C:\\LONGFO~1\\pythonw.exe"
    ours.set(enabled=True)
    assert module.registry_value() == '"C:\\LONGFO~1\\pythonw.exe" "--hidden"'
    assert ours.broken() is True  # there is no such file here
