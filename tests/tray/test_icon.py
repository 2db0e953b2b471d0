"""The icon on systems that are not here: what is asked of them, through stand-ins."""

import ctypes
import sys
from types import SimpleNamespace
from typing import Any

import pytest

from tests.tray.platforms import Registry, module_on
from tray.icon import Icon
from tray.menu import Action, Item, Notice

THEMES = r"Software\Microsoft\Windows\CurrentVersion\Themes\Personalize"
PROBLEM = Notice("T" * 80, "M" * 400)


class Stub:
    """``pystray.Icon``: notes what it is given."""

    HAS_MENU = True

    def __init__(self, name: str, icon: Any, title: str) -> None:
        self.name, self.icon, self.title, self.menu = name, icon, title, None
        self.notes: list[tuple[str, str]] = []

    def notify(self, message: str, title: str) -> None:
        self.notes.append((message, title))


class StubMenu(tuple[Any, ...]):
    """``pystray.Menu``."""

    SEPARATOR = "-"

    def __new__(cls, *items: Any) -> "StubMenu":
        return super().__new__(cls, items)


def stub_of_pystray() -> Any:
    def item(text: str, action: Any, **more: Any) -> Any:
        return SimpleNamespace(text=text, action=action, **more)

    return SimpleNamespace(Icon=Stub, Menu=StubMenu, MenuItem=item)


@pytest.mark.parametrize(("value", "theme"), [(1, "light"), (0, "dark"), (None, "any")])
def test_windows_tells_the_colour_of_its_task_bar(
    monkeypatch: pytest.MonkeyPatch, value: int | None, theme: str
) -> None:
    registry = Registry()
    if value is not None:
        registry.held[registry.HKEY_CURRENT_USER, THEMES] = {"SystemUsesLightTheme": value}
    icon = module_on(monkeypatch, "win32", "tray.icon", winreg=registry)
    assert icon.theme() == theme


def test_windows_redraws_the_icon_at_every_change_for_the_theme_may_have_changed(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    registry = Registry()
    values = registry.held[registry.HKEY_CURRENT_USER, THEMES] = {"SystemUsesLightTheme": 1}
    module = module_on(monkeypatch, "win32", "tray.icon", winreg=registry)
    shown = module.Icon(stub_of_pystray(), lambda _: None)
    shown.show("running", "tip", ())
    light = shown._icon.icon.tobytes()
    values["SystemUsesLightTheme"] = 0
    shown.show("running", "tip", ())
    assert shown._icon.icon.tobytes() != light


def test_windows_names_itself_and_sees_every_pixel_before_the_tray_is_made(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    calls: list[str] = []
    user = SimpleNamespace(
        SetProcessDpiAwarenessContext=lambda context: calls.append(f"dpi {context.value}")
    )
    monkeypatch.setattr(
        ctypes, "windll", SimpleNamespace(shell32=SimpleNamespace(), user32=user), raising=False
    )
    module = module_on(monkeypatch, "win32", "tray.icon", pystray=stub_of_pystray())
    assert module.load() is sys.modules["pystray"]
    assert calls == [f"dpi {ctypes.c_void_p(-4).value}"]  # although the shell lacked its function


def test_texts_are_cut_to_what_windows_takes_and_always_have_a_title() -> None:
    shown = Icon(stub_of_pystray(), lambda _: None)
    shown.notify(PROBLEM)
    ((message, title),) = shown._icon.notes
    assert (len(message), len(title)) == (255, 63)


def test_a_desktop_that_cannot_notify_does_no_harm() -> None:
    shown = Icon(stub_of_pystray(), lambda _: None)
    shown._icon.notify = lambda *_: 1 / 0
    shown.notify(PROBLEM)


def test_a_chosen_item_is_its_action() -> None:
    chosen: list[Action] = []
    shown = Icon(stub_of_pystray(), chosen.append)
    inner = Item("Inner", Action("quit"), checked=True, radio=True)
    shown.show("stopped", "tip", (Item("Outer", children=(inner,)), None, Item("Told")))
    outer, separator, told = shown._icon.menu
    assert separator == "-"
    outer.action[0].action(None, None)
    told.action(None, None)
    assert chosen == [Action("quit")]
    assert outer.action[0].checked(None) is True
