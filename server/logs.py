"""Logging: one line per event on standard error, with every credential blanked out.

The desktop app has no console that anybody sees: it writes a small file in the data folder as well.
"""

import faulthandler
import itertools
import logging
import os
import re
import sys
import threading
import time
from collections import deque
from dataclasses import dataclass
from io import TextIOWrapper
from logging.handlers import RotatingFileHandler
from pathlib import Path
from typing import Protocol

from server.limits import LOG_CHARS, LOG_ENTRIES, cut
from server.redaction import blank, blank_shapes

FILE_BYTES = 512 * 1024
"""Of ``log.txt``; the one before it is kept as ``log.txt.1``."""

log = logging.getLogger(__name__)

_AFTER_NAMES = re.compile(
    r"(?i:(bearer|key|token|secret|code)(\"?\s*[:=]\s*\"?|\s+))[\w./+~-]{12,}=*"
)
"""A value that stands behind a word for a credential, whatever it looks like."""

_CONTROLS = {code: repr(chr(code))[1:-1] for code in (*range(32), *range(127, 160), 0x2028, 0x2029)}
"""What ends a line, moves the cursor or makes a log a binary file."""


_ENOUGH = LOG_CHARS + 1024
"""What is blanked out before the cut, so that no cut goes through a secret."""


def redact(text: str) -> str:
    """``text`` without anything that is, or looks like, a credential."""
    return _AFTER_NAMES.sub(r"\1\2…", blank_shapes(blank(text)))


class _Redacting(logging.Formatter):
    """The last thing that happens to a log line, traceback included."""

    def formatMessage(self, record: logging.LogRecord) -> str:  # noqa: N802  # logging's name
        """One line each: a path or a name from outside cannot begin a line of its own."""
        record.message = record.message[:_ENOUGH].translate(_CONTROLS)
        return super().formatMessage(record)

    def format(self, record: logging.LogRecord) -> str:
        return cut(redact(super().format(record)[:_ENOUGH]), LOG_CHARS)


@dataclass(frozen=True, slots=True)
class LogLine:
    """One entry of the log, redacted."""

    number: int
    """Counts up from the start of the process."""
    created: float
    """Unix seconds."""
    level: str
    """``debug``, ``info``, ``warning``, ``error`` or ``critical``."""
    source: str
    """The module that wrote it."""
    text: str
    """The message, and the traceback where there is one."""

    def __str__(self) -> str:
        moment = time.strftime("%Y-%m-%d %H:%M:%S", time.localtime(self.created))
        return f"{moment} {self.level.upper()} {self.source}: {self.text}"


class _Recent(logging.Handler):
    """Keeps the last entries for the log page, in memory only."""

    def __init__(self) -> None:
        super().__init__()
        self.lines: deque[LogLine] = deque(maxlen=LOG_ENTRIES)
        self._numbers = itertools.count(1)

    def emit(self, record: logging.LogRecord) -> None:
        level, text = record.levelname.lower(), self.format(record)
        line = LogLine(next(self._numbers), record.created, level, record.name, text)
        self.lines.append(line)


_RECENT = _Recent()


def recent_entries() -> tuple[LogLine, ...]:
    """The last log entries of this process, oldest first."""
    return tuple(_RECENT.lines)


def recent_lines() -> tuple[str, ...]:
    """The same as the lines they are in the log itself."""
    return tuple(map(str, recent_entries()))


class _PrivateFile(RotatingFileHandler):
    """A file only its owner can read; for one process: the tray app is alone in its folder."""

    def _open(self) -> TextIOWrapper:
        flags = os.O_WRONLY | os.O_APPEND | os.O_CREAT
        file = os.open(self.baseFilename, flags, 0o600)
        return os.fdopen(file, "a", encoding="utf-8", errors="replace")


def log_file(folder: Path) -> Path:
    """Where the desktop app of this data folder logs."""
    return folder / "log.txt"


class LogSettings(Protocol):
    """What of the settings the log needs."""

    @property
    def log_level(self) -> str: ...
    @property
    def data_dir(self) -> Path: ...


def configure_logging(settings: LogSettings, *, to_file: bool = False) -> None:
    """Set up the root logger, at every start of a server. ``to_file``: into the folder as well."""
    handlers: list[logging.Handler] = [logging.StreamHandler(), _RECENT]
    failure = None
    if to_file:
        try:
            path = log_file(settings.data_dir)
            handlers.append(_PrivateFile(path, maxBytes=FILE_BYTES, backupCount=1))
        except OSError as error:
            failure = error
    for handler in handlers:
        handler.setFormatter(_Redacting("%(asctime)s %(levelname)s %(name)s: %(message)s"))
    _RECENT.setFormatter(_Redacting("%(message)s"))
    logging.basicConfig(level=settings.log_level.upper(), handlers=handlers, force=True)
    for noisy in ("httpx", "httpcore", "hypercorn.error", "quart"):
        logging.getLogger(noisy).setLevel(max(logging.WARNING, logging.getLogger().level))
    if failure is not None:
        log.warning("There is no log file: %s", failure)


def log_crashes(folder: Path) -> None:
    """Let what kills a thread or the whole process leave a trace in the folder.

    ``crash.txt`` is written by the dying process itself, so nothing is blanked out there; it holds
    names of functions and line numbers only.
    """
    sys.excepthook = lambda kind, error, trace: log.critical(
        "The program ended", exc_info=(kind, error, trace)
    )
    threading.excepthook = lambda failed: log.critical(
        "A thread ended", exc_info=failed.exc_value or True
    )
    try:
        crashes = os.open(folder / "crash.txt", os.O_WRONLY | os.O_APPEND | os.O_CREAT, 0o600)
        if os.fstat(crashes).st_size > FILE_BYTES:
            os.ftruncate(crashes, 0)
    except OSError as error:
        log.warning("Crashes leave no trace: %s", error)
    else:
        faulthandler.enable(crashes)
