"""The page while the server is stopped: why, and what can be done about it.

The tray serves it itself, on a loopback port of its own and under a secret path, so that the window
and a browser show the same thing. It is there from the first time it is wanted, and waits without
waking up.
"""

import contextlib
import hmac
import secrets
import socket
import threading
from collections.abc import Callable
from html import escape
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import ClassVar
from urllib.parse import parse_qs

from server.host.control import Status
from tray.menu import Action, Item, headline, remedies

POLICY = "default-src 'none'; style-src 'unsafe-inline'; form-action 'self'; base-uri 'none'"
LONGEST_FORM = 1024

_STYLE = """
:root { color-scheme: light dark; font: 16px/1.5 system-ui, sans-serif; }
body { max-width: 36rem; margin: 12vh auto; padding: 0 1.5rem; }
h1 { font-size: 1.4rem; }
button { font: inherit; padding: .55rem .9rem; margin: 0 .5rem .5rem 0; cursor: pointer;
  border: 1px solid; border-radius: .5rem; background: none; color: inherit; }
button:first-of-type { background: #2356d8; border-color: #2356d8; color: #fff; }
button:focus-visible { outline: 3px solid #f5a524; outline-offset: 2px; }
"""


def page(status: Status, *, changing: bool = False) -> str:
    """The stopped server in words, with a button for every remedy. Works without scripts.

    ``changing``: something was asked for just now, so the page looks again.
    """
    trouble = status.trouble
    said = trouble.message if trouble else "No tool can reach Gemini through it until it runs."
    changing = changing or status.phase != "stopped"
    again = '<meta http-equiv="refresh" content="1; url=?">' if changing else ""
    buttons = "".join(
        f'<button name="do" value="{number}">{escape(item.text)}</button>'
        for number, item in enumerate(remedies(status))
    )
    return (
        '<!doctype html><html lang="en"><head><meta charset="utf-8">'
        '<meta name="viewport" content="width=device-width, initial-scale=1">'
        f"{again}<title>{escape(headline(status))}</title><style>{_STYLE}</style></head>"
        f'<body><main><h1>{escape(headline(status))}</h1><p role="status">{escape(said)}</p>'
        f'<form method="post">{buttons}</form></main></body></html>'
    )


class StandIn:
    """Serves that page. ``status`` tells what to show, ``act`` gets what was chosen."""

    def __init__(self, status: Callable[[], Status], act: Callable[[Action], None]) -> None:
        self._status = status
        self._act = act
        self._secret = secrets.token_urlsafe(24)
        self._server: ThreadingHTTPServer | None = None
        self._closed = False

    @property
    def address(self) -> str:
        """Of the page; starts serving it."""
        if self._server is None:
            stand_in = self

            class Bound(_Request):
                of = stand_in

            self._server = ThreadingHTTPServer(("127.0.0.1", 0), Bound)
            threading.Thread(target=self._serve, name="stand-in", daemon=True).start()
        return f"http://127.0.0.1:{self._server.server_port}{self.path}"

    @property
    def path(self) -> str:
        return f"/{self._secret}/"

    def content(self) -> tuple[str, str]:
        """The page, or where to go instead: (html, "") or ("", address)."""
        status = self._status()
        return ("", status.base_url + "/") if status.phase == "running" else (page(status), "")

    def choose(self, number: str) -> str:
        """A button was pressed; the page to go on with. What is no longer offered does nothing."""
        offered: list[Item] = list(remedies(self._status()))
        if number.isdecimal() and int(number) < len(offered):
            action = offered[int(number)].action
            if action is not None:
                self._act(action)
        return page(self._status(), changing=True)

    def close(self) -> None:
        if self._server is None:
            return
        self._closed = True
        with contextlib.suppress(OSError):  # a connection, so that the waiting thread looks up
            socket.create_connection(("127.0.0.1", self._server.server_port), 1).close()

    def _serve(self) -> None:
        server = self._server
        assert server is not None  # noqa: S101  # started by ``address``
        with server:
            while not self._closed:
                server.handle_request()  # unlike serve_forever, without a timer


class _Request(BaseHTTPRequestHandler):
    """One request for the page; anything but its secret path is told nothing."""

    of: ClassVar[StandIn]
    timeout = 5.0
    server_version = "stand-in"
    sys_version = ""

    def do_GET(self) -> None:
        if not self._is_ours():
            return
        html, address = self.of.content()
        if address:
            self._answer(303, location=address)
        else:
            self._answer(200, html.encode())

    def do_POST(self) -> None:
        if not self._is_ours():
            return
        length = self.headers.get("content-length", "")
        if not length.isdecimal() or int(length) > LONGEST_FORM:
            self._answer(400)
            return
        form = parse_qs(self.rfile.read(int(length)).decode("utf-8", "replace"))
        self._answer(200, self.of.choose(form.get("do", [""])[0]).encode())

    def log_message(self, *_: object) -> None:
        """Nothing: the path is a secret."""

    def _is_ours(self) -> bool:
        asked = self.path.partition("?")[0]
        ours = hmac.compare_digest(asked.encode(), self.of.path.encode())
        if not ours:
            self._answer(404)
        return ours

    def _answer(self, code: int, body: bytes = b"", *, location: str | None = None) -> None:
        self.send_response(code)
        if location is not None:
            self.send_header("Location", location)
        self.send_header("Content-Type", "text/html; charset=utf-8")
        self.send_header("Content-Length", str(len(body)))
        self.send_header("Content-Security-Policy", POLICY)
        self.send_header("X-Frame-Options", "DENY")
        self.send_header("Cache-Control", "no-store")
        self.send_header("Referrer-Policy", "no-referrer")
        self.end_headers()
        self.wfile.write(body)
