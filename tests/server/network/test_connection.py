"""HTTP/1.1 answers, cut anywhere, next to what httpx's own transport makes of them."""

import asyncio
from dataclasses import dataclass
from itertools import pairwise

import httpx
import pytest
from hypothesis import given
from hypothesis import strategies as st

from server.network.connection import MOST_BARREN, Answer, AnswerError
from tests.faults import raw_server

LENGTH = b"HTTP/1.1 200 OK\r\nContent-Type: text/plain\r\nContent-Length: 5\r\n\r\nhello"
CHUNKED = b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n"
WHOLE = {
    "length": LENGTH,
    "no body": b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n",
    "204": b"HTTP/1.1 204 No Content\r\nX-A: b\r\n\r\n",
    "304": b"HTTP/1.1 304 Not Modified\r\nContent-Length: 20\r\n\r\n",
    "no reason": b"HTTP/1.1 500 \r\nContent-Length: 2\r\n\r\nno",
    "chunks": CHUNKED + b"5\r\nhello\r\n1\r\n!\r\n0\r\n\r\n",
    "extensions": CHUNKED + b'5;name="x;y";z\r\nhello\r\n0;last\r\n\r\n',
    "upper-case sizes": CHUNKED + b"00A\r\n0123456789\r\n000\r\n\r\n",
    "trailers": CHUNKED + b"2\r\nok\r\n0\r\nX-Sum: 1\r\nX-Two: 2\r\n\r\n",
    "interim": b"HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 103 Early Hints\r\nLink: </x>\r\n\r\n"
    + LENGTH,
    "many headers": b"HTTP/1.1 200 OK\r\nSet-Cookie: a\r\nSet-Cookie: b\r\nX-Empty:\r\n"
    b"X-Space:  \t spaced \t\r\nX-High: \xc3\xa4\r\nContent-Length: 2\r\n\r\nok",
    "folded": b"HTTP/1.1 200 OK\r\nX-Long: one\r\n two\r\nContent-Length: 2\r\n\r\nok",
    "line feeds alone": b"HTTP/1.1 200 OK\nContent-Length: 2\n\nok",
    "closing": b"HTTP/1.1 200 OK\r\nConnection: close\r\nContent-Length: 2\r\n\r\nok",
    "HTTP/1.0": b"HTTP/1.0 200 OK\r\nContent-Length: 2\r\n\r\nok",
}
UNTIL_CLOSE = b"HTTP/1.1 200 OK\r\nX-A: b\r\n\r\nuntil the end"
BROKEN = {
    "not HTTP": b"SSH-2.0-OpenSSH_9.2\r\n\r\n",
    "no number": b"HTTP/1.1 OK\r\nContent-Length: 2\r\n\r\nok",
    "two lengths": b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\nContent-Length: 3\r\n\r\nok!",
    "length and chunks": b"HTTP/1.1 200 OK\r\nContent-Length: 5\r\n"
    b"Transfer-Encoding: chunked\r\n\r\n0\r\n\r\n",
    "another coding": b"HTTP/1.1 200 OK\r\nTransfer-Encoding: gzip\r\n\r\nok",
    "negative": b"HTTP/1.1 200 OK\r\nContent-Length: -1\r\n\r\n",
    "no size": CHUNKED + b"xyz\r\nhello\r\n0\r\n\r\n",
    "chunk too long": CHUNKED + b"2\r\nhello\r\n0\r\n\r\n",
    "upgrade": b"HTTP/1.1 101 Switching\r\nUpgrade: h2c\r\nConnection: upgrade\r\n\r\n" + LENGTH,
}


@dataclass(frozen=True, slots=True)
class Told:
    """What an answer came to."""

    status: int
    headers: tuple[tuple[bytes, bytes], ...]
    body: bytes
    complete: bool
    keep_alive: bool


def told(*pieces: bytes, closed: bool = False, method: str = "GET") -> Told:
    answer, body = Answer(method), b""
    for piece in pieces:
        answer.feed(piece)
        body += answer.take()
    if closed:
        answer.end()
    lowered = tuple((name.lower(), value) for name, value in answer.headers)
    return Told(answer.status, lowered, body, answer.complete, answer.keep_alive)


