"""Limits on connections that Hypercorn does not have: nobody holds one for ever by doing nothing.

A request's head is bounded by Hypercorn's keep-alive timer, its body by ``server.edge.body``. Here:
a client that does not read what it asked for, one that does not let its connection close, and one
that has left.
"""

import asyncio
import contextlib
import logging
import sys
from collections.abc import Callable
from typing import Any, ClassVar

import h11
import hypercorn.asyncio.run
import hypercorn.protocol
from hypercorn.asyncio.tcp_server import TCPServer
from hypercorn.events import Closed, Event, RawData, Updated
from hypercorn.protocol.h11 import H11Protocol
from hypercorn.protocol.http_stream import HTTPStream

log = logging.getLogger(__name__)

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
            self._idle_since = self.loop.time() if event.idle else None
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


class Http1(H11Protocol):
    """HTTP/1 only: no client of a loopback listener needs HTTP/2. Its preface and ``Upgrade: h2c``
    are requests like any other; ``check_head`` refuses the first for its version."""

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
        """Hypercorn switches to HTTP/2 here."""


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
    hypercorn.protocol.h11.WSStream = HTTPStream  # type: ignore[attr-defined,assignment]
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
