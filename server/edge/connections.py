"""Limits on connections that Hypercorn does not have: nobody holds one for ever by doing nothing.

A request's head is bounded by Hypercorn's keep-alive timer, its body by ``server.edge.body``. Here:
a client that does not read what it asked for, one that does not let its connection close, and one
that has left.
"""

import asyncio
import contextlib
import logging
import sys
from collections.abc import Awaitable, Callable
from typing import Any, ClassVar

import h2.connection
import h2.errors
import h2.events
import h2.exceptions
import h11
import hypercorn.asyncio.run
import hypercorn.protocol
from hypercorn.asyncio.tcp_server import TCPServer
from hypercorn.events import Closed, Event, RawData, Updated
from hypercorn.protocol.h2 import H2Protocol
from hypercorn.protocol.h11 import H2ProtocolAssumedError, H11Protocol
from hypercorn.protocol.http_stream import HTTPStream
from priority.priority import TooManyStreamsError

log = logging.getLogger(__name__)

Send = Callable[[dict[str, Any]], Awaitable[None]]

SLOW_READER_S = 300.0
"""How long a client may take none (or next to none) of what is being sent to it."""

LARGE = 32 * 1024
"""Bytes that are written at once, and then waited for."""

CLOSING_S = 5.0
"""How long what is left in the buffer may take once a connection is being closed."""

FIRST_LINE = 1024
"""Bytes of a request that are kept until it has been read: its first line, in case it cannot be."""

Malformed = Callable[[int, bytes], tuple[list[tuple[bytes, bytes]], bytes]]
"""(status, the first bytes) -> headers and body of the answer to what is no request."""

FILES_WANTED = 8192
"""Open files to ask the system for; many allow 256 or 1024 until they are asked."""


class BoundedConnection(TCPServer):
    """One connection. ``abort`` frees it at once, whatever the other side does.

    What one turn of the loop writes leaves in one piece, and one task watches for idleness as long
    as the connection lives: Hypercorn's own ways cost several tasks and timers for each request.
    """

    def __init__(self, *parts: Any) -> None:
        super().__init__(*parts)
        self._idle_since: float | None = self.loop.time()
        """None while a request is under way."""
        self._unsent: list[bytes] = []

    async def _read_data(self) -> None:
        """Without this, Hypercorn keeps the connection of a client that has left, and three tasks,
        until its keep-alive timer ends."""
        await super()._read_data()
        await self.idle_task.stop()

    async def protocol_send(self, event: Event) -> None:
        if isinstance(event, RawData):
            if event.data:
                await self._send(event.data)
        elif isinstance(event, Updated):
            if not event.idle:
                self._idle_since = None
            elif self._idle_since is None:
                self._idle_since = self.loop.time()
        else:
            await super().protocol_send(event)

    async def _send(self, data: bytes) -> None:
        if self.writer.is_closing():  # writing on would only fill the log with asyncio's warnings
            await self.protocol.handle(Closed())
            await asyncio.sleep(0)  # lets the request learn of it before it writes again
            return
        if not self._unsent:
            self.loop.call_soon(self._flush)
        self._unsent.append(data)
        if len(data) < LARGE and not self.writer.transport.get_write_buffer_size():
            return
        self._flush()
        try:
            async with asyncio.timeout(SLOW_READER_S), self.send_lock:
                await self.writer.drain()
        except TimeoutError:
            log.info("a client read nothing for %g s and was disconnected", SLOW_READER_S)
            self.writer.transport.abort()
            await self.protocol.handle(Closed())
        except OSError:  # the client's host may be gone: EHOSTUNREACH is no ConnectionError
            await self.protocol.handle(Closed())

    def _flush(self) -> None:
        """Write what was sent since the loop's last turn."""
        if self._unsent and not self.writer.is_closing():
            self.writer.write(b"".join(self._unsent))
        self._unsent.clear()

    async def _idle_timeout(self) -> None:
        """Close after ``keep_alive_timeout`` without a request, or at once when the server stops.
        A request under way at that moment is ended by Hypercorn."""
        limit = self.config.keep_alive_timeout
        while True:
            since = self._idle_since
            left = limit if since is None else since + limit - self.loop.time()
            if left <= 0:
                break
            try:
                async with asyncio.timeout(left):
                    await self.context.terminated.wait()
            except TimeoutError:
                continue
            if self._idle_since is None:
                return
            break
        await asyncio.shield(self._initiate_server_close())

    async def _close(self) -> None:
        self._flush()
        # Hypercorn swallows the cancellation by which a time-out speaks, so it is asked afterwards.
        async with asyncio.timeout(CLOSING_S) as limit:
            # Hypercorn 0.18 expects ConnectionError only (its issue 361); who is gone needs no end.
            with contextlib.suppress(OSError):
                await super()._close()
        if limit.expired():
            self.writer.transport.abort()

    async def _initiate_server_close(self) -> None:
        self._flush()
        await super()._initiate_server_close()
        self.loop.call_later(CLOSING_S, self.writer.transport.abort)


def bounded(send: Send) -> Send:
    """``send`` for one stream of an HTTP/2 connection, whose client may hold a single stream back
    while the connection itself moves. It is then treated as one that has left."""

    async def bounded_send(message: dict[str, Any]) -> None:
        try:
            async with asyncio.timeout(SLOW_READER_S):
                await send(message)
        except TimeoutError:
            log.info("a client read nothing for %g s and was disconnected", SLOW_READER_S)
            raise asyncio.CancelledError from None

    return bounded_send


