"""What a connection may be asked for besides requests: other protocols, HTTP/2 and its streams;
and how it ends where the client's host has gone."""

import asyncio
import contextlib
import errno
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import h2.config
import h2.connection
import h2.events
import pytest
from hypercorn.asyncio.worker_context import WorkerContext
from hypercorn.config import Config
from hypercorn.events import Closed, RawData

from server.edge.connections import LARGE, BoundedConnection
from tests.faults import connection, raw, status_of, until
from tests.rig import running
from tests.support import HANGS_S

HERE = "Host: 127.0.0.1"


@pytest.mark.parametrize(
    "lines",
    [
        ["Upgrade: websocket", "Sec-WebSocket-Extensions: \xff"],
        ["Upgrade: websocket", "Sec-WebSocket-Version: 8"],
        ["Upgrade: h2c", "HTTP2-Settings: AAA"],
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


async def test_the_rules_hold_over_http_2_as_well(tmp_path: Path) -> None:
    async with running(tmp_path) as rig, connection(rig) as (reader, writer):
        http = h2.connection.H2Connection(h2.config.H2Configuration(header_encoding="utf-8"))
        http.initiate_connection()
        for stream, authority in ((1, "evil.example"), (3, "127.0.0.1")):
            head = [(":method", "GET"), (":path", "/usage"), (":scheme", "http")]
            http.send_headers(stream, [*head, (":authority", authority)], end_stream=True)
        writer.write(http.data_to_send())
        seen: dict[int, str] = {}
        async with asyncio.timeout(HANGS_S):
            while len(seen) < 2:
                for event in http.receive_data(await reader.read(65_536)):
                    if isinstance(event, h2.events.ResponseReceived):
                        found = {str(name): str(value) for name, value in event.headers}
                        seen[event.stream_id] = found[":status"]
        assert seen == {1: "421", 3: "200"}


async def test_http_2_costs_one_stream_what_is_wrong_with_it(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    """More of a body than was read, and then a CONNECT without a path."""
    async with running(tmp_path) as rig, connection(rig) as (reader, writer):
        http = h2.connection.H2Connection()
        http.initiate_connection()
        here = [(":scheme", "http"), (":authority", "127.0.0.1")]
        http.send_headers(1, [(":method", "POST"), (":path", "/health"), *here])
        statuses: dict[int, bytes] = {}
        ended = False
        async with asyncio.timeout(HANGS_S):
            while not ended:
                writer.write(http.data_to_send())
                data = await reader.read(65_536)
                assert data, "the connection was closed"
                for event in http.receive_data(data):
                    if isinstance(event, h2.events.ResponseReceived):
                        statuses[event.stream_id or 0] = dict(event.headers)[b":status"]
                    elif isinstance(event, h2.events.StreamEnded) and event.stream_id == 1:
                        for _ in range(3):
                            http.send_data(1, b"a" * 1000)
                        asked = [(":method", "GET"), (":path", "/health"), *here]
                        http.send_headers(3, asked, end_stream=True)
                    elif isinstance(event, h2.events.StreamEnded):
                        http.send_headers(5, [(":method", "CONNECT"), (":authority", "127.0.0.1")])
                    ended = ended or isinstance(event, h2.events.ConnectionTerminated)
        assert statuses[3] == b"200"
        assert "Traceback" not in caplog.text


async def test_an_idle_http_2_connection_is_closed(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """One without a stream, whatever it pings; and one whose only stream was taken back."""
    monkeypatch.setattr("server.host.runtime.IDLE_CONNECTION_S", 0.3)
    async with running(tmp_path) as rig:
        for taken_back in (False, True):
            async with connection(rig) as (reader, writer):
                http = h2.connection.H2Connection()
                http.initiate_connection()
                if taken_back:
                    head = [(":method", "POST"), (":path", "/v1/messages"), (":scheme", "http")]
                    http.send_headers(1, [*head, (":authority", "127.0.0.1")])
                    http.reset_stream(1)
                http.ping(b"12345678")
                writer.write(http.data_to_send())
                async with asyncio.timeout(HANGS_S):
                    while await reader.read(65_536):
                        pass


async def test_http_2_streams_without_end_cost_their_connection_only(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    """Opened and taken back at once, again and again (CVE-2023-44487); and a path that is none."""
    async with running(tmp_path) as rig, connection(rig) as (reader, writer):
        http = h2.connection.H2Connection(
            h2.config.H2Configuration(header_encoding=None, validate_outbound_headers=False)
        )
        http.initiate_connection()
        here = [(b":scheme", b"http"), (b":authority", b"127.0.0.1")]
        http.send_headers(1, [(b":method", b"GET"), (b":path", b"/\xff"), *here], end_stream=True)
        for stream in range(3, 2403, 2):
            http.send_headers(stream, [(b":method", b"POST"), (b":path", b"/v1/messages"), *here])
            http.reset_stream(stream)
        writer.write(http.data_to_send())
        with contextlib.suppress(ConnectionError):
            async with asyncio.timeout(HANGS_S):
                while await reader.read(65_536):
                    pass
        assert (await rig.http.get("/health")).status_code == 200
        await until(lambda: not rig.gateway.pipeline.live)
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
