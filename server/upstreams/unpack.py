"""A packed body, unpacked a piece at a time.

httpx 0.28 unpacks whatever one read brings at once: 256 KiB of gzip may be 256 MiB of text
(GHSA-8xx6-hgc6-gc2m, written for httpx2 and true of the older code; decision 0028).
"""

import zlib
from collections.abc import AsyncGenerator, AsyncIterator

import httpx

CODINGS = ("gzip", "x-gzip", "deflate")
"""What is unpacked here: all that is asked for (RFC 9110, section 8.4.1)."""

PIECE = 256 * 1024
"""Bytes that are unpacked at once."""

_EITHER, _RAW = zlib.MAX_WBITS | 32, -zlib.MAX_WBITS
"""gzip or zlib by their first bytes; deflate without a head, as some servers mean the word."""


async def unpacked(
    reads: AsyncIterator[bytes], coding: str, request: httpx.Request
) -> AsyncGenerator[bytes, None]:
    """The text of a body in ``coding``, at most ``PIECE`` bytes each.

    Raises ``httpx.DecodingError`` where it is not in that coding. Nothing of what follows its end
    is given.
    """
    coder, begun = zlib.decompressobj(_EITHER), False
    async for data in reads:
        if not begun and coding == "deflate" and data and data[0] & 0x0F != zlib.DEFLATED:
            coder = zlib.decompressobj(_RAW)
        begun = begun or bool(data)
        try:
            while True:
                piece = coder.decompress(data, PIECE)
                data = coder.unconsumed_tail  # noqa: PLW2901  # what is left of this read
                if piece:
                    yield piece
                if not data and len(piece) < PIECE:
                    break
        except zlib.error as error:
            raise httpx.DecodingError(str(error), request=request) from error
