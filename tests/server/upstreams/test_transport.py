"""The upstream transport against a socket that answers byte for byte what the test says."""

import asyncio
import ssl
import threading
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager, suppress
from pathlib import Path

import httpx
import pytest

from server.upstreams.transport import Transport, make_client
from tests.certificates import self_signed

Handler = Callable[[asyncio.StreamReader, asyncio.StreamWriter], Awaitable[None]]

WHOLE = b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\nX-Case: Kept\r\n\r\nok"
CHUNKED = b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n"


@asynccontextmanager
async def serving(handler: Handler, *, used: bool = True) -> AsyncIterator[str]:
    closed = asyncio.Event()

    async def closing(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        with suppress(ConnectionError, asyncio.IncompleteReadError):
            await handler(reader, writer)
        writer.close()
        with suppress(ConnectionError):
            await writer.wait_closed()
        closed.set()

    server = await asyncio.start_server(closing, "127.0.0.1", 0)
    try:
        yield f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}"
    finally:
        server.close()
        if used:
            await asyncio.wait_for(closed.wait(), 5)


def answering(data: bytes) -> Handler:
    async def handler(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.readuntil(b"\r\n\r\n")
        writer.write(data)
        await writer.drain()

    return handler


def client(**limits: float) -> httpx.AsyncClient:
    return httpx.AsyncClient(transport=Transport(), timeout=httpx.Timeout(5.0, **limits))


async def test_a_request_arrives_as_it_was_built() -> None:
    heard: list[bytes] = []

    async def handler(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        heard.append(await reader.readuntil(b"\r\n\r\n") + await reader.readexactly(4))
        writer.write(WHOLE)

    async with serving(handler) as base, client() as http:
        answer = await http.post(f"{base}/v1/a%2Fb:c?alt=sse", content=b"body")
    assert answer.content == b"ok"
    assert answer.headers["x-case"] == "Kept"
    head = heard[0].decode()
    assert head.startswith("POST /v1/a%2Fb:c?alt=sse HTTP/1.1\r\n")
    assert "python-httpx" in head
    assert "aiohttp" not in head.lower()
    assert head.endswith("\r\n\r\nbody")


async def test_a_connection_serves_the_next_request_too() -> None:
    peers = set()

    async def handler(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        peers.add(writer.get_extra_info("peername"))
        for _ in range(3):
            await reader.readuntil(b"\r\n\r\n")
            writer.write(WHOLE)

    async with serving(handler) as base, client() as http:
        for _ in range(3):
            await http.get(base)
    assert len(peers) == 1


async def test_a_body_cut_at_any_byte_is_the_same() -> None:
    body = b"5\r\ndata:\r\n8\r\n one\r\n\r\n\r\n0\r\n\r\n"

    async def handler(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        for _ in range(2):
            await reader.readuntil(b"\r\n\r\n")
            for byte in CHUNKED + body:
                writer.write(bytes([byte]))
                await writer.drain()
                await asyncio.sleep(0)

    async with serving(handler) as base, client() as http:
        for _ in range(2):
            assert (await http.get(base)).content == b"data: one\r\n\r\n"


@pytest.mark.parametrize(
    ("data", "error"),
    [
        (b"", httpx.RemoteProtocolError),
        (b"no http at all\r\n\r\n", httpx.RemoteProtocolError),
        (CHUNKED + b"5\r\nda", httpx.RemoteProtocolError),
        (b"HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\nok", httpx.RemoteProtocolError),
        (b"HTTP/1.1 200 OK\r\nContent-Encoding: gzip\r\n\r\nok", httpx.DecodingError),
    ],
)
async def test_a_broken_answer_is_an_error_and_never_a_clean_end(
    data: bytes, error: type[Exception]
) -> None:
    async with serving(answering(data)) as base, client() as http:
        with pytest.raises(error):
            await http.post(base, content=b"")


async def test_nobody_listening_is_a_connect_error() -> None:
    async with serving(answering(b""), used=False) as base:
        pass
    async with client() as http:
        with pytest.raises(httpx.ConnectError):
            await http.get(base)


@pytest.mark.parametrize("sent", [b"", CHUNKED + b"2\r\nok\r\n"])
async def test_silence_is_a_read_timeout(sent: bytes) -> None:
    async def handler(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.readuntil(b"\r\n\r\n")
        writer.write(sent)
        await reader.read()

    async with serving(handler) as base, client(read=0.05) as http:
        with pytest.raises(httpx.ReadTimeout):
            await http.get(base)


async def test_the_limit_of_silence_may_change_with_the_head() -> None:
    async def handler(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.readuntil(b"\r\n\r\n")
        writer.write(CHUNKED)
        await reader.read()

    async with serving(handler) as base, client() as http, http.stream("GET", base) as answer:
        answer.request.extensions["timeout"]["read"] = 0.05
        with pytest.raises(httpx.ReadTimeout):
            await answer.aread()


async def test_leaving_a_stream_cuts_the_connection() -> None:
    cut = asyncio.Event()

    async def handler(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.readuntil(b"\r\n\r\n")
        writer.write(CHUNKED + b"2\r\nok\r\n")
        await reader.read()
        cut.set()

    async with serving(handler) as base, client() as http:
        async with http.stream("GET", base) as answer:
            assert await anext(answer.aiter_bytes()) == b"ok"
        await asyncio.wait_for(cut.wait(), 5)


async def test_a_cancelled_request_cuts_the_connection() -> None:
    asked, cut = asyncio.Event(), asyncio.Event()

    async def handler(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.readuntil(b"\r\n\r\n")
        asked.set()
        await reader.read()
        cut.set()

    async with serving(handler) as base, client() as http:
        work = asyncio.ensure_future(http.get(base))
        await asked.wait()
        work.cancel()
        with pytest.raises(asyncio.CancelledError):
            await work
        await asyncio.wait_for(cut.wait(), 5)


async def test_a_header_that_cannot_be_sent_is_a_protocol_error() -> None:
    async with serving(answering(WHOLE)) as base, client() as http:
        with pytest.raises(httpx.LocalProtocolError):
            await http.get(base, headers={"x-key": "two\nlines"})


async def test_a_proxy_is_asked_where_one_is_set() -> None:
    heard: list[bytes] = []

    async def proxy(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        heard.append(await reader.readline())
        writer.write(WHOLE)

    async with serving(proxy) as address:
        transport = Transport(proxies={"all": address.removeprefix("http://")})
        async with httpx.AsyncClient(transport=transport) as http:
            assert (await http.get("http://upstream.invalid/x")).content == b"ok"
    assert heard[0].startswith(b"GET http://upstream.invalid/x ")


# ── TLS, and who goes through a proxy ────────────────────────────────────────────────────────────


@asynccontextmanager
async def serving_tls(tls: ssl.SSLContext) -> AsyncIterator[str]:
    async def handler(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        with suppress(ConnectionError, asyncio.IncompleteReadError):
            while True:
                await reader.readuntil(b"\r\n\r\n")
                writer.write(WHOLE)
        writer.transport.abort()

    server = await asyncio.start_server(handler, "127.0.0.1", 0, ssl=tls)
    try:
        yield f"https://localhost:{server.sockets[0].getsockname()[1]}"
    finally:
        server.close()


async def test_tls_is_checked_with_one_context_made_in_a_thread(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    tls, pem = self_signed(tmp_path)
    monkeypatch.setenv("SSL_CERT_FILE", str(pem))
    makers: list[threading.Thread] = []
    real = httpx.create_ssl_context

    def counting() -> ssl.SSLContext:
        makers.append(threading.current_thread())
        return real()

    monkeypatch.setattr(httpx, "create_ssl_context", counting)
    async with serving_tls(tls) as base, client() as http:
        answers = await asyncio.gather(*(http.get(base) for _ in range(5)))
        answers.append(await http.get(base))
    assert [answer.content for answer in answers] == [b"ok"] * 6
    assert len(makers) == 1
    assert makers[0] is not threading.current_thread()


async def test_a_certificate_nobody_vouches_for_is_refused(tmp_path: Path) -> None:
    tls, _ = self_signed(tmp_path)
    async with serving_tls(tls) as base, client() as http:
        with pytest.raises(httpx.ConnectError, match=r"(?i)certificate"):
            await http.get(base)


async def test_https_is_tunnelled_through_the_proxy_of_the_environment(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    asked: list[bytes] = []

    async def proxy(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        asked.append((await reader.readuntil(b"\r\n\r\n")).split(b"\r\n")[0])
        writer.write(b"HTTP/1.1 502 No\r\nContent-Length: 0\r\n\r\n")

    async with serving(proxy) as base:
        monkeypatch.setenv("HTTPS_PROXY", base)
        monkeypatch.setenv("NO_PROXY", "localhost")
        async with make_client() as http:
            request = httpx.Request("GET", "https://generativelanguage.invalid/v1beta/models")
            with pytest.raises(httpx.ProxyError):
                await http.send(request)
    assert asked == [b"CONNECT generativelanguage.invalid:443 HTTP/1.1"]


async def test_an_address_that_no_proxy_names_is_asked_directly(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    async with serving(answering(WHOLE)) as base:
        monkeypatch.setenv("HTTP_PROXY", "http://127.0.0.1:1")
        monkeypatch.setenv("NO_PROXY", "127.0.0.1")
        async with make_client() as http:
            assert (await http.send(httpx.Request("GET", base))).content == b"ok"
        monkeypatch.setenv("NO_PROXY", "example.com")
        async with make_client() as http:
            with pytest.raises(httpx.ConnectError):
                await http.send(httpx.Request("GET", base))


async def test_what_was_sent_is_not_kept_while_the_answer_lasts() -> None:
    async with serving(answering(WHOLE)) as base, client() as http:
        request = http.build_request("POST", base, content=b"x" * 1000)
        answer = await http.send(request, stream=True)
        assert isinstance(answer.request.stream, httpx.ByteStream)
        assert b"".join(answer.request.stream) == b""
        await answer.aclose()
