"""Secrets this process has met, blanked out of every text that could leave it.

Shapes (``server.logs``) miss a key that looks like any word. So whatever becomes a credential here
is learnt as it is made, and log lines and error messages, upstream's own words included, are
searched for the exact values.
"""

import itertools
import re
import threading
from collections import OrderedDict

MOST = 64
"""Access tokens are renewed every hour: the oldest values are forgotten."""

SHORTEST = 8
"""Shorter values are no secrets, and would blank out ordinary words."""

LONG = 16
"""Shorter ones than this are found as whole words only (a key may well be ``password``)."""

_known: OrderedDict[str, None] = OrderedDict()
_lock = threading.Lock()


def learn(*values: str | None) -> None:
    """Never let these values out again."""
    with _lock:
        for value in values:
            if value is not None and len(value) >= SHORTEST:
                _known[value] = None
                _known.move_to_end(value)
        for old in list(itertools.islice(_known, max(0, len(_known) - MOST))):
            del _known[old]


def blank(text: str) -> str:
    """``text`` without any value that was learnt."""
    for value in sorted((known for known in tuple(_known) if known in text), key=len, reverse=True):
        if len(value) >= LONG:
            text = text.replace(value, "…")
        else:
            text = re.sub(rf"(?<!\w){re.escape(value)}(?!\w)", "…", text)
    return text
