"""SQLite files in the data folder: one writer thread per file, batches within a second.

Used by the usage log and by the signature store. The event loop only ever puts a statement into a
queue; an idle store has no timer. A file that is not a database, or stops being one, is set aside
and a new one begun; a folder that cannot be written costs persistence, not service: the rows then
live in memory, until the file can be used after all.
"""

import contextlib
import logging
import os
import sqlite3
import threading
import time
from collections import deque
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

log = logging.getLogger(__name__)

COMMIT_WITHIN_S = 0.5
CACHE_KB = 256
"""Of the writer, which only ever adds; SQLite would keep 2 MB of what it wrote."""
MOST_UNSAVED = 20_000
"""Statements kept for the next commit while the file takes none (a full disk, a long lock)."""
LOOK_AGAIN_S = 5.0
"""Between two looks whether the file can be used after all, when there is something to write."""
AT_MOST_S = 0.1
"""How long a reader waits to see what is unsaved."""
_STOP = object()
_IMPOSSIBLE = (
    *(OverflowError, UnicodeError),
    *(sqlite3.DataError, sqlite3.IntegrityError, sqlite3.InterfaceError, sqlite3.ProgrammingError),
)
"""Faults of a statement itself: a number beyond 64 bits, half a surrogate pair, ..."""

Statement = tuple[str, Sequence[Any]]


class _Queue:
    """From the loop to the writer, which is woken once for all that comes within a moment: waking
    a thread costs a request more than recording it. A flush or a stop ends the moment."""

    def __init__(self) -> None:
        self._items: deque[object] = deque()
        self._something, self._urgent = threading.Event(), threading.Event()

    def put(self, item: object) -> None:
        self._items.append(item)
        if not isinstance(item, tuple):
            self._urgent.set()
        if not self._something.is_set():
            self._something.set()

    def get(self) -> list[object]:
        """All that came, once something came; there is no timer before that."""
        self._something.wait()
        self._urgent.wait(COMMIT_WITHIN_S)
        self._something.clear()
        self._urgent.clear()
        return [self._items.popleft() for _ in range(len(self._items))]


class Store:
    """One database. ``write`` never blocks; ``read`` sees everything flushed before it."""

    def __init__(self, path: Path, schema: str, *, most_unsaved: int = MOST_UNSAVED) -> None:
        self._path, self._schema = path, schema
        self._most_unsaved = most_unsaved
        self._opening, self._saving = threading.Lock(), threading.Lock()
        self._target, self._keeper = _open(path, schema)
        self._inode = _inode(path)
        self._queue = _Queue()
        self._unsaved: list[Statement] = []
        self._only_in_memory: deque[Statement] = deque(maxlen=most_unsaved)
        self._left: list[sqlite3.Connection] = []
        """Keepers of databases in memory that a reader may still be looking at."""
        self._look_at = time.monotonic() + LOOK_AGAIN_S
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
        keeper = self._keeper
        try:
            with self._connection() as connection, _readable():
                if self._unsaved:
                    self._lay_over(connection)
                return connection.execute(sql, values).fetchall()
        except sqlite3.DatabaseError as error:
            if not self._is_lost(error):
                raise
            self._begin_anew(keeper, error)
        with self._connection() as connection:
            return connection.execute(sql, values).fetchall()

    def find(self, sql: str, values: Sequence[Any] = ()) -> sqlite3.Row | None:
        """The first row of a query; None also while the file cannot be read."""
        try:
            rows = self.read(sql, values)
        except sqlite3.Error as error:
            log.warning("%s cannot be read now: %s", self._path.name, error)
            return None
        return rows[0] if rows else None

    def close(self) -> None:
        """Commit what is queued and end the thread."""
        self._queue.put(_STOP)
        self._thread.join(10)
        for keeper in (self._keeper, *self._left):
            keeper.close()

    @contextlib.contextmanager
    def _connection(self) -> Iterator[sqlite3.Connection]:
        connection = _connect(self._target)
        try:
            yield connection
        finally:
            connection.close()

    def _lay_over(self, connection: sqlite3.Connection) -> None:
        """Let ``connection`` see what the file takes no rows for now, in a transaction that is
        never committed and so needs no room. Where even that fails it sees the file as it is."""
        if not self._saving.acquire(timeout=AT_MOST_S):
            return
        try:
            connection.execute(f"PRAGMA busy_timeout={AT_MOST_S * 1000:.0f}")
            connection.execute("PRAGMA cache_spill=OFF")
            connection.execute("BEGIN IMMEDIATE")
            unsaved = list(self._unsaved)
        except sqlite3.Error:
            return
        finally:
            self._saving.release()
        try:
            for sql, values in unsaved:
                connection.execute(sql, values)
        except (sqlite3.Error, *_IMPOSSIBLE):
            connection.rollback()

    def _is_lost(self, error: sqlite3.DatabaseError) -> bool:
        """Whether the file is damaged, or no longer where it was opened."""
        return self.persistent and (_is_damage(error) or _inode(self._path) != self._inode)

    def _begin_anew(self, keeper: sqlite3.Connection, error: sqlite3.DatabaseError) -> None:
        """Open a new file in place of the one ``keeper`` kept, once for all who noticed."""
        with self._opening:
            if keeper is not self._keeper:
                return
            log.error("%s cannot be used any more: %s", self._path, error)
            keeper.close()
            try:
                if _is_damage(error):
                    _set_aside(self._path)
                self._target, self._keeper = _open(self._path, self._schema)
            except OSError as in_the_way:
                log.error("%s stays where it is: %s", self._path, in_the_way)
                self._target, self._keeper = _in_memory(self._path, self._schema)
            self._inode = _inode(self._path)

    def _run(self) -> None:
        running = True
        while running:
            keeper = self._keeper
            with self._connection() as connection:
                # With WAL a power cut may cost the last commits, never the database.
                connection.execute("PRAGMA synchronous=NORMAL")
                connection.execute(f"PRAGMA cache_size=-{CACHE_KB}")
                while running and keeper is self._keeper:
                    running = self._turn(connection, keeper)

    def _turn(self, connection: sqlite3.Connection, keeper: sqlite3.Connection) -> bool:
        """One batch; False to stop."""
        batch = self._queue.get()
        running = _STOP not in batch
        for item in batch:
            if isinstance(item, tuple):
                self._unsaved.extend(item)
        saved = self._save(connection, keeper)
        if self._come_back(at_once=not running) or not saved:
            with self._connection() as new_file:
                self._save(new_file, self._keeper)
        for item in batch:
            if isinstance(item, threading.Event):
                item.set()
        return running

    def _come_back(self, *, at_once: bool) -> bool:
        """Leave memory for the file, if that can be used by now; what it has missed is unsaved."""
        now = time.monotonic()
        if self.persistent or (now < self._look_at and not at_once):
            return False
        self._look_at = now + LOOK_AGAIN_S
        try:
            target, keeper = _open_file(self._path, self._schema)
        except (sqlite3.Error, OSError):
            return False
        with self._opening:
            self._left.append(self._keeper)
            self._target, self._keeper, self._inode = target, keeper, _inode(self._path)
        self._unsaved[:0] = self._only_in_memory
        self._only_in_memory.clear()
        log.info("%s can be used again", self._path)
        return True

    def _save(self, connection: sqlite3.Connection, keeper: sqlite3.Connection) -> bool:
        """Commit what is unsaved. What cannot be now is kept; False: try in the new file."""
        with self._saving:
            return self._commit(connection, keeper)

    def _commit(self, connection: sqlite3.Connection, keeper: sqlite3.Connection) -> bool:
        if keeper is not self._keeper:
            return False
        try:
            with connection:
                for sql, values in self._unsaved:
                    connection.execute(sql, values)
            if not self.persistent:
                self._only_in_memory.extend(self._unsaved)
            self._unsaved.clear()
        except _IMPOSSIBLE:
            self._save_one_by_one(connection)
        except sqlite3.DatabaseError as error:
            if self._is_lost(error):
                self._begin_anew(keeper, error)
                return False
            count = len(self._unsaved)
            log.error("%s: %d changes could not be saved yet: %s", self._path.name, count, error)
            del self._unsaved[: -self._most_unsaved]
        return True

    def _save_one_by_one(self, connection: sqlite3.Connection) -> None:
        """Leave out what no try can ever save: it must not take the rest with it."""
        kept = []
        for sql, values in self._unsaved:
            try:
                with connection:
                    connection.execute(sql, values)
            except _IMPOSSIBLE as error:
                log.error("%s: a change cannot be saved: %s", self._path.name, error)
            except sqlite3.Error:
                kept.append((sql, values))
        self._unsaved = kept


