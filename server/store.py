"""SQLite files in the data folder: one writer thread per file, batches within a second.

Used by the usage log and by the signature store. The event loop only ever puts a statement into a
queue; an idle store has no timer. A file that is not a database is set aside, and a folder that
cannot be written costs persistence, not service: the rows then live in memory.
"""

import contextlib
import logging
import os
import queue
import sqlite3
import threading
import time
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

log = logging.getLogger(__name__)

COMMIT_WITHIN_S = 0.5
MOST_UNSAVED = 20_000
"""Statements kept for the next commit while the file takes none (a full disk, a long lock)."""
_STOP = object()

Statement = tuple[str, Sequence[Any]]


class Store:
    """One database. ``write`` never blocks; ``read`` sees everything flushed before it."""

    def __init__(self, path: Path, schema: str) -> None:
        self._path = path
        self._target, self._keeper = _open(path, schema)
        self._queue: queue.SimpleQueue[object] = queue.SimpleQueue()
        self._unsaved: list[Statement] = []
        self._thread = threading.Thread(target=self._run, name=f"{path.stem}-writer", daemon=True)
        self._thread.start()

    @property
    def persistent(self) -> bool:
        """False when rows live in memory only, because the file cannot be used."""
        return self._target == str(self._path)

    def write(self, *statements: Statement) -> None:
        """Queue statements; they are committed together within a second."""
        self._queue.put(statements)

    def flush(self) -> None:
        """Block until everything queued so far is committed. Not for the event loop."""
        done = threading.Event()
        self._queue.put(done)
        if self._thread.is_alive():
            done.wait(10)

    def read(self, sql: str, values: Sequence[Any] = ()) -> list[sqlite3.Row]:
        """Rows of a query, from a connection of its own."""
        with self._connection() as connection:
            return connection.execute(sql, values).fetchall()

    def close(self) -> None:
        """Commit what is queued and end the thread."""
        self._queue.put(_STOP)
        self._thread.join(10)
        self._keeper.close()

    @contextlib.contextmanager
    def _connection(self) -> Iterator[sqlite3.Connection]:
        connection = _connect(self._target)
        try:
            yield connection
        finally:
            connection.close()

    def _run(self) -> None:
        with self._connection() as connection:
            # With WAL a power cut may cost the last commits, never the database.
            connection.execute("PRAGMA synchronous=NORMAL")
            running = True
            while running:
                batch = [self._queue.get()]
                if not isinstance(batch[0], threading.Event) and batch[0] is not _STOP:
                    running = self._collect(batch)
                running = running and batch[-1] is not _STOP
                self._commit(connection, batch)

    def _collect(self, batch: list[object]) -> bool:
        """Add what arrives within a moment; a flush or a stop ends the wait. False to stop."""
        deadline = time.monotonic() + COMMIT_WITHIN_S
        while (left := deadline - time.monotonic()) > 0:
            try:
                batch.append(self._queue.get(timeout=left))
            except queue.Empty:
                break
            if batch[-1] is _STOP or isinstance(batch[-1], threading.Event):
                break
        return batch[-1] is not _STOP

    def _commit(self, connection: sqlite3.Connection, batch: list[object]) -> None:
        """Save what earlier commits could not, then the batch. What fails is kept for the next."""
        for item in batch:
            if isinstance(item, tuple):
                self._unsaved.extend(item)
        try:
            with connection:
                for sql, values in self._unsaved:
                    connection.execute(sql, values)
            self._unsaved.clear()
        except sqlite3.OperationalError as error:
            count = len(self._unsaved)
            log.error("%s: %d changes could not be saved yet: %s", self._path.name, count, error)
            del self._unsaved[:-MOST_UNSAVED]
        except sqlite3.Error as error:  # no later try can succeed
            log.error("%s: changes could not be saved: %s", self._path.name, error)
            self._unsaved.clear()
        for item in batch:
            if isinstance(item, threading.Event):
                item.set()


def _open(path: Path, schema: str) -> tuple[str, sqlite3.Connection]:
    """Create or open the file; returns what to connect to, and a connection that keeps it alive."""
    for _ in range(2):
        try:
            path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
            # Created with its mode, before SQLite would create it with the default one.
            os.close(os.open(path, os.O_RDWR | os.O_CREAT, 0o600))
            return str(path), _prepare(str(path), schema)
        except sqlite3.DatabaseError as error:
            if isinstance(error, sqlite3.OperationalError):
                log.warning("%s cannot be used (%s): nothing will be saved", path, error)
                break
            aside = path.with_name(f"{path.name}.corrupt-{int(time.time())}")
            log.warning("%s is damaged and was set aside as %s", path, aside.name)
            path.rename(aside)
        except OSError as error:
            log.warning("%s cannot be written (%s): nothing will be saved", path, error)
            break
    target = f"file:{path.stem}-{id(path)}?mode=memory&cache=shared"
    return target, _prepare(target, schema)


def _prepare(target: str, schema: str) -> sqlite3.Connection:
    connection = _connect(target)
    try:
        connection.execute("PRAGMA journal_mode=WAL")
        connection.executescript(schema)
    except sqlite3.Error:
        connection.close()
        raise
    return connection


def _connect(target: str) -> sqlite3.Connection:
    connection = sqlite3.connect(
        target, timeout=10, uri=target.startswith("file:"), check_same_thread=False
    )
    connection.row_factory = sqlite3.Row
    return connection
