"""The proxies that this computer's surroundings set, for every connection to Google.

Read from the environment (``HTTPS_PROXY``, ``HTTP_PROXY``, ``ALL_PROXY``, ``NO_PROXY``, in any
capitals) or, where Windows and macOS keep them, from the system. A value that cannot be used fails
the requests it concerns with one sentence that names it, and never with its password.
"""

import ipaddress
import os
import re
import socket
import ssl
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, nullcontext
from dataclasses import dataclass, field
from urllib.request import getproxies, proxy_bypass
from urllib.request import getproxies_environment as in_environment

import httpx

from server.errors import NetworkSettingError

SCHEMES = ("http", "https", "socks5", "socks5h")
"""What ``httpx`` speaks. With SOCKS names are looked up by the proxy, never here."""

_METADATA = "metadata.google.internal"
"""Google Cloud's metadata server: each machine has its own, which no proxy reaches."""


@dataclass(frozen=True, slots=True)
class ProxySetting:
    """One proxy as it is set."""

    variable: str
    """Where it is set: ``HTTPS_PROXY``, or the system's settings."""
    shown: str
    """The value without a password."""
    proxy: httpx.Proxy | None
    """What to use; None when the value is no address of a proxy."""
    problem: str = ""
    """One sentence naming variable and value, when it cannot be used."""

    @property
    def looks_names_up(self) -> bool:
        """Names must not be looked up on this computer."""
        return self.proxy is not None and self.proxy.url.scheme == "socks5h"

    @property
    def connects_by_name(self) -> bool:
        """Connections with TLS are made to names: their certificate is checked for what the proxy
        was asked for. A SOCKS 5 proxy can be given an address."""
        return self.proxy is not None and self.proxy.url.scheme != "socks5"

    def usable(self) -> httpx.Proxy:
        """The proxy. Raises ``NetworkSettingError``."""
        if self.proxy is None:
            raise NetworkSettingError(self.problem)
        return self.proxy

    @contextmanager
    def named(self, request: httpx.Request) -> Iterator[None]:
        """Whoever reads that no connection came about reads through which proxy it was tried.

        Raises ``httpx.ProxyError``, and ``ProxyTimeoutError`` when nothing came in time.
        """
        where = f"{self.variable}={self.shown}"
        try:
            yield
        except httpx.ConnectTimeout as error:
            raise ProxyTimeoutError(where, request=request) from error
        except (httpx.ConnectError, httpx.ProxyError) as error:
            raise httpx.ProxyError(f"{where}: {_why(error)}", request=request) from error


class ProxyTimeoutError(httpx.ConnectTimeout):
    """No connection in time through a proxy, which is the text."""


def _why(error: httpx.HTTPError) -> str:
    seen: BaseException | None = error
    while seen is not None:
        if isinstance(seen, socket.gaierror):
            return "its name, or one that it was asked for, could not be resolved"
        seen = seen.__cause__ or seen.__context__
    return str(error) or type(error).__name__


@dataclass(frozen=True, slots=True)
class Proxies:
    """Which proxy an address is reached through."""

    by_scheme: Mapping[str, ProxySetting] = field(default_factory=dict)
    """``http``, ``https`` or ``all`` -> the setting."""
    without: tuple[str, ...] = ()
    """The entries of ``NO_PROXY``."""
    ask_system: bool = False
    """The system's own list of exceptions applies."""

    def setting_for(self, url: httpx.URL) -> ProxySetting | None:
        """The proxy for ``url``; None: it is reached directly."""
        if not self.by_scheme:
            return None
        setting = self.by_scheme.get(url.scheme) or self.by_scheme.get("all")
        return None if setting is None or self._is_direct(url) else setting

    def problems(self) -> Iterator[str]:
        """A sentence for every value that cannot be used."""
        yield from dict.fromkeys(s.problem for s in self.by_scheme.values() if s.problem)

    def _is_direct(self, url: httpx.URL) -> bool:
        host = url.host.lower().rstrip(".")
        if host == _METADATA or _is_link_local(host):
            return True
        if self.ask_system and proxy_bypass(host):
            return True
        port = url.port or {"http": 80, "https": 443}.get(url.scheme)
        return any(_covers(entry, host, port) for entry in self.without)


def from_surroundings(environment: Mapping[str, str] | None = None) -> Proxies:
    """The proxies of ``environment``, else of this process and its system."""
    names = dict(os.environ if environment is None else environment)
    found = in_environment() if environment is None else _named_in(names)
    system = not found and environment is None
    if system:
        found = getproxies()
    settings = {
        scheme: read(_variable(scheme, names), value)
        for scheme, value in found.items()
        if scheme in ("http", "https", "all") and value.strip()
    }
    without = tuple(entry for entry in re.split(r"[\s,]+", found.get("no", "")) if entry)
    return Proxies(settings, without, ask_system=system)


