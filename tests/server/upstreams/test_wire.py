"""Streams and answers as they come off the wire."""

import gzip
import json
from collections.abc import AsyncIterator, Mapping
from contextlib import aclosing
from typing import Any, cast

import httpx
import pytest
from hypothesis import given
from hypothesis import strategies as st

from server import __version__
from server.errors import (
    AuthenticationError,
    BadRequestError,
    BrokenAnswerError,
    OverloadedError,
    ProxyError,
    UpstreamError,
)
from server.gemini.types import Chunk, Count
from server.upstreams import wire

Json = dict[str, Any]
URL = "https://google.test/v1:generate"
UNAVAILABLE = {"error": {"code": 503, "message": "Gone.", "status": "UNAVAILABLE"}}


class Body(httpx.AsyncByteStream):
    """A scripted body: each item is one network read; an exception is raised in its place."""

    def __init__(self, *reads: bytes | Exception) -> None:
        self.reads = reads
        self.closed = False

    async def __aiter__(self) -> AsyncIterator[bytes]:
        for read in self.reads:
            if isinstance(read, Exception):
                raise read
            yield read

    async def aclose(self) -> None:
        self.closed = True


def answering(
    body: httpx.AsyncByteStream, status: int = 200, headers: Mapping[str, str] | None = None
) -> httpx.AsyncClient:
    return httpx.AsyncClient(
        transport=httpx.MockTransport(
            lambda request: httpx.Response(status, headers=headers, stream=body)
        )
    )


def event(n: int) -> bytes:
    return f'data: {{"n": {n}}}\n\n'.encode()


def unwrap(payload: Json) -> Chunk | None:
    return cast(Chunk, payload) if "n" in payload else None


async def read(*reads: bytes | Exception) -> tuple[list[list[int]], ProxyError | None]:
    """The numbers of each batch, and the error that ended the stream."""
    batches: list[list[int]] = []
    async with answering(Body(*reads)) as http:
        request = wire.build_request("POST", URL, headers={}, body={})
        try:
            async for batch in wire.stream_chunks(http, request, unwrap):
                batches.append([cast(Json, chunk)["n"] for chunk in batch])
        except ProxyError as error:
            return batches, error
    return batches, None


async def test_one_list_of_chunks_per_network_read() -> None:
    batches, error = await read(event(1) + event(2), event(3)[:9], event(3)[9:] + event(4))
    assert batches == [[1, 2], [3, 4]]
    assert error is None


async def test_an_event_without_a_chunk_is_skipped() -> None:
    assert await read(b'data: {"credits": 1}\n\n', event(1)) == ([[1]], None)


async def test_a_last_event_without_its_blank_line_counts() -> None:
    assert await read(event(1), b'data: {"n": 2}') == ([[1], [2]], None)


@pytest.mark.parametrize(
    "tail",
    [
        b"data: " + json.dumps(UNAVAILABLE).encode() + b"\n\n",
        json.dumps(UNAVAILABLE, indent=2).encode(),
        json.dumps([UNAVAILABLE], indent=2).encode() + b"\n",
        b'{"error": {"code": 503,, "message": "Gone.",}}',
    ],
    ids=["event", "raw", "raw-array", "stray-commas"],
)
async def test_an_error_in_mid_stream_is_raised_after_what_came_before(tail: bytes) -> None:
    batches, error = await read(event(1) + tail)
    assert batches == [[1]]
    assert isinstance(error, OverloadedError)


async def test_an_array_in_place_of_events_is_its_members() -> None:
    assert await read(b'[{"n": 1},\n{"n": 2}\n]') == ([[1, 2]], None)


async def test_an_event_that_is_not_json_breaks_the_answer() -> None:
    batches, error = await read(event(1) + b"data: {oops\n\n")
    assert batches == [[1]]
    assert isinstance(error, BrokenAnswerError)


