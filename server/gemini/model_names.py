"""A client's name for a model, taken apart (contract section 4, *Models*).

Pure rules over text: what a name is without its decorations, whether it is a Gemini id as tools and
gateways write it, and which tier its whole words mean. Every step is linear in the name's length.
"""

import re
from collections.abc import Sequence
from itertools import pairwise

from server.gemini.known import Tier

LONGEST_NAME = 512
"""A longer name is none, and is not repeated whole; a project's path fits in."""

STABLE_NAMES: dict[str, Tier] = {
    "gemini-best": "best",
    "gemini-main": "main",
    "gemini-fast": "fast",
}
"""The tiers themselves: what `connect` and the documents write, and what every list begins with."""

TWIN_PREFIX = "claude-gp-"
"""Claude Code lists only ids containing "claude": each Gemini model has a twin it will show."""

_LEGAL_ID = re.compile(r"[a-z0-9._@-]{1,128}")
_WORD = re.compile(r"[^\W_]+")
_CONTEXT = re.compile(r"\[[A-Za-z0-9]{1,8}\]$")
"""What Claude Code adds for a longer context: ``[1m]``."""
_DATE = re.compile(r"(-latest|[-@]20\d{6}|-20\d\d-\d\d-\d\d)$")
_VENDOR = re.compile(r"[a-z0-9_-]{1,64}[:.]")
"""A vendor before an id without a path: ``google:``, ``google-gla:``, ``google.``."""

_FAST = frozenset({"haiku", "mini", "nano", "flash", "lite", "instant"})
_BEST = frozenset({"opus", "fable", "mythos", "o1", "o2", "o3", "o4"})
_MAIN = frozenset({"claude", "gpt", "sonnet", "default"})
_BEST_GPT = 4


def words_of(name: str) -> list[str]:
    """The words of a name: split at everything that is no letter or digit, in lower case."""
    return _WORD.findall(name.lower())


def without_end(name: str, families: Sequence[str]) -> str:
    """``name`` without what clients add behind it: ``[1m]``, ``:latest``, a date or ``-latest``.

    The last two stay with a Gemini id, of which they are a part.
    """
    bare = _CONTEXT.sub("", name.strip().rstrip("/").rstrip()).removesuffix(":latest")
    return bare if gemini_id(without_path(bare), families) else _DATE.sub("", bare)


def without_path(name: str) -> str:
    """``name`` without the path of a vendor or project before it, nor our own prefix for twins."""
    last = name.rpartition("/")[2].strip()
    is_twin = last[: len(TWIN_PREFIX)].lower() == TWIN_PREFIX
    return last[len(TWIN_PREFIX) :] if is_twin else last


def gemini_id(name: str, families: Sequence[str]) -> str | None:
    """The id that ``name`` (without a path) is another writing of, or None.

    ``families``: the first words of Google's ids. Capitals, spaces, ``gpt-`` and a vendor before it
    do not matter.
    """
    text = spelt(name).removeprefix("gpt-")
    starts = tuple(f"{family}-" for family in families)
    if not text.startswith(starts) and (vendor := _VENDOR.match(text)):
        text = text[vendor.end() :].removeprefix("gpt-")
    legal = text.startswith(starts) and _LEGAL_ID.fullmatch(text)
    return text if legal else None


def spelt(name: str) -> str:
    """``name`` as ids are written: lower case, hyphens between words."""
    return "-".join(name.lower().replace("_", " ").split())


def tier_of(name: str) -> Tier | None:
    """The tier that the whole words of a name mean, or None."""
    words = words_of(name)
    there = frozenset(words)
    if there & _FAST or _follow(words, ("gpt", "3", "5")):
        return "fast"
    if there & _BEST or any(
        word == "gpt" and _number(after) >= _BEST_GPT for word, after in pairwise(words)
    ):
        return "best"
    return "main" if there & _MAIN else None


def _follow(words: Sequence[str], wanted: tuple[str, ...]) -> bool:
    size = len(wanted)
    return any(tuple(words[i : i + size]) == wanted for i in range(len(words) - size + 1))


def _number(word: str) -> int:
    """The number that a word begins with; 0 without one."""
    found = re.match(r"[0-9]{1,9}", word)
    return int(found[0]) if found else 0
