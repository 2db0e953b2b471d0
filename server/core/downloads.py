"""Fetching the images and documents that a request names by address.

The address comes from whoever wrote the prompt, so it must not reach into the user's own network:
only http(s), only public addresses, and the connection goes to the very address that was checked
(a second look-up could answer differently). Behind a SOCKS 5 proxy that holds as well. A proxy that
connects by name (``http``, ``https``, ``socks5h``) gets the name: it is refused where it can only
mean the user's own network, or where this computer knows such an address for it.
"""

import asyncio
import base64
import contextlib
import ipaddress
import socket
from collections import OrderedDict
from collections.abc import Awaitable, Callable, Iterable, Iterator
from time import monotonic

import httpx

from server.aside import Lookups
from server.errors import BadRequestError
from server.gemini.media import stand_in
from server.gemini.types import Download
from server.limits import (
    ADDRESS_CHARS,
    DEAD_ADDRESSES,
    DEAD_S,
    DOWNLOAD_BYTES,
    DOWNLOAD_S,
    DOWNLOADS,
    DOWNLOADS_AT_ONCE,
    DOWNLOADS_BYTES,
    MIB,
    REDIRECTS,
)
from server.network.proxies import Proxies, ProxySetting, from_surroundings

Resolve = Callable[[str, int], Awaitable[str]]
"""(host, port) -> the address to connect to; raises ``ValueError`` when it must not be reached."""

_Address = ipaddress.IPv4Address | ipaddress.IPv6Address

_UNICAST = ipaddress.ip_network("2000::/3")
"""All that is given out of IPv6 (IANA, *IPv6 Global Unicast Address Assignments*)."""
_CLOSED = tuple(
    map(
        ipaddress.ip_network,
        (
            "0.0.0.0/8",
            "100.64.0.0/10",  # behind a provider's NAT; some clouds' metadata
            "168.63.129.16/32",  # Azure's host, inside every virtual machine
            "192.0.0.0/24",  # IANA's special purposes; Oracle's metadata
            "192.88.99.0/24",  # 6to4 relays
            "198.18.0.0/15",  # benchmarks
            "240.0.0.0/4",
            "2001::/23",  # IANA's special purposes: Teredo, ORCHID, benchmarks
            "2001:db8::/32",
            "2002::/16",  # 6to4: retired (RFC 7526), and global to Python up to 3.12.3 only
            "3fff::/20",  # documentation, like the one before (RFC 9637)
        ),
    )
)
"""Not for everybody, whatever this Python's own tables say: they differ by version."""
_NAT64 = ipaddress.IPv6Network("64:ff9b::/96")
_COMPATIBLE = ipaddress.IPv6Network("::/96")
_ISATAP = (0x0000_5EFE, 0x0200_5EFE)
"""Upper half of an interface identifier that ends in an IPv4 address (RFC 5214, 6.1)."""


def is_public(address: str) -> bool:
    """Whether ``address`` (in figures) is a global unicast one, all that it stands for included."""
    try:
        found = ipaddress.ip_address(address.partition("%")[0])
    except ValueError:
        return False
    inner = _embedded(found) if isinstance(found, ipaddress.IPv6Address) else None
    if inner is not None and not _is_open(inner):
        return False
    return _is_open(found) or (inner is not None and _is_translated(found))


def _embedded(address: ipaddress.IPv6Address) -> ipaddress.IPv4Address | None:
    """The IPv4 address that a gateway would make of this one."""
    if address.ipv4_mapped is not None:
        return address.ipv4_mapped
    number = int(address)
    if (number >> 32) & 0xFFFF_FFFF in _ISATAP or address in _NAT64 or address in _COMPATIBLE:
        return ipaddress.IPv4Address(number & 0xFFFF_FFFF)
    return None


def _is_translated(address: _Address) -> bool:
    """Forms of an IPv4 address that a system connects to as if they were that: IPv4-mapped, and
    the prefix under which networks without IPv4 show the rest of the world (RFC 6052)."""
    return isinstance(address, ipaddress.IPv6Address) and (
        address.ipv4_mapped is not None or address in _NAT64
    )


def _is_open(address: _Address) -> bool:
    if any(address.version == net.version and address in net for net in _CLOSED):
        return False
    if isinstance(address, ipaddress.IPv6Address) and address not in _UNICAST:
        return False
    return address.is_global and not address.is_multicast


class UnknownHostError(ValueError):
    """This computer knows no address of a name."""