def read(variable: str, value: str) -> ProxySetting:
    """One value, judged."""
    value = value.strip()
    shown = _without_password(value)
    # Desktops write "socks:" for a SOCKS 5 proxy.
    address = re.sub(r"^socks:", "socks5:", value if "://" in value else f"http://{value}")
    try:
        url = httpx.URL(address)
        port = url.port
    except (httpx.InvalidURL, ValueError):
        return _unusable(variable, shown, "is not the address of a proxy")
    if url.scheme not in SCHEMES:
        return _unusable(variable, shown, f"has the scheme {url.scheme}")
    port_is_one = port is None or 0 < port < 65_536
    if not url.host or not port_is_one or url.path not in ("", "/") or url.query or url.fragment:
        return _unusable(variable, shown, "is not the address of a proxy")
    return ProxySetting(variable, shown, httpx.Proxy(url))


def _unusable(variable: str, shown: str, why: str) -> ProxySetting:
    return ProxySetting(
        variable,
        shown,
        None,
        f"{variable}={shown} cannot be used: it {why}. Set it to SCHEME://HOST:PORT with one of "
        f"the schemes {', '.join(SCHEMES)}, or unset it.",
    )


def _without_password(value: str) -> str:
    """``value`` without what stands before an ``@``, shortened and printable."""
    bare = re.sub(r"^([^/]*//)?.*@", lambda m: f"{m[1] or ''}***@", value, flags=re.DOTALL)
    return "".join(c if c.isprintable() else "?" for c in bare[:200])


def _named_in(names: Mapping[str, str]) -> dict[str, str]:
    found = {n.lower().removesuffix("_proxy"): v for n, v in names.items() if _is_proxy(n)}
    lower = {n.removesuffix("_proxy"): v for n, v in names.items() if _is_proxy(n) and n.islower()}
    return {scheme: value for scheme, value in {**found, **lower}.items() if value}


def _is_proxy(name: str) -> bool:
    return name.lower().endswith("_proxy")


def _variable(scheme: str, names: Mapping[str, str]) -> str:
    """The name under which a proxy is set, as the user wrote it."""
    name = f"{scheme}_proxy"
    for candidate in (name, name.upper()):
        if names.get(candidate):
            return candidate
    written = next((n for n, v in names.items() if n.lower() == name and v), None)
    return written or f"the system's proxy for {scheme}"


def _is_link_local(host: str) -> bool:
    try:
        return ipaddress.ip_address(host).is_link_local
    except ValueError:
        return False


def _covers(entry: str, host: str, port: int | None) -> bool:
    """Whether one entry of ``NO_PROXY`` means ``host``: a name and all below it, an address, a
    network, ``*``, each with or without a port."""
    entry = entry.lower()
    if entry == "*":
        return True
    network = _network(entry)
    if network is not None:
        return _is_inside(host, network)
    name, _, wanted = entry.rpartition(":") if re.search(r"[^:]:\d+$", entry) else (entry, "", "")
    if wanted and int(wanted) != port:
        return False
    network = _network(name)
    if network is not None:
        return _is_inside(host, network)
    name = name.removeprefix("*").strip(".")
    return bool(name) and (host == name or host.endswith(f".{name}"))


_Network = ipaddress.IPv4Network | ipaddress.IPv6Network


def _network(entry: str) -> _Network | None:
    try:
        return ipaddress.ip_network(entry.strip("[]"), strict=False)
    except ValueError:
        return None


def _is_inside(host: str, network: _Network) -> bool:
    try:
        address = ipaddress.ip_address(host.strip("[]"))
    except ValueError:
        return False
    return address.version == network.version and address in network


# ── clients ──────────────────────────────────────────────────────────────────────────────────────


class ThroughProxies(httpx.BaseTransport):
    """httpx's own transport, a proxy for each address as it is set. Blocks.

    For what happens a few times a day: nothing is kept between two requests.
    """

    def __init__(self, proxies: Proxies) -> None:
        self._proxies = proxies

    def handle_request(self, request: httpx.Request) -> httpx.Response:
        setting = self._proxies.setting_for(request.url)
        proxy = setting.usable() if setting else None
        made = httpx.HTTPTransport(verify=tls_context(), proxy=proxy)
        with made as transport, setting.named(request) if setting else nullcontext():
            answer = transport.handle_request(request)
            answer.read()
            return answer


def blocking_client(proxies: Proxies | None = None) -> httpx.Client:
    """A client for worker threads, which uses the proxies that are set."""
    transport = ThroughProxies(proxies or from_surroundings())
    return httpx.Client(transport=transport, trust_env=False)


def tls_context() -> ssl.SSLContext:
    """What Google's certificates are checked with. Blocks.

    Raises ``NetworkSettingError`` where SSL_CERT_FILE or SSL_CERT_DIR name nothing that can be
    read.
    """
    try:
        return httpx.create_ssl_context()
    except OSError as error:  # ssl.SSLError among them
        names = [name for name in ("SSL_CERT_FILE", "SSL_CERT_DIR") if os.environ.get(name)]
        named = " and ".join(f"{name}={os.environ[name]}" for name in names)
        raise NetworkSettingError(
            f"The certificates of {named or 'this computer'} cannot be read "
            f"({error.strerror or error}). Correct it, or unset it."
        ) from error
