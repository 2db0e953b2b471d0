"""The upstream transport against a socket that answers byte for byte what the test says."""

import asyncio
import socket
import ssl
import threading
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager, suppress
from pathlib import Path

import httpx
import pytest

from server.network import transport
from server.network.connection import MOST_HELD
from server.network.proxies import from_surroundings
from server.network.transport import (
    KEEP_ALIVE_S,
    KEPT_DEAD_AFTER_S,
    Transport,
    kept_alive,
    make_client,
)
from tests.certificates import self_signed
from tests.support import HANGS_S

Handler = Callable[[asyncio.StreamReader, asyncio.StreamWriter], Awaitable[None]]

WHOLE = b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\nX-Case: Kept\r\n\r\nok"
CHUNKED = b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n"


@asynccontextmanager
async def serving(handler: Handler, *, used: bool = True) -> AsyncIterator[str]:
    closed = asyncio.Event()
    open_now: set[asyncio.StreamWriter] = set()

    async def closing(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        open_now.add(writer)
        with suppress(ConnectionError, asyncio.IncompleteReadError):
            await handler(reader, writer)
        writer.close()
        with suppress(ConnectionError):
            await writer.wait_closed()
        open_now.discard(writer)
        if not open_now:
            closed.set()

    server = await asyncio.start_server(closing, "127.0.0.1", 0)
    try:
        yield f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}"
    finally:
        server.close()
        if open_now:
            closed.clear()
        if used:
            await asyncio.wait_for(closed.wait(), HANGS_S)


