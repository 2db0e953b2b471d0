"""Fetching media by address: public addresses only, and errors that name the field."""

import asyncio
import base64
import gzip
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager

import pytest

from server import limits
from server.aside import Lookups
from server.core import downloads as fetch
from server.core.downloads import Fetcher, PublicAddresses, UnknownHostError, is_public
from server.errors import BadRequestError
from server.gemini.types import Download, Json
from server.network.proxies import from_surroundings
from tests.server.network.test_proxies import socks

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
    monkeypatch.setattr(fetch, "DOWNLOAD_BYTES", 10)
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
    assert await PublicAddresses().of("8.8.8.8", 443) == "8.8.8.8"
    with pytest.raises(ValueError, match="not a public address"):
        await PublicAddresses().of("127.0.0.1", 80)


@pytest.mark.parametrize(
    "address",
    [
        *("64:ff9b::a9fe:a9fe", "64:ff9b::7f00:1", "64:ff9b:1::a9fe:a9fe", "64:ff9b:1::808:808"),
        *("64:ff9b:1:ffff::1", "2002:7f00:1::", "2002:a9fe:a9fe::1", "2002:808:808::1"),
        *("::7f00:1", "::a9fe:a9fe", "::808:808", "::", "::1", "::ffff:10.0.0.1"),
        *("::ffff:168.63.129.16", "::ffff:0:127.0.0.1", "64:ff9b::a83f:8110"),
        *("2001:0:5ef5:79fd:0:0:f5ff:fffe", "2600:1::5efe:7f00:1", "2600:1::200:5efe:a9fe:a9fe"),
        *("fec0::1", "fe80::1", "fe80::1%eth0", "fc00::1", "fd00:ec2::254", "ff02::1", "ff0e::1"),
        *("2001:db8::1", "3fff::1", "100::1", "5f00::1", "2001:20::1", "4000::1"),
        *("168.63.129.16", "100.100.100.200", "100.64.0.1", "192.0.0.192", "192.88.99.1"),
        *("224.0.0.1", "239.255.255.250", "240.0.0.1", "255.255.255.255", "198.18.0.1"),
        *("0.1.2.3", "127.8.8.8", "10.0.0.1", "172.31.0.1", "192.0.2.1", "no address", ""),
    ],
)
def test_only_global_unicast_is_public_whatever_it_is_wrapped_in(address: str) -> None:
    assert not is_public(address)


@pytest.mark.parametrize(
    "address",
    [
        *("8.8.8.8", "1.1.1.1", "2001:4860:4860::8888", "2a00:1450::1", "64:ff9b::808:808"),
        *("::ffff:8.8.8.8", "2620:fe::fe"),
    ],
)
def test_public_addresses_are_public(address: str) -> None:
    assert is_public(address)


async def test_one_address_inside_is_enough_to_refuse_a_name() -> None:
    def look_up(*_asked: object, **_more: object) -> list[tuple[object, ...]]:
        return [(0, 0, 0, "", (address, 80)) for address in ("8.8.8.8", "64:ff9b::a9fe:a9fe")]

    with pytest.raises(ValueError, match=r"two\.example is not a public address"):
        await PublicAddresses(Lookups(look_up)).of("two.example", 80)


@pytest.mark.parametrize(
    "url",
    [
        *("http://0177.0.0.1/a.png", "http://[::1/", "http://a.example/\n", "http://a\0b/"),
        *("http://xn--/", "http://a:99999/", "http://a:b/", "http://", "http:///x", "https://@/"),
        *("http://\ud800.example/", "http://a..b/x", "http://" + "a" * 80 + ".example/"),
        *("http://a.example/" + "b" * 70_000, "http://2130706433/", "http://0x7f.1/"),
        *("http://127。0。0。1/", "http://[fe80::1%25eth0]/", "ws://a.example/", "http://a b/"),
    ],
)
async def test_an_address_that_is_none_is_the_callers_mistake(url: str) -> None:
    download = Download(part={}, url=url, param="messages[0].content[1]")
    with pytest.raises(BadRequestError) as caught:
        await Fetcher().inline([download])
    assert caught.value.param == "messages[0].content[1]"
    assert len(caught.value.message) < 400


async def test_a_redirect_to_no_address_names_the_field() -> None:
    extra = "Location: http://[::1/\r\n"
    async with web(lambda _head: response(b"", status="302 Found", extra=extra)) as port:
        with pytest.raises(BadRequestError, match="Unable to download"):
            await fetched(f"http://a.example:{port}/")


def of(urls: list[str]) -> list[Download]:
    return [Download(part={}, url=url, param=f"files[{n}]") for n, url in enumerate(urls)]


