"""Thought signatures, kept by tool-call id across turns, clients and restarts.

Opaque blobs that Gemini wants back with the call it made; the only thing of a conversation kept on
disk by default. Bounded in number and age. Most clients drop unknown fields, so this store is what
keeps a Gemini 3 agent session alive (protocol note *Thought signatures*).
"""

import threading
import time
from collections import OrderedDict
from collections.abc import Callable
from pathlib import Path

from server.gemini.signatures import StoredSignature
from server.limits import (
    SIGNATURES,
    SIGNATURES_BYTES,
    SIGNATURES_IN_MEMORY,
    SIGNATURES_IN_MEMORY_BYTES,
    TOOL_ID_CHARS,
)
from server.storage.database import Store

KEPT_S = 7 * 86_400
_TRIM_EVERY = 500

_SCHEMA = """
CREATE TABLE IF NOT EXISTS signatures (
    id TEXT PRIMARY KEY, model TEXT, signature TEXT, upstream_id TEXT, kept REAL
);
CREATE INDEX IF NOT EXISTS signatures_kept ON signatures (kept);
"""
_TRIM = """
DELETE FROM signatures WHERE kept < ? OR id IN (
    SELECT id FROM (
        SELECT id, ROW_NUMBER() OVER newest AS place, SUM(LENGTH(signature)) OVER newest AS size
        FROM signatures WINDOW newest AS (ORDER BY kept DESC ROWS UNBOUNDED PRECEDING)
    ) WHERE place > ? OR size > ?
)
"""


class SignatureStore:
    """Lookup by tool-call id, or by the digest of an answer's text; from any thread."""

    def __init__(self, data_dir: Path, *, now: Callable[[], float] = time.time) -> None:
        self._store = Store(data_dir / "signatures.sqlite3", _SCHEMA)
        self._recent: OrderedDict[str, StoredSignature | None] = OrderedDict()
        self._size = 0
        self._lock = threading.Lock()
        self._now = now
        self._since_trim = 0

    def keep_call(self, tool_call_id: str, stored: StoredSignature) -> None:
        """Remember the signature (and upstream's own id) of a function call we passed on."""
        self._keep(tool_call_id, stored)

    def keep_text(self, digest: str, stored: StoredSignature) -> None:
        """Remember the signature of an answer without calls."""
        self._keep("text:" + digest, stored)

    def call(self, tool_call_id: str) -> StoredSignature | None:
        return self._find(tool_call_id)

    def text(self, digest: str) -> StoredSignature | None:
        return self._find("text:" + digest)

    def wipe(self) -> None:
        """Forget everything (sign-out, and the button on the settings page)."""
        with self._lock:
            self._recent.clear()
            self._size = 0
        self._store.write(("DELETE FROM signatures", ()))
        self._store.flush()

    def close(self) -> None:
        self._store.close()

    def _keep(self, key: str, stored: StoredSignature) -> None:
        if len(key) > TOOL_ID_CHARS:
            return
        self._remember(key, stored)
        self._store.write(
            (
                "INSERT OR REPLACE INTO signatures VALUES (?, ?, ?, ?, ?)",
                (key, stored.model, stored.signature, stored.upstream_id, self._now()),
            )
        )
        self._since_trim += 1
        if self._since_trim >= _TRIM_EVERY:
            self._since_trim = 0
            oldest = self._now() - KEPT_S
            self._store.write((_TRIM, (oldest, SIGNATURES, SIGNATURES_BYTES)))

    def _find(self, key: str) -> StoredSignature | None:
        if len(key) > TOOL_ID_CHARS:
            return None
        with self._lock:
            if key in self._recent:
                self._recent.move_to_end(key)
                return self._recent[key]
        row = self._store.find(
            "SELECT model, signature, upstream_id FROM signatures WHERE id = ? AND kept > ?",
            (key, self._now() - KEPT_S),
        )
        found = StoredSignature(*row) if row else None
        self._remember(key, found)
        return found

    def _remember(self, key: str, stored: StoredSignature | None) -> None:
        with self._lock:
            self._size += _size(key, stored)
            if key in self._recent:
                self._size -= _size(key, self._recent.pop(key))
            self._recent[key] = stored
            while (
                len(self._recent) > SIGNATURES_IN_MEMORY or self._size > SIGNATURES_IN_MEMORY_BYTES
            ):
                self._size -= _size(*self._recent.popitem(last=False))


def _size(key: str, stored: StoredSignature | None) -> int:
    """Characters of an entry, which are nearly always ASCII."""
    return len(key) + (len(stored.signature or "") + len(stored.upstream_id or "") if stored else 0)
