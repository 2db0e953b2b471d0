"""Who may call (contract section 5). One decision per request, before anything reads its body.

A server on localhost is reachable from every web page the user opens and, when it listens there,
from the LAN. So: Host allow-list (DNS rebinding), Origin and Sec-Fetch-Site (foreign pages), and a
key for everybody who is not on this machine.
"""

import hmac
import ipaddress
import re
import secrets
import socket
from collections.abc import Mapping
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import Literal

from server.errors import (
    AuthenticationError,
    BadRequestError,
    LoopError,
    MisdirectedRequestError,
    PermissionDeniedError,
)
from server.files import write_private
from server.redaction import learn
from server.settings import Settings

COOKIE = "gemini_proxy_key"

_FORWARDED = re.compile(
    r"forwarded|via|x-(?:original-)?forwarded.*|.*(?:real|client|connecting)-ip", re.ASCII
)
"""Headers only a proxy adds: RFC 7239 and 9110, and what nginx, HAProxy and the big clouds send."""

_LOCAL_NAMES = (
    "localhost",
    "host.docker.internal",
    "gateway.docker.internal",
    "host.containers.internal",
)
_EDITOR_SCHEMES = ("vscode-webview", "vscode-file", "app", "tauri")
_HOST = re.compile(r"(?P<name>\[[0-9A-Fa-f:.%]+\]|[A-Za-z0-9._-]+)(?::(?P<port>\d{1,5}))?")
_ORIGIN = re.compile(r"(?P<scheme>[a-z][a-z0-9+.-]*)://(?P<where>[^/?#@\\\s,]*)/?")

LONGEST_ADDRESS = 80
"""Characters of an IP address with a zone; what is longer is none, and is not remembered."""

NO_KEY_PATHS = frozenset({"/health", "/auth", "/oauth2callback"})
"""Readable by anybody: liveness, and the way back from Google, whose ``state`` is its authority."""

Area = Literal["api", "page"]


@dataclass(frozen=True, slots=True)
class Caller:
    """What the access check found out."""

    local: bool
    """On this machine, with no proxy in between."""
    allowed_origin: str | None
    """The Origin to answer with CORS headers; None when there is none to answer."""