class _Answered:
    """A stream of HTTP/2 that was answered before its body ended: the rest is not wanted (RFC 9113,
    section 8.1)."""

    def __init__(self, connection: h2.connection.H2Connection, stream_id: int) -> None:
        self._connection, self._stream_id = connection, stream_id

    async def handle(self, _event: object) -> None:
        with contextlib.suppress(h2.exceptions.StreamClosedError):  # several pieces in one read
            self._connection.reset_stream(self._stream_id, h2.errors.ErrorCodes.NO_ERROR)


class _Streams(dict[int, Any]):
    """The open streams of a connection, by number."""

    def __init__(self, connection: h2.connection.H2Connection) -> None:
        self._connection = connection

    def __missing__(self, stream_id: int) -> _Answered:
        return _Answered(self._connection, stream_id)


class Http1(H11Protocol):
    """Speaks HTTP/2 with those who begin with it. ``Upgrade: h2c``, which RFC 9113 has dropped,
    is answered as if it were not there: Hypercorn's own way fails on settings it cannot read."""

    malformed: ClassVar[list[Malformed]] = []
    """One: a list, because a function would become a method."""

    def __init__(self, *parts: Any) -> None:
        super().__init__(*parts)
        self._begun = b""
        """The first bytes since the last request."""

    async def handle(self, event: Event) -> None:
        if isinstance(event, RawData) and len(self._begun) < FIRST_LINE:
            self._begun += event.data[:FIRST_LINE]
        await super().handle(event)

    async def _create_stream(self, request: h11.Request) -> None:
        self._begun = b""
        await super()._create_stream(request)

    async def _send_error_response(self, status_code: int) -> None:
        headers, body = self.malformed[0](status_code, self._begun)
        await self._send_h11_event(h11.Response(status_code=status_code, headers=headers))
        await self._send_h11_event(h11.Data(data=body))
        await self._send_h11_event(h11.EndOfMessage())

    async def _check_protocol(self, event: h11.Request) -> None:
        if (event.method, event.target, event.http_version) == (b"PRI", b"*", b"2.0"):
            trailing, _ = self.connection.trailing_data
            raise H2ProtocolAssumedError(b"PRI * HTTP/2.0\r\n\r\n" + trailing)


class Http2(H2Protocol):
    """Hypercorn's own fails, and takes every stream of the connection with it, when more of a body
    comes for a stream that has been answered, when a CONNECT has no path, and when a path or method
    is not ASCII. It holds a connection for ever that has no stream, or whose client took the last
    one back."""

    def __init__(self, *parts: Any) -> None:
        super().__init__(*parts)
        self.streams = _Streams(self.connection)

    async def initiate(
        self, headers: list[tuple[bytes, bytes]] | None = None, settings: bytes | None = None
    ) -> None:
        await super().initiate(headers, settings)
        await self.send(Updated(idle=self.idle))

    async def handle(self, event: Event) -> None:
        await super().handle(event)
        await self.send(Updated(idle=self.idle))

    async def _hang_up(self, reason: h2.errors.ErrorCodes) -> None:
        self.connection.close_connection(reason)
        await self._flush()
        await self.send(Closed())

    async def _create_stream(self, request: h2.events.RequestReceived) -> None:
        asked = {name: value for name, value in request.headers if name in (b":path", b":method")}
        if b":path" not in asked:
            await self._hang_up(h2.errors.ErrorCodes.HTTP_1_1_REQUIRED)
        elif not all(map(bytes.isascii, asked.values())):
            self.connection.reset_stream(request.stream_id, h2.errors.ErrorCodes.PROTOCOL_ERROR)
        else:
            try:
                await super()._create_stream(request)
            except TooManyStreamsError:  # opened and taken back faster than they can be forgotten
                del self.streams[request.stream_id], self.stream_buffers[request.stream_id]
                await self._hang_up(h2.errors.ErrorCodes.ENHANCE_YOUR_CALM)


def _as_it_is(connection: h11.Connection) -> h11.Connection:
    return connection


def bound_connections(malformed: Malformed) -> None:
    """Let Hypercorn use these connections; it offers no setting for it. ``malformed``: what to
    answer to bytes that are no request.

    A WebSocket handshake is a request like any other, which the edge refuses: Hypercorn's own way
    fails on headers that are not ASCII, and keeps the connection of whoever it turns away.
    """
    Http1.malformed[:] = [malformed]
    hypercorn.asyncio.run.TCPServer = BoundedConnection  # type: ignore[attr-defined,assignment]
    hypercorn.protocol.H11Protocol = Http1  # type: ignore[attr-defined,assignment]
    hypercorn.protocol.H2Protocol = Http2  # type: ignore[attr-defined,assignment]
    for protocol in (hypercorn.protocol.h11, hypercorn.protocol.h2):
        protocol.WSStream = HTTPStream  # type: ignore[attr-defined]
    hypercorn.protocol.h11.H11WSConnection = _as_it_is  # type: ignore[assignment,misc]


def allow_many_files() -> None:
    """Raise this process's soft limit on open files, as far as the system lets it."""
    if sys.platform == "win32":
        return
    import resource  # noqa: PLC0415  # not on Windows

    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    wanted = FILES_WANTED if hard == resource.RLIM_INFINITY else min(hard, FILES_WANTED)
    if soft != resource.RLIM_INFINITY and soft < wanted:
        with contextlib.suppress(ValueError, OSError):
            resource.setrlimit(resource.RLIMIT_NOFILE, (wanted, hard))
