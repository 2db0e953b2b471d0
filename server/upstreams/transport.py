"""What carries requests to Google: aiohttp's parser and connection pool, behind httpx's interface.

httpx's own transport costs five times as much per event (``docs/decisions``, *upstream transport*).
Everything above this module sees httpx's requests, responses and exceptions only. aiohttp is loaded
with the first request, after the port answers; where a proxy is configured for an address, httpx's
own transport takes over.
"""

import asyncio
import ssl
from collections.abc import AsyncIterator, Iterator
from contextlib import contextmanager
from functools import lru_cache
from importlib import import_module
from types import ModuleType
from typing import TYPE_CHECKING
from urllib.request import getproxies, proxy_bypass

import httpx

if TYPE_CHECKING:
    import aiohttp
    import yarl

KEEP_ALIVE_S = 90.0
"""How long an idle connection is kept. Google closes its end after a few minutes."""


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
    """Requests over aiohttp. Must be used in one event loop."""

    def __init__(self, *, proxies: dict[str, str] | None = None) -> None:
        """``proxies``: addresses by scheme (``all`` for any), as ``urllib`` finds them."""
        self._proxies = proxies or {}
        self._proxied: dict[str, httpx.AsyncHTTPTransport] = {}
        self._session: aiohttp.ClientSession | None = None
        self._loading: asyncio.Future[ModuleType] | None = None
        self._tls: asyncio.Future[ssl.SSLContext] | None = None

    async def handle_async_request(self, request: httpx.Request) -> httpx.Response:
        proxy = self._proxies.get(request.url.scheme) or self._proxies.get("all")
        if proxy and not proxy_bypass(request.url.host):
            return await self._through(proxy).handle_async_request(request)
        session = self._session or await self._begin()
        tls = await self._tls_context() if request.url.scheme == "https" else True
        limits = request.extensions.get("timeout") or {}
        with _mapped(request):
            async with asyncio.timeout(_longest(limits)):
                answer = await _ask(session, request, limits, tls)
        request.stream = _SENT
        return httpx.Response(
            answer.status,
            headers=answer.raw_headers,
            stream=_Body(answer, request),
            extensions={"http_version": b"HTTP/1.1"},
        )

    async def aclose(self) -> None:
        if self._session is not None:
            await self._session.close()
        for transport in self._proxied.values():
            await transport.aclose()

    def _through(self, proxy: str) -> httpx.AsyncHTTPTransport:
        """httpx's own transport through ``proxy``, made once."""
        if proxy not in self._proxied:
            address = proxy if "://" in proxy else f"http://{proxy}"
            few = httpx.Limits(max_connections=None, max_keepalive_connections=8)
            self._proxied[proxy] = httpx.AsyncHTTPTransport(proxy=address, limits=few)
        return self._proxied[proxy]

    async def _begin(self) -> "aiohttp.ClientSession":
        """The session of all requests. Its library is loaded in a thread: that takes a tenth of a
        second, for which nobody else should wait."""
        if self._loading is None:
            self._loading = asyncio.ensure_future(asyncio.to_thread(import_module, "aiohttp"))
        await asyncio.shield(self._loading)
        if self._session is None:
            self._session = _session()
        return self._session

    async def _tls_context(self) -> ssl.SSLContext:
        """Made once, in a thread: reading the certificates takes a while."""
        if self._tls is None:
            self._tls = asyncio.ensure_future(asyncio.to_thread(httpx.create_ssl_context))
        return await asyncio.shield(self._tls)


_SENT = httpx.ByteStream(b"")
"""In place of a body that has been sent: a stream may last an hour, and needs it no more."""


