"""What carries requests to Google: connections of our own, behind httpx's interface.

httpx's own transport costs five times as much per event (``docs/decisions/0009``). Everything above
this module sees httpx's requests, responses and exceptions only. Where a proxy is configured for an
address, httpx's own transport takes over.
"""

import asyncio
import ssl
import time
from collections.abc import AsyncIterator, Callable
from urllib.request import getproxies, proxy_bypass

import httpx

from server.upstreams.http1 import Connection

KEEP_ALIVE_S = 90.0
"""How long an idle connection is kept, by the clock on the wall: a computer may have slept since.
Google closes its end after a few minutes."""

MOST_IDLE = 64
"""Idle connections kept; the newest serve first."""

HAPPY_EYEBALLS_S = 0.25
"""After which the next address of a name is tried beside the first (RFC 8305)."""


def make_client() -> httpx.AsyncClient:
    """The client of a server."""
    return Client(Transport(proxies=getproxies()))


class Client(httpx.AsyncClient):
    """Hands finished requests straight to its transport: no cookies, redirects or credentials of
    its own, which Google's API has no use for and each request would pay for."""

    def __init__(self, transport: httpx.AsyncBaseTransport) -> None:
        super().__init__(transport=transport)
        self._direct = transport

    async def send(
        self, request: httpx.Request, *, stream: bool = False, **ignored: object
    ) -> httpx.Response:
        response = await self._direct.handle_async_request(request)
        response.request = request
        if not stream:
            try:
                await response.aread()
            finally:
                await response.aclose()
        return response


class Transport(httpx.AsyncBaseTransport):
    """Requests over as many connections as they want. Must be used in one event loop."""

    def __init__(
        self,
        *,
        proxies: dict[str, str] | None = None,
        wall_clock: Callable[[], float] = time.time,
    ) -> None:
        """``proxies``: addresses by scheme (``all`` for any), as ``urllib`` finds them."""
        self._proxies = proxies or {}
        self._proxied: dict[str, httpx.AsyncHTTPTransport] = {}
        self._wall_clock = wall_clock
        self._tls: asyncio.Future[ssl.SSLContext] | None = None
        self._idle: list[tuple[Origin, Connection, float]] = []
        self._sweeping: asyncio.TimerHandle | None = None

    async def handle_async_request(self, request: httpx.Request) -> httpx.Response:
        proxy = self._proxies.get(request.url.scheme) or self._proxies.get("all")
        if proxy and not proxy_bypass(request.url.host):
            return await self._through(proxy).handle_async_request(request)
        head, body = await written(request)
        origin = origin_of(request)
        request.stream = _SENT
        connection = self._kept(origin)
        if connection is not None:
            try:
                return await self._asked(connection, origin, request, head, body)
            except (httpx.NetworkError, httpx.RemoteProtocolError):
                # Closed by the other side just then. What may change something there is not
                # repeated here: whoever counts requests decides (server/retry.py).
                if connection.heard or request.method != "GET":
                    raise
        connection = await self._connect(origin, request)
        return await self._asked(connection, origin, request, head, body)

    async def aclose(self) -> None:
        if self._sweeping is not None:
            self._sweeping.cancel()
        for _, connection, _ in self._idle:
            connection.abort()
        self._idle.clear()
        for transport in self._proxied.values():
            await transport.aclose()
        await asyncio.sleep(0)  # in which asyncio takes leave of what was cut

    async def _asked(
        self,
        connection: Connection,
        origin: "Origin",
        request: httpx.Request,
        head: bytes,
        body: bytes,
    ) -> httpx.Response:
        try:
            answer = await connection.ask(request, head, body)
        except BaseException:
            connection.finish()
            raise
        return httpx.Response(
            answer.status,
            headers=answer.headers,
            stream=Body(self, connection, origin),
            extensions={"http_version": b"HTTP/1.1"},
        )

    async def _connect(self, origin: "Origin", request: httpx.Request) -> Connection:
        scheme, host, port = origin
        limits = request.extensions.get("timeout") or {}
        tls = await self._tls_context() if scheme == "https" else None
        loop = asyncio.get_running_loop()
        try:
            async with asyncio.timeout(limits.get("connect")):
                _, connection = await loop.create_connection(
                    Connection, host, port, ssl=tls, happy_eyeballs_delay=HAPPY_EYEBALLS_S
                )
        except TimeoutError as error:
            raise httpx.ConnectTimeout("no connection in time", request=request) from error
        except (OSError, ValueError) as error:  # ValueError: no such name can exist
            raise httpx.ConnectError(str(error), request=request) from error
        return connection

    def _kept(self, origin: "Origin") -> Connection | None:
        """The idle connection to ``origin`` that was used last, if there is one."""
        self._drop_old()
        for at in range(len(self._idle) - 1, -1, -1):
            if self._idle[at][0] == origin:
                _, connection, _ = self._idle.pop(at)
                if connection.usable:
                    return connection
        return None

    def keep(self, origin: "Origin", connection: Connection) -> None:
        """Take back a connection whose request is over."""
        if not connection.finish():
            return
        self._idle.append((origin, connection, self._wall_clock()))
        if len(self._idle) > MOST_IDLE:
            self._idle.pop(0)[1].abort()
        if self._sweeping is None:
            self._sweep_later()

    def _sweep_later(self) -> None:
        self._sweeping = asyncio.get_running_loop().call_later(KEEP_ALIVE_S, self._sweep)

    def _sweep(self) -> None:
        self._sweeping = None
        self._drop_old()
        if self._idle:
            self._sweep_later()

    def _drop_old(self) -> None:
        now = self._wall_clock()
        while self._idle and not 0 <= now - self._idle[0][2] <= KEEP_ALIVE_S:
            self._idle.pop(0)[1].abort()

    def _through(self, proxy: str) -> httpx.AsyncHTTPTransport:
        """httpx's own transport through ``proxy``, made once."""
        if proxy not in self._proxied:
            address = proxy if "://" in proxy else f"http://{proxy}"
            few = httpx.Limits(max_connections=None, max_keepalive_connections=8)
            self._proxied[proxy] = httpx.AsyncHTTPTransport(proxy=address, limits=few)
        return self._proxied[proxy]

    async def _tls_context(self) -> ssl.SSLContext:
        """Made once, in a thread: reading the certificates takes a while."""
        if self._tls is None:
            self._tls = asyncio.ensure_future(asyncio.to_thread(_make_tls_context))
        return await asyncio.shield(self._tls)


