"""Numbers and moments as a person reads them. Pure functions, used by the templates as filters."""

from collections.abc import Callable, Mapping
from datetime import datetime


def count(number: int) -> str:
    """``1,234,567``."""
    return f"{number:,}"


def short(number: float) -> str:
    """At most four characters: ``950``, ``1.2k``, ``48k``, ``3.1M``."""
    for size, unit in ((1e9, "G"), (1e6, "M"), (1e3, "k")):
        if number >= size:
            scaled = number / size
            return f"{scaled:.0f}{unit}" if scaled >= 10 else f"{scaled:.1f}{unit}"
    return f"{number:.0f}"


def duration(milliseconds: float | None) -> str:
    """``840 ms``, ``12.4 s``, ``2 min 3 s``; a dash for what is not known."""
    if milliseconds is None:
        return "–"
    if milliseconds < 1000:
        return f"{milliseconds:.0f} ms"
    seconds = milliseconds / 1000
    if seconds < 60:
        return f"{seconds:.1f} s"
    minutes, seconds = divmod(round(seconds), 60)
    return f"{minutes} min {seconds} s"


def countdown(seconds: float) -> str:
    """``now``, ``in 40 s``, ``in 12 min``, ``in 5 h 12 min``, ``in 3 days``."""
    if seconds <= 0:
        return "now"
    if seconds < 60:
        return f"in {seconds:.0f} s"
    minutes = round(seconds / 60)
    if minutes < 60:
        return f"in {minutes} min"
    hours, minutes = divmod(minutes, 60)
    if hours < 48:
        return f"in {hours} h {minutes} min"
    return f"in {round(hours / 24)} days"


def plural(number: int, word: str) -> str:
    """``1 request``, ``3 requests``."""
    return f"{number:,} {word}{'' if number == 1 else 's'}"


OUTCOMES: Mapping[str, str] = {
    "permission_denied": "refused",
    "not_found": "unknown model",
    "rate_limit": "limited",
    "authentication": "not signed in",
    "context_length": "too long",
    "upstream": "Google failed",
    "timeout": "timed out",
    "internal": "our fault",
}


def outcome(kind: str) -> str:
    """How a request ended, in words: ``rate_limit`` is ``limited``."""
    return OUTCOMES.get(kind, kind.replace("_", " "))


def iso(unix_s: float) -> str:
    """Unix seconds as local ISO time, for ``<time datetime>``."""
    return datetime.fromtimestamp(unix_s).astimezone().isoformat(timespec="seconds")


def moment(timestamp: str, now: datetime | None = None) -> str:
    """An ISO time as ``14:03:59``, with ``22 Nov`` before it when that was not today."""
    when = datetime.fromisoformat(timestamp).astimezone()
    today = (now or datetime.now().astimezone()).date()
    day = "" if when.date() == today else f"{when.day} {when:%b} "
    return f"{day}{when:%H:%M:%S}"


FILTERS: Mapping[str, Callable[..., str]] = {
    "count": count,
    "short": short,
    "duration": duration,
    "countdown": countdown,
    "plural": plural,
    "outcome": outcome,
    "iso": iso,
    "moment": moment,
}