class PublicAddresses:
    """The addresses of names, as far as everybody can reach them."""

    def __init__(self, lookups: Lookups | None = None) -> None:
        self._lookups = lookups or Lookups()

    async def of(self, host: str, port: int) -> str:
        """The address to connect to. Raises ``ValueError`` when ``host`` has one inside a private,
        loopback, link-local or otherwise special network."""
        try:
            found = await self._lookups.getaddrinfo(host, port, type=socket.SOCK_STREAM)
        except (OSError, UnicodeError) as error:
            raise UnknownHostError(f"the host {host[:100]} was not found") from error
        addresses = [str(entry[4][0]) for entry in found]
        if not addresses or not all(map(is_public, addresses)):
            raise ValueError(f"{host[:100]} is not a public address")
        return addresses[0]


_AT_HOME = (".localhost", ".local", ".internal", ".lan", ".home.arpa", ".intranet", ".corp")
"""Ends of names that only a network of one's own knows (RFC 6761, RFC 8375, and habit)."""


def _judge_name(host: str) -> None:
    """Whether a proxy may be asked for ``host`` by name. Raises ``ValueError``."""
    name = host.lower().rstrip(".")
    named = "." in name and not name.endswith(_AT_HOME) and name.rpartition(".")[2].isalpha()
    closed = not named and not name.rpartition(".")[2].startswith("xn--") and not is_public(name)
    if closed:
        raise ValueError(f"{host[:100]} is not a public address")


class _Ways:
    """The clients of one request: one without a proxy, and one for each that is set."""

    def __init__(self, proxies: Proxies) -> None:
        self._proxies = proxies
        self._clients: dict[httpx.URL | None, httpx.AsyncClient] = {}

    def client(self, url: httpx.URL) -> tuple[httpx.AsyncClient, ProxySetting | None]:
        """What fetches ``url``, and its proxy. Raises ``NetworkSettingError``."""
        setting = self._proxies.setting_for(url)
        proxy = setting.usable() if setting else None
        key = proxy.url if proxy else None
        if key not in self._clients:
            self._clients[key] = httpx.AsyncClient(timeout=DOWNLOAD_S, proxy=proxy, trust_env=False)
        return self._clients[key], setting

    async def aclose(self) -> None:
        for client in self._clients.values():
            await client.aclose()


class _Room:
    """Bytes that one request may still fetch."""

    def __init__(self) -> None:
        self.left = DOWNLOADS_BYTES

    def take(self, count: int) -> None:
        """Raises ``ValueError`` when that is more than is left."""
        self.left -= count
        if self.left < 0:
            most = DOWNLOADS_BYTES // MIB
            raise ValueError(f"all files of the request are larger than {most} MiB")


