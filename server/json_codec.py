"""JSON, fast: orjson where it does the same as the standard library, which decides the rest.

orjson turns integers beyond 64 bits into floats, and refuses halves of surrogate pairs, very deep
nesting and more; whatever it refuses is left to ``json``, so both ways mean the same.
"""

import json
import re
from typing import Any

import orjson

_MAYBE_TOO_LARGE = re.compile(rb"[:,\[]\s*-?[0-9]{19}")
"""The beginning of an integer that 64 bits may not hold."""


def loads(data: bytes) -> Any:
    """The value of strict or lax JSON. Raises ``ValueError``, or ``RecursionError``."""
    if _MAYBE_TOO_LARGE.search(data) is None:
        try:
            return orjson.loads(data)
        except ValueError:
            pass  # the standard library may be able to, and words its errors for people
    return json.loads(data)


def strict_loads(data: bytes) -> Any:
    """As ``loads``, but NaN and infinities are errors."""
    if _MAYBE_TOO_LARGE.search(data) is None:
        try:
            return orjson.loads(data)
        except ValueError:
            pass
    return json.loads(data, parse_constant=_no_constant)


def dumps(value: object, *, errors: str = "replace") -> bytes:
    """Compact JSON in UTF-8; ``errors`` says what becomes of halves of surrogate pairs."""
    try:
        return orjson.dumps(value)
    except TypeError:
        text = json.dumps(value, ensure_ascii=False, separators=(",", ":"))
        return text.encode("utf-8", errors)


def _no_constant(word: str) -> None:
    raise ValueError(f"{word} is not JSON")
