"""Failures below HTTP: what httpx raises, in our words.

The one place where its exceptions become ours.
"""

import os
import socket
import ssl
from collections.abc import Iterator
from contextlib import contextmanager

import httpx

from server.errors import BrokenAnswerError, UpstreamError, UpstreamTimeoutError
from server.network.proxies import ProxyTimeoutError


@contextmanager
def mapped_errors(*, started: bool = False) -> Iterator[None]:
    """Turn httpx's exceptions into ours. ``started``: the answer had already begun."""
    try:
        yield
    except httpx.TimeoutException as error:
        raise UpstreamTimeoutError(_timeout_words(error, started=started)) from error
    except (httpx.HTTPError, httpx.InvalidURL) as error:
        kind = BrokenAnswerError if started else UpstreamError
        raise kind(_network_words(error, started=started)) from error


def _host(error: Exception) -> str:
    try:
        return error.request.url.host if isinstance(error, httpx.HTTPError) else "the upstream"
    except RuntimeError:  # httpx: no request was attached
        return "the upstream"


def _timeout_words(error: httpx.TimeoutException, *, started: bool) -> str:
    host = _host(error)
    match error:
        case ProxyTimeoutError():
            return f"The proxy on the way to {host} ({error}) made no connection in time. Check it."
        case httpx.ConnectTimeout():
            return (
                f"Could not connect to {host} in time. Check the network; behind a proxy, set "
                "HTTPS_PROXY."
            )
        case httpx.WriteTimeout():
            return f"{host} stopped taking the request."
        case httpx.PoolTimeout():
            return "Too many connections to Google are open; try again."
        case _ if started:
            return f"{host} stopped in the middle of its answer and stayed silent."
        case _:
            return f"{host} did not begin to answer in time."


def _network_words(error: Exception, *, started: bool) -> str:
    host = _host(error)
    causes = list(_causes(error))
    if isinstance(error, httpx.ProxyError):
        return f"The proxy on the way to {host} does not work ({error}). Check it, or unset it."
    if any(isinstance(cause, socket.gaierror) for cause in causes):
        return f"The name {host} could not be resolved. Is this computer online?"
    tls = next((cause for cause in causes if isinstance(cause, ssl.SSLError)), None)
    if tls is not None:
        return f"No secure connection to {host} ({tls}). Is something intercepting it?"
    match error:
        case httpx.ConnectError():
            why = next((c.errno for c in causes if isinstance(c, OSError) and c.errno), None)
            said = f" ({os.strerror(why)})" if why else ""
            return f"Could not connect to {host}{said}. Check the network and the base address."
        case httpx.UnsupportedProtocol() | httpx.InvalidURL():
            return f"The upstream's address is malformed: {error}."
        case httpx.DecodingError():
            return f"The answer of {host} could not be decompressed."
        case _ if started:
            return f"The connection to {host} broke in the middle of its answer."
        case _:
            return f"The connection to {host} broke before it answered."


def _causes(error: BaseException) -> Iterator[BaseException]:
    """``error`` and everything it was raised from."""
    seen: BaseException | None = error
    while seen is not None:
        yield seen
        seen = seen.__cause__ or seen.__context__
