"""The window: a process of its own, and the only importer of pywebview.

It gets the address to show from the tray through the control channel (environment variable
``GEMINI_PROXY_WINDOW``), and ends with it: when the tray goes, so does the window.
"""

import os
import sys
import threading
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from tray.instance import Message, Peer, connect

CHANNEL = "GEMINI_PROXY_WINDOW"
NO_WINDOW = 4
"""Exit code: no web view here; the tray then opens the default browser."""

SIZE = (1120, 780)
SMALLEST = (380, 480)


def run(storage: Path, environ: Mapping[str, str] = os.environ) -> int:
    """Show the window until it is closed. For ``main.py --window``."""
    try:
        peer = connect(environ.get(CHANNEL, ""), "window")
    except (OSError, ValueError):
        return NO_WINDOW
    messages = peer.messages()
    first = next(messages, {})
    url = first.get("url")
    if not isinstance(url, str):
        return NO_WINDOW
    try:
        return _show(peer, url, storage)
    except Exception as error:  # noqa: BLE001  # every toolkit has its own way to be missing
        peer.send({"failed": str(error)})
        return NO_WINDOW


def _show(peer: Peer, url: str, storage: Path) -> int:
    import webview  # noqa: PLC0415  # only here, and only in this process

    window = webview.create_window(
        "Gemini API Proxy",
        url,
        width=SIZE[0],
        height=SIZE[1],
        min_size=SMALLEST,
        text_select=True,
    )
    if window is None:
        return NO_WINDOW

    def loaded() -> None:
        peer.send({"loaded": window.get_current_url()})

    window.events.loaded += loaded
    threading.Thread(target=_obey, args=(peer, window), daemon=True).start()
    # Not private: private mode has no localStorage on GTK and wipes the store on macOS.
    webview.start(private_mode=False, storage_path=str(storage))
    if sys.platform == "win32" and webview.renderer == "mshtml":
        return NO_WINDOW
    return 0


def _obey(peer: Peer, window: Any) -> None:
    """Do what the tray says until it goes."""
    for message in peer.messages():
        _do(message, window, peer)
    window.destroy()


def _do(message: Message, window: Any, peer: Peer) -> None:
    match message:
        case {"url": str(url)}:
            window.load_url(url)
        case {"focus": _}:
            window.show()
            window.restore()
            peer.send({"shown": True})
        case {"close": _}:
            window.destroy()
        case {"evaluate": str(script)}:
            # Not evaluate_js: it wraps the script in eval, which our pages forbid.
            peer.send({"answer": window.run_js(script)})
        case _:  # from a newer tray
            pass
