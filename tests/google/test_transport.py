"""The in-process transport behaves like a socket."""

import asyncio

import httpx
import pytest

from tests.google import failures
from tests.google.google import API_KEY, FakeGoogle
from tests.google.transport import InProcessTransport
from tests.google.wire import Framing
from tests.support import events_of, texts_of

URL = "/v1beta/models/gemini-3.8-flash:streamGenerateContent?alt=sse"
BODY = {"contents": [{"parts": [{"text": "hello"}]}]}


def client(google: FakeGoogle, timeout_s: float = 5) -> httpx.AsyncClient:
    return httpx.AsyncClient(
        transport=InProcessTransport(google),
        base_url="http://google.test",
        headers={"x-goog-api-key": API_KEY},
        timeout=timeout_s,
    )


async def test_pieces_arrive_before_the_end_exists() -> None:
    released = asyncio.Event()

    async def sleep(_: float) -> None:
        await released.wait()

    google = FakeGoogle(sleep=sleep, chunk_delay_s=1)
    async with client(google) as http, http.stream("POST", URL, json=BODY) as response:
        pieces = response.aiter_bytes()
        first = await anext(pieces)
        assert not google.requests[0].finished
        released.set()
        rest = b"".join([piece async for piece in pieces])
    assert texts_of(events_of(first + rest)) == "You said: hello"
    assert google.requests[0].finished


async def test_closing_early_is_noticed() -> None:
    google = FakeGoogle()
    async with client(google) as http, http.stream("POST", URL, json=BODY) as response:
        await anext(response.aiter_bytes())
    assert google.requests[0].cancelled


async def test_a_broken_connection_is_a_protocol_error() -> None:
    google = FakeGoogle()
    google.fail(failures.connection_cut(after=1))
    async with client(google) as http:
        with pytest.raises(httpx.RemoteProtocolError):
            await http.post(URL, json=BODY)


@pytest.mark.parametrize("failure", [failures.slow_first_byte(60), failures.stalled(60)])
async def test_the_read_timeout_counts(failure: failures.Failure) -> None:
    google = FakeGoogle()
    google.fail(failure)
    async with client(google, timeout_s=0.01) as http:
        with pytest.raises(httpx.ReadTimeout):
            await http.post(URL, json=BODY)
    assert google.requests[0].cancelled


async def test_gzip_is_used_when_accepted() -> None:
    google = FakeGoogle(framing=Framing(gzip=True))
    async with client(google) as http:
        zipped = await http.post(URL, json=BODY)
        plain = await http.post(URL, json=BODY, headers={"accept-encoding": "identity"})
    assert zipped.headers["content-encoding"] == "gzip"
    assert "content-encoding" not in plain.headers
    assert texts_of(events_of(zipped.content)) == texts_of(events_of(plain.content))
