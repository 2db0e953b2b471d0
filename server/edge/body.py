"""Reading a JSON request body: limits, content coding, and errors that say what is wrong."""

import asyncio
import contextlib
import json
import re
import threading
import zlib
from collections.abc import Awaitable, Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

from server.errors import (
    BadRequestError,
    OverloadedError,
    PayloadTooLargeError,
    UnsupportedMediaTypeError,
)
from server.gemini.types import Json
from server.json_codec import holds_more, strict_loads
from server.limits import (
    BODIES_BYTES,
    BODY_BYTES,
    BODY_FIELDS,
    BODY_S,
    BODY_SILENCE_S,
    BODY_VALUES,
    LARGE_BODY_BYTES,
    LARGE_BODY_OBJECTS,
    MIB,
)

LINGER_S = 2.0
"""How long the rest of a body is read for a request that was answered before its end. Closed at
once, the client would not see the answer but a broken connection."""

BUSY_S = 2.0
"""After this long it is worth asking again with a large body."""

Receive = Callable[[], Awaitable[dict[str, Any]]]
Send = Callable[[dict[str, Any]], Awaitable[None]]


_PLAIN = ("", "identity")
_PIECE = 256 * 1024
_MULTIPLYING = (b"$re", b"Re", b"allO")
"""Before ``f"``, in a schema, what makes much of little: a few kB of ``$ref``, ``$dynamicRef`` or
``allOf`` are a quarter of a second's work."""
_ESCAPED = re.compile(rb"\\u00[24567]")
"""Their letters may be escaped."""


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


@dataclass(slots=True)
class Bodies:
    """The large bodies of all requests under way; counted in the loop and in a thread beside it."""

    held: int = 0
    _lock: threading.Lock = field(default_factory=threading.Lock)

    def grow(self, by: int) -> bool:
        """Whether there is room for ``by`` more bytes (below 0: less); takes the room."""
        with self._lock:
            if by > 0 and self.held + by > BODIES_BYTES:
                return False
            self.held += by
            return True

    @contextlib.contextmanager
    def share(self) -> "Iterator[Share]":
        """The part of one request, given back at its end."""
        share = Share(self)
        try:
            yield share
        finally:
            self.grow(-share.held)


@dataclass(slots=True)
class Share:
    """What one request holds."""

    bodies: Bodies
    held: int = 0

    def hold(self, size: int) -> None:
        """Its body has ``size`` bytes now; a small one does not count. Raises 503 when there are
        too many large ones."""
        more = size - self.held
        if size <= LARGE_BODY_BYTES or more <= 0:
            return
        if not self.bodies.grow(more):
            raise OverloadedError(
                f"The server is busy with {BODIES_BYTES // MIB} MiB of large requests, and takes "
                "no more at once. Send this one again in a moment.",
                code="server_busy",
                retry_after_s=BUSY_S,
            )
        self.held = size


@dataclass(frozen=True, slots=True)
class Body:
    """A JSON body as it came."""

    raw: bytes
    coding: str = ""
    """Its content coding, in lower case."""
    share: Share = field(default_factory=lambda: Share(Bodies()))

    @property
    def is_large(self) -> bool:
        """Whether reading it takes long enough for others to notice."""
        return (
            len(self.raw) > LARGE_BODY_BYTES
            or holds_more(self.raw, b"{", LARGE_BODY_OBJECTS)
            or self.coding not in _PLAIN  # little may become much
            or _multiplies(self.raw)
        )

    def json(self) -> Json:
        """What it says. Raises ``BadRequestError`` and the like."""
        decoded = _decode(self.raw, self.coding)
        self.share.hold(len(decoded))
        return parse_json(decoded)


def _multiplies(raw: bytes) -> bool:
    """One look for what the words end with costs a third of a look for each of them."""
    if any(piece.endswith(_MULTIPLYING) for piece in raw.split(b'f"')[:-1]):
        return True
    return b"\\" in raw and _ESCAPED.search(raw) is not None


