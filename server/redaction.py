"""Credentials, blanked out of every text that is kept or could leave this process.

Two ways to know one. By its shape (``blank_shapes``), whoever it belongs to: a key that a client
typed where a model's name belongs, or one that Google repeats. By its value (``blank``): a shape
misses a key that looks like any word, so whatever becomes a credential here is learnt as it is
made, and searched for also as it looks in an address, in JSON or in base64.
"""

import base64
import itertools
import json
import re
import threading
from collections import OrderedDict
from collections.abc import Iterator, Mapping
from typing import Literal
from urllib.parse import quote

Stay = Literal["hour", "sign-in", "configured"]
"""How long a value is in use: an access token, a refresh token, what the owner has set."""

MOST: Mapping[Stay, int] = {"hour": 64, "sign-in": 64, "configured": 4096}
"""How many of each are known; then the oldest of that kind is forgotten. Tokens that are renewed
every hour can therefore never push out the keys that the server was given."""

SHORTEST = 8
"""Shorter values are no secrets, and would blank out ordinary words."""

LONG = 16
"""Shorter ones than this are found as whole words only (a key may well be ``password``)."""

_SHAPES = re.compile(
    r"(?:(?<![A-Za-z0-9-])|(?<=%[0-9A-Fa-f]{2}))"
    r"(?:(ya29\.|1//|GOCSPX-|AIza|AQ\.|4/0)[\w./+~-]{6,}|(gp-|sk-)[\w.-]{12,})"
)
"""Google's tokens and keys (both kinds), our own keys, OpenAI's and Anthropic's. Never inside a
word: ``disk-usage-helper`` and ``claude-gp-…`` are ordinary names."""

_known: Mapping[Stay, OrderedDict[str, tuple[str, ...]]] = {stay: OrderedDict() for stay in MOST}
"""Value -> its other spellings."""
_lock = threading.Lock()


def learn(*values: str | None, stay: Stay = "hour") -> None:
    """Never let these values out again."""
    known = _known[stay]
    with _lock:
        for value in values:
            if value is not None and len(value) >= SHORTEST:
                if value not in known:
                    known[value] = tuple(_spellings(value))
                known.move_to_end(value)
        for old in list(itertools.islice(known, max(0, len(known) - MOST[stay]))):
            del known[old]


def blank(text: str) -> str:
    """``text`` without any value that was learnt."""
    known = [one for kind in _known.values() for one in tuple(kind.items())]
    for spelling in {s for _, spellings in known for s in spellings if s in text}:
        text = text.replace(spelling, "…")
    for value in sorted((value for value, _ in known if value in text), key=len, reverse=True):
        if len(value) >= LONG:
            text = text.replace(value, "…")
        else:
            text = re.sub(rf"(?<!\w){re.escape(value)}(?!\w)", "…", text)
    return text


def blank_shapes(text: str) -> str:
    """``text`` with everything that looks like a credential cut down to how its kind begins."""
    return _SHAPES.sub(lambda found: (found[1] or found[2]) + "…", text)


def _spellings(value: str) -> Iterator[str]:
    """How else ``value`` may be written."""
    yield from {quote(value, safe=""), json.dumps(value)[1:-1]} - {value}
    data = value.encode("utf-8", "replace")
    for offset in range(3):  # where it begins within base64's groups of three bytes
        text = base64.b64encode(b"\0" * offset + data).decode()
        inside = text[-(-offset * 8 // 6) : (offset + len(data)) * 8 // 6]
        yield from {inside, inside.translate(str.maketrans("+/", "-_"))}
