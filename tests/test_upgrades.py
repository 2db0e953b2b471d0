"""What a connection may be asked for besides requests (other protocols), and how it ends where the
client's host has gone."""

import asyncio
import errno
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from hypercorn.asyncio.worker_context import WorkerContext
from hypercorn.config import Config
from hypercorn.events import Closed, RawData

from server.edge.connections import LARGE, BoundedConnection
from tests.faults import connection, raw, status_of
from tests.rig import running
from tests.support import HANGS_S

HERE = "Host: 127.0.0.1"


@pytest.mark.parametrize(
    "lines",
    [
        ["Upgrade: websocket", "Sec-WebSocket-Extensions: \xff"],
        ["Upgrade: websocket", "Sec-WebSocket-Version: 8"],
        ["Upgrade: h2c", "HTTP2-Settings: AAA"],
        ["Upgrade: h2c", "HTTP2-Settings: AAMAAABkAAQAoAAAAAIAAAAA"],
    ],
)
async def test_a_crooked_handshake_is_answered_and_forgotten(
    tmp_path: Path, caplog: pytest.LogCaptureFixture, lines: list[str]
) -> None:
    async with running(tmp_path) as rig:
        for path in ("/v1/responses", "/health"):
            head = "\r\n".join(
                [f"GET {path} HTTP/1.1", HERE, "Connection: Upgrade", *lines, "", ""]
            )
            assert status_of(await raw(rig, head.encode("latin-1"), within_s=1)) in (200, 405, 426)
        assert "Traceback" not in caplog.text


@pytest.mark.parametrize("before", [b"", b"GET /health HTTP/1.1\r\nHost: 127.0.0.1\r\n\r\n"])
async def test_http_2_is_not_spoken(
    tmp_path: Path, caplog: pytest.LogCaptureFixture, before: bytes
) -> None:
    """As ``curl --http2-prior-knowledge`` begins: preface, settings (empty), a ping."""
    frames = bytes(3) + b"\x04" + bytes(5) + b"\x00\x00\x08\x06" + bytes(13)
    async with running(tmp_path) as rig, connection(rig) as (reader, writer):
        writer.write(before + b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n" + frames)
        async with asyncio.timeout(HANGS_S):
            answer = await reader.read()  # to its end: the connection is closed
    assert answer.count(b"HTTP/1.1 ") == answer.count(b"x-request-id: req_") == (2 if before else 1)
    assert answer.count(b"HTTP/1.1 400 ") == 1
    assert b"HTTP/2.0 is not served here; send HTTP/1.1." in answer
    assert "Traceback" not in caplog.text


async def test_no_tunnel_is_opened(tmp_path: Path) -> None:
    """pgjones/hypercorn issue 277: CONNECT must not leave what follows it to somebody else."""
    async with running(tmp_path) as rig:
        head = b"CONNECT example.com:443 HTTP/1.1\r\nHost: 127.0.0.1\r\n\r\n"
        answer = await raw(rig, head, within_s=1)
        assert status_of(answer) in (400, 404, 405)
        assert b"200" not in answer.split(b"\r\n")[0]


class Unreachable:
    """The writer of a connection whose other end has vanished without a word."""

    def __init__(self, number: int) -> None:
        self.number = number
        self.transport = SimpleNamespace(get_write_buffer_size=lambda: 1, abort=lambda: None)

    def is_closing(self) -> bool:
        return False

    def write(self, data: bytes) -> None:
        del data

    def write_eof(self) -> None:
        raise OSError(self.number, "gone")

    def close(self) -> None:
        pass

    async def drain(self) -> None:
        raise OSError(self.number, "gone")

    wait_closed = drain


@pytest.mark.parametrize(
    "number",
    [errno.EHOSTUNREACH, errno.ENETUNREACH, errno.ETIMEDOUT, errno.EPIPE, errno.ECONNRESET],
)
async def test_a_client_whose_host_is_gone_is_one_that_has_left(number: int) -> None:
    """pgjones/hypercorn issue 361: it reached the application as an error of its own."""
    parts: Any = (None, asyncio.get_running_loop(), Config(), WorkerContext(None), {}, None)
    connection = BoundedConnection(*parts, Unreachable(number))
    told: list[Any] = []

    async def handle(event: Any) -> None:
        told.append(event)

    connection.protocol = SimpleNamespace(handle=handle)  # type: ignore[assignment]
    await connection.protocol_send(RawData(bytes(LARGE)))
    assert [type(event) for event in told] == [Closed]
    await connection.protocol_send(Closed())