async def test_a_connection_that_breaks_in_mid_stream_is_a_broken_answer() -> None:
    batches, error = await read(event(1), httpx.RemoteProtocolError("cut"))
    assert batches == [[1]]
    assert isinstance(error, BrokenAnswerError)


@given(st.integers(1, 40), st.sampled_from([b"\n", b"\r\n"]))
async def test_any_cut_of_the_bytes_gives_the_same_chunks(size: int, newline: bytes) -> None:
    whole = b"".join(event(n) for n in range(5)).replace(b"\n", newline)
    pieces = [whole[i : i + size] for i in range(0, len(whole), size)]
    batches, error = await read(*pieces)
    assert [n for batch in batches for n in batch] == [0, 1, 2, 3, 4]
    assert error is None


async def test_compressed_streams_are_read() -> None:
    body = Body(gzip.compress(event(1) + event(2)))
    async with answering(body, headers={"content-encoding": "gzip"}) as http:
        request = wire.build_request("POST", URL, headers={}, body={})
        batches = [len(batch) async for batch in wire.stream_chunks(http, request, unwrap)]
    assert batches == [2]


async def test_a_refusal_is_read_once_and_closed() -> None:
    body = Body(json.dumps(UNAVAILABLE).encode())
    async with answering(body, 503) as http:
        request = wire.build_request("POST", URL, headers={}, body={})
        with pytest.raises(OverloadedError, match="Gone"):
            await wire.open_stream(http, request)
    assert body.closed


async def test_closing_the_generator_closes_the_connection() -> None:
    body = Body(event(1), event(2))
    async with answering(body) as http:
        request = wire.build_request("POST", URL, headers={}, body={})
        async with aclosing(wire.stream_chunks(http, request, unwrap)) as chunks:
            await anext(chunks)
            assert not body.closed
        assert body.closed


async def test_the_first_byte_may_take_longer_than_a_pause_later() -> None:
    seen: list[float] = []

    class Pausing(Body):
        async def __aiter__(self) -> AsyncIterator[bytes]:
            seen.append(request.extensions["timeout"]["read"])
            yield event(1)

    def answer(asked: httpx.Request) -> httpx.Response:
        seen.append(asked.extensions["timeout"]["read"])
        return httpx.Response(200, stream=Pausing())

    async with httpx.AsyncClient(transport=httpx.MockTransport(answer)) as http:
        request = wire.build_request(
            "POST", URL, headers={}, body={}, answer_within_s=wire.FIRST_BYTE_S
        )
        async for _ in wire.stream_chunks(http, request, unwrap):
            pass
    assert seen == [wire.FIRST_BYTE_S, wire.IDLE_S]


async def test_every_request_says_who_we_are() -> None:
    request = wire.build_request("GET", URL, headers={"x": "y"})
    assert request.headers["user-agent"] == f"gemini-api-proxy/{__version__}"
    assert request.headers["via"] == "1.1 gemini-api-proxy"
    assert request.headers["x"] == "y"


@pytest.mark.parametrize(("body", "answer"), [(b'{"a": 1}', {"a": 1}), (b"", {}), (b" \n", {})])
async def test_a_good_answer_is_its_object(body: bytes, answer: Json) -> None:
    async with answering(Body(body)) as http:
        assert await wire.ask(http, wire.build_request("GET", URL, headers={})) == answer


@pytest.mark.parametrize("body", [b"<html>", b"[]", b'"x"', b"{"])
async def test_an_unreadable_answer_is_an_upstream_error(body: bytes) -> None:
    async with answering(Body(body)) as http:
        with pytest.raises(UpstreamError):
            await wire.ask(http, wire.build_request("GET", URL, headers={}))


async def test_an_error_inside_a_200_is_raised() -> None:
    for payload in (UNAVAILABLE, [UNAVAILABLE]):
        async with answering(Body(json.dumps(payload).encode())) as http:
            with pytest.raises(OverloadedError):
                await wire.ask(http, wire.build_request("GET", URL, headers={}))