async def test_a_few_files_at_once_and_one_limit_for_all_of_them(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    now, most = 0, 0

    async def talk(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        nonlocal now, most
        await reader.readuntil(b"\r\n\r\n")
        now += 1
        most = max(most, now)
        await asyncio.sleep(0.02)
        now -= 1
        writer.write(response(PNG))
        await writer.drain()
        writer.close()

    async with await asyncio.start_server(talk, "127.0.0.1", 0) as server:
        port = server.sockets[0].getsockname()[1]
        urls = [f"http://a.example:{port}/{n}" for n in range(12)]
        await Fetcher(resolve=anywhere).inline(of(urls))
        assert most == limits.DOWNLOADS_AT_ONCE
        monkeypatch.setattr(fetch, "DOWNLOADS_BYTES", 10 * len(PNG))
        with pytest.raises(BadRequestError, match="all files of the request are larger") as caught:
            await Fetcher(resolve=anywhere).inline(of(urls))
        assert str(caught.value.param).startswith("files[1")


async def test_more_files_than_a_request_may_name_are_not_even_tried() -> None:
    urls = ["http://a.invalid/"] * (limits.DOWNLOADS + 1)
    with pytest.raises(BadRequestError, match=f"at most {limits.DOWNLOADS} files"):
        await Fetcher(resolve=anywhere).inline(of(urls))


async def test_nothing_is_unpacked() -> None:
    """A few kilobytes of gzip are as many megabytes."""
    heads: list[str] = []

    def answer(head: str) -> bytes:
        heads.append(head)
        packed = gzip.compress(bytes(5_000_000))
        return response(packed, extra="Content-Encoding: gzip\r\n")

    async with web(answer) as port:
        with pytest.raises(BadRequestError, match="compressed"):
            await fetched(f"http://a.example:{port}/")
    assert "accept-encoding: identity" in heads[0].lower()


async def test_a_file_that_does_not_come_in_time_names_the_field(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    async def silent(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.read()
        writer.close()

    monkeypatch.setattr(fetch, "DOWNLOAD_S", 0.1)
    async with await asyncio.start_server(silent, "127.0.0.1", 0) as server:
        url = f"http://a.example:{server.sockets[0].getsockname()[1]}/"
        with pytest.raises(BadRequestError, match=r"content\[1\]: Unable to download") as caught:
            await fetched(url)
    assert caught.value.param == "messages[0].content[1]"


async def test_a_dead_address_of_an_earlier_turn_is_not_tried_again_at_once() -> None:
    """Every turn would wait for it; a newest turn tries anyhow."""
    asked: list[str] = []
    moment = 0.0

    def answer(head: str) -> bytes:
        asked.append(head)
        return response(b"", status="404 Not Found")

    async with web(answer) as port:
        fetcher = Fetcher(resolve=anywhere, now=lambda: moment)

        async def turn(*, earlier: bool) -> Json:
            url = f"http://a.example:{port}/x.png"
            part: Json = {}
            download = Download(part=part, url=url, param="p", earlier=earlier, place="here[]")
            assert await fetcher.inline([download]) == ["here[]"]
            return part

        with pytest.raises(BadRequestError):
            await turn(earlier=False)
        assert "a short time ago" in (await turn(earlier=True))["text"]
        assert len(asked) == 1
        moment = limits.DEAD_S + 1
        assert "404" in (await turn(earlier=True))["text"]
        assert len(asked) == 2
        for number in range(2 * limits.DEAD_ADDRESSES):
            fetcher._note_dead(f"http://a.example/{number}")
        assert len(fetcher._dead) == limits.DEAD_ADDRESSES


async def test_files_of_earlier_turns_beyond_the_number_are_left_out(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(fetch, "DOWNLOADS", 1)
    async with web(lambda _head: response(PNG)) as port:
        downloads = [
            Download(part={}, url=f"http://a.example:{port}/", param="p", earlier=e, place=str(e))
            for e in (True, False)
        ]
        assert await Fetcher(resolve=anywhere).inline(downloads) == ["True"]
    assert ["inlineData" in download.part for download in downloads] == [False, True]


# ── through a proxy ──────────────────────────────────────────────────────────────────────────────

PICTURE = b"HTTP/1.1 200 OK\r\nContent-Type: image/png\r\nContent-Length: 3\r\n\r\npng"


@pytest.mark.parametrize(
    ("scheme", "asked_for"), [("socks5", "93.184.215.14"), ("socks5h", "pictures.example.com")]
)
async def test_a_file_is_fetched_through_the_proxy_that_is_set(scheme: str, asked_for: str) -> None:
    """By the address that was checked where the proxy takes one; ``socks5h`` looks names up."""
    looked_up: list[str] = []

    async def resolve(host: str, port: int) -> str:
        looked_up.append(host)
        return "93.184.215.14"

    asked: list[tuple[str, int]] = []
    async with socks(asked, PICTURE) as address:
        proxies = from_surroundings({"ALL_PROXY": f"{scheme}://{address}"})
        (download,) = of(["http://pictures.example.com/a.png"])
        await Fetcher(resolve=resolve, proxies=proxies).inline([download])
    assert download.part["inlineData"]["mimeType"] == "image/png"
    assert asked == [(asked_for, 80)]
    assert looked_up == ([] if scheme == "socks5h" else ["pictures.example.com"])


@pytest.mark.parametrize("scheme", ["socks5h", "http"])
@pytest.mark.parametrize(
    "host",
    ["localhost", "router", "nas.local", "metadata.google.internal.", "127.0.0.1", "10.0.0.1",
     "169.254.1.1", "[::1]", "0x7f.1", "127.1", "a.localhost", "168.63.129.16"],
)  # fmt: skip
async def test_a_proxy_is_never_asked_for_a_network_of_ones_own(scheme: str, host: str) -> None:
    async def resolve(host: str, port: int) -> str:
        raise UnknownHostError(host)

    asked: list[tuple[str, int]] = []
    async with socks(asked, PICTURE) as address:
        proxies = from_surroundings({"ALL_PROXY": f"{scheme}://{address}"})
        (download,) = of([f"http://{host}/a.png"])
        with pytest.raises(BadRequestError):
            await Fetcher(resolve=resolve, proxies=proxies).inline([download])
    assert asked == []


async def test_a_name_known_to_be_private_here_is_not_given_to_a_proxy() -> None:
    async def resolve(host: str, port: int) -> str:
        raise ValueError(f"{host} is not a public address")

    proxies = from_surroundings({"ALL_PROXY": "http://127.0.0.1:9"})
    (download,) = of(["http://wiki.example.com/a.png"])
    with pytest.raises(BadRequestError, match="not a public address"):
        await Fetcher(resolve=resolve, proxies=proxies).inline([download])
