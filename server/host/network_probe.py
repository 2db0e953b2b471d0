"""Whether an address can be reached from here, who vouches for it, and what time it has.

For the doctor. Works in a thread of its own, on sockets of its own: a name server that never
answers holds up nobody.
"""

import http.client
import socket
import ssl
import time
import urllib.request
from dataclasses import dataclass
from email.utils import parsedate_to_datetime
from urllib.parse import urlsplit

import httpx

GOOGLES_OWN = ("Google Trust Services", "Google Inc", "GlobalSign", "DigiCert")
"""Who signs certificates of Google's API hosts (pki.goog, *Root CAs*)."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Reached:
    """What was found out about one address."""

    host: str
    trouble: str | None = None
    """Why it cannot be reached; everything below is then unknown."""
    issuer: str | None = None
    """The organisation that signed the certificate; None without TLS."""
    ahead_s: float | None = None
    """How far our clock is ahead of theirs; None when the answer has no Date."""
    proxy: str | None = None
    """``host:port`` of the HTTP proxy on the way."""

    @property
    def inspected(self) -> bool:
        """Whether somebody on the way opens the connection: Google's own signer did not sign."""
        google = self.host == "googleapis.com" or self.host.endswith(".googleapis.com")
        return google and self.issuer is not None and not self.issuer.startswith(GOOGLES_OWN)


def reach(address: str, within_s: float) -> Reached:
    """Ask ``address`` for nothing but a head. Blocks; raises nothing."""
    parts = urlsplit(address)
    host, proxy = parts.hostname or "", None
    try:
        proxy = proxy_for(parts.scheme, host)
        connection = _connection(parts.scheme, host, parts.port, proxy, within_s)
        try:
            connection.request("HEAD", "/", headers={"user-agent": "gemini-api-proxy"})
            answer = connection.getresponse()
            return Reached(
                host=host,
                issuer=_issuer(connection.sock),
                ahead_s=_ahead_s(answer.getheader("date")),
                proxy=proxy,
            )
        finally:
            connection.close()
    except (OSError, ValueError, http.client.HTTPException) as error:
        return Reached(host=host, trouble=_words(error, host, proxy), proxy=proxy)


def proxy_for(scheme: str, host: str) -> str | None:
    """``host:port`` of the proxy that requests to ``host`` take, without its password."""
    found = urllib.request.getproxies()
    address = found.get(scheme) or found.get("all")
    if not address or urllib.request.proxy_bypass(host):
        return None
    parts = urlsplit(address if "://" in address else f"//{address}")
    return f"{parts.hostname}:{parts.port or 80}"


def _connection(
    scheme: str, host: str, port: int | None, proxy: str | None, within_s: float
) -> http.client.HTTPConnection:
    if scheme != "https":
        return http.client.HTTPConnection(host, port, timeout=within_s)
    trusted = httpx.create_ssl_context()  # what requests themselves trust
    if proxy is None:
        return http.client.HTTPSConnection(host, port, timeout=within_s, context=trusted)
    name, _, number = proxy.rpartition(":")
    through = http.client.HTTPSConnection(name, int(number), timeout=within_s, context=trusted)
    through.set_tunnel(host, port or 443)
    return through


def _issuer(connected: socket.socket | None) -> str | None:
    if not isinstance(connected, ssl.SSLSocket):
        return None
    certificate = connected.getpeercert() or {}
    fields = {
        str(field[0]): str(field[1])
        for part in certificate.get("issuer", ())
        if isinstance(part, tuple)
        for field in part
        if isinstance(field, tuple) and len(field) > 1
    }
    return fields.get("organizationName") or fields.get("commonName") or "unknown"


def _ahead_s(date: str | None) -> float | None:
    try:
        return time.time() - parsedate_to_datetime(date or "").timestamp()
    except (ValueError, OverflowError):
        return None


def _words(error: Exception, host: str, proxy: str | None) -> str:
    way = f" through the proxy {proxy}" if proxy else ""
    match error:
        case socket.gaierror():
            return f"the name {proxy or host} could not be resolved"
        case TimeoutError():
            return f"{host} did not answer in time{way}"
        case ssl.SSLCertVerificationError():
            return f"the certificate shown for {host}{way} is not trusted ({error.verify_message})"
        case ssl.SSLError():
            return f"no secure connection to {host}{way} ({error.reason})"
        case OSError():
            return f"could not connect to {host}{way} ({error.strerror or error})"
        case _:
            return f"what answers for {host}{way} does not speak HTTP"
