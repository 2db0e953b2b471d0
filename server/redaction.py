"""Secrets this process has met, blanked out of every text that could leave it.

Shapes (``server.logs``) miss a key that looks like any word. So whatever becomes a credential here
is learnt as it is made, and log lines and error messages, upstream's own words included, are
searched for the exact values, also as they look in an address, in JSON or in base64.
"""

import base64
import itertools
import json
import re
import threading
from collections import OrderedDict
from collections.abc import Iterator
from urllib.parse import quote

MOST = 64
"""Access tokens are renewed every hour: the oldest values are forgotten."""

SHORTEST = 8
"""Shorter values are no secrets, and would blank out ordinary words."""

LONG = 16
"""Shorter ones than this are found as whole words only (a key may well be ``password``)."""

_known: OrderedDict[str, tuple[str, ...]] = OrderedDict()
"""Value -> its other spellings."""
_lock = threading.Lock()


def learn(*values: str | None) -> None:
    """Never let these values out again."""
    with _lock:
        for value in values:
            if value is not None and len(value) >= SHORTEST:
                if value not in _known:
                    _known[value] = tuple(_spellings(value))
                _known.move_to_end(value)
        for old in list(itertools.islice(_known, max(0, len(_known) - MOST))):
            del _known[old]


def blank(text: str) -> str:
    """``text`` without any value that was learnt."""
    known = tuple(_known.items())
    for spelling in {s for _, spellings in known for s in spellings if s in text}:
        text = text.replace(spelling, "…")
    for value in sorted((value for value, _ in known if value in text), key=len, reverse=True):
        if len(value) >= LONG:
            text = text.replace(value, "…")
        else:
            text = re.sub(rf"(?<!\w){re.escape(value)}(?!\w)", "…", text)
    return text


def _spellings(value: str) -> Iterator[str]:
    """How else ``value`` may be written."""
    yield from {quote(value, safe=""), json.dumps(value)[1:-1]} - {value}
    data = value.encode("utf-8", "replace")
    for offset in range(3):  # where it begins within base64's groups of three bytes
        text = base64.b64encode(b"\0" * offset + data).decode()
        inside = text[-(-offset * 8 // 6) : (offset + len(data)) * 8 // 6]
        yield from {inside, inside.translate(str.maketrans("+/", "-_"))}
