"""Numbers and moments as a person reads them. Pure functions, used by the templates as filters."""

from collections.abc import Callable, Mapping


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


FILTERS: Mapping[str, Callable[..., str]] = {
    "count": count,
    "short": short,
    "duration": duration,
    "countdown": countdown,
    "plural": plural,
}