class Fetcher:
    """Turns the ``Download`` placeholders of a call into inline data."""

    def __init__(
        self,
        *,
        resolve: Resolve | None = None,
        now: Callable[[], float] = monotonic,
        proxies: Proxies | None = None,
    ) -> None:
        """``proxies``: instead of those that are set around the program."""
        self._resolve = resolve or PublicAddresses().of
        self._proxies = proxies
        self._now = now
        self._dead: OrderedDict[str, float] = OrderedDict()
        """Address -> until when it is not tried again for an earlier turn."""

    async def inline(self, downloads: Iterable[Download]) -> list[str]:
        """Fetch everything, a few side by side, the newest turn first.

        Returns the places of earlier turns where a line of text stands now. Raises
        ``BadRequestError`` naming the field for what the newest turn cannot have.
        """
        pending = sorted(downloads, key=lambda download: download.earlier)
        left_out: list[str] = []
        wanted: list[Download] = []
        for number, download in enumerate(pending):
            with _forgiven(download, left_out):
                self._judge(download, number)
                wanted.append(download)
        if wanted:
            await self._fetch(wanted, left_out)
        return left_out

    def _judge(self, download: Download, number: int) -> None:
        """Before anything is fetched: what cannot be had costs no fetching of the others."""
        if number >= DOWNLOADS:
            raise _unable(download, f"a request may name at most {DOWNLOADS} files")
        _url_of(download)
        if download.earlier and self._dead.get(download.url, 0) > self._now():
            raise _unable(download, "it could not be had a short time ago")

    async def _fetch(self, wanted: Iterable[Download], left_out: list[str]) -> None:
        pending = list(wanted)
        room = _Room()
        queue = iter(pending)
        async with contextlib.aclosing(_Ways(self._proxies or from_surroundings())) as ways:
            workers = [
                asyncio.create_task(self._some(ways, queue, room, left_out))
                for _ in range(min(DOWNLOADS_AT_ONCE, len(pending)))
            ]
            try:
                await asyncio.gather(*workers)
            finally:
                for worker in workers:
                    worker.cancel()

    async def _some(
        self,
        ways: _Ways,
        queue: Iterator[Download],
        room: _Room,
        left_out: list[str],
    ) -> None:
        for download in queue:
            with _forgiven(download, left_out):
                await self._one(ways, download, room)

    def _note_dead(self, url: str) -> None:
        self._dead[url] = self._now() + DEAD_S
        self._dead.move_to_end(url)
        while len(self._dead) > DEAD_ADDRESSES:
            self._dead.popitem(last=False)

    async def _one(self, ways: _Ways, download: Download, room: _Room) -> None:
        try:
            async with asyncio.timeout(DOWNLOAD_S):
                mime_type, data = await self._get(ways, download, room)
        except (httpx.HTTPError, httpx.InvalidURL, ValueError, TimeoutError) as error:
            reason = str(error) or f"no complete answer within {DOWNLOAD_S:.0f} s"
            self._note_dead(download.url)
            raise _unable(download, reason) from error
        download.part.clear()
        download.part["inlineData"] = {
            "mimeType": mime_type,
            "data": base64.b64encode(data).decode("ascii"),
        }

    async def _get(self, ways: _Ways, download: Download, room: _Room) -> tuple[str, bytes]:
        url = _url_of(download)
        for _ in range(REDIRECTS + 1):
            http, setting = ways.client(url)
            request = await self._request(http, url, setting)
            response = await http.send(request, stream=True)
            try:
                if response.next_request is None:
                    return await _read(response, download.media, room)
                url = url.join(response.headers["location"][:ADDRESS_CHARS])
            finally:
                await response.aclose()
        raise ValueError(f"more than {REDIRECTS} redirects")

    async def _request(
        self, http: httpx.AsyncClient, url: httpx.URL, setting: ProxySetting | None
    ) -> httpx.Request:
        """A request to the checked address itself, with the name kept for Host and TLS; by name
        where a proxy makes the connection by name."""
        _check(url)
        port = url.port or (443 if url.scheme == "https" else 80)
        address = await self._address(url.host, port, setting)
        return http.build_request(
            "GET",
            url.copy_with(host=address),
            # Unpacking could make a thousand times as much of it.
            headers={"Host": url.netloc.decode("ascii"), "Accept-Encoding": "identity"},
            extensions={"sni_hostname": url.host},
        )

    async def _address(self, host: str, port: int, setting: ProxySetting | None) -> str:
        if setting is None or not setting.connects_by_name:
            return await self._resolve(host, port)
        _judge_name(host)
        if not setting.looks_names_up:
            with contextlib.suppress(UnknownHostError):  # the proxy may know it
                await self._resolve(host, port)
        return host


@contextlib.contextmanager
def _forgiven(download: Download, left_out: list[str]) -> Iterator[None]:
    """Around the work on one file: in an earlier turn, a line of text stands in for a failure."""
    try:
        yield
    except BadRequestError as error:
        if not download.earlier:
            raise
        left_out.append(download.place)
        download.part.clear()
        download.part.update(stand_in(error.message.removeprefix(f"{error.param}: ")))


def _url_of(download: Download) -> httpx.URL:
    """The address to fetch. Raises ``BadRequestError`` for one that is no address."""
    if len(download.url) > ADDRESS_CHARS:
        raise _unable(download, f"its address is longer than {ADDRESS_CHARS} characters")
    try:
        url = httpx.URL(download.url)
        _check(url)
    except (httpx.InvalidURL, ValueError) as error:
        raise _unable(download, f"this is no address to fetch: {error}") from error
    return url


def _check(url: httpx.URL) -> None:
    """Raises ``ValueError``; ``url.host`` does so by itself for a name that cannot be one."""
    if url.scheme not in ("http", "https") or not url.host:
        raise ValueError("only http and https addresses can be fetched")


def _unable(download: Download, reason: str) -> BadRequestError:
    return BadRequestError(
        f"{download.param}: Unable to download the file: {reason}",
        param=download.param,
        code="invalid_image_url",
    )


async def _read(response: httpx.Response, media: tuple[str, ...], room: _Room) -> tuple[str, bytes]:
    if response.status_code != 200:
        raise ValueError(f"the server answered {response.status_code}")
    mime_type = response.headers.get("content-type", "").split(";")[0].strip().lower()
    if not mime_type.startswith(media):
        raise ValueError(f"its content type {mime_type[:100] or '(none)'} is not accepted here")
    if response.headers.get("content-encoding", "identity").strip().lower() != "identity":
        raise ValueError("it comes compressed, which was not asked for")
    data = bytearray()
    async for piece in response.aiter_raw():
        data += piece
        if len(data) > DOWNLOAD_BYTES:
            raise ValueError(f"it is larger than {DOWNLOAD_BYTES // MIB} MiB")
        room.take(len(piece))
    return mime_type, bytes(data)
