"""Reading a JSON request body: limits, content coding, and errors that say what is wrong."""

import asyncio
import json
import zlib
from collections.abc import Awaitable, Callable, Mapping
from typing import Any

from server.errors import (
    BadRequestError,
    PayloadTooLargeError,
    UnsupportedMediaTypeError,
)
from server.gemini.types import Json
from server.json_codec import strict_loads

MOST_BYTES = 32 * 1024 * 1024
"""After decoding. Anthropic's own limit."""

SILENCE_S = 60.0
"""How long a client may pause while it sends its body."""

WHOLE_BODY_S = 600.0
"""How long it may take in all: 32 MiB at 56 kB a second."""


async def read_json(
    receive: Callable[[], Awaitable[dict[str, Any]]], headers: Mapping[str, str]
) -> Json:
    """The body as a JSON object. Raises 400, 413 or 415."""
    try:
        async with asyncio.timeout(WHOLE_BODY_S):
            raw = await _read(receive)
    except TimeoutError as error:
        raise BadRequestError(
            f"The request body did not arrive within {WHOLE_BODY_S:.0f} s."
        ) from error
    content_type = headers.get("content-type", "").partition(";")[0].strip().lower()
    if raw and content_type != "application/json":
        raise UnsupportedMediaTypeError(
            f"Content-Type must be application/json, not {content_type or '(none)'}.",
            code="unsupported_content_type",
        )
    return parse_json(_decode(raw, headers.get("content-encoding", "")))


def parse_json(raw: bytes) -> Json:
    """Strict JSON, with one repair: half an emoji becomes U+FFFD (editors cut texts anywhere)."""
    try:
        value = strict_loads(raw)
        if b"\\ud" in raw or b"\\uD" in raw:
            value = _mend_surrogates(value)
    except ValueError as error:
        raise BadRequestError(f"The request body is not valid JSON: {error}") from error
    if not isinstance(value, dict):
        raise BadRequestError("The request body must be a JSON object.")
    return value


def _mend_surrogates(value: Any) -> Any:
    text = json.dumps(value, ensure_ascii=False)
    return json.loads(text.encode("utf-16", "surrogatepass").decode("utf-16", "replace"))


async def _read(receive: Callable[[], Awaitable[dict[str, Any]]]) -> bytes:
    pieces: list[bytes] = []
    size = 0
    more = True
    while more:
        try:
            async with asyncio.timeout(SILENCE_S):
                message = await receive()
        except TimeoutError as error:
            raise BadRequestError(
                f"The request body stopped arriving for {SILENCE_S:.0f} s."
            ) from error
        if message["type"] == "http.disconnect":
            raise asyncio.CancelledError
        pieces.append(message.get("body", b""))
        size += len(pieces[-1])
        if size > MOST_BYTES:
            raise _too_large()
        more = message.get("more_body", False)
    return b"".join(pieces)


def _decode(raw: bytes, coding: str) -> bytes:
    coding = coding.strip().lower()
    if coding in ("", "identity"):
        return raw
    windows = {"gzip": 31, "x-gzip": 31, "deflate": 15}
    if coding not in windows:
        raise UnsupportedMediaTypeError(
            f"Content-Encoding {coding} cannot be read; send gzip, deflate or none.",
            code="unsupported_content_encoding",
        )
    try:
        return _inflate(raw, windows[coding])
    except zlib.error as error:
        if coding == "deflate":  # some senders leave the zlib wrapper away
            return _inflate_or_400(raw, -15)
        raise BadRequestError(f"The request body is not valid {coding}.") from error


def _inflate_or_400(raw: bytes, window: int) -> bytes:
    try:
        return _inflate(raw, window)
    except zlib.error as error:
        raise BadRequestError("The request body is not valid deflate.") from error


def _inflate(raw: bytes, window: int) -> bytes:
    decoder = zlib.decompressobj(window)
    data = decoder.decompress(raw, MOST_BYTES + 1)
    if len(data) > MOST_BYTES:
        raise _too_large()
    if not decoder.eof:
        raise zlib.error("incomplete")
    return data


def _too_large() -> PayloadTooLargeError:
    return PayloadTooLargeError(
        f"The request body is larger than {MOST_BYTES // 1024 // 1024} MiB.",
        code="request_too_large",
    )
