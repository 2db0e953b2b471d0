"""What tells a dead page on Windows and macOS, through stand-ins; Linux: ``tests/desktop``."""

import sys
from types import ModuleType, SimpleNamespace
from typing import Any

import pytest

from tests.tray.platforms import module_on


class Event:
    """An event of .NET: handlers are added with ``+=``."""

    def __init__(self) -> None:
        self.handlers: list[Any] = []

    def __iadd__(self, handler: Any) -> "Event":
        self.handlers.append(handler)
        return self


@pytest.mark.parametrize(("kind", "deaths"), [(0, 1), (1, 1), (2, 0), (6, 0)])
def test_webview2_tells_when_its_pages_process_has_gone(
    monkeypatch: pytest.MonkeyPatch, kind: int, deaths: int
) -> None:
    readied: list[object] = []

    class EdgeChrome:
        def on_webview_ready(self, sender: Any, _told: Any) -> None:
            readied.append(sender)

    stand_in = ModuleType("webview.platforms.edgechromium")
    stand_in.EdgeChrome = EdgeChrome  # type: ignore[attr-defined]
    monkeypatch.setitem(sys.modules, "webview.platforms.edgechromium", stand_in)
    died: list[bool] = []
    module = module_on(monkeypatch, "win32", "tray.deaths")
    module.watch(None, lambda: died.append(True))
    sender = SimpleNamespace(CoreWebView2=SimpleNamespace(ProcessFailed=Event()))
    EdgeChrome().on_webview_ready(sender, SimpleNamespace(IsSuccess=False))
    EdgeChrome().on_webview_ready(sender, SimpleNamespace(IsSuccess=True))
    assert readied == [sender, sender]
    (handler,) = sender.CoreWebView2.ProcessFailed.handlers
    handler(sender, SimpleNamespace(ProcessFailedKind=kind))
    assert len(died) == deaths


def test_webkit_on_macos_asks_the_delegate_that_pywebview_has(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    class Delegate:
        pass

    def add(kind: type, methods: list[Any]) -> None:
        for method in methods:
            setattr(kind, method.__name__, method)

    cocoa = ModuleType("webview.platforms.cocoa")
    cocoa.BrowserView = SimpleNamespace(BrowserDelegate=Delegate)  # type: ignore[attr-defined]
    monkeypatch.setitem(sys.modules, "webview.platforms.cocoa", cocoa)
    objc = SimpleNamespace(classAddMethods=add)
    died: list[bool] = []
    module = module_on(monkeypatch, "darwin", "tray.deaths", objc=objc)
    module.watch(None, lambda: died.append(True))
    Delegate().webViewWebContentProcessDidTerminate_(None)  # type: ignore[attr-defined]
    assert died == [True]
