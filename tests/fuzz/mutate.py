"""Realistic payloads, made slightly wrong: the mistakes that real programs make, and some more.

``mutated`` works on JSON values, ``broken`` on bytes. Neither changes what it is given.
"""

import copy
import gzip
import json
import re
import zlib
from collections.abc import Iterable
from typing import Any

from tests.fuzz.source import Source

ODD: tuple[Any, ...] = (
    *(None, True, False, 0, -1, 1, 0.5, -1e308, 1e309, 2**31, 2**63, 2**64, -(2**70), 10**400),
    *("", " ", "0", "null", "\x00", "a" * 300, "\ud83d", "é\u2028", "../..", "{}", "[", "∞", "²"),
    *(
        "9" * 5000,
        "9" * 400 + "s",
        "1e999",
        "NaN",
        "-0",
        "data:;base64,",
        "data:image/png;base64,?",
    ),
    *("http://[", "http://127.0.0.1:99999", "0001-01-01T00:00:00", "9999-12-31T23:59:59Z"),
    *([], {}, [[]], [None], [{}], {"": None}, {"type": None}, {"type": []}, {"type": "object"}),
)
"""Values that stand where others are expected."""

DEPTHS = (2, 30, 400, 900, 980, 1010, 3000)

Path = tuple[str | int, ...]


def mutated(value: Any, source: Source, most: int = 4) -> Any:
    """``value`` with up to ``most`` changes; now and then none."""
    holder = {"value": copy.deepcopy(value)}
    for _ in range(source.below(most + 1)):
        places = list(_places(holder["value"], ("value",)))
        _change(holder, places[source.below(len(places))], places, source)
    return holder["value"]


def _places(value: Any, path: Path) -> list[Path]:
    """The path of every value inside, itself included."""
    found = [path]
    inner: Iterable[tuple[str | int, Any]] = ()
    if isinstance(value, dict):
        inner = value.items()
    elif isinstance(value, list):
        inner = enumerate(value)
    for key, item in inner:
        if len(path) < 40:
            found += _places(item, (*path, key))
    return found


def _parent(holder: Any, path: Path) -> Any:
    for key in path[:-1]:
        holder = holder[key]
    return holder


def _change(holder: Any, path: Path, places: list[Path], source: Source) -> None:  # noqa: C901
    """One change at ``path``."""
    parent, key = _parent(holder, path), path[-1]
    here = parent[key]
    match source.below(10):
        case 0 if len(path) > 1:
            del parent[key]
        case 1:
            parent[key] = copy.deepcopy(ODD[source.below(len(ODD))])
        case 2:
            parent[key] = [here]
        case 3:
            depth = DEPTHS[source.below(len(DEPTHS))]
            parent[key] = nested(here, depth, ("list", "object")[source.below(2)])
        case 4 if isinstance(parent, list):
            parent.insert(int(key), copy.deepcopy(here))
        case 5 if isinstance(parent, dict) and len(path) > 1:
            parent[source.text(8)] = parent.pop(key)
        case 6:
            other = places[source.below(len(places))]
            parent[key] = copy.deepcopy(_parent(holder, other)[other[-1]])
        case 7 if isinstance(here, dict):
            here[source.text(8)] = copy.deepcopy(ODD[source.below(len(ODD))])
        case 8 if isinstance(here, list):
            here.extend(here * 20)
        case 9 if isinstance(here, str):
            at = source.below(len(here) + 1)
            parent[key] = here[:at] + source.text(6) + here[at:]
        case _:
            parent[key] = source.text(12)


_DEEP = re.compile(rb'"@deep (\d+) (\w+)"')
"""What stands for a value too deep for Python to copy, until it is written."""


def nested(value: Any, depth: int, kind: str) -> Any:
    """``value`` below ``depth`` lists or objects; the deepest ones hold nothing."""
    if depth > 100:
        return f"@deep {depth} {kind}"
    for _ in range(depth):
        value = [value] if kind == "list" else {"properties": value}
    return value


def _deep(found: re.Match[bytes]) -> bytes:
    depth = int(found[1])
    if found[2] == b"list":
        return b"[" * depth + b"]" * depth
    return b'{"properties":' * depth + b"{}" + b"}" * depth


def dump(value: Any) -> bytes:
    """JSON as careless programs write it: NaN, Infinity and halves of surrogate pairs included."""
    return _DEEP.sub(_deep, json.dumps(value).encode())


def broken(data: bytes, source: Source) -> bytes:
    """``data``, cut, changed, repeated or added to somewhere; now and then as it is."""
    at = _place(data, source)
    match source.below(7):
        case 0:
            return data[:at]
        case 1:
            return data[:at] + source.raw(8) + data[at:]
        case 2:
            return data[:at] + bytes([source.below(256)]) + data[at + 1 :]
        case 3:
            end = at + source.below(64)
            return data[:end] + data[at:]
        case 4:
            return source.raw(64)
        case _:
            return data


def pieces(data: bytes, source: Source, most: int = 6) -> list[bytes]:
    """``data`` cut at a few places."""
    cuts = sorted({_place(data, source) for _ in range(source.below(most))})
    return [data[a:b] for a, b in zip([0, *cuts], [*cuts, len(data)], strict=True)]


def _place(data: bytes, source: Source) -> int:
    """Somewhere in ``data``; the same decision means the same whatever its length is."""
    return source.below(65_536) * (len(data) + 1) >> 16


def encoded(data: bytes, source: Source) -> tuple[str, bytes]:
    """(Content-Encoding, the body in it); the two need not fit."""
    words = ("", "gzip", "x-gzip", "deflate", "identity", "br", "gzip, gzip", "\xff")
    raw = zlib.compressobj(wbits=-15)
    forms = (data, data, gzip.compress(data), zlib.compress(data), raw.compress(data) + raw.flush())
    return words[source.below(len(words))], broken(forms[source.below(len(forms))], source)
