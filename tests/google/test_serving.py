"""The loopback server: keep-alive, streaming, hang-ups, broken connections."""

import asyncio

import httpx
import pytest

from tests.faults import until
from tests.google import failures
from tests.google.google import API_KEY, FakeGoogle
from tests.support import HANGS_S, events_of, serve, texts_of

URL = "/v1beta/models/gemini-3.8-flash:streamGenerateContent?alt=sse"
BODY = {"contents": [{"parts": [{"text": "hello"}]}]}
KEY = {"x-goog-api-key": API_KEY}


async def test_a_stream_over_a_kept_connection() -> None:
    google = FakeGoogle()
    async with serve(google) as base_url, httpx.AsyncClient(base_url=base_url) as http:
        answers = [await http.post(URL, json=BODY, headers=KEY) for _ in range(3)]
        streams = {id(a.extensions["network_stream"]) for a in answers}
    assert [texts_of(events_of(a.content)) for a in answers] == ["You said: hello"] * 3
    assert len(streams) == 1
    assert all(entry.finished for entry in google.requests)


async def test_a_hang_up_in_the_middle_is_noticed() -> None:
    google = FakeGoogle()
    google.fail(failures.stalled(3600, after=1))
    async with serve(google) as base_url, httpx.AsyncClient(base_url=base_url) as http:
        async with http.stream("POST", URL, json=BODY, headers=KEY) as response:
            await anext(response.aiter_raw())
        async with asyncio.timeout(HANGS_S):
            await google.requests[0].ended.wait()
    assert google.requests[0].cancelled


async def test_a_hang_up_before_the_first_byte_is_noticed() -> None:
    google = FakeGoogle()
    google.fail(failures.slow_first_byte(3600))
    async with serve(google) as base_url, httpx.AsyncClient(base_url=base_url) as http:
        asking = asyncio.create_task(http.post(URL, json=BODY, headers=KEY))
        await until(lambda: len(google.requests) == 1)
        asking.cancel()
        await asyncio.gather(asking, return_exceptions=True)
        async with asyncio.timeout(HANGS_S):
            await google.requests[0].ended.wait()
    assert google.requests[0].cancelled


async def test_a_broken_connection_is_seen_by_the_client() -> None:
    google = FakeGoogle()
    google.fail(failures.connection_cut(after=1))
    async with serve(google) as base_url, httpx.AsyncClient(base_url=base_url) as http:
        with pytest.raises((httpx.RemoteProtocolError, httpx.ReadError)):
            await http.post(URL, json=BODY, headers=KEY)
        assert (await http.post(URL, json=BODY, headers=KEY)).status_code == 200


async def test_nonsense_ends_the_connection() -> None:
    async with serve(FakeGoogle()) as base_url:
        port = int(base_url.rpartition(":")[2])
        reader, writer = await asyncio.open_connection("127.0.0.1", port)
        writer.write(b"NOT HTTP AT ALL\r\n\r\n")
        async with asyncio.timeout(HANGS_S):
            assert await reader.read() == b""
        writer.close()
        await writer.wait_closed()