def _open(path: Path, schema: str) -> tuple[str, sqlite3.Connection]:
    """Create or open the file; returns what to connect to, and a connection that keeps it alive."""
    for _ in range(2):
        try:
            return _open_file(path, schema)
        except sqlite3.DatabaseError as error:
            if not _is_damage(error):
                log.warning("%s cannot be used (%s): nothing will be saved yet", path, error)
                break
            _set_aside(path)
        except OSError as error:
            log.warning("%s cannot be written (%s): nothing will be saved yet", path, error)
            break
    return _in_memory(path, schema)


def _open_file(path: Path, schema: str) -> tuple[str, sqlite3.Connection]:
    """As ``_open``. Raises ``OSError`` or ``sqlite3.DatabaseError``."""
    path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    # Created with its mode, before SQLite would create it with the default one.
    os.close(os.open(path, os.O_RDWR | os.O_CREAT, 0o600))
    return str(path), _prepare(str(path), schema)


def _in_memory(path: Path, schema: str) -> tuple[str, sqlite3.Connection]:
    """As ``_open``, for a file that cannot be used."""
    target = f"file:{path.stem}-{id(path)}?mode=memory&cache=shared"
    return target, _prepare(target, schema)


def _is_damage(error: sqlite3.Error) -> bool:
    """Whether the file's content is at fault."""
    code = getattr(error, "sqlite_errorcode", None)
    if code is None:  # Python's own: a text that is no UTF-8 any more
        return "decode" in str(error)
    return code & 0xFF in (sqlite3.SQLITE_CORRUPT, sqlite3.SQLITE_NOTADB)


@contextlib.contextmanager
def _readable() -> Iterator[None]:
    """SQLite quotes a damaged schema in its error, which Python may then fail to decode."""
    try:
        yield
    except UnicodeDecodeError as error:
        raise sqlite3.DatabaseError(f"cannot decode what is in it: {error}") from error


def _set_aside(path: Path) -> None:
    """Move a damaged database away with its journal, which would be replayed into a new one."""
    aside = f"{path.name}.corrupt-{int(time.time())}"
    log.warning("%s is damaged and was set aside as %s", path, aside)
    for ending in ("", "-wal", "-shm"):
        with contextlib.suppress(FileNotFoundError):
            path.with_name(path.name + ending).replace(path.with_name(aside + ending))


def _inode(path: Path) -> int | None:
    """What tells a file from another one at its place; None when there is none."""
    try:
        return path.stat().st_ino
    except OSError:
        return None


def _prepare(target: str, schema: str) -> sqlite3.Connection:
    connection = _connect(target)
    try:
        with _readable():
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
