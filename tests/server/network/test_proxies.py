"""Proxies of the surroundings: which address goes through which, and what cannot be used."""

import asyncio
import socket
import ssl
import struct
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from pathlib import Path

import httpx
import pytest
from hypothesis import given
from hypothesis import strategies as st

from server.errors import NetworkSettingError, UpstreamError, UpstreamTimeoutError
from server.network.failures import mapped_errors
from server.network.proxies import Proxies, blocking_client, from_surroundings, read
from server.network.transport import Transport, make_client
from tests.support import HANGS_S

WHOLE = b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok"


def shown(url: str, **environment: str) -> str | None:
    setting = from_surroundings(environment).setting_for(httpx.URL(url))
    return setting.shown if setting else None


@pytest.mark.parametrize(
    ("environment", "url", "through"),
    [
        ({"HTTPS_PROXY": "http://p:1"}, "https://g.test", "http://p:1"),
        ({"HTTPS_PROXY": "http://p:1"}, "http://g.test", None),
        ({"https_proxy": "p:1"}, "https://g.test", "p:1"),
        ({"https_proxy": "low:1", "HTTPS_PROXY": "up:1"}, "https://g.test", "low:1"),
        ({"All_Proxy": "socks5://p:1"}, "https://g.test", "socks5://p:1"),
        ({"ALL_PROXY": "socks5h://p", "HTTP_PROXY": "q:1"}, "http://g.test", "q:1"),
        ({"HTTPS_PROXY": ""}, "https://g.test", None),
        ({"HTTPS_PROXY": "  "}, "https://g.test", None),
        ({"ALL_PROXY": "http://p:1"}, "http://169.254.169.254/computeMetadata", None),
        ({"ALL_PROXY": "http://p:1"}, "http://metadata.google.internal/x", None),
    ],
)
def test_the_proxy_of_an_address(
    environment: dict[str, str], url: str, through: str | None
) -> None:
    assert shown(url, **environment) == through


@pytest.mark.parametrize(
    ("entry", "url", "direct"),
    [
        ("*", "https://g.test", True),
        ("g.test", "https://g.test", True),
        ("g.test", "https://a.g.test", True),
        ("g.test", "https://ag.test", False),
        (".g.test", "https://a.g.test", True),
        (".g.test", "https://g.test", True),
        ("*.g.test", "https://a.g.test", True),
        ("G.Test", "https://g.TEST", True),
        ("g.test:443", "https://g.test", True),
        ("g.test:8443", "https://g.test", False),
        ("127.0.0.1", "http://127.0.0.1:9", True),
        ("127.0.0.1:9", "http://127.0.0.1:9", True),
        ("127.0.0.1:8", "http://127.0.0.1:9", False),
        ("10.0.0.0/8", "http://10.1.2.3", True),
        ("10.0.0.0/8", "http://11.1.2.3", False),
        ("::1", "http://[::1]:9", True),
        ("[::1]", "http://[::1]:9", True),
        ("[::1]:9", "http://[::1]:9", True),
        ("fd00::/8", "http://[fd12::1]", True),
        ("other.test  g.test", "https://g.test", True),
        (",, ,", "https://g.test", False),
        ("localhost", "http://127.0.0.1", False),
    ],
)
def test_no_proxy_in_every_form_that_tools_write(entry: str, url: str, direct: bool) -> None:
    assert (shown(url, ALL_PROXY="http://p:1", NO_PROXY=entry) is None) is direct


@pytest.mark.parametrize(
    "value",
    [
        "socks4://p:1",
        "ftp://p:1",
        "http://",
        "http://p:99999",
        "http://p:port",
        "http://[::1",
        "http://p:0",
        "socks5://",
        "http://p:1/pac.js",
        "p:1:2",
        "http://p:1\nx",
    ],
)
def test_a_value_that_is_no_proxy_is_named_in_one_sentence(value: str) -> None:
    (problem,) = from_surroundings({"HTTPS_PROXY": value}).problems()
    assert problem.startswith("HTTPS_PROXY=")
    assert value.partition("\n")[0] in problem
    assert "socks5h" in problem
    assert "\n" not in problem


@pytest.mark.parametrize(
    "value", ["ftp://me:hidden-word@p:1", "http://me:hid/den-word@p:x", "me:hidden-word@p:p"]
)
def test_a_password_is_never_shown(value: str) -> None:
    setting = read("HTTPS_PROXY", value)
    assert "den-word" not in setting.shown + setting.problem
    assert "den-word" not in repr(from_surroundings({"HTTPS_PROXY": value}).by_scheme)


@given(st.text(max_size=60))
def test_any_text_is_a_proxy_or_a_problem(value: str) -> None:
    setting = read("ALL_PROXY", value)
    assert (setting.proxy is None) is bool(setting.problem)


def test_desktops_write_socks_for_socks_five() -> None:
    setting = read("all_proxy", "socks://127.0.0.1:9050/")
    assert setting.usable().url.scheme == "socks5"


# ── on the wire ──────────────────────────────────────────────────────────────────────────────────


