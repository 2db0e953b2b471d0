"""Logging: one line per event on standard error, with every credential blanked out."""

import logging
import re
from collections import deque

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


class _Recent(logging.Handler):
    """Keeps the last lines for the log page, in memory only."""

    def __init__(self) -> None:
        super().__init__()
        self.lines: deque[str] = deque(maxlen=KEPT_LINES)

    def emit(self, record: logging.LogRecord) -> None:
        self.lines.append(self.format(record))


_RECENT = _Recent()


def recent_lines() -> tuple[str, ...]:
    """The last log lines of this process, oldest first, redacted like the log itself."""
    return tuple(_RECENT.lines)


def configure_logging(settings: Settings) -> None:
    """Set up the root logger once, at start."""
    handlers = [logging.StreamHandler(), _RECENT]
    for handler in handlers:
        handler.setFormatter(_Redacting("%(asctime)s %(levelname)s %(name)s: %(message)s"))
    logging.basicConfig(level=settings.log_level.upper(), handlers=handlers, force=True)
    for noisy in ("httpx", "httpcore", "hypercorn.error", "quart"):
        logging.getLogger(noisy).setLevel(max(logging.WARNING, logging.getLogger().level))
