"""FakeGoogle behind a loopback socket: a small HTTP/1.1 server on h11.

It keeps connections open, sends every piece as soon as it exists, notices at once when the client
hangs up, and can break a connection in the middle of an answer, which a polite server cannot.
"""

import asyncio
import contextlib
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from urllib.parse import parse_qsl

import h11

from tests.google.http import ConnectionCutError, FakeRequest, FakeResponse

Handler = Callable[[FakeRequest], Awaitable[FakeResponse]]

_READ_BYTES = 65_536


@asynccontextmanager
async def serving(handler: Handler, *, port: int = 0) -> AsyncIterator[str]:
    """Serve ``handler`` on 127.0.0.1 and yield the base URL; port 0 takes a free one."""
    connections: set[asyncio.Task[None]] = set()

    def connected(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.create_task(_Connection(handler, reader, writer).run())
        connections.add(task)
        task.add_done_callback(connections.discard)

    server = await asyncio.start_server(connected, "127.0.0.1", port)
    try:
        yield f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}"
    finally:
        server.close()
        for task in connections:
            task.cancel()
        await asyncio.gather(*connections, return_exceptions=True)
        await server.wait_closed()


class _Connection:
    """One client's connection: requests one after another."""

    def __init__(
        self, handler: Handler, reader: asyncio.StreamReader, writer: asyncio.StreamWriter
    ) -> None:
        self._handler = handler
        self._reader = reader
        self._writer = writer
        self._http = h11.Connection(h11.SERVER)

    async def run(self) -> None:
        try:
            while (request := await self._read_request()) is not None:
                if not await self._exchange(request):
                    return
                self._http.start_next_cycle()
        except (h11.ProtocolError, ConnectionError):
            return
        finally:
            self._writer.close()
            with contextlib.suppress(ConnectionError):
                await self._writer.wait_closed()

    async def _read_request(self) -> FakeRequest | None:
        """The next request, whole; None when the client is done."""
        head: h11.Request | None = None
        body = b""
        while True:
            event = self._http.next_event()
            if event is h11.NEED_DATA:
                if self._http.they_are_waiting_for_100_continue:
                    await self._send(h11.InformationalResponse(status_code=100, headers=[]))
                self._http.receive_data(await self._reader.read(_READ_BYTES))
            elif isinstance(event, h11.Request):
                head = event
            elif isinstance(event, h11.Data):
                body += bytes(event.data)
            elif isinstance(event, h11.EndOfMessage) and head is not None:
                return _request(head, body)
            else:
                return None

    async def _exchange(self, request: FakeRequest) -> bool:
        """Answer one request, unless the client leaves first; False ends the connection."""
        answering = asyncio.create_task(self._respond(request))
        listening = asyncio.create_task(self._reader.read(_READ_BYTES))
        try:
            while not answering.done():
                await asyncio.wait({answering, listening}, return_when=asyncio.FIRST_COMPLETED)
                if listening.done() and not answering.done():
                    data = await listening
                    if not data:
                        return False
                    self._http.receive_data(data)
                    listening = asyncio.create_task(self._reader.read(_READ_BYTES))
            if not await answering:
                return False
            if listening.done():
                self._http.receive_data(await listening)
            return self._http.our_state is h11.DONE and self._http.their_state is h11.DONE
        finally:
            for task in (answering, listening):
                task.cancel()
            await asyncio.gather(answering, listening, return_exceptions=True)

    async def _respond(self, request: FakeRequest) -> bool:
        """Send the answer; False when the connection has to break."""
        response = await self._handler(request)
        try:
            headers = [*response.headers.items(), ("transfer-encoding", "chunked")]
            await self._send(h11.Response(status_code=response.status, headers=headers))
            async for piece in response.body:
                await self._send(h11.Data(data=piece))
            await self._send(h11.EndOfMessage())
        except ConnectionCutError:
            self._writer.transport.abort()
            return False
        finally:
            close = getattr(response.body, "aclose", None)
            if close is not None:
                await close()
        return True

    async def _send(self, event: h11.Event) -> None:
        self._writer.write(self._http.send(event) or b"")
        await self._writer.drain()


def _request(head: h11.Request, body: bytes) -> FakeRequest:
    path, _, query = head.target.decode("ascii").partition("?")
    return FakeRequest(
        method=head.method.decode("ascii"),
        path=path,
        query=dict(parse_qsl(query, keep_blank_values=True)),
        headers={name.decode("ascii"): value.decode("latin-1") for name, value in head.headers},
        body=body,
    )
