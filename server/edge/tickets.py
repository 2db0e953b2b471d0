"""One-use tickets: how the tray lets its own window in where a key is asked for (contract 5).

The tray makes one in this very process and hands the window an address that holds it. Whoever comes
first with it, within a minute, gets the cookie of somebody who has logged in; after that it is
worthless. Where no window is possible the address goes to the default browser, whose command line
other users of the computer may read: so on Linux only a connection of our own user may use it.
"""

import hmac
import os
import secrets
import sys
import threading
import time
from collections import deque
from collections.abc import Callable
from pathlib import Path

VALID_S = 60.0
MOST = 8

Peer = tuple[str, int]
"""Address and port of whoever has connected."""


class Tickets:
    """Those of one server. Any thread may issue one."""

    def __init__(
        self,
        *,
        now: Callable[[], float] = time.monotonic,
        owner: Callable[[Peer], int | None] | None = None,
    ) -> None:
        """``owner``: the user behind a connection; None where the system does not tell."""
        self._now = now
        self._owner = owner or (owner_of if sys.platform == "linux" else None)
        self._lock = threading.Lock()
        self._issued: deque[tuple[bytes, float]] = deque(maxlen=MOST)

    def issue(self) -> str:
        ticket = secrets.token_urlsafe(32)
        with self._lock:
            self._issued.append((ticket.encode(), self._now() + VALID_S))
        return ticket

    def redeem(self, ticket: str, peer: Peer | None) -> bool:
        """Whether ``ticket`` opens the door, this once."""
        if self._owner is not None and (peer is None or not self._ours(peer)):
            return False
        given, now = ticket.encode("utf-8", "replace"), self._now()
        with self._lock:
            found = [held for held in self._issued if hmac.compare_digest(held[0], given)]
            for held in found:
                self._issued.remove(held)
        return any(now <= until for _, until in found)

    def _ours(self, peer: Peer) -> bool:
        return self._owner is not None and self._owner(peer) == _user()


def _user() -> int:
    if sys.platform == "win32":
        return 0  # nobody is asked for there
    else:  # noqa: RET505  # mypy: code after a platform return is dead
        return os.getuid()


def owner_of(peer: Peer, tables: Path = Path("/proc/net")) -> int | None:
    """The user whose socket on this machine is ``peer``; None when there is no such, or several."""
    port = f":{peer[1]:04X}"
    owners = set()
    for name in ("tcp", "tcp6"):
        try:
            lines = (tables / name).read_text("ascii").splitlines()[1:]
        except OSError:
            continue
        rows = (line.split() for line in lines)
        owners |= {int(row[7]) for row in rows if row[1].endswith(port) and row[3] == "01"}
    return owners.pop() if len(owners) == 1 else None