@asynccontextmanager
async def socks(asked: list[tuple[str, int]], answer: bytes = WHOLE) -> AsyncIterator[str]:
    """A SOCKS 5 proxy (RFC 1928) that answers every connection itself."""

    talks: list[asyncio.Task[None] | None] = []

    async def handler(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        talks.append(asyncio.current_task())
        with suppress(ConnectionError, asyncio.IncompleteReadError):
            await reader.readexactly((await reader.readexactly(2))[1])
            writer.write(b"\x05\x00")
            kind = (await reader.readexactly(4))[3]
            size = 4 if kind == 1 else (await reader.readexactly(1))[0]
            name = await reader.readexactly(size)
            port = struct.unpack("!H", await reader.readexactly(2))[0]
            asked.append((".".join(map(str, name)) if kind == 1 else name.decode(), port))
            writer.write(b"\x05\x00\x00\x01\x7f\x00\x00\x01\x00\x00")
            while True:
                await reader.readuntil(b"\r\n\r\n")
                writer.write(answer)
        writer.close()

    server = await asyncio.start_server(handler, "127.0.0.1", 0)
    try:
        yield f"127.0.0.1:{server.sockets[0].getsockname()[1]}"
    finally:
        server.close()
        await asyncio.wait_for(asyncio.gather(*filter(None, talks)), HANGS_S)


@pytest.mark.parametrize("scheme", ["socks5", "socks5h", "socks"])
async def test_requests_travel_over_socks(scheme: str) -> None:
    """Names are the proxy's to look up (reports R6)."""
    asked: list[tuple[str, int]] = []
    async with socks(asked) as address:
        proxies = from_surroundings({"ALL_PROXY": f"{scheme}://{address}"})
        async with httpx.AsyncClient(transport=Transport(proxies=proxies)) as http:
            assert (await http.post("http://upstream.invalid/x")).content == b"ok"
        with blocking_client(proxies) as blocking:
            answer = await asyncio.to_thread(blocking.get, "http://sign-in.invalid:81/token")
        assert answer.content == b"ok"
    assert asked == [("upstream.invalid", 80), ("sign-in.invalid", 81)]


@pytest.mark.parametrize("scheme", ["http", "https", "socks5", "socks5h"])
async def test_a_proxy_that_is_not_there_is_named(scheme: str, tmp_path: Path) -> None:
    proxies = from_surroundings({"ALL_PROXY": f"{scheme}://me:hidden-word@127.0.0.1:9"})
    async with httpx.AsyncClient(transport=Transport(proxies=proxies)) as http:
        with pytest.raises(Exception, match=r"ALL_PROXY=") as caught, mapped_errors():
            await http.get("http://upstream.invalid/x")
    assert "hidden-word" not in str(caught.value)


async def test_a_proxy_whose_name_cannot_be_resolved_is_named(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """It is not the upstream's name that is wrong."""

    def unknown(host: str, *rest: object) -> None:
        raise socket.gaierror(socket.EAI_NONAME, "Name or service not known")

    monkeypatch.setattr(socket, "getaddrinfo", unknown)
    proxies = from_surroundings({"ALL_PROXY": "http://nowhere.invalid:3128"})
    async with httpx.AsyncClient(transport=Transport(proxies=proxies)) as http:
        with pytest.raises(UpstreamError) as caught, mapped_errors():
            await http.get("http://upstream.invalid/x")
    assert "The proxy on the way to upstream.invalid does not work" in caught.value.message
    assert "ALL_PROXY=http://nowhere.invalid:3128: its name" in caught.value.message
    with blocking_client(proxies) as blocking, pytest.raises(httpx.ProxyError, match="ALL_PROXY="):
        await asyncio.to_thread(blocking.get, "http://sign-in.invalid/token")


def test_a_proxy_that_stays_silent_is_named() -> None:
    request = httpx.Request("GET", "https://upstream.invalid/x")
    setting = read("all_proxy", "socks5://me:hidden-word@10.0.0.1:9")
    with pytest.raises(UpstreamTimeoutError) as caught, mapped_errors(), setting.named(request):
        raise httpx.ConnectTimeout("", request=request)
    assert "all_proxy=socks5://***@10.0.0.1:9" in caught.value.message
    assert "set HTTPS_PROXY" not in caught.value.message


async def test_an_unusable_proxy_fails_its_requests_once_and_for_a_reason() -> None:
    proxies = from_surroundings({"HTTPS_PROXY": "socks4://p:1"})
    async with httpx.AsyncClient(transport=Transport(proxies=proxies)) as http:
        with pytest.raises(NetworkSettingError, match="HTTPS_PROXY=socks4://p:1") as caught:
            await http.get("https://upstream.invalid/x")
    assert (caught.value.status, caught.value.transient) == (502, False)
    with blocking_client(proxies) as blocking, pytest.raises(NetworkSettingError):
        await asyncio.to_thread(blocking.get, "https://sign-in.invalid/token")


async def test_an_unusable_proxy_is_told_when_the_client_is_made(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setenv("ALL_PROXY", "gopher://p:1")
    await make_client().aclose()
    assert "ALL_PROXY=gopher://p:1" in caplog.text


async def test_certificates_that_cannot_be_read_are_named(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """And the next request may find them."""
    monkeypatch.setenv("SSL_CERT_FILE", str(tmp_path / "none.pem"))
    async with httpx.AsyncClient(transport=Transport(proxies=Proxies())) as http:
        for _ in range(2):
            with pytest.raises(NetworkSettingError, match=r"SSL_CERT_FILE=.*none\.pem"):
                await http.get("https://127.0.0.1:9/")
        (tmp_path / "none.pem").write_text("no certificate")
        with pytest.raises(NetworkSettingError, match="SSL_CERT_FILE"):
            await http.get("https://127.0.0.1:9/")
        monkeypatch.delenv("SSL_CERT_FILE")
        with pytest.raises(httpx.ConnectError):
            await http.get("https://127.0.0.1:9/")
    assert ssl.create_default_context()
