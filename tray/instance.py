"""One tray per data folder, and the way to reach it.

The first process holds an OS lock on ``app.lock`` for life (a crash frees it) and writes where it
listens, with a random token, to ``instance.json`` (0600). A later one asks there for the window and
leaves. The window process speaks through the same socket: lines of JSON, the token first.
"""

import contextlib
import hmac
import json
import logging
import os
import secrets
import socket
import sys
import threading
import time
from collections import deque
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import IO, Any

from server.files import write_private
from server.limits import DESK_LINE_BYTES, DESK_SILENT

log = logging.getLogger(__name__)

ANSWER_TIMEOUT_S = 10.0
FIRST_ANSWERS_S = 2.0
"""How long a second launch waits for the first: a moment longer and the user starts a third."""
BREATH_S = 0.2

Message = dict[str, Any]


class Lock:
    """Held by the first process of a data folder."""

    def __init__(self, folder: Path) -> None:
        self._path = folder / "app.lock"
        self._file: IO[bytes] | None = None

    def take(self) -> bool:
        """True when it is ours now; False when another process has it."""
        self._path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        file = self._path.open("a+b")
        try:
            _lock(file)
        except OSError:
            file.close()
            return False
        self._file = file
        return True

    def release(self) -> None:
        if self._file is not None:
            self._file.close()
            self._file = None


if sys.platform == "win32":
    import msvcrt

    def _lock(file: IO[bytes]) -> None:
        file.seek(0)
        msvcrt.locking(file.fileno(), msvcrt.LK_NBLCK, 1)

else:
    import fcntl

    def _lock(file: IO[bytes]) -> None:
        fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)


class Peer:
    """One connection: send a message, read the others'."""

    def __init__(self, connection: socket.socket) -> None:
        self._connection = connection
        self._lines = connection.makefile("rb")
        self._lock = threading.Lock()

    def send(self, message: Message) -> bool:
        """False when the other side has gone."""
        with self._lock:
            try:
                self._connection.sendall(json.dumps(message).encode() + b"\n")
            except OSError:
                return False
        return True

    def messages(self) -> Iterator[Message]:
        """What arrives, until the other side goes or sends what is no message."""
        while True:
            try:
                line = self._lines.readline(DESK_LINE_BYTES)
                message = json.loads(line) if line else None
            except (OSError, ValueError, RecursionError):
                return
            if not isinstance(message, dict):
                return
            yield message

    def close(self) -> None:
        with contextlib.suppress(OSError):
            self._connection.shutdown(socket.SHUT_RDWR)
        self._lines.close()
        self._connection.close()


class Desk:
    """The first process's end: answers *show*, and keeps the window's connection."""

    def __init__(self, folder: Path) -> None:
        self._file = folder / "instance.json"
        self._token = secrets.token_urlsafe(24)
        self._listener = socket.create_server(("127.0.0.1", 0))
        self._port = self._listener.getsockname()[1]
        self._closed = False
        self._silent: deque[socket.socket] = deque()
        """Connections that have not shown the token yet, oldest first."""
        self._counting = threading.Lock()

    @property
    def address(self) -> str:
        """For the window process: ``port:token``."""
        return f"{self._port}:{self._token}"

    def open(self, *, on_show: Callable[[], None], on_window: Callable[[Peer], None]) -> None:
        """Listen, and tell later processes where.

        ``on_window`` runs in the connection's own thread for as long as the window lives.
        """

        def accept() -> None:
            while not self._closed:
                try:
                    connection, _ = self._listener.accept()
                    self._admit(connection)
                    work = (connection, on_show, on_window)
                    threading.Thread(target=self._serve, args=work, daemon=True).start()
                except (OSError, RuntimeError) as error:  # no more files, or threads, right now
                    if not self._closed:
                        log.warning("The window cannot reach the app now: %s", error)
                        time.sleep(BREATH_S)

        threading.Thread(target=accept, name="desk", daemon=True).start()
        where = {"pid": os.getpid(), "port": self._port, "token": self._token}
        write_private(self._file, json.dumps(where))

    def _admit(self, connection: socket.socket) -> None:
        """Let one more wait for its first line; the oldest that say nothing make room for it.

        Ours send theirs at once, so that those are never ours.
        """
        with self._counting:
            self._silent.append(connection)
            self._turn_away(len(self._silent) - DESK_SILENT)

    def _turn_away(self, count: int) -> None:
        for _ in range(count):
            with contextlib.suppress(OSError):
                self._silent.popleft().shutdown(socket.SHUT_RDWR)

    def _has_spoken(self, connection: socket.socket) -> None:
        with self._counting, contextlib.suppress(ValueError):
            self._silent.remove(connection)

    def close(self) -> None:
        self._closed = True
        self._file.unlink(missing_ok=True)
        with contextlib.suppress(OSError):
            self._listener.shutdown(socket.SHUT_RDWR)  # wakes accept(), which close() does not
        self._listener.close()
        with self._counting:
            self._turn_away(len(self._silent))

    def _serve(
        self,
        connection: socket.socket,
        on_show: Callable[[], None],
        on_window: Callable[[Peer], None],
    ) -> None:
        peer = Peer(connection)
        try:
            connection.settimeout(ANSWER_TIMEOUT_S)
            first = next(peer.messages(), {})
            self._has_spoken(connection)
            shown = str(first.get("token", "")).encode("utf-8", "replace")
            if not hmac.compare_digest(shown, self._token.encode()):
                return
            connection.settimeout(None)
            if first.get("ask") == "show":
                peer.send({"ok": True})
                on_show()
            elif first.get("ask") == "window":
                on_window(peer)
        finally:
            self._has_spoken(connection)
            peer.close()


def connect(address: str, ask: str, *, timeout_s: float = ANSWER_TIMEOUT_S) -> Peer:
    """Reach the first process at ``port:token``. Raises ``OSError`` or ``ValueError``."""
    port, _, token = address.partition(":")
    connection = socket.create_connection(("127.0.0.1", int(port)), timeout=timeout_s)
    peer = Peer(connection)
    peer.send({"token": token, "ask": ask})
    if ask == "window":
        connection.settimeout(None)
    return peer


def ask_first(folder: Path, *, patience_s: float = FIRST_ANSWERS_S) -> bool:
    """Ask the process that holds the lock for its window; False when it does not answer.

    It may still be starting, so its file is read again until ``patience_s`` is over. One that
    hangs takes the connection and says nothing.
    """
    until = time.monotonic() + patience_s
    while True:
        try:
            where = json.loads((folder / "instance.json").read_text("utf-8"))
            left = max(0.1, until - time.monotonic())
            peer = connect(f"{where['port']}:{where['token']}", "show", timeout_s=left)
        except (OSError, ValueError, KeyError, TypeError):
            pass
        else:
            answer = next(peer.messages(), {})
            peer.close()
            if answer.get("ok"):
                return True
        if time.monotonic() > until:
            return False
        time.sleep(0.1)