def answering(data: bytes) -> Handler:
    async def handler(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.readuntil(b"\r\n\r\n")
        writer.write(data)
        await writer.drain()

    return handler


def client(**limits: float) -> httpx.AsyncClient:
    return httpx.AsyncClient(transport=Transport(), timeout=httpx.Timeout(HANGS_S, **limits))


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


def counting(peers: list[object], *, between: bytes = b"") -> Handler:
    """Answers for as long as it is asked, with something ``between`` that nobody asked for."""

    async def handler(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        peers.append(writer.get_extra_info("peername"))
        while True:
            await reader.readuntil(b"\r\n\r\n")
            writer.write(WHOLE + between)

    return handler


async def test_a_connection_is_not_kept_while_the_computer_sleeps() -> None:
    peers: list[object] = []
    now = 1_000_000.0
    waking = Transport(wall_clock=lambda: now)
    async with serving(counting(peers)) as base, httpx.AsyncClient(transport=waking) as http:
        await http.get(base)
        await http.get(base)
        assert len(peers) == 1
        now += KEEP_ALIVE_S + 1
        await http.get(base)
        assert len(peers) == 2
        now -= 3600  # the clock was set back
        await http.get(base)
    assert len(peers) == 3


async def test_an_idle_connection_is_closed_after_a_while(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(transport, "KEEP_ALIVE_S", 0.02)
    gone = asyncio.Event()

    async def handler(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.readuntil(b"\r\n\r\n")
        writer.write(WHOLE)
        with suppress(ConnectionError):
            await reader.read()
        gone.set()

    async with serving(handler) as base, client() as http:
        await http.get(base)
        await asyncio.wait_for(gone.wait(), HANGS_S)


async def test_few_connections_are_kept_idle(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(transport, "MOST_IDLE", 2)
    peers: list[object] = []
    async with serving(counting(peers)) as base, client() as http:
        await asyncio.gather(*(http.get(base) for _ in range(5)))
        busy = len(peers)
        await asyncio.gather(*(http.get(base) for _ in range(2)))
        assert len(peers) == busy
        await asyncio.gather(*(http.get(base) for _ in range(3)))
        assert len(peers) == busy + 1


async def test_what_nobody_asked_for_ends_a_connection() -> None:
    peers: list[object] = []
    async with serving(counting(peers, between=WHOLE)) as base, client() as http:
        for _ in range(3):
            assert (await http.get(base)).content == b"ok"
    assert len(peers) == 3


@pytest.mark.parametrize("method", ["GET", "POST"])
async def test_a_connection_closed_in_its_idleness_is_replaced_where_that_changes_nothing(
    method: str,
) -> None:
    asked: list[bytes] = []

    async def handler(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        asked.append(await reader.readuntil(b"\r\n\r\n"))
        writer.write(WHOLE)
        asked.append(await reader.readuntil(b"\r\n\r\n"))  # and goes without a word

    async with serving(handler) as base, client() as http:
        await http.get(base)
        if method == "GET":
            assert (await http.get(base)).content == b"ok"
            assert len(asked) == 3
        else:
            with pytest.raises(httpx.RemoteProtocolError):
                await http.post(base)
            assert len(asked) == 2


async def test_an_answer_may_come_before_all_was_sent() -> None:
    """What was not sent then must not be taken for the next request, nor the other way round."""
    heads: list[bytes] = []

    async def handler(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        heads.append(await reader.readuntil(b"\r\n\r\n"))
        writer.write(b"HTTP/1.1 413 Too Large\r\nContent-Length: 2\r\n\r\nno")
        await reader.read()

    async with serving(handler) as base, client() as http:
        async with asyncio.timeout(HANGS_S):
            answer = await http.post(base, content=b"x" * 32_000_000)
        assert (answer.status_code, answer.content) == (413, b"no")
        assert (await http.get(base)).status_code == 413
    assert [head.split(b" ")[0] for head in heads] == [b"POST", b"GET"]


async def test_a_large_body_arrives_whole() -> None:
    body = bytes(range(256)) * 20_000
    heard = bytearray()

    async def handler(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.readuntil(b"\r\n\r\n")
        heard.extend(await reader.readexactly(len(body)))
        writer.write(WHOLE)

    async with serving(handler) as base, client() as http:
        assert (await http.post(base, content=body)).content == b"ok"
    assert bytes(heard) == body


async def test_nobody_taking_the_request_is_a_write_timeout() -> None:
    async def handler(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await over.wait()

    over = asyncio.Event()
    async with serving(handler) as base, client(write=0.05) as http:
        with pytest.raises(httpx.WriteTimeout):
            await http.post(base, content=b"x" * 32_000_000)
        over.set()


async def test_a_body_nobody_reads_waits_on_the_other_side() -> None:
    size = 16_000_000
    blocked = asyncio.Event()

    async def handler(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.readuntil(b"\r\n\r\n")
        writer.write(b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n" % size)
        writer.write(b"x" * size)
        while left := writer.transport.get_write_buffer_size():
            await asyncio.sleep(0.01)
            if writer.transport.get_write_buffer_size() == left:
                blocked.set()

    async with serving(handler) as base, make_client() as http:
        answer = await http.send(httpx.Request("GET", base), stream=True)
        await asyncio.wait_for(blocked.wait(), HANGS_S)
        assert isinstance(answer.stream, transport.Body)
        assert answer.stream.held <= MOST_HELD + 256 * 1024
        assert len(await answer.aread()) == size
        await answer.aclose()


async def test_a_connection_that_is_torn_is_an_error() -> None:
    async def handler(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.readuntil(b"\r\n\r\n")
        writer.write(CHUNKED + b"2\r\nok\r\n")
        await writer.drain()
        await read.wait()
        writer.transport.abort()

    read = asyncio.Event()
    async with serving(handler) as base, client() as http, http.stream("GET", base) as answer:
        pieces = answer.aiter_bytes()
        assert await anext(pieces) == b"ok"
        read.set()
        with pytest.raises((httpx.ReadError, httpx.RemoteProtocolError)):
            await anext(pieces)


@pytest.mark.parametrize("url", ["ftp://127.0.0.1/x", "http:///x", "/x"])
async def test_no_http_address_is_told_as_such(url: str) -> None:
    async with make_client() as http:
        with pytest.raises(httpx.UnsupportedProtocol):
            await http.send(httpx.Request("GET", url))


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
        await asyncio.wait_for(cut.wait(), HANGS_S)


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
        await asyncio.wait_for(cut.wait(), HANGS_S)


async def test_a_header_that_cannot_be_sent_is_a_protocol_error() -> None:
    async with serving(answering(WHOLE), used=False) as base, client() as http:
        with pytest.raises(httpx.LocalProtocolError):
            await http.get(base, headers={"x-key": "two\nlines"})


async def test_a_proxy_is_asked_where_one_is_set() -> None:
    heard: list[bytes] = []

    async def proxy(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        heard.append(await reader.readline())
        writer.write(WHOLE)

    async with serving(proxy) as address:
        transport = Transport(
            proxies=from_surroundings({"ALL_PROXY": address.removeprefix("http://")})
        )
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
            with pytest.raises(httpx.ProxyError):
                await http.send(httpx.Request("GET", base))


async def test_what_was_sent_is_not_kept_while_the_answer_lasts() -> None:
    async with serving(answering(WHOLE)) as base, client() as http:
        request = http.build_request("POST", base, content=b"x" * 1000)
        answer = await http.send(request, stream=True)
        assert isinstance(answer.request.stream, httpx.ByteStream)
        assert b"".join(answer.request.stream) == b""
        await answer.aclose()


# ── connections that die without a sign ──────────────────────────────────────────────────────────


def silent_after(peers: list[int], answers: int) -> Handler:
    """Answers so often on one connection, and then reads on without a word."""

    async def handler(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        peers.append(writer.get_extra_info("peername")[1])
        for _ in range(answers):
            await reader.readuntil(b"\r\n\r\n")
            writer.write(WHOLE)
        await reader.read()

    return handler


async def test_a_kept_connection_that_stays_silent_fails_before_its_request_does() -> None:
    """By itself it would have been waited for as long as for any answer (reports A12)."""
    peers: list[int] = []
    impatient = Transport(kept_first_byte_s=0.05)
    limits = httpx.Timeout(HANGS_S)
    async with (
        serving(silent_after(peers, 1)) as base,
        httpx.AsyncClient(transport=impatient, timeout=limits) as http,
    ):
        await http.get(base)
        with pytest.raises(httpx.ReadError, match="silent"):
            await http.post(base)
        assert (await http.post(base)).content == b"ok"
        assert len(peers) == 2
        assert (await http.get(base)).content == b"ok"
    assert len(peers) == 3


async def test_one_silent_connection_ends_all_that_were_kept() -> None:
    peers: list[int] = []
    impatient = Transport(kept_first_byte_s=0.05)
    async with (
        serving(silent_after(peers, 1)) as base,
        httpx.AsyncClient(transport=impatient, timeout=httpx.Timeout(HANGS_S)) as http,
    ):
        await asyncio.gather(*(http.get(base) for _ in range(3)))
        with pytest.raises(httpx.ReadError):
            await http.post(base)
        assert (await http.post(base)).content == b"ok"
    assert len(peers) == 4


async def test_a_new_connection_may_take_its_time() -> None:
    """Only what was kept is suspected: a model may think for minutes."""

    async def handler(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.readuntil(b"\r\n\r\n")
        await asyncio.sleep(0.1)
        writer.write(WHOLE)

    impatient = Transport(kept_first_byte_s=0.02)
    async with (
        serving(handler) as base,
        httpx.AsyncClient(transport=impatient, timeout=httpx.Timeout(HANGS_S)) as http,
    ):
        assert (await http.post(base)).content == b"ok"


async def test_an_answer_on_a_kept_connection_has_its_own_limit_again() -> None:
    """The limit is for the first byte; the body may be as slow as any."""

    async def handler(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        for _ in range(2):
            await reader.readuntil(b"\r\n\r\n")
            writer.write(WHOLE[:-1])
            await asyncio.sleep(0.2)
            writer.write(WHOLE[-1:])

    impatient = Transport(kept_first_byte_s=0.1)
    async with (
        serving(handler) as base,
        httpx.AsyncClient(transport=impatient, timeout=httpx.Timeout(HANGS_S)) as http,
    ):
        await http.get(base)
        assert (await http.post(base)).content == b"ok"


async def test_a_shorter_limit_of_the_request_still_is_a_timeout() -> None:
    async with (
        serving(silent_after([], 1)) as base,
        httpx.AsyncClient(transport=Transport(), timeout=httpx.Timeout(HANGS_S)) as http,
    ):
        await http.get(base)
        with pytest.raises(httpx.ReadTimeout):
            await http.post(base, timeout=httpx.Timeout(HANGS_S, read=0.05))


@pytest.mark.skipif(not hasattr(socket, "TCP_USER_TIMEOUT"), reason="Linux names it")
async def test_the_system_is_asked_to_notice_a_dead_connection() -> None:
    carrier = Transport()
    async with serving(answering(WHOLE)) as base, httpx.AsyncClient(transport=carrier) as http:
        await http.get(base)
        sock = carrier._idle[0][1]._transport.get_extra_info("socket")
        assert sock.getsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE) == 1
        for level, option, value in kept_alive():
            assert sock.getsockopt(level, option) == value


@pytest.mark.parametrize("platform", ["linux", "darwin", "win32"])
def test_every_system_gives_up_within_twenty_seconds(platform: str) -> None:
    """The names that Python knows there (documentation of ``socket``)."""
    known = {
        "linux": {"TCP_KEEPIDLE": 4, "TCP_KEEPINTVL": 5, "TCP_KEEPCNT": 6, "TCP_USER_TIMEOUT": 18},
        "darwin": {"TCP_KEEPALIVE": 0x10, "TCP_KEEPINTVL": 0x101, "TCP_KEEPCNT": 0x102},
        "win32": {"TCP_KEEPIDLE": 3, "TCP_KEEPINTVL": 17, "TCP_KEEPCNT": 16},
    }[platform]
    options = {option: value for _, option, value in kept_alive(platform, known)[1:]}
    idle = options[known.get("TCP_KEEPIDLE") or known["TCP_KEEPALIVE"]]
    assert idle + options[known["TCP_KEEPINTVL"]] * options[known["TCP_KEEPCNT"]] <= 20
    unacknowledged = {"linux": 18, "darwin": 0x80, "win32": 5}[platform]
    scale = 1000 if platform == "linux" else 1
    assert options[unacknowledged] == KEPT_DEAD_AFTER_S * scale <= 20 * scale
