"""Logins: random, with an end, bound to the key that was used; kept in memory only.

Only digests are kept, so that nothing read from memory or a dump opens a page.
"""

import secrets
import time
from collections import OrderedDict
from collections.abc import Callable
from dataclasses import dataclass

from server.edge.keys import digest_of

VALID_S = 12 * 3600.0
MOST = 256


@dataclass(frozen=True, slots=True)
class Session:
    """One login."""

    key: str
    """The digest of the key it was made with: without that key it ends."""
    here: bool
    """Whether our own window on this machine made it."""
    until: float


class Sessions:
    """Those of one server."""

    def __init__(self, *, now: Callable[[], float] = time.monotonic) -> None:
        self._now = now
        self._held: OrderedDict[str, Session] = OrderedDict()

    def begin(self, key: str, *, here: bool = False) -> str:
        """A new login; returns what the browser keeps. ``key``: the digest of the key used."""
        cookie = secrets.token_urlsafe(32)
        self._held[digest_of(cookie)] = Session(key, here, self._now() + VALID_S)
        while len(self._held) > MOST:
            self._held.popitem(last=False)
        return cookie

    def find(self, cookie: str) -> Session | None:
        """The login of a browser, until its end."""
        name = digest_of(cookie)
        session = self._held.get(name)
        if session is not None and self._now() > session.until:
            session = self._held.pop(name, None) and None
        return session

    def end(self, cookie: str) -> None:
        """Log out."""
        self._held.pop(digest_of(cookie), None)
