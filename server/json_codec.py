"""JSON, fast: orjson where it does the same as the standard library, which decides the rest.

orjson turns integers beyond 64 bits into floats, and refuses halves of surrogate pairs, very deep
nesting and more; whatever it refuses is left to ``json``, so both ways mean the same.
"""

import json
import math
from collections.abc import Callable
from typing import Any

import orjson

from server.limits import BODY_DEPTH, cut

_TOO_DEEP = f"it is nested more than {BODY_DEPTH} levels deep"

_SHAPE = bytes.maketrans(b"123456789,[", b"000000000::")
_NO_SHAPE = b" \t\r\n-"
_LARGE = b"0" * 19
_MOST_DIGITS = 309
"""Of an integer that a float can hold; to read more takes the square of their number."""
_TOO_LARGE = b":" + _LARGE
"""The beginning of an integer that 64 bits may not hold, every digit told as 0."""


def loads(data: bytes) -> Any:
    """The value of JSON; a number that no float can hold, and NaN, are None. Raises ``ValueError``,
    also for what is nested more than ``BODY_DEPTH``."""
    return _read(data, _nothing)


def strict_loads(data: bytes) -> Any:
    """As ``loads``, but such numbers are errors."""
    return _read(data, _no_number)


def _read(data: bytes, endless: Callable[[str], float | None]) -> Any:
    shape = data.translate(_SHAPE, _NO_SHAPE)
    if _TOO_LARGE not in shape and not shape.startswith(_LARGE):
        try:
            return _shallow(orjson.loads(data), data)
        except orjson.JSONDecodeError:
            pass  # the standard library may be able to, and words its errors for people

    def number(text: str) -> float | None:
        value = float(text)
        return value if math.isfinite(value) else endless(text)

    def integer(text: str) -> float | None:
        return int(text) if len(text) <= _MOST_DIGITS else endless(text)

    try:
        value = json.loads(data, parse_constant=endless, parse_float=number, parse_int=integer)
        return _shallow(value, data)
    except RecursionError as error:
        raise ValueError(_TOO_DEEP) from error


def holds_more(data: bytes, mark: bytes, most: int) -> bool:
    """Whether one byte stands in ``data`` more often: ``count`` looks at every byte by itself, and
    to the end."""
    return len(data.split(mark, most + 1)) > most + 1


_NESTING = frozenset((dict, list))


def _shallow(value: Any, data: bytes) -> Any:
    """``value``, which ``data`` held. Whatever walks through it later may count on its depth."""
    if len(data) < 2 * BODY_DEPTH or not (
        holds_more(data, b"{", BODY_DEPTH // 2) or holds_more(data, b"[", BODY_DEPTH // 2)
    ):
        return value
    level = [value]
    for _ in range(BODY_DEPTH):
        level = [
            inner
            for outer in level
            for inner in (outer.values() if type(outer) is dict else outer)
            if type(inner) in _NESTING
        ]
        if not level:
            return value
    raise ValueError(_TOO_DEEP)


def dumps(value: object, *, errors: str = "replace") -> bytes:
    """Compact JSON in UTF-8; ``errors`` says what becomes of halves of surrogate pairs."""
    try:
        data = orjson.dumps(value)
    except TypeError:
        pass
    else:
        # orjson writes an infinity as null, which would be another value.
        if b"null" not in data or _is_finite(value):
            return data
    text = json.dumps(value, ensure_ascii=False, separators=(",", ":"))
    return text.encode("utf-8", errors)


def _is_finite(value: object) -> bool:
    if isinstance(value, dict):
        value = value.values()
    elif not isinstance(value, list | tuple):
        return not isinstance(value, float) or math.isfinite(value)
    for item in value:  # noqa: SIM110  # half of the instructions of all()
        if type(item) not in _FINITE and not _is_finite(item):
            return False
    return True


_FINITE = frozenset((str, int, bool, type(None)))


def _nothing(word: str) -> float | None:
    return None


def _no_number(word: str) -> float | None:
    raise ValueError(f"{cut(word, 40)} is not JSON")