class Access:
    """The rules, with this server's keys and names."""

    def __init__(self, settings: Settings) -> None:
        self._settings = settings
        self.generated_key: str | None = None
        machine = socket.gethostname().lower()
        self._hosts = {*_LOCAL_NAMES, machine, machine.split(".")[0] + ".local"}
        self._hosts |= {host.lower() for host in settings.allowed_hosts}
        self._origins = {origin.lower().rstrip("/") for origin in settings.allowed_origins}
        self._trusted = [
            ipaddress.ip_network(word, strict=False)
            for word in (_resolve_word(word) for word in settings.trusted_networks)
            if word
        ]

    @property
    def keys(self) -> tuple[str, ...]:
        """Every key that opens the door."""
        generated = (self.generated_key,) if self.generated_key else ()
        return self._settings.api_keys or generated

    @property
    def asks_itself(self) -> bool:
        """Whether even a program on this machine needs a key for the pages."""
        host = self._settings.own_host.strip("[]")
        return bool(self._settings.api_keys) or not _is_loopback(host)

    def ensure_key(self) -> bool:
        """Load or create the key for callers from elsewhere; True when it was created now."""
        if self._settings.api_keys:
            return False
        path = self._settings.data_dir / "api_key"
        self.generated_key = read_key(path)
        if self.generated_key:
            learn(self.generated_key)
            return False
        self.generated_key = "gp-" + secrets.token_urlsafe(24)
        learn(self.generated_key)
        try:
            write_private(path, self.generated_key + "\n")
        except OSError:
            return False  # a read-only folder: the key lives as long as this process
        return True

    def check(
        self, method: str, path: str, headers: Mapping[str, str], peer: str | None, area: Area
    ) -> Caller:
        """Let the request pass, or raise the ``ProxyError`` that says why not.

        ``headers``: names in lower case. ``peer``: the address of the connection.
        """
        if "gemini-api-proxy" in headers.get("via", ""):
            raise LoopError(
                "This request has already passed through this proxy: an upstream address points "
                "back at it."
            )
        has_key = self._has_key(headers)
        if not has_key:
            self._check_host(headers.get("host"))
        origin = self._check_origin(headers)
        self._check_fetch_site(method, path, headers, origin, area)
        local = self._is_local(headers, peer)
        preflight = method == "OPTIONS" and "access-control-request-method" in headers
        if not (preflight or path in NO_KEY_PATHS):
            self._check_key(headers, local=local, has_key=has_key, peer=peer, area=area)
        return Caller(local, origin)

    def is_key(self, candidate: str) -> bool:
        """Whether ``candidate`` is one of our keys; each comparison takes constant time."""
        given = candidate.encode("utf-8", "replace")
        return any(hmac.compare_digest(given, key.encode()) for key in self.keys)

    def _has_key(self, headers: Mapping[str, str]) -> bool:
        return any(self.is_key(candidate) for candidate in _header_keys(headers))

    def _check_host(self, host: str | None) -> None:
        parsed = _HOST.fullmatch(host or "")
        if parsed is None:
            raise BadRequestError("The Host header is missing or unreadable.")
        name = parsed["name"].strip("[]").lower().rstrip(".")
        if _is_address(name) or name in self._hosts or name.endswith(".localhost"):
            return
        raise MisdirectedRequestError(
            f"This server does not answer for the host {name}. Call it as 127.0.0.1, or add the "
            "name to ALLOWED_HOSTS."
        )

    def _check_origin(self, headers: Mapping[str, str]) -> str | None:
        origin = headers.get("origin")
        if origin is None:
            return None
        parts = _ORIGIN.fullmatch(origin.lower())
        scheme, where = (parts["scheme"], parts["where"]) if parts else ("", "")
        address = _HOST.fullmatch(where) if scheme in ("http", "https") else None
        name = address["name"].strip("[]") if address else ""
        same = address is not None and where == headers.get("host", "").lower()
        local = name == "localhost" or name.endswith(".localhost") or _is_loopback(name)
        listed = origin.lower().rstrip("/") in self._origins
        if same or local or listed or scheme in _EDITOR_SCHEMES:
            return origin
        raise PermissionDeniedError(
            f"Requests from the web page {origin} are refused. Add it to ALLOWED_ORIGINS if it is "
            "yours."
        )

    def _check_fetch_site(
        self, method: str, path: str, headers: Mapping[str, str], origin: str | None, area: Area
    ) -> None:
        if headers.get("sec-fetch-site") != "cross-site" or origin is not None:
            return
        navigation = (
            method == "GET"
            and headers.get("sec-fetch-mode") == "navigate"
            and headers.get("sec-fetch-dest") == "document"
        )
        if not (navigation and area == "page"):
            raise PermissionDeniedError("Requests made by a foreign web page are refused.")

    def _is_local(self, headers: Mapping[str, str], peer: str | None) -> bool:
        forwarded = any(_FORWARDED.fullmatch(name.replace("_", "-")) for name in headers)
        return not forwarded and peer is not None and _is_loopback(peer)

    def _check_key(
        self,
        headers: Mapping[str, str],
        *,
        local: bool,
        has_key: bool,
        peer: str | None,
        area: Area,
    ) -> None:
        open_to_local = not self._settings.api_keys
        if has_key or (open_to_local and (local or self._is_trusted(headers, peer))):
            return
        if area == "page" and self._has_cookie(headers):
            return
        raise AuthenticationError(
            "This server wants its API key (Authorization: Bearer, x-api-key or x-goog-api-key). "
            "Run the proxy with --show-key to see it.",
            code="invalid_api_key",
            should_retry=False,
        )

    def _has_cookie(self, headers: Mapping[str, str]) -> bool:
        for pair in headers.get("cookie", "").split(";"):
            name, _, value = pair.strip().partition("=")
            if name == COOKIE and self.is_cookie(value):
                return True
        return False

    def cookie_value(self, key: str) -> str:
        """What a browser keeps after logging in with ``key``: never the key itself."""
        return hmac.new(key.encode(), b"gemini-api-proxy cookie", "sha256").hexdigest()

    def is_cookie(self, value: str) -> bool:
        given = value.encode("utf-8", "replace")
        return any(hmac.compare_digest(given, self.cookie_value(k).encode()) for k in self.keys)

    def _is_trusted(self, headers: Mapping[str, str], peer: str | None) -> bool:
        if peer is None or not self._trusted or not self._is_local(headers, "127.0.0.1"):
            return False
        address = _address(peer)
        return address is not None and any(address in network for network in self._trusted)


def read_key(path: Path) -> str | None:
    """The generated key; None when there is none yet, or the file holds what no header can."""
    try:
        key = path.read_text("utf-8").strip()
    except (OSError, UnicodeDecodeError):
        return None
    return key if re.fullmatch(r"[!-~]+", key) else None


def _header_keys(headers: Mapping[str, str]) -> list[str]:
    scheme, _, bearer = headers.get("authorization", "").partition(" ")
    found = [bearer.strip()] if scheme.lower() == "bearer" else []
    return [*found, *(headers[n] for n in ("x-api-key", "x-goog-api-key") if n in headers)]


@lru_cache(256)
def _address(text: str) -> ipaddress.IPv4Address | ipaddress.IPv6Address | None:
    """The address, if it is one; read once, because every request asks about the same few."""
    if len(text) > LONGEST_ADDRESS:
        return None
    try:
        address = ipaddress.ip_address(text.partition("%")[0])
    except ValueError:
        return None
    mapped = address.ipv4_mapped if isinstance(address, ipaddress.IPv6Address) else None
    return mapped or address


def _is_address(text: str) -> bool:
    return _address(text) is not None


def _is_loopback(text: str) -> bool:
    address = _address(text)
    return address is not None and address.is_loopback


def _resolve_word(word: str) -> str | None:
    """A network in CIDR form; ``gateway`` is this machine's default route."""
    if word != "gateway":
        return word
    try:
        lines = Path("/proc/net/route").read_text("ascii").splitlines()[1:]
    except OSError:
        return None
    for line in lines:
        fields = line.split()
        if len(fields) > 2 and fields[1] == "00000000" and fields[2] != "00000000":
            return str(ipaddress.IPv4Address(int.from_bytes(bytes.fromhex(fields[2]), "little")))
    return None
