"""HTTP requests as the edge sees them, and the responses it sends."""

import asyncio
import contextlib
import logging
import math
import re
from collections.abc import Awaitable, Callable, Coroutine, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from itertools import accumulate, takewhile
from typing import Any, cast
from urllib.parse import parse_qsl

from server.core.request_record import Exchange
from server.dialects.base import Dialect, Params
from server.edge.access import Caller
from server.edge.body import Bodies, Share
from server.errors import ProxyError, RateLimitError
from server.gemini.types import Json, new_id
from server.inspector import note
from server.json_codec import dumps
from server.limits import HEADER_CHARS, VECTORS_AT_ONCE

log = logging.getLogger(__name__)

_PIECE = 100_000

_OUR_HEADERS = ("x-", "retry-after", "request-id")

Scope = dict[str, Any]
Receive = Callable[[], Awaitable[dict[str, Any]]]
Send = Callable[[dict[str, Any]], Awaitable[None]]


@dataclass(slots=True)
class Request:
    """One HTTP request to an API route."""

    scope: Scope
    receive: Receive
    send: Send
    headers: Mapping[str, str]
    id: str = field(default_factory=lambda: new_id("req_"))
    caller: Caller = field(default_factory=lambda: Caller(False, None))
    """Filled by the access check."""
    address_keys: tuple[str, ...] = ()
    """What stood in ``?key=``, which the address no longer has."""
    share: Share = field(default_factory=lambda: Share(Bodies()))
    """What its body holds of the room for all of them."""
    last: bool = False
    """Whether the connection ends with this request, because what follows it cannot be trusted."""

    @property
    def method(self) -> str:
        return str(self.scope["method"])

    @property
    def path(self) -> str:
        """Percent-decoded, so ``%2F`` in a model name is a slash."""
        return str(self.scope["path"])

    def params(
        self, placeholders: Mapping[str, str], recall: Callable[[str], Json | None]
    ) -> Params:
        query = parse_qsl(self.scope["query_string"].decode("latin-1"), keep_blank_values=True)
        return Params(placeholders, dict(query), self.headers, recall)


def facts(exchange: Exchange) -> dict[str, str]:
    """The response headers that tell what became of the request."""
    facts = {}
    if exchange.model:
        facts["x-gemini-model"] = exchange.model
    if exchange.served:
        facts["x-gemini-model-version"] = exchange.served
    if exchange.dropped:
        facts["x-proxy-dropped"] = listed(exchange.dropped)
    if exchange.queue_wait_s:
        facts["x-queue-wait-ms"] = str(round(exchange.queue_wait_s * 1000))
    return facts


def listed(names: Sequence[str]) -> str:
    """Whole names as far as a header has room for them, then ``+N``."""
    distinct = list(dict.fromkeys(names))
    text = ", ".join(distinct)
    if len(text) <= HEADER_CHARS:
        return text
    room = HEADER_CHARS - len(f", +{len(distinct)}")
    ends = accumulate(len(name) + 2 for name in distinct)
    whole = sum(1 for end in takewhile(lambda end: end - 2 <= room, ends))
    return ", ".join([*distinct[:whole], f"+{len(distinct) - whole}"])


def error_headers(error: ProxyError) -> dict[str, str]:
    """Retry-After (whole seconds, rounded up) and what SDKs read besides it."""
    headers = {}
    if error.retry_after_s is not None:
        headers["retry-after"] = str(math.ceil(error.retry_after_s))
        headers["retry-after-ms"] = str(math.ceil(error.retry_after_s * 1000))
    elif isinstance(error, RateLimitError) and not error.exhausted:
        headers["retry-after"] = "5"
    if error.should_retry is not None:
        headers["x-should-retry"] = str(error.should_retry).lower()
    return headers


def note_failure(request: Request, dialect: Dialect, how: str, error: ProxyError) -> None:
    """Write a failed request into the log. ``how``: its status, or how far it had come."""
    level = logging.ERROR if error.fault else logging.WARNING
    log.log(level, "%s %s %s: %s", request.id, dialect.name, how, error.message)


async def send_error(request: Request, dialect: Dialect, error: ProxyError) -> None:
    status, body = dialect.encode_error(error, request.id)
    note_failure(request, dialect, str(status), error)
    headers = error_headers(error) | {"content-type": "application/json"}
    await send_body(request, status, dump(body), headers, dialect)


async def send_json(
    request: Request, dialect: Dialect, body: Json, headers: Mapping[str, str]
) -> None:
    await send_body(
        request, 200, dump(body), {"content-type": "application/json", **headers}, dialect
    )