async def told_by_httpx(data: bytes) -> httpx.Response:
    """The same bytes read by the transport that httpx brings."""

    async def talk(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.readuntil(b"\r\n\r\n")
        writer.write(data)
        await writer.drain()

    async with raw_server(talk) as port, httpx.AsyncClient(trust_env=False) as http:
        return await http.get(f"http://127.0.0.1:{port}")


@pytest.mark.parametrize("name", WHOLE)
def test_an_answer_cut_at_any_byte_is_the_same(name: str) -> None:
    data = WHOLE[name]
    whole = told(data)
    assert whole.complete
    assert told(*(bytes([byte]) for byte in data)) == whole
    for cut in range(len(data) + 1):
        assert told(data[:cut], data[cut:]) == whole, cut


@pytest.mark.parametrize("name", WHOLE)
def test_an_answer_that_ends_early_is_never_complete(name: str) -> None:
    data = WHOLE[name]
    for cut in range(len(data)):
        assert not told(data[:cut], closed=True).complete, cut


@pytest.mark.parametrize("name", [*WHOLE, "until close"])
async def test_httpx_reads_the_same(name: str) -> None:
    data = WHOLE.get(name, UNTIL_CLOSE)
    ours, theirs = told(data, closed=True), await told_by_httpx(data)
    assert ours.status == theirs.status_code
    assert ours.body == theirs.content
    assert list(ours.headers) == [(k.lower(), v) for k, v in theirs.headers.raw]


@pytest.mark.parametrize("name", BROKEN)
async def test_what_is_no_answer_is_refused_as_httpx_does(name: str) -> None:
    data = BROKEN[name]
    for cut in range(len(data) + 1):
        with pytest.raises(AnswerError):
            told(data[:cut], data[cut:])
    if name not in ("length and chunks", "upgrade"):  # h11 believes the chunks; and hands over
        with pytest.raises(httpx.RemoteProtocolError):
            await told_by_httpx(data)


def test_without_a_length_the_end_of_the_connection_is_the_end() -> None:
    for cut in range(len(UNTIL_CLOSE) + 1):
        answer = told(UNTIL_CLOSE[:cut], UNTIL_CLOSE[cut:])
        assert not answer.complete
        ended = told(UNTIL_CLOSE[:cut], UNTIL_CLOSE[cut:], closed=True)
        assert (ended.body, ended.complete, ended.keep_alive) == (b"until the end", True, False)


@pytest.mark.parametrize(
    ("data", "again"),
    [
        (LENGTH, True),
        (WHOLE["chunks"], True),
        (WHOLE["204"], True),
        (WHOLE["closing"], False),
        (WHOLE["HTTP/1.0"], False),
        (LENGTH + LENGTH, False),
        (LENGTH + b"more", False),
    ],
)
def test_a_connection_serves_again_only_after_a_clean_end(data: bytes, again: bool) -> None:
    assert told(data).keep_alive is again
    assert told(*(bytes([byte]) for byte in data)).keep_alive is again
    assert told(data).body == told(data[: len(LENGTH)] if data.startswith(LENGTH) else data).body


def test_the_answer_to_head_has_no_body() -> None:
    answer = told(LENGTH[:-5], method="HEAD")
    assert (answer.complete, answer.body, answer.keep_alive) == (True, b"", False)


@pytest.mark.parametrize(
    "head",
    [
        b"HTTP/1.1 200 OK\r\nX-A: ",
        b"HTTP/1.1 200 OK\r\nX-",
        CHUNKED + b"5;",
        CHUNKED + b"0\r\nX-A: ",
    ],
)
def test_what_brings_nothing_has_an_end(head: bytes) -> None:
    with pytest.raises(AnswerError, match="brought nothing"):
        told(head, *[b"a" * 1000] * (MOST_BARREN // 1000 + 1))


def test_interim_answers_have_an_end() -> None:
    interim = b"HTTP/1.1 100 Continue\r\n\r\n"
    with pytest.raises(AnswerError, match="brought nothing"):
        told(*[interim] * (MOST_BARREN // len(interim) + 1))


@given(
    st.lists(st.binary(min_size=1, max_size=300), max_size=8),
    st.lists(st.integers(0, 3000), max_size=8),
    st.booleans(),
)
def test_any_body_arrives_whole_however_it_was_cut(
    parts: list[bytes], cuts: list[int], chunked: bool
) -> None:
    body = b"".join(parts)
    if chunked:
        data = CHUNKED + b"".join(b"%x\r\n%s\r\n" % (len(part), part) for part in parts)
        data += b"0\r\n\r\n"
    else:
        data = b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n%s" % (len(body), body)
    places = sorted({0, *(cut % (len(data) + 1) for cut in cuts), len(data)})
    pieces = [data[start:end] for start, end in pairwise(places)]
    answer = told(*pieces)
    assert (answer.body, answer.complete, answer.keep_alive) == (body, True, True)
