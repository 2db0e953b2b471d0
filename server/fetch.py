"""Fetching the images and documents that a request names by address.

The address comes from whoever wrote the prompt, so it must not reach into the user's own network:
only http(s), only public addresses, and the connection goes to the very address that was checked
(a second look-up could answer differently).
"""

import asyncio
import base64
import ipaddress
import socket
from collections.abc import Awaitable, Callable, Iterable

import httpx

from server.errors import BadRequestError
from server.gemini.types import Download

MOST_BYTES = 20 * 1024 * 1024
TIMEOUT_S = 15.0
MOST_REDIRECTS = 3

Resolve = Callable[[str, int], Awaitable[str]]
"""(host, port) -> the address to connect to; raises ``ValueError`` when it must not be reached."""


async def public_address(host: str, port: int) -> str:
    """The address of ``host``, which must lie outside private, loopback and link-local networks."""
    loop = asyncio.get_running_loop()
    try:
        found = await loop.getaddrinfo(host, port, type=socket.SOCK_STREAM)
    except OSError as error:
        raise ValueError(f"the host {host} was not found") from error
    addresses = [str(entry[4][0]) for entry in found]
    if any(not ipaddress.ip_address(address).is_global for address in addresses):
        raise ValueError(f"{host} is not a public address")
    return addresses[0]


class Fetcher:
    """Turns the ``Download`` placeholders of a call into inline data."""

    def __init__(self, *, resolve: Resolve = public_address) -> None:
        self._resolve = resolve

    async def inline(self, downloads: Iterable[Download]) -> None:
        """Fetch everything, side by side; raises ``BadRequestError`` naming the field."""
        pending = list(downloads)
        if not pending:
            return
        async with httpx.AsyncClient(timeout=TIMEOUT_S, trust_env=False) as http:
            tasks = [asyncio.create_task(self._one(http, download)) for download in pending]
            try:
                await asyncio.gather(*tasks)
            finally:
                for task in tasks:
                    task.cancel()

    async def _one(self, http: httpx.AsyncClient, download: Download) -> None:
        try:
            async with asyncio.timeout(TIMEOUT_S):
                mime_type, data = await self._get(http, download)
        except (httpx.HTTPError, ValueError, TimeoutError) as error:
            reason = str(error) or f"no complete answer within {TIMEOUT_S:.0f} s"
            raise BadRequestError(
                f"{download.param}: Unable to download the file: {reason}",
                param=download.param,
                code="invalid_image_url",
            ) from error
        download.part.clear()
        download.part["inlineData"] = {
            "mimeType": mime_type,
            "data": base64.b64encode(data).decode("ascii"),
        }

    async def _get(self, http: httpx.AsyncClient, download: Download) -> tuple[str, bytes]:
        url = httpx.URL(download.url)
        for _ in range(MOST_REDIRECTS + 1):
            response = await http.send(await self._request(http, url), stream=True)
            try:
                if response.next_request is None:
                    return await _read(response, download.media)
                url = url.join(response.headers["location"])
            finally:
                await response.aclose()
        raise ValueError(f"more than {MOST_REDIRECTS} redirects")

    async def _request(self, http: httpx.AsyncClient, url: httpx.URL) -> httpx.Request:
        """A request to the checked address itself, with the name kept for Host and TLS."""
        if url.scheme not in ("http", "https") or not url.host:
            raise ValueError("only http and https addresses can be fetched")
        port = url.port or (443 if url.scheme == "https" else 80)
        address = await self._resolve(url.host, port)
        return http.build_request(
            "GET",
            url.copy_with(host=address),
            headers={"Host": url.netloc.decode("ascii")},
            extensions={"sni_hostname": url.host},
        )


async def _read(response: httpx.Response, media: tuple[str, ...]) -> tuple[str, bytes]:
    if response.status_code != 200:
        raise ValueError(f"the server answered {response.status_code}")
    mime_type = response.headers.get("content-type", "").split(";")[0].strip().lower()
    if not mime_type.startswith(media):
        raise ValueError(f"its content type {mime_type or '(none)'} is not accepted here")
    data = bytearray()
    async for piece in response.aiter_bytes():
        data += piece
        if len(data) > MOST_BYTES:
            raise ValueError(f"it is larger than {MOST_BYTES // 1024 // 1024} MiB")
    return mime_type, bytes(data)