class _Body(httpx.AsyncByteStream):
    """An answer's body: at each read, all that has arrived."""

    def __init__(self, answer: "aiohttp.ClientResponse", request: httpx.Request) -> None:
        self._answer, self._request = answer, request

    async def __aiter__(self) -> AsyncIterator[bytes]:
        connection = self._answer.connection
        if connection is not None and connection.protocol is not None:
            # The limit may have changed since the head (httpx looks it up anew as well).
            limits = self._request.extensions.get("timeout") or {}
            connection.protocol.read_timeout = limits.get("read")
            connection.protocol.start_timeout()
        content = self._answer.content
        with _mapped(self._request):
            while data := await content.readany():
                yield data

    async def aclose(self) -> None:
        """Keeps the connection when the body was read to its end, and cuts it otherwise."""
        self._answer.close()


def _session() -> "aiohttp.ClientSession":
    """A session that adds nothing of its own to a request, with as many connections as wanted."""
    import aiohttp  # noqa: PLC0415  # loaded by Transport._begin

    return aiohttp.ClientSession(
        connector=aiohttp.TCPConnector(limit=0, keepalive_timeout=KEEP_ALIVE_S),
        cookie_jar=aiohttp.DummyCookieJar(),
        skip_auto_headers=("User-Agent", "Accept", "Accept-Encoding", "Content-Type"),
        auto_decompress=False,
    )


@lru_cache(256)
def _url(text: str) -> "yarl.URL":
    """An address as aiohttp takes it, with every escape left as it is."""
    import yarl  # noqa: PLC0415  # as above

    return yarl.URL(text, encoded=True)


async def _ask(
    session: "aiohttp.ClientSession",
    request: httpx.Request,
    limits: dict[str, float | None],
    tls: ssl.SSLContext | bool,
) -> "aiohttp.ClientResponse":
    """Send ``request``; returns with the head of the answer."""
    data = b"".join(request.stream) if isinstance(request.stream, httpx.ByteStream) else None
    return await session.request(
        request.method,
        _url(str(request.url)),
        headers=[(k.decode("ascii"), v.decode("latin-1")) for k, v in request.headers.raw],
        data=(await request.aread() if data is None else data) or None,
        allow_redirects=False,
        ssl=tls,
        timeout=_limits(limits.get("pool"), limits.get("connect"), limits.get("read")),
    )


@lru_cache(64)
def _limits(
    pool: float | None, connect: float | None, read: float | None
) -> "aiohttp.ClientTimeout":
    import aiohttp  # noqa: PLC0415  # as above

    return aiohttp.ClientTimeout(connect=pool, sock_connect=connect, sock_read=read)


def _longest(limits: dict[str, float | None]) -> float | None:
    """The sum of all limits: aiohttp has none of its own for a request that is not taken."""
    known = [limit for limit in limits.values() if limit is not None]
    return sum(known) if len(known) == len(limits) and known else None


@contextmanager
def _mapped(request: httpx.Request) -> Iterator[None]:
    """aiohttp's exceptions as those that httpx's own transport would raise."""
    import aiohttp  # noqa: PLC0415  # as above

    try:
        yield
    except (OSError, ValueError, aiohttp.ClientError) as error:
        raise _httpx_error(error)(str(error), request=request) from error


def _httpx_error(error: Exception) -> type[httpx.RequestError]:
    import aiohttp  # noqa: PLC0415  # as above

    match error:
        case aiohttp.ConnectionTimeoutError():
            return httpx.ConnectTimeout
        case aiohttp.SocketTimeoutError() | aiohttp.ServerTimeoutError():
            return httpx.ReadTimeout
        case aiohttp.ClientConnectorError():
            return httpx.ConnectError
        case aiohttp.InvalidURL():
            return httpx.UnsupportedProtocol
        case aiohttp.ServerDisconnectedError() | aiohttp.ClientPayloadError():
            return httpx.RemoteProtocolError
        case aiohttp.ClientResponseError():
            return httpx.RemoteProtocolError
        case TimeoutError():  # our own, around everything
            return httpx.WriteTimeout
        case OSError():
            return httpx.ReadError
        case _:  # a header that cannot be sent
            return httpx.LocalProtocolError