# ── addresses, tokens, numbers ──


@pytest.mark.parametrize(
    ("base", "full"),
    [
        ("https://g.example", "https://g.example/v1beta"),
        ("https://g.example/", "https://g.example/v1beta"),
        ("https://g.example/v1", "https://g.example/v1"),
        ("https://g.example/v1beta/", "https://g.example/v1beta"),
        ("https://g.example/proxy/v1alpha", "https://g.example/proxy/v1alpha"),
        ("https://v1.example", "https://v1.example/v1beta"),
    ],
)
def test_a_base_address_may_name_its_version(base: str, full: str) -> None:
    assert wire.versioned(base, "v1beta") == full


class Tokens:
    """Gives ``old``, and ``new`` to whoever says that ``old`` is stale."""

    async def access_token(self, *, stale: str | None = None) -> str:
        return "new" if stale == "old" else "old"


@pytest.mark.parametrize(("good", "used"), [("old", ["old"]), ("new", ["old", "new"])])
async def test_a_refused_token_is_replaced_once(good: str, used: list[str]) -> None:
    tried: list[str] = []

    async def send(token: str) -> str:
        tried.append(token)
        if token != good:
            raise AuthenticationError("refused")
        return "answer"

    assert await wire.with_token(Tokens(), send) == "answer"
    assert tried == used


async def test_two_refusals_are_the_end() -> None:
    async def send(token: str) -> str:
        raise AuthenticationError(token)

    with pytest.raises(AuthenticationError, match="new"):
        await wire.with_token(Tokens(), send)


def test_counts_are_read_where_they_are() -> None:
    answer = {"totalTokens": 7, "promptTokensDetails": []}
    assert wire.count_of(answer) == Count(7, answer)
    with pytest.raises(UpstreamError):
        wire.count_of({})
    assert wire.prompt_tokens({"usageMetadata": {"promptTokenCount": 3}}) == 3
    assert wire.prompt_tokens({"usageMetadata": None}) == wire.prompt_tokens({}) == 0


# ── answers in one piece ──


@pytest.mark.parametrize(
    ("body", "error"),
    [
        (b'{"traceId": "nothing"}', BrokenAnswerError),
        (json.dumps(UNAVAILABLE).encode(), OverloadedError),
        (b"<html>", UpstreamError),
    ],
)
async def test_a_unary_answer_that_is_none_is_an_error(
    body: bytes, error: type[ProxyError]
) -> None:
    async with answering(Body(body)) as http:
        request = wire.build_request("POST", URL, headers={}, body={})
        with pytest.raises(error):
            await wire.whole_answer(http, request, unwrap)


async def test_a_unary_stream_is_its_one_chunk() -> None:
    async with answering(Body(b'{"n": ', b"1}")) as http:
        request = wire.build_request("POST", URL, headers={}, body={})
        chunks = wire.stream_chunks(http, request, unwrap, unary=True)
        answer = [cast("Json", chunk)["n"] async for batch in chunks for chunk in batch]
        assert answer == [1]


async def test_of_a_refusal_in_one_piece_no_more_is_read_than_of_one_in_many(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """The demo's refusal of 100,000 fields has 66 MB, all at once."""
    read: list[int] = []

    def noting(status: int, headers: httpx.Headers, body: bytes, **more: Any) -> ProxyError:
        read.append(len(body))
        return BadRequestError("no")

    monkeypatch.setattr(wire, "error_from_response", noting)
    refusal = httpx.Response(400, content=b"x" * 10 * wire.MOST_REFUSAL_BYTES)
    transport = httpx.MockTransport(lambda _request: refusal)
    async with httpx.AsyncClient(transport=transport) as http:
        with pytest.raises(BadRequestError):
            await wire.open_stream(http, http.build_request("POST", "http://google.example/"))
    assert read == [wire.MOST_REFUSAL_BYTES + 1]
