"""Bodies meant to hold the server up: endless, and bottomless."""

import asyncio
import json
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from server.edge import body
from tests.faults import BODIES, connection, request_of, status_of, until
from tests.rig import running
from tests.support import HANGS_S

HERE = "Host: 127.0.0.1"
JSON = "Content-Type: application/json"
CHUNK = b"10000\r\n" + b"a" * 65_536 + b"\r\n"
EARLY = {
    "no-key": (f"POST /v1/messages HTTP/1.1\r\n{HERE}\r\n{JSON}\r\nVia: x\r\n", 401),
    "nothing-there": (f"POST /nothing HTTP/1.1\r\n{HERE}\r\n", 404),
    "not-with-a-body": (f"GET /v1/models HTTP/1.1\r\n{HERE}\r\n", 200),
    "wrong-type": (f"POST /v1/messages HTTP/1.1\r\n{HERE}\r\n", 413),
    "a-page": (f"POST /login HTTP/1.1\r\n{HERE}\r\n", 401),
}


@pytest.mark.parametrize("name", EARLY)
async def test_a_body_without_end_does_not_keep_its_connection(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, name: str
) -> None:
    """Whatever the answer is: it is given, and the connection ends soon after."""
    monkeypatch.setattr(body, "LINGER_S", 0.2)
    monkeypatch.setattr(body, "BODY_BYTES", 1024 * 1024)
    head, status = EARLY[name]
    async with running(tmp_path) as rig, connection(rig) as (reader, writer):
        writer.write(head.encode() + b"Transfer-Encoding: chunked\r\n\r\n")
        reading = asyncio.create_task(reader.read())
        async with asyncio.timeout(HANGS_S):
            while not reading.done() and not writer.is_closing():
                writer.write(CHUNK)
                await asyncio.wait({reading}, timeout=0.002)
            await asyncio.wait({reading})
        answer = b"" if reading.exception() else reading.result()
        assert status_of(answer) in (0, status)  # a reset may have overtaken it
        await until(lambda: not rig.gateway.pipeline.live)
        assert (await rig.http.get("/health")).status_code == 200


async def test_whoever_sends_too_much_hears_of_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """An ordinary client, which sends everything before it reads."""
    monkeypatch.setattr(body, "BODY_BYTES", 1024 * 1024)
    async with running(tmp_path) as rig:

        async def pieces() -> AsyncIterator[bytes]:
            for _ in range(200):
                yield b"a" * 65_536

        for dialect in BODIES:
            path, _ = request_of(dialect, stream=False)
            headers = {"content-type": "application/json"}
            for content in (b"a" * 12_000_000, pieces()):
                answer = await rig.http.post(path, content=content, headers=headers)
                assert answer.status_code == 413
                assert "1 MiB" in answer.text


@pytest.mark.parametrize("levels", [300, 900, 100_000])
async def test_a_body_nested_without_end_is_refused(tmp_path: Path, levels: int) -> None:
    deep = b'{"a":' * levels + b"1" + b"}" * levels
    async with running(tmp_path) as rig:
        for dialect in BODIES:
            path, sent = request_of(dialect, stream=False)
            text = json.dumps({**sent, "tools": "DEEP"}).encode().replace(b'"DEEP"', deep)
            answer = await rig.http.post(
                path, content=text, headers={"content-type": "application/json"}
            )
            assert answer.status_code == 400, answer.text
            assert "nested" in answer.text
