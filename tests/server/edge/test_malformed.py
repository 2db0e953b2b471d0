"""Bytes that are no request get an error like any other: in the dialect of their address."""

from pathlib import Path

import pytest

from tests.faults import raw, status_of
from tests.rig import running

LONG = b"x" * 70_000


@pytest.mark.parametrize(
    ("sent", "status", "words"),
    [
        (b"POST /v1/messages HTTP/1.1\r\nbad header\r\n\r\n", 400, b'"type":"error"'),
        (b"POST /v1/messages HTTP/1.1\r\nHost: a\r\nHost: b\r\n\r\n", 400, b'"type":"error"'),
        (b"POST /v1beta/models HTTP/1.1\r\nbad header\r\n\r\n", 400, b'"INVALID_ARGUMENT"'),
        (b"POST /v1/responses HTTP/1.1\r\nbad header\r\n\r\n", 400, b'"param":null'),
        (b"GET /v1/messages HTTP/1.1\r\nHost: a\r\nx: " + LONG, 431, b'"type":"error"'),
        (b"GET /v1beta/models?key=secret-key HTTP/1.1\r\nx: " + LONG, 431, b'"code":431'),
        (b"\x16\x03\x01\x02\x00\x01\x00\r\n\r\n", 400, b'"param":null'),
        (b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n", 400, b'"param":null'),
        (b"POST /v1/messages HTTP/2.0\r\nHost: a\r\n\r\n", 400, b'"type":"error"'),
        (b"HEAD /v1/messages HTTP/2.0\r\n\r\n", 400, b""),
        (b"POST /v1beta/models HTTP/0.9\r\n\r\n", 400, b'"INVALID_ARGUMENT"'),
        (b"GET / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: x\r\n\r\n", 501, b'"param":null'),
    ],
)
async def test_what_is_no_request(tmp_path: Path, sent: bytes, status: int, words: bytes) -> None:
    async with running(tmp_path) as rig:
        answer = await raw(rig, sent)
    assert status_of(answer) == status, answer
    head, _, body = answer.partition(b"\r\n\r\n")
    assert words in body.replace(b" ", b""), body
    assert b"x-request-id: req_" in head
    assert b"connection: close" in head.lower()
    assert b"secret-key" not in answer


async def test_what_follows_a_request_is_worded_by_its_own_address(tmp_path: Path) -> None:
    async with running(tmp_path) as rig:
        first = b"GET /health HTTP/1.1\r\nHost: 127.0.0.1\r\n\r\n"
        answer = await raw(rig, first + b"POST /v1/messages HTTP/1.1\r\nbad header\r\n\r\n")
    assert answer.count(b"x-request-id: req_") == 2
    assert b"HTTP/1.1 400" in answer
