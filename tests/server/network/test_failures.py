"""What httpx raises, in words for a person."""

import errno
import os
import socket
import ssl

import httpx
import pytest

from server.errors import BrokenAnswerError, ProxyError, UpstreamError, UpstreamTimeoutError
from server.network.failures import mapped_errors

REQUEST = httpx.Request("POST", "https://google.test/v1")


def mapped(error: Exception, *, started: bool = False) -> ProxyError:
    with pytest.raises(ProxyError) as caught, mapped_errors(started=started):
        raise error
    assert caught.value.__cause__ is error
    return caught.value


@pytest.mark.parametrize(
    ("error", "started", "words"),
    [
        (httpx.ConnectTimeout("", request=REQUEST), False, "HTTPS_PROXY"),
        (httpx.ReadTimeout("", request=REQUEST), False, "did not begin to answer"),
        (httpx.ReadTimeout("", request=REQUEST), True, "in the middle of its answer"),
        (httpx.WriteTimeout("", request=REQUEST), False, "stopped taking the request"),
        (httpx.PoolTimeout("", request=REQUEST), False, "Too many connections"),
    ],
)
def test_each_phase_that_can_time_out_has_its_own_message(
    error: httpx.TimeoutException, started: bool, words: str
) -> None:
    found = mapped(error, started=started)
    assert isinstance(found, UpstreamTimeoutError)
    assert words in found.message


@pytest.mark.parametrize(
    ("error", "words"),
    [
        (httpx.ConnectError("refused", request=REQUEST), "Could not connect to google.test"),
        (httpx.RemoteProtocolError("gone", request=REQUEST), "broke before it answered"),
        (httpx.ProxyError("407", request=REQUEST), "proxy on the way"),
        (httpx.UnsupportedProtocol("no scheme"), "malformed"),
        (httpx.InvalidURL("bad"), "malformed"),
    ],
)
def test_a_connection_that_never_came_about_is_a_blip(error: Exception, words: str) -> None:
    found = mapped(error)
    assert type(found) is UpstreamError
    assert words in found.message


def test_a_refused_connection_is_told_in_the_systems_words() -> None:
    refused = httpx.ConnectError("Cannot connect to host ssl:default [x]", request=REQUEST)
    refused.__cause__ = OSError(errno.ECONNREFUSED, "Connect call failed ('127.0.0.1', 1)")
    told = mapped(refused).message
    assert f"({os.strerror(errno.ECONNREFUSED)})" in told
    assert "ssl:default" not in told


def test_dns_and_tls_failures_are_named() -> None:
    dns = httpx.ConnectError("x", request=REQUEST)
    dns.__cause__ = OSError()
    dns.__cause__.__context__ = socket.gaierror(-2, "Name or service not known")
    tls = httpx.ConnectError("x", request=REQUEST)
    tls.__cause__ = ssl.SSLCertVerificationError(1, "certificate verify failed")
    assert "could not be resolved" in mapped(dns).message
    assert "No secure connection" in mapped(tls).message


@pytest.mark.parametrize(
    "error",
    [
        httpx.ReadError("reset", request=REQUEST),
        httpx.RemoteProtocolError("incomplete body", request=REQUEST),
        httpx.DecodingError("gzip", request=REQUEST),
    ],
)
def test_an_answer_that_breaks_off_is_a_broken_answer(error: httpx.HTTPError) -> None:
    assert type(mapped(error, started=True)) is BrokenAnswerError


def test_our_own_errors_pass_unchanged() -> None:
    with pytest.raises(UpstreamError, match="mine"), mapped_errors():
        raise UpstreamError("mine")
