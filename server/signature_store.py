"""Thought signatures, kept by tool-call id across turns, clients and restarts.

Opaque blobs that Gemini wants back with the call it made; the only thing of a conversation kept on
disk by default. Bounded in number and age. Most clients drop unknown fields, so this store is what
keeps a Gemini 3 agent session alive (protocol note *Thought signatures*).
"""

import time
from collections import OrderedDict
from collections.abc import Callable
from pathlib import Path

from server.gemini.signatures import StoredSignature
from server.store import Store

KEPT_ROWS = 20_000
KEPT_S = 7 * 86_400
IN_MEMORY = 2_000
_TRIM_EVERY = 500

_SCHEMA = """
CREATE TABLE IF NOT EXISTS signatures (
    id TEXT PRIMARY KEY, model TEXT, signature TEXT, upstream_id TEXT, kept REAL
);
CREATE INDEX IF NOT EXISTS signatures_kept ON signatures (kept);
"""


class SignatureStore:
    """Lookup by tool-call id, or by the digest of an answer's text."""

    def __init__(self, data_dir: Path, *, now: Callable[[], float] = time.time) -> None:
        self._store = Store(data_dir / "signatures.sqlite3", _SCHEMA)
        self._recent: OrderedDict[str, StoredSignature | None] = OrderedDict()
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
        self._recent.clear()
        self._store.write(("DELETE FROM signatures", ()))
        self._store.flush()

    def close(self) -> None:
        self._store.close()

    def _keep(self, key: str, stored: StoredSignature) -> None:
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
            self._trim()

    def _find(self, key: str) -> StoredSignature | None:
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
        self._recent[key] = stored
        self._recent.move_to_end(key)
        if len(self._recent) > IN_MEMORY:
            self._recent.popitem(last=False)

    def _trim(self) -> None:
        self._store.write(
            ("DELETE FROM signatures WHERE kept < ?", (self._now() - KEPT_S,)),
            (
                "DELETE FROM signatures WHERE id IN "
                "(SELECT id FROM signatures ORDER BY kept DESC LIMIT -1 OFFSET ?)",
                (KEPT_ROWS,),
            ),
        )
