"""Reading a JSON request body: limits, content coding, and errors that say what is wrong."""

import asyncio
import contextlib
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

LINGER_S = 2.0
"""How long the rest of a body is read for a request that was answered before its end. Closed at
once, the client would not see the answer but a broken connection."""

Receive = Callable[[], Awaitable[dict[str, Any]]]
Send = Callable[[dict[str, Any]], Awaitable[None]]


class Incoming:
    """``receive`` and ``send`` of a request with a body, with an eye on where that ends."""

    def __init__(self, receive: Receive, send: Send) -> None:
        self._receive, self._send = receive, send
        self._whole = False

    async def receive(self) -> dict[str, Any]:
        message = await self._receive()
        self._whole = not message.get("more_body", False)
        return message

    async def send(self, message: dict[str, Any]) -> None:
        last = message["type"] == "http.response.body" and not message.get("more_body", False)
        if last and not self._whole:
            await self._send({**message, "more_body": True})
            await self._discard()
            message = {"type": "http.response.body", "body": b"", "more_body": False}
        await self._send(message)

    async def _discard(self) -> None:
        """Throw away what has not been read."""
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(LINGER_S):
                while not self._whole:
                    await self.receive()


async def read_json(receive: Receive, headers: Mapping[str, str]) -> Json:
    """The body as a JSON object. Raises 400, 413 or 415."""
    announced = headers.get("content-length", "")
    if announced.isdecimal() and int(announced[:20]) > MOST_BYTES:
        raise _too_large()
    raw = await _read(receive)
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


async def _read(receive: Receive) -> bytes:
    pieces: list[bytes] = []
    size = 0
    more = True
    clock = asyncio.get_running_loop().time
    began = heard = clock()
    last = began + WHOLE_BODY_S
    try:
        async with asyncio.timeout_at(min(last, heard + SILENCE_S)) as limit:
            while more:
                message = await receive()
                if message["type"] == "http.disconnect":
                    raise asyncio.CancelledError
                pieces.append(message.get("body", b""))
                size += len(pieces[-1])
                if size > MOST_BYTES:
                    raise _too_large()
                more = message.get("more_body", False)
                # Most bodies arrive at once, and should not pay for a timer with every piece.
                if clock() - heard > SILENCE_S / 10:
                    heard = clock()
                    limit.reschedule(min(last, heard + SILENCE_S))
    except TimeoutError as error:
        raise BadRequestError(
            f"The request body did not arrive within {WHOLE_BODY_S:.0f} s."
            if clock() >= last
            else f"The request body stopped arriving for {SILENCE_S:.0f} s."
        ) from error
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
