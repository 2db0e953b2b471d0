"""Reaching an address: what is found out, and that every fault is told in words."""

import asyncio
import socket
import ssl
from pathlib import Path

import pytest

from server.host.network_probe import Reached, proxy_for, reach
from tests.certificates import self_signed
from tests.faults import Talk, raw_server

NOW = b"HTTP/1.1 200 OK\r\nDate: Wed, 21 Oct 2015 07:28:00 GMT\r\nContent-Length: 0\r\n\r\n"


def saying(data: bytes) -> Talk:
    async def talk(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.readuntil(b"\r\n\r\n")
        writer.write(data)
        await writer.drain()

    return talk


async def asked(talk: Talk, *, within_s: float = 5, tls: ssl.SSLContext | None = None) -> Reached:
    async with raw_server(talk, tls) as port:
        address = f"{'https' if tls else 'http'}://localhost:{port}"
        return await asyncio.to_thread(reach, address, within_s)


async def test_the_clock_is_read_from_the_answer() -> None:
    found = await asked(saying(NOW))
    assert found.trouble is None
    assert found.ahead_s is not None
    assert found.ahead_s > 3e8
    assert found.issuer is None


async def test_an_answer_without_a_usable_date_tells_none() -> None:
    found = await asked(saying(b"HTTP/1.1 404 No\r\nDate: soon\r\nContent-Length: 0\r\n\r\n"))
    assert (found.trouble, found.ahead_s) == (None, None)


async def test_the_signer_of_a_certificate_is_told_when_it_is_trusted(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """An antivirus that opens connections puts its own root among the trusted ones."""
    context, file = self_signed(tmp_path, organisation="Careful Corp")
    refused = await asked(saying(NOW), tls=context)
    assert "is not trusted" in (refused.trouble or "")
    monkeypatch.setenv("SSL_CERT_FILE", str(file))
    found = await asked(saying(NOW), tls=context)
    assert (found.trouble, found.issuer) == (None, "Careful Corp")
    assert not found.inspected
    assert Reached(host="cloudcode-pa.googleapis.com", issuer="Careful Corp").inspected


async def test_every_fault_has_its_words(monkeypatch: pytest.MonkeyPatch) -> None:
    async def silent(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.read()

    assert "in time" in ((await asked(silent, within_s=0.2)).trouble or "")
    assert "speak HTTP" in ((await asked(saying(b"SSH-2.0-x\r\n\r\n"))).trouble or "")
    assert "could not connect" in (reach("http://127.0.0.1:9", 1).trouble or "")
    assert "could not connect" in (reach("https://127.0.0.1:9", 1).trouble or "")

    def unknown(*_given: object, **_more: object) -> None:
        raise socket.gaierror(-2, "Name or service not known")

    monkeypatch.setattr(socket, "getaddrinfo", unknown)
    assert "could not be resolved" in (reach("https://a.example", 1).trouble or "")


def test_a_proxy_is_told_without_its_password(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("no_proxy", "NO_PROXY", "https_proxy"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("HTTPS_PROXY", "http://me:hidden-word@127.0.0.1:9")
    assert proxy_for("https", "a.example") == "127.0.0.1:9"
    found = reach("https://a.example", 1)
    assert found.proxy == "127.0.0.1:9"
    assert "through the proxy 127.0.0.1:9" in (found.trouble or "")
    monkeypatch.setenv("no_proxy", "a.example")
    assert proxy_for("https", "a.example") is None
