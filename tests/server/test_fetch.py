"""Fetching media by address: public addresses only, and errors that name the field."""

import asyncio
import base64
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager

import pytest

from server import fetch
from server.errors import BadRequestError
from server.fetch import Fetcher, public_address
from server.gemini.types import Download, Json

PNG = b"\x89PNG\r\n\x1a\n" + b"\0" * 20


@asynccontextmanager
async def web(answer: Callable[[str], bytes]) -> AsyncIterator[int]:
    """A web server on loopback; ``answer``: request line -> whole response."""

    async def talk(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        head = await reader.readuntil(b"\r\n\r\n")
        writer.write(answer(head.decode("latin-1")))
        await writer.drain()
        writer.close()

    server = await asyncio.start_server(talk, "127.0.0.1", 0)
    async with server:
        yield server.sockets[0].getsockname()[1]


def response(
    body: bytes, kind: str = "image/png", status: str = "200 OK", extra: str = ""
) -> bytes:
    head = f"HTTP/1.1 {status}\r\nContent-Type: {kind}\r\nContent-Length: {len(body)}\r\n{extra}"
    return f"{head}Connection: close\r\n\r\n".encode() + body


async def anywhere(host: str, port: int) -> str:
    """A resolver that believes every name is this machine."""
    assert host
    assert port
    return "127.0.0.1"


async def fetched(url: str, *, media: tuple[str, ...] = ("image/",)) -> Json:
    part: Json = {}
    download = Download(part=part, url=url, param="messages[0].content[1]", media=media)
    await Fetcher(resolve=anywhere).inline([download])
    return part


async def test_an_image_becomes_inline_data_and_the_host_is_kept() -> None:
    heads: list[str] = []

    def answer(head: str) -> bytes:
        heads.append(head)
        return response(PNG, "image/png; charset=binary")

    async with web(answer) as port:
        part = await fetched(f"http://pictures.example:{port}/cat.png?x=1")
    data = base64.b64encode(PNG).decode()
    assert part == {"inlineData": {"mimeType": "image/png", "data": data}}
    assert heads[0].startswith("GET /cat.png?x=1 ")
    assert f"pictures.example:{port}" in heads[0]


async def test_redirects_are_followed_and_counted() -> None:
    def answer(head: str) -> bytes:
        path = head.split()[1]
        if path == "/0":
            return response(PNG)
        step = f"Location: /{int(path[1:]) - 1}\r\n"
        return response(b"", status="302 Found", extra=step)

    async with web(answer) as port:
        assert "inlineData" in await fetched(f"http://a.example:{port}/3")
        with pytest.raises(BadRequestError, match="redirects"):
            await fetched(f"http://a.example:{port}/4")


@pytest.mark.parametrize(
    ("answer", "reason"),
    [
        (response(b"", status="404 Not Found"), "404"),
        (response(b"<html>", "text/html"), "text/html"),
        (b"nonsense\r\n\r\n", "Unable to download"),
    ],
)
async def test_a_failed_download_names_the_field(answer: bytes, reason: str) -> None:
    async with web(lambda _head: answer) as port:
        with pytest.raises(BadRequestError, match=reason) as caught:
            await fetched(f"http://a.example:{port}/")
    assert caught.value.param == "messages[0].content[1]"


async def test_a_file_that_is_too_large_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(fetch, "MOST_BYTES", 10)
    async with web(lambda _head: response(PNG)) as port:
        with pytest.raises(BadRequestError, match="larger"):
            await fetched(f"http://a.example:{port}/")


@pytest.mark.parametrize(
    "url",
    [
        "http://127.0.0.1:9/x.png",
        "http://localhost/x.png",
        "http://[::1]/x.png",
        "http://10.0.0.8/x.png",
        "http://169.254.169.254/latest/meta-data",
        "http://192.168.1.1/",
        "http://0.0.0.0/",
        "http://[::ffff:127.0.0.1]/",
        "ftp://example.org/x.png",
        "file:///etc/passwd",
        "http:///x",
    ],
)
async def test_addresses_inside_the_users_network_are_never_asked(url: str) -> None:
    download = Download(part={}, url=url, param="image")
    with pytest.raises(BadRequestError) as caught:
        await Fetcher().inline([download])
    assert caught.value.param == "image"


async def test_a_public_address_is_returned_as_it_is() -> None:
    assert await public_address("8.8.8.8", 443) == "8.8.8.8"
    with pytest.raises(ValueError, match="not a public address"):
        await public_address("127.0.0.1", 80)
