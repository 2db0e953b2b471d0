"""Request bodies: JSON only, bounded, mended where editors cut an emoji in half."""

import asyncio
import gzip
import json
import zlib
from typing import Any

import pytest

from server.edge import body
from server.edge.body import Bodies, Body, Share, parse_json, read_body
from server.errors import (
    BadRequestError,
    OverloadedError,
    PayloadTooLargeError,
    ProxyError,
    UnsupportedMediaTypeError,
)
from server.limits import BODY_FIELDS, BODY_VALUES, LARGE_BODY_BYTES, LARGE_BODY_OBJECTS


async def read(raw: bytes, *, pieces: int = 1, **headers: str) -> Any:
    size = -(-len(raw) // pieces) or 1
    parts = [raw[i : i + size] for i in range(0, len(raw), size)] or [b""]
    messages = iter(
        {"type": "http.request", "body": part, "more_body": i < len(parts) - 1}
        for i, part in enumerate(parts)
    )

    async def receive() -> dict[str, Any]:
        return next(messages)

    named = {name.replace("_", "-"): value for name, value in headers.items()}
    return (
        await read_body(receive, {"content-type": "application/json", **named}, Share(Bodies()))
    ).json()


async def test_a_body_in_pieces_is_one_body() -> None:
    assert await read(b'{"a": "\xc3\xa4"}', pieces=7) == {"a": "ä"}


async def test_a_body_that_goes_on_is_not_cut(monkeypatch: pytest.MonkeyPatch) -> None:
    """Slower in all than the longest pause allowed."""
    monkeypatch.setattr(body, "BODY_SILENCE_S", 0.5)
    pieces = iter([b"{", *[b" "] * 20, b"}"])

    async def receive() -> dict[str, Any]:
        piece = next(pieces)
        await asyncio.sleep(0.06)
        return {"type": "http.request", "body": piece, "more_body": piece != b"}"}

    read = await read_body(receive, {"content-type": "application/json"}, Share(Bodies()))
    assert read.json() == {}


async def test_parameters_of_the_content_type_are_fine() -> None:
    assert await read(b"{}", content_type="application/json; charset=UTF-8") == {}


@pytest.mark.parametrize("content_type", ["text/plain", "application/x-www-form-urlencoded", ""])
async def test_other_content_types_are_refused(content_type: str) -> None:
    with pytest.raises(UnsupportedMediaTypeError):
        await read(b"{}", content_type=content_type)


@pytest.mark.parametrize(
    ("coding", "packed"),
    [
        ("gzip", gzip.compress(b'{"a":1}')),
        ("deflate", zlib.compress(b'{"a":1}')),
        ("deflate", zlib.compress(b'{"a":1}')[2:-4]),
        ("identity", b'{"a":1}'),
    ],
)
async def test_packed_bodies_are_read(coding: str, packed: bytes) -> None:
    assert await read(packed, content_encoding=coding) == {"a": 1}


@pytest.mark.parametrize(
    ("raw", "coding", "error"),
    [
        (b"{}", "br", UnsupportedMediaTypeError),
        (b"not gzip", "gzip", BadRequestError),
        (b"not deflate", "deflate", BadRequestError),
        (gzip.compress(b'{"a":1}')[:-5], "gzip", BadRequestError),
    ],
)
async def test_unreadable_packing_is_refused(
    raw: bytes, coding: str, error: type[ProxyError]
) -> None:
    with pytest.raises(error):
        await read(raw, content_encoding=coding)


async def test_the_limit_counts_after_unpacking(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(body, "BODY_BYTES", 1000)
    bomb = gzip.compress(b'{"a":"' + b"x" * 100_000 + b'"}')
    assert len(bomb) < 1000
    with pytest.raises(PayloadTooLargeError):
        await read(bomb, content_encoding="gzip")
    with pytest.raises(PayloadTooLargeError):
        await read(b" " * 1001, pieces=3)


@pytest.mark.parametrize(
    "raw", [b"", b"{", b"[]", b'"x"', b"null", b'{"a":NaN}', b"\xff\xfe", b"[" * 100_000]
)
async def test_what_is_not_a_json_object_is_a_bad_request(raw: bytes) -> None:
    with pytest.raises(BadRequestError):
        await read(raw)


def test_half_an_emoji_is_mended_and_a_whole_one_kept() -> None:
    whole = json.dumps({"a": "😀", "b": ["x😀y"]})
    assert parse_json(whole.encode()) == {"a": "😀", "b": ["x😀y"]}
    assert parse_json(b'{"a":"cut \\ud83d"}') == {"a": "cut \ufffd"}
    assert parse_json(b'{"a":"\\ud83d\\ude00 \\uDE00"}') == {"a": "😀 \ufffd"}


def bytes_outside(raw: bytes, monkeypatch: pytest.MonkeyPatch, piece: int) -> bytes:
    monkeypatch.setattr(body, "_PIECE", piece)
    return b"".join(body._outside_strings(raw))


@pytest.mark.parametrize("piece", range(1, 12))
def test_what_is_outside_of_strings_is_found_wherever_it_is_cut(
    monkeypatch: pytest.MonkeyPatch, piece: int
) -> None:
    value = {'a"b\\': ["{[,:", "\\\\", '"', "", "\n\t,", {"c": "\\"}], "d": {}, ":": [1, [], "x,"]}
    found = bytes_outside(json.dumps(value).encode(), monkeypatch, piece)
    assert found.replace(b" ", b"") == b"{:[,,,,,{:}],:{},:[1,[],]}"


@pytest.mark.parametrize(
    "raw",
    [
        b"[" + b"[]," * BODY_FIELDS + b"1]",
        b"{" + b'"a":1,' * BODY_FIELDS + b'"b":{}}',
        b'{"a":[' + b"1," * (BODY_VALUES + 1) + b"1]}",
    ],
    ids=["arrays", "fields", "numbers"],
)
def test_a_body_of_which_millions_of_objects_would_be_made_is_refused(raw: bytes) -> None:
    with pytest.raises(BadRequestError, match="objects, arrays and fields"):
        parse_json(raw)


def test_a_long_text_may_look_like_anything() -> None:
    text = '[{"a": "b"}, ' * BODY_FIELDS
    assert parse_json(json.dumps({"text": text}).encode()) == {"text": text}


@pytest.mark.parametrize(
    ("raw", "coding", "large"),
    [
        (b"{}", "", False),
        (b'{"a":"' + b"x" * LARGE_BODY_BYTES + b'"}', "", True),
        (b"[" + b"{}," * LARGE_BODY_OBJECTS + b"{}]", "", True),
        (b"...", "gzip", True),
        (b'{"tools": [{"$ref": "#"}]}', "", True),
        (b'{"tools": [{"$dynamicRef": "#"}]}', "", True),
        (b'{"tools": [{"allOf": []}]}', "", True),
        (b'{"tools": [{"\\u0024ref": "#"}]}', "", True),
        (b'{"tools": [{"all\\u004ff": []}]}', "", True),
        (b'{"text": "caf\\u00e9 \\u2014 allOf it"}', "", False),
    ],
)
def test_which_bodies_are_large(raw: bytes, coding: str, large: bool) -> None:
    assert Body(raw, coding).is_large is large


def test_large_bodies_share_one_room_and_give_it_back(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(body, "BODIES_BYTES", 3 * LARGE_BODY_BYTES)
    bodies = Bodies()
    with bodies.share() as one, bodies.share() as other:
        one.hold(2 * LARGE_BODY_BYTES)
        one.hold(2 * LARGE_BODY_BYTES)
        other.hold(LARGE_BODY_BYTES)  # small, and not counted
        with pytest.raises(OverloadedError):
            other.hold(2 * LARGE_BODY_BYTES)
        assert bodies.held == 2 * LARGE_BODY_BYTES
    assert bodies.held == 0
