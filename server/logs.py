"""Logging: one line per event on standard error, with every credential blanked out."""

import itertools
import logging
import re
import time
from collections import deque
from dataclasses import dataclass

from server.redaction import blank
from server.settings import Settings

KEPT_LINES = 300

_SECRETS = re.compile(
    r"(ya29\.|1//|GOCSPX-|AIza|gp-|sk-|4/0)[\w./+-]{6,}"
    r"|(?i:(bearer|key|token|secret|code)(\"?\s*[:=]\s*\"?|\s+))[\w./+~-]{12,}=*"
)

_LINE_ENDS = {ord(end): repr(end)[1:-1] for end in "\n\r\v\f\x1b\x85\u2028\u2029"}


def redact(text: str) -> str:
    """``text`` without anything that is, or looks like, a credential."""
    return _SECRETS.sub(lambda found: (found[1] or f"{found[2]}{found[3]}") + "…", blank(text))


class _Redacting(logging.Formatter):
    """The last thing that happens to a log line, traceback included."""

    def formatMessage(self, record: logging.LogRecord) -> str:  # noqa: N802  # logging's name
        """One line each: a path or a name from outside cannot begin a line of its own."""
        record.message = record.message.translate(_LINE_ENDS)
        return super().formatMessage(record)

    def format(self, record: logging.LogRecord) -> str:
        return redact(super().format(record))


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
        self.lines: deque[LogLine] = deque(maxlen=KEPT_LINES)
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


def configure_logging(settings: Settings) -> None:
    """Set up the root logger once, at start."""
    console = logging.StreamHandler()
    console.setFormatter(_Redacting("%(asctime)s %(levelname)s %(name)s: %(message)s"))
    _RECENT.setFormatter(_Redacting("%(message)s"))
    level = settings.log_level.upper()
    logging.basicConfig(level=level, handlers=[console, _RECENT], force=True)
    for noisy in ("httpx", "httpcore", "hypercorn.error", "quart"):
        logging.getLogger(noisy).setLevel(max(logging.WARNING, logging.getLogger().level))