async def read_body(receive: Receive, headers: Mapping[str, str], share: Share) -> Body:
    """The body of a request that must be JSON, unread. Raises 400, 413, 415 or 503."""
    announced = headers.get("content-length", "")
    if announced.isdecimal() and int(announced[:20]) > BODY_BYTES:
        raise _too_large()
    raw = await _read(receive, share)
    content_type = headers.get("content-type", "").partition(";")[0].strip().lower()
    if raw and content_type != "application/json":
        raise UnsupportedMediaTypeError(
            f"Content-Type must be application/json, not {content_type or '(none)'}.",
            code="unsupported_content_type",
        )
    return Body(raw, headers.get("content-encoding", "").strip().lower(), share)


def parse_json(raw: bytes) -> Json:
    """Strict JSON, with one repair: half an emoji becomes U+FFFD (editors cut texts anywhere)."""
    _check_number_of_values(raw)
    try:
        value = strict_loads(raw)
        if b"\\" in raw and (b"\\ud" in raw or b"\\uD" in raw):
            value = _mend_surrogates(value)
    except ValueError as error:
        raise BadRequestError(f"The request body is not valid JSON: {error}") from error
    if not isinstance(value, dict):
        raise BadRequestError("The request body must be a JSON object.")
    return value


def _check_number_of_values(raw: bytes) -> None:
    """Raises ``BadRequestError`` for a body of which millions of objects would be made."""
    if len(raw) <= BODY_FIELDS or _within_bounds([raw]):
        return
    if not _within_bounds(_outside_strings(raw)):
        raise BadRequestError(
            f"The request body holds more than {BODY_FIELDS} objects, arrays and fields, or more "
            f"than {BODY_VALUES} values."
        )


def _within_bounds(pieces: Iterable[bytes]) -> bool:
    fields = values = 0
    for piece in pieces:
        fields += piece.count(b"{") + piece.count(b"[") + piece.count(b":")
        values += piece.count(b",")
    return fields <= BODY_FIELDS and values <= BODY_VALUES


def _outside_strings(raw: bytes) -> Iterator[bytes]:
    """``raw`` without its strings, piece by piece, so that other threads get their turn."""
    inside, start = False, 0
    while start < len(raw):
        piece = raw[start : start + _PIECE]
        if (len(piece) - len(piece.rstrip(b"\\"))) % 2:
            piece = raw[start : start + _PIECE + 1]  # an escape and what it escapes stay together
        start += len(piece)
        parts = piece.replace(b"\\\\", b"").replace(b'\\"', b"").split(b'"')
        yield from parts[inside::2]
        inside ^= len(parts) % 2 == 0


def _mend_surrogates(value: Any) -> Any:
    text = json.dumps(value, ensure_ascii=False)
    return json.loads(text.encode("utf-16", "surrogatepass").decode("utf-16", "replace"))


async def _read(receive: Receive, share: Share) -> bytes:
    pieces: list[bytes] = []
    size = 0
    more = True
    clock = asyncio.get_running_loop().time
    began = heard = clock()
    last = began + BODY_S
    try:
        async with asyncio.timeout_at(min(last, heard + BODY_SILENCE_S)) as limit:
            while more:
                message = await receive()
                if message["type"] == "http.disconnect":
                    raise asyncio.CancelledError
                pieces.append(message.get("body", b""))
                size += len(pieces[-1])
                if size > BODY_BYTES:
                    raise _too_large()
                share.hold(size)
                more = message.get("more_body", False)
                # Most bodies arrive at once, and should not pay for a timer with every piece.
                if clock() - heard > BODY_SILENCE_S / 10:
                    heard = clock()
                    limit.reschedule(min(last, heard + BODY_SILENCE_S))
    except TimeoutError as error:
        raise BadRequestError(
            f"The request body did not arrive within {BODY_S:.0f} s."
            if clock() >= last
            else f"The request body stopped arriving for {BODY_SILENCE_S:.0f} s."
        ) from error
    return b"".join(pieces)


def _decode(raw: bytes, coding: str) -> bytes:
    if coding in _PLAIN:
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
    data = decoder.decompress(raw, BODY_BYTES + 1)
    if len(data) > BODY_BYTES:
        raise _too_large()
    if not decoder.eof:
        raise zlib.error("incomplete")
    return data


def _too_large() -> PayloadTooLargeError:
    return PayloadTooLargeError(
        f"The request body is larger than {BODY_BYTES // MIB} MiB.",
        code="request_too_large",
    )
