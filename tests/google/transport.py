"""FakeGoogle behind httpx, without a socket: streaming and cancellation are real."""

import asyncio
from collections.abc import AsyncIterator
from urllib.parse import parse_qsl

import httpx

from tests.google.google import FakeGoogle
from tests.google.http import ConnectionCutError, FakeRequest


class InProcessTransport(httpx.AsyncBaseTransport):
    """``httpx.AsyncClient(transport=InProcessTransport(google))`` speaks to ``google``.

    The client's read time-out counts, as it would on a socket.
    """

    def __init__(self, google: FakeGoogle) -> None:
        self._google = google

    async def handle_async_request(self, request: httpx.Request) -> httpx.Response:
        read_s = request.extensions.get("timeout", {}).get("read")
        asked = FakeRequest(
            method=request.method,
            path=request.url.path,
            query=dict(parse_qsl(request.url.query.decode(), keep_blank_values=True)),
            headers=dict(request.headers),
            body=await request.aread(),
        )
        try:
            async with asyncio.timeout(read_s):
                response = await self._google.handle(asked)
        except TimeoutError as error:
            raise httpx.ReadTimeout("no answer in time", request=request) from error
        return httpx.Response(
            response.status,
            headers=response.headers,
            stream=_Body(response.body, read_s, request),
        )


class _Body(httpx.AsyncByteStream):
    """A fake's body as httpx reads it; closing it early is how the fake learns of the hang-up."""

    def __init__(
        self, body: AsyncIterator[bytes], read_s: float | None, request: httpx.Request
    ) -> None:
        self._body = body
        self._read_s = read_s
        self._request = request

    async def __aiter__(self) -> AsyncIterator[bytes]:
        while True:
            try:
                async with asyncio.timeout(self._read_s):
                    data = await anext(self._body)
            except StopAsyncIteration:
                return
            except ConnectionCutError as error:
                raise httpx.RemoteProtocolError(
                    "peer closed connection without sending complete message body",
                    request=self._request,
                ) from error
            except TimeoutError as error:
                raise httpx.ReadTimeout("the stream stalled", request=self._request) from error
            yield data

    async def aclose(self) -> None:
        close = getattr(self._body, "aclose", None)
        if close is not None:
            await close()
