"""The process that draws the pages dies without the window: each web view tells it differently.

pywebview shows a blank window then, for ever. ``watch`` must run before the window is made.
"""

import importlib
import sys
from collections.abc import Callable
from typing import Any

RENDERER = 1
"""``CoreWebView2ProcessFailedKind.RenderProcessExited``; 0 is the browser process."""


def watch(window: Any, on_death: Callable[[], None]) -> None:
    """Call ``on_death`` when the pages of ``window`` have lost their process."""
    if sys.platform == "win32":
        _watch_webview2(on_death)
    elif sys.platform == "darwin":
        _watch_webkit(on_death)
    else:
        _watch_gtk(window, on_death)


def _watch_gtk(window: Any, on_death: Callable[[], None]) -> None:
    def connect() -> None:
        from webview.platforms.gtk import BrowserView  # noqa: PLC0415  # the toolkit of here

        view = BrowserView.instances[window.uid].webview
        view.connect("web-process-terminated", lambda _view, _why: on_death())

    window.events.before_show += connect


def _watch_webkit(on_death: Callable[[], None]) -> None:
    """Before the delegate is set: WebKit asks it once what it can take."""
    objc: Any = importlib.import_module("objc")
    from webview.platforms.cocoa import BrowserView  # noqa: PLC0415  # as above

    def webViewWebContentProcessDidTerminate_(_self: Any, _view: Any) -> None:  # noqa: N802
        on_death()

    objc.classAddMethods(BrowserView.BrowserDelegate, [webViewWebContentProcessDidTerminate_])


def _watch_webview2(on_death: Callable[[], None]) -> None:
    """``CoreWebView2`` exists from ``on_webview_ready`` on, and belongs to that thread."""
    chrome: Any = importlib.import_module("webview.platforms.edgechromium").EdgeChrome
    ready = chrome.on_webview_ready

    def failed(_sender: Any, told: Any) -> None:
        if int(told.ProcessFailedKind) <= RENDERER:
            on_death()

    def on_webview_ready(self: Any, sender: Any, told: Any) -> None:
        ready(self, sender, told)
        if told.IsSuccess:
            sender.CoreWebView2.ProcessFailed += failed

    chrome.on_webview_ready = on_webview_ready
