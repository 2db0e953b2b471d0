"""Who may call (contract section 5). One decision per request, before anything reads its body.

A server on localhost is reachable from every web page the user opens and, when it listens there,
from the LAN. So: Host allow-list (DNS rebinding), Origin and Sec-Fetch-Site (foreign pages), and a
key for everybody who is not on this machine.
"""

import ipaddress
import logging
import re
import secrets
import socket
from collections.abc import Mapping
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import Literal

from server.edge.guesses import Guesses
from server.edge.keys import Key, Keyring, digest_of
from server.edge.rights import Kind, Matter, matter_of, may, refusal, veil
from server.edge.sessions import Session, Sessions
from server.errors import (
    AuthenticationError,
    BadRequestError,
    LoopError,
    MisdirectedRequestError,
    PermissionDeniedError,
    WrongKeyError,
    WrongKindOfKeyError,
)
from server.files import write_private
from server.redaction import learn
from server.settings.load import Settings

log = logging.getLogger(__name__)

COOKIE = "gemini_proxy_session"

_FORWARDED = re.compile(
    r"^(?:forwarded|via|x-(?:original-)?forwarded.*|.*(?:real|client|connecting)-ip)$",
    re.ASCII | re.MULTILINE,
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

OURS = "gp-"
"""How the keys begin that we make: one that is not known here is a mistake, never a dummy."""

Area = Literal["api", "page"]


@dataclass(frozen=True, slots=True)
class Caller:
    """What the access check found out."""

    local: bool
    """On this machine, with no proxy in between."""
    allowed_origin: str | None
    """The Origin to answer with CORS headers; None when there is none to answer."""
    kind: Kind = "no key"
    key: str = ""
    """The digest of the key that was sent; empty without one that is known here."""
    here: bool = False
    """On this machine or in TRUSTED_NETWORKS, with a key or without."""

    @property
    def is_owner(self) -> bool:
        """May see and change what belongs to the owner of the server."""
        return may(self.kind, "owner", admin_key=True)


class Access:
    """The rules, with this server's keys and names."""

    def __init__(
        self,
        settings: Settings,
        *,
        sessions: Sessions | None = None,
        guesses: Guesses | None = None,
    ) -> None:
        self.generated_key: str | None = None
        self.sessions = sessions or Sessions()
        self.guesses = guesses or Guesses()
        self.use(settings)

    def use(self, settings: Settings) -> None:
        """Take new settings. Logins made with a key that is gone end with it."""
        self._settings = settings
        machine = socket.gethostname().lower()
        self._hosts = {*_LOCAL_NAMES, machine, machine.split(".")[0] + ".local"}
        self._hosts |= {host.lower() for host in settings.allowed_hosts}
        self._origins = {origin.lower().rstrip("/") for origin in settings.allowed_origins}
        self._trusted = [
            ipaddress.ip_network(word, strict=False)
            for word in (_resolve_word(word) for word in settings.trusted_networks)
            if word
        ]
        self._ring = Keyring(settings, self.generated_key)

    @property
    def keys(self) -> tuple[str, ...]:
        """Every key that opens the API and has no name."""
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
        found = read_key(path)
        self.generated_key = found or self.generated_key or OURS + secrets.token_urlsafe(24)
        learn(self.generated_key, stay="configured")
        self._ring = Keyring(self._settings, self.generated_key)
        if found:
            return False
        try:
            write_private(path, self.generated_key + "\n")
        except OSError:
            return False  # a read-only folder: the key lives as long as this process
        return True

    def check(
        self,
        method: str,
        path: str,
        headers: Mapping[str, str],
        peer: str | None,
        area: Area,
        *,
        address_keys: tuple[str, ...] = (),
    ) -> Caller:
        """Let the request pass, or raise the ``ProxyError`` that says why not.

        ``headers``: names in lower case. ``peer``: the address of the connection.
        ``address_keys``: what stood in ``?key=`` at an address where a key counts.
        """
        if "gemini-api-proxy" in headers.get("via", ""):
            raise LoopError(
                "This request has already passed through this proxy: an upstream address points "
                "back at it."
            )
        in_headers = _header_keys(headers)
        given = tuple(dict.fromkeys((*in_headers, *address_keys)))
        known = self._ring.find(given[0]) if given else None
        key = known if known and not known.is_over else None
        if not (in_headers and key):
            self._check_host(headers.get("host"))
        origin = self._check_origin(headers)
        self._check_fetch_site(method, path, headers, origin, area)
        local = self._is_local(headers, peer)
        matter = matter_of(method, path) if area == "page" else "model"
        preflight = method == "OPTIONS" and "access-control-request-method" in headers
        here = local or self._is_trusted(headers, peer)
        if preflight:
            return Caller(local, origin, here=here)
        if matter == "open":  # to everyone; who it is decides what else stands there
            return Caller(local, origin, *self._kind_of(headers, key, here=here, area=area), here)
        if len(given) > 1:
            raise BadRequestError("Two different keys were sent with this request: send one.")
        kind: Kind = "no key"
        digest = ""
        if key is not None or not (known or any(word.startswith(OURS) for word in given)):
            kind, digest = self._kind_of(headers, key, here=here, area=area)
        self._check_right(kind, matter, wrong=bool(given) and key is None)
        return Caller(local, origin, kind, digest, here)

    def _kind_of(
        self,
        headers: Mapping[str, str],
        key: Key | None,
        *,
        here: bool,
        area: Area,
    ) -> tuple[Kind, str]:
        """Who asks, and the digest of the key that says so."""
        if key is not None and key.kind == "named key":
            return "named key", key.digest
        session = None
        if key is None and area == "page":
            session = self.session_in(headers.get("cookie", ""))
            key = self._ring.of_digest(session.key) if session else None
        if here and (key is not None or not self._settings.api_keys):
            return "this machine", key.digest if key else ""
        if key is None:
            return "no key", ""
        return "this machine" if session and session.here else key.kind, key.digest

    def _check_right(self, kind: Kind, matter: Matter, *, wrong: bool) -> None:
        """``wrong``: a key was sent, and is none of ours."""
        admin_key = self._settings.admin_key is not None
        if may(kind, matter, admin_key=admin_key):
            return
        if kind != "no key":
            raise WrongKindOfKeyError(refusal(kind, matter, admin_key=admin_key))
        raise (WrongKeyError if wrong else AuthenticationError)(
            "This server wants its API key (Authorization: Bearer, x-api-key or x-goog-api-key; "
            "in the address, ?key= counts on Gemini's own paths only). Run the proxy with "
            "--show-key to see it.",
            code="invalid_api_key",
            should_retry=False,
        )

    def caller_refused(self, headers: Mapping[str, str]) -> Caller:
        """Who is turned away; a page of an allowed Origin may read why."""
        try:
            return Caller(False, self._check_origin(headers))
        except PermissionDeniedError:
            return Caller(False, None)

    def may(self, kind: Kind, matter: Matter) -> bool:
        """The decision of ``server.edge.rights`` under these settings."""
        return may(kind, matter, admin_key=self._settings.admin_key is not None)

    def veiled(self, text: str, caller: Caller) -> str:
        """``text`` as ``caller`` may see it."""
        return text if caller.is_owner else veil(text, self._settings)

    def is_key(self, candidate: str) -> bool:
        """Whether ``candidate`` is one of our keys; each comparison takes constant time."""
        key = self._ring.find(candidate)
        return key is not None and not key.is_over

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
        forwarded = _FORWARDED.search("\n".join(headers).replace("_", "-"))
        return not forwarded and peer is not None and _is_loopback(peer)

    def session_in(self, cookies: str) -> Session | None:
        """The login a browser's cookies stand for, while its key is one of ours."""
        cookie = self.cookie_in(cookies)
        session = self.sessions.find(cookie) if cookie else None
        return session if session and self._ring.of_digest(session.key) else None

    def cookie_in(self, cookies: str) -> str:
        """The value of our cookie; empty without one."""
        for pair in cookies.split(";"):
            name, _, value = pair.strip().partition("=")
            if name == self.cookie_name:
                return value
        return ""

    @property
    def cookie_name(self) -> str:
        """Of this port's: browsers send a cookie to every port of a host."""
        return f"{COOKIE}_{self._settings.port}"

    def log_in(self, candidate: str, *, here: bool) -> str:
        """A new login with a key; returns what the browser keeps.

        Raises ``WrongKeyError``, or ``WrongKindOfKeyError`` for one that does not open pages.
        """
        key = self._ring.find(candidate)
        if key is None or key.is_over:
            raise WrongKeyError("That is not the key of this server.")
        kind: Kind = "this machine" if here and key.kind != "named key" else key.kind
        self._check_right(kind, "page", wrong=False)
        return self.sessions.begin(key.digest)

    def log_in_here(self) -> str:
        """A login for our own window, which has shown a ticket."""
        self.ensure_key()
        return self.sessions.begin(digest_of(self._settings.admin_key or self.keys[0]), here=True)

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
    found += [headers.get("x-api-key", ""), headers.get("x-goog-api-key", "")]
    return [key for key in found if key]


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


def _resolve_word(word: str, routes: Path = Path("/proc/net/route")) -> str | None:
    """A network in CIDR form; ``gateway`` is this machine's default route.

    None, and a warning in the log, where there is none or the system does not show it.
    """
    if word != "gateway":
        return word
    try:
        lines = routes.read_text("ascii").splitlines()[1:]
    except OSError as error:
        log.warning("TRUSTED_NETWORKS=gateway trusts nobody: %s (%s)", routes, error.strerror)
        return None
    for line in lines:
        fields = line.split()
        if len(fields) > 2 and fields[1] == "00000000" and fields[2] != "00000000":
            return str(ipaddress.IPv4Address(int.from_bytes(bytes.fromhex(fields[2]), "little")))
    log.warning("TRUSTED_NETWORKS=gateway trusts nobody: this machine has no default route")
    return None