def dump(body: object) -> bytes:
    """Half a surrogate pair, which JSON can say and UTF-8 cannot, becomes its escape."""
    return dumps(body, errors="backslashreplace")


def dump_pieces(body: Json) -> list[bytes]:
    """``dump(body)`` in pieces of some 100 kB, made one by one: written at once, thousands of
    vectors would keep every other thread waiting."""
    pieces, head = [bytearray()], b"{"
    for name, value in body.items():
        many = isinstance(value, list) and len(value) > VECTORS_AT_ONCE
        pieces[-1] += head + dumps(name) + (b":[" if many else b":" + dump(value))
        head = b","
        if many:
            for index, item in enumerate(value):
                pieces[-1] += b"," * (index > 0) + dump(item)
                if len(pieces[-1]) > _PIECE:
                    pieces.append(bytearray())
            pieces[-1] += b"]"
    pieces[-1] += b"}" if body else b"{}"
    return list(map(bytes, pieces))


async def send_body(
    request: Request,
    status: int,
    body: bytes | list[bytes],
    headers: Mapping[str, str],
    dialect: Dialect | None = None,
) -> None:
    """The whole answer; ``body`` may come in pieces."""
    pieces = body if isinstance(body, list) else [body]
    length = {"content-length": str(sum(map(len, pieces)))}
    await send_head(request, status, {**headers, **length}, dialect)
    if request.method == "HEAD":
        pieces = [b""]
    note("answer", pieces[0], f"HTTP {status}")
    for index, piece in enumerate(pieces, 1):
        more = index < len(pieces)
        await request.send({"type": "http.response.body", "body": piece, "more_body": more})


async def send_head(
    request: Request, status: int, headers: Mapping[str, str], dialect: Dialect | None
) -> None:
    names = {"x-request-id", dialect.request_id_header if dialect else "x-request-id"}
    every = {**headers, **dict.fromkeys(sorted(names), request.id)}
    every |= cors(request, every)
    if request.last:
        every["connection"] = "close"
    await request.send(
        {
            "type": "http.response.start",
            "status": status,
            "headers": [
                (name.encode("latin-1"), _header_value(value)) for name, value in every.items()
            ],
        }
    )


def cors(request: Request, headers: Iterable[str]) -> dict[str, str]:
    """What lets a page of an allowed Origin read the answer, and those of its headers that are
    ours."""
    origin = request.caller.allowed_origin
    if origin is None:
        return {}
    ours = [name for name in headers if name.startswith(_OUR_HEADERS)]
    return {
        "access-control-allow-origin": origin,
        "access-control-expose-headers": ", ".join(ours),
        "vary": "Origin",
    }


def _header_value(value: str) -> bytes:
    """Some values repeat what a client sent (model and field names): plain, short and one line."""
    if not (value.isascii() and value.isprintable()):
        value = re.sub(r"[^\x20-\x7e]", "?", value)
    return value[:HEADER_CHARS].strip().encode("ascii")


async def send_preflight(request: Request) -> None:
    headers = {}
    if request.caller.allowed_origin is not None:
        headers = {
            "access-control-allow-methods": "GET, POST, DELETE, OPTIONS",
            "access-control-allow-headers": request.headers.get(
                "access-control-request-headers", "authorization, content-type"
            ),
            "access-control-max-age": "600",
        }
        if request.headers.get("access-control-request-private-network") == "true":
            headers["access-control-allow-private-network"] = "true"
    await send_body(request, 204, b"", headers)


async def while_connected(request: Request, work: Coroutine[None, None, None]) -> None:
    """Do ``work``; it is cancelled as soon as the client hangs up.

    It reads the body itself, so the watch starts when nothing is left to receive.
    """
    task = cast("asyncio.Task[None]", asyncio.current_task())
    receive = request.receive
    watching: list[asyncio.Task[None]] = []
    gone = False

    async def watch() -> None:
        nonlocal gone
        while (await receive())["type"] != "http.disconnect":
            pass
        gone = True
        task.cancel()

    async def receive_body() -> dict[str, Any]:
        message = await receive()
        if not message.get("more_body", False):
            watching.append(asyncio.create_task(watch()))
        return message

    request.receive = receive_body
    if request.method == "GET":
        watching.append(asyncio.create_task(watch()))
    try:
        await work
    except asyncio.CancelledError:
        if not gone:
            raise
        task.uncancel()
    finally:
        for watcher in watching:
            watcher.cancel()


async def stay(request: Request, seconds: float) -> None:
    """Wait, at most until the client hangs up; what comes of its body is thrown away."""
    receive = request.receive
    with contextlib.suppress(TimeoutError):
        async with asyncio.timeout(seconds):
            while (await receive())["type"] != "http.disconnect":
                pass