Origin = tuple[str, str, int]
"""(scheme, host, port)."""

_SENT = httpx.ByteStream(b"")
"""In place of a body that has been sent: a stream may last an hour, and needs it no more."""


class Body(httpx.AsyncByteStream):
    """An answer's body: at each read, all that has arrived."""

    def __init__(self, transport: Transport, connection: Connection, origin: Origin) -> None:
        self._transport, self._connection, self._origin = transport, connection, origin
        self._closed = False

    @property
    def held(self) -> int:
        """Bytes that have arrived and were not read yet."""
        return self._connection.held

    async def __aiter__(self) -> AsyncIterator[bytes]:
        while not self._closed and (data := await self._connection.read()):
            yield data

    async def aclose(self) -> None:
        """Keeps the connection when the body was read to its end, and cuts it otherwise."""
        if not self._closed:
            self._closed = True
            self._transport.keep(self._origin, self._connection)


def _make_tls_context() -> ssl.SSLContext:
    context = httpx.create_ssl_context()
    context.set_alpn_protocols(["http/1.1"])
    return context


def origin_of(request: httpx.Request) -> Origin:
    """Where ``request`` goes. Raises ``httpx.UnsupportedProtocol``."""
    url = request.url
    if url.scheme not in ("http", "https") or not url.host:
        raise httpx.UnsupportedProtocol(f"no http address: {url}", request=request)
    return url.scheme, url.raw_host.decode("ascii"), url.port or _PORTS[url.scheme]


_PORTS = {"http": 80, "https": 443}


async def written(request: httpx.Request) -> tuple[bytes, bytes]:
    """Head and body as they are sent. Raises ``httpx.LocalProtocolError``."""
    whole = request.stream if isinstance(request.stream, httpx.ByteStream) else None
    body = await request.aread() if whole is None else b"".join(whole)
    lines = [b"%s %s HTTP/1.1" % (request.method.encode("ascii"), request.url.raw_path)]
    lines += [b"%s: %s" % header for header in request.headers.raw]
    head = b"\r\n".join([*lines, b"", b""])
    if head.count(b"\n") != len(lines) + 1 or head.count(b"\r") != len(lines) + 1 or b"\0" in head:
        raise httpx.LocalProtocolError("a header that cannot be sent", request=request)
    if "transfer-encoding" in request.headers:
        raise httpx.LocalProtocolError("bodies are sent in one piece", request=request)
    return head, body
