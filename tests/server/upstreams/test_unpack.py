"""Packed bodies: every cut gives the same text, and a bomb goes off in small pieces."""

import gzip
import tracemalloc
import zlib
from collections.abc import AsyncIterator, Callable

import httpx
import pytest

from server.upstreams.unpack import PIECE, unpacked

REQUEST = httpx.Request("POST", "http://127.0.0.1/")
TEXT = "".join(f"data: {number}\r\n\r\n" for number in range(3000)).encode()


def raw_deflate(text: bytes) -> bytes:
    coder = zlib.compressobj(wbits=-zlib.MAX_WBITS)
    return coder.compress(text) + coder.flush()


async def cut(body: bytes, size: int) -> AsyncIterator[bytes]:
    yield b""
    for start in range(0, len(body), size):
        yield body[start : start + size]


@pytest.mark.parametrize("size", [1, 2, 7, 4096, 1 << 20])
@pytest.mark.parametrize(
    ("coding", "pack"),
    [
        ("gzip", gzip.compress),
        ("x-gzip", gzip.compress),
        ("deflate", zlib.compress),
        ("deflate", raw_deflate),
    ],
)
async def test_every_cut_gives_the_same_text(
    coding: str, pack: Callable[[bytes], bytes], size: int
) -> None:
    reads = unpacked(cut(pack(TEXT), size), coding, REQUEST)
    assert b"".join([piece async for piece in reads]) == TEXT


async def test_what_arrives_is_given_at_once() -> None:
    coder = zlib.compressobj(wbits=31)
    parts = [coder.compress(word) + coder.flush(zlib.Z_SYNC_FLUSH) for word in (b"one", b"two")]

    async def reads() -> AsyncIterator[bytes]:
        for part in parts:
            yield part

    assert [piece async for piece in unpacked(reads(), "gzip", REQUEST)] == [b"one", b"two"]


async def test_a_bomb_goes_off_in_small_pieces() -> None:
    bomb = gzip.compress(bytes(200 * 1024 * 1024))
    most = total = 0
    tracemalloc.start()
    try:
        async for piece in unpacked(cut(bomb, 256 * 1024), "gzip", REQUEST):
            most, total = max(most, len(piece)), total + len(piece)
        _, peak = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert total == 200 * 1024 * 1024
    assert most <= PIECE
    assert peak < 4 * 1024 * 1024


@pytest.mark.parametrize("coding", ["gzip", "deflate"])
async def test_what_is_not_packed_is_an_error_of_decoding(coding: str) -> None:
    with pytest.raises(httpx.DecodingError):
        async for _ in unpacked(cut(b"\xff\xff not packed", 64), coding, REQUEST):
            pass
