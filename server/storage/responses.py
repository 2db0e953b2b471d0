"""Answers kept for later requests that name them: the Responses API's ``previous_response_id``.

In memory by default; with ``RESPONSE_STORE=disk`` also in a file of mode 0600, which a restart
reads. Bounded in number, size and age either way: it is a convenience for clients that do not send
their history, not an archive.
"""

import contextlib
import json
import threading
import time
from collections import OrderedDict
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from server.dialects.base import Record
from server.gemini.types import Json
from server.limits import RESPONSES, RESPONSES_BYTES
from server.storage.database import Statement, Store

KEPT_S = 3600.0

_SCHEMA = """
DROP TABLE IF EXISTS responses;
CREATE TABLE IF NOT EXISTS answers (
    id TEXT PRIMARY KEY, items TEXT, body BLOB, kept REAL, owner TEXT NOT NULL
);
"""
_TRIM = """
DELETE FROM answers WHERE kept < ? OR id IN (
    SELECT id FROM (
        SELECT id, ROW_NUMBER() OVER newest AS place, SUM(LENGTH(body)) OVER newest AS size
        FROM answers WINDOW newest AS (ORDER BY kept DESC ROWS UNBOUNDED PRECEDING)
    ) WHERE place > ? OR size > ?
)
"""


@dataclass(frozen=True, slots=True)
class _Kept:
    items: str
    """The ids inside, one to a line, with a line break before the first and behind the last."""
    body: bytes
    """JSON: nobody shares it, and its size is known."""
    kept: float
    owner: str
    """The digest of the key that made it; empty for a caller without one."""

    @property
    def size(self) -> int:
        return len(self.items) + len(self.body)


class ResponseStore:
    """The newest records. ``mode``: ``memory``, ``disk`` or ``off`` (RESPONSE_STORE). They are
    found from any thread."""

    def __init__(self, mode: str, data_dir: Path, *, now: Callable[[], float] = time.time) -> None:
        self._off = mode == "off"
        self._now = now
        self._recent: OrderedDict[str, _Kept] = OrderedDict()
        self._size = 0
        self._lock = threading.RLock()
        path = data_dir / "responses.sqlite3"
        self._store: Store | None = None
        if mode == "disk":
            self._store = Store(path, _SCHEMA, most_unsaved=2 * RESPONSES)
            self._store.write(self._trim())
        else:
            # What an earlier run with "disk" left there must not outlive its hour.
            for name in (path.name, f"{path.name}-wal", f"{path.name}-shm"):
                with contextlib.suppress(OSError):  # a folder nobody can use holds none either
                    path.with_name(name).unlink()

    def keep(self, record: Record | None, owner: str = "") -> None:
        """Remember ``record`` for the key ``owner``; the oldest ones make room for it. None:
        nothing."""
        if record is None or self._off:
            return
        body = json.dumps(record.body, separators=(",", ":")).encode()
        kept = _Kept("\n".join(("", *record.items, "")), body, self._now(), owner)
        if kept.size > RESPONSES_BYTES:
            return
        with self._lock:
            self._drop(record.id)
            self._recent[record.id] = kept
            self._size += kept.size
            while len(self._recent) > RESPONSES or self._size > RESPONSES_BYTES:
                self._drop(next(iter(self._recent)))
        if self._store is not None:
            row = (record.id, kept.items, kept.body, kept.kept, owner)
            insert = "INSERT OR REPLACE INTO answers VALUES (?, ?, ?, ?, ?)"
            self._store.write((insert, row), self._trim())

    def get(self, name: str, owner: str = "") -> Json | None:
        """The record with this id, where ``owner`` made it."""
        kept = self._find(name, owner)
        return None if kept is None else _read(kept)

    def recall(self, name: str, owner: str = "") -> Json | None:
        """The record with this id, else the newest one that holds an item of this id; of those
        that ``owner`` made."""
        kept = self._find(name, owner) or self._holding(f"\n{name}\n", owner)
        return None if kept is None else _read(kept)

    def forget(self, name: str, owner: str = "") -> bool:
        """Delete one record; False when ``owner`` made none of this id."""
        if self._find(name, owner) is None:
            return False
        self._drop(name)
        if self._store is not None:
            self._store.write(("DELETE FROM answers WHERE id = ?", (name,)))
            self._store.flush()
        return True

    def wipe(self) -> None:
        """Forget everything, also what a file still holds of deleted rows. Blocks."""
        with self._lock:
            self._recent.clear()
            self._size = 0
        if self._store is not None:
            self._store.write(("DELETE FROM answers", ()))
            self._store.flush()
            self._store.write(("VACUUM", ()), ("PRAGMA wal_checkpoint(TRUNCATE)", ()))
            self._store.flush()

    def close(self) -> None:
        if self._store is not None:
            self._store.close()

    def _find(self, name: str, owner: str) -> _Kept | None:
        recent = self._recent.get(name)
        if recent is not None and recent.owner != owner:
            return None
        return self._fresh(recent) or self._row("id = ?", name, owner)

    def _holding(self, item: str, owner: str) -> _Kept | None:
        with self._lock:
            recent = (
                kept
                for kept in reversed(self._recent.values())
                if item in kept.items and kept.owner == owner
            )
            newest = next(recent, None)
        return self._fresh(newest) or self._row("INSTR(items, ?)", item, owner)

    def _fresh(self, kept: _Kept | None) -> _Kept | None:
        return kept if kept is not None and kept.kept >= self._oldest() else None

    def _row(self, condition: str, value: str, owner: str) -> _Kept | None:
        if self._store is None:
            return None
        sql = (
            f"SELECT items, body, kept, owner FROM answers WHERE {condition} AND kept >= ? "  # noqa: S608 -- the condition is one of two constants above
            "AND owner = ? ORDER BY kept DESC LIMIT 1"
        )
        row = self._store.find(sql, (value, self._oldest(), owner))
        return _Kept(*row) if row else None

    def _drop(self, name: str) -> None:
        with self._lock:
            kept = self._recent.pop(name, None)
            self._size -= kept.size if kept is not None else 0

    def _oldest(self) -> float:
        """When the oldest record that still counts was kept."""
        return self._now() - KEPT_S

    def _trim(self) -> Statement:
        return _TRIM, (self._oldest(), RESPONSES, RESPONSES_BYTES)


def _read(kept: _Kept) -> Json:
    record: Json = json.loads(kept.body)
    return record
