"""The one place that talks HTTP to Google.

Streams are read as they come: one list of chunks per network read. Everything that goes wrong, in
the status line, below HTTP or inside a stream that began with 200, leaves as a ``ProxyError``.
"""

import asyncio
import re
from collections.abc import AsyncGenerator, Awaitable, Callable, Iterator, Mapping
from contextlib import aclosing
from dataclasses import dataclass, field
from functools import lru_cache
from typing import Protocol, TypeVar, cast

import httpx

from server import __version__
from server.aside import off_loop
from server.errors import (
    AuthenticationError,
    BrokenAnswerError,
    ProxyError,
    UpstreamError,
    UpstreamTimeoutError,
)
from server.gemini.types import Chunk, Count, Json
from server.inspector import note
from server.json_codec import dumps
from server.limits import LARGE_BODY_BYTES
from server.network.failures import mapped_errors
from server.sse import SSEReader
from server.upstreams.base import Turn, at_once
from server.upstreams.google_errors import error_from_payload, error_from_response
from server.upstreams.refusals import dicts, loads
from server.upstreams.signs import Credential
from server.upstreams.unpack import CODINGS, unpacked

HEADERS: Mapping[str, str] = {
    "accept": "*/*",
    "accept-encoding": "gzip, deflate",
    "connection": "keep-alive",
    "user-agent": f"gemini-api-proxy/{__version__}",
    "via": "1.1 gemini-api-proxy",
}
"""Who we are, said honestly; ``via`` lets a proxy that meets itself notice."""

CONNECT_S = 10.0
WRITE_S = 60.0
FIRST_BYTE_S = 600.0
"""Until the answer begins. Gemini 3 and later may think for minutes before the first event, and
clients themselves give up after ten."""
IDLE_S = 300.0
"""Silence inside a stream; Gemini CLI's own limit."""
PROGRESS_S = 600.0
"""Signs of life without anything new in them, as from a model that is stuck."""
AFTER_END_S = 10.0
"""For what may follow the last word of an answer, should its stream never be closed."""
UNARY_S = 60.0
"""For the answer to a short question (lists, counts, the account), from its first byte on."""
REFUSAL_S = 10.0
"""For the body of a refusal: its status says enough, should the body never end."""
MOST_BYTES = 128 * 1024 * 1024
"""Of one event, or one answer in one piece. The largest real ones hold pictures: some 20 MiB."""
MOST_REFUSAL_BYTES = 1024 * 1024

Unwrap = Callable[[Json], Chunk | None]
"""One event -> its chunk; None when the event carries none."""

T = TypeVar("T")


class TokenSource(Protocol):
    """Something that keeps an access token fresh."""

    async def access_token(self, *, stale: str | None = None) -> str:
        """A token good for the next minutes; ``stale``: one that Google has just refused."""
        ...


async def with_token(
    tokens: TokenSource, send: Callable[[str], Awaitable[T]], again: Turn = at_once
) -> T:
    """``send(token)``; once more, after ``again()``, with a new token when Google refuses this."""
    token = await tokens.access_token()
    try:
        return await send(token)
    except AuthenticationError:
        token = await tokens.access_token(stale=token)
    await again()
    return await send(token)


def versioned(base_url: str, version: str) -> str:
    """``base_url`` with an API version at its end: its own, else ``version``."""
    base = base_url.rstrip("/")
    return base if re.search(r"/v\d\w*$", base) else f"{base}/{version}"


def build_request(
    method: str,
    url: str,
    *,
    headers: Mapping[str, str],
    body: Mapping[str, object] | None = None,
    answer_within_s: float = UNARY_S,
) -> httpx.Request:
    """A request with our headers and timeouts."""
    limits = {"connect": CONNECT_S, "read": answer_within_s, "write": WRITE_S, "pool": CONNECT_S}
    with mapped_errors():
        address = _url(url)
        head = [(b"host", address.netloc), *_head(*headers.items())]
        content = b""
        if body is not None:
            note("upstream", body, f"{method} {url}")
            # A copy: orjson's own bytes keep a buffer of 32 KB for as long as they live.
            content = bytes(memoryview(dumps(body)))
            head.append((b"content-type", b"application/json"))
        if method != "GET":
            head.append((b"content-length", b"%d" % len(content)))
        return httpx.Request(
            method,
            address,
            headers=head,
            stream=httpx.ByteStream(content),
            extensions={"timeout": limits},
        )


@lru_cache(64)
def _head(*headers: tuple[str, str]) -> list[tuple[bytes, bytes]]:
    """Header lines as bytes, which costs more than the rest of a request; they change with the
    access token only."""
    return httpx.Headers({**HEADERS, **dict(headers)}).raw


_url = lru_cache(256)(httpx.URL)
"""Parsing an address costs more than the rest of a request; there are few of them."""


async def open_stream(
    http: httpx.AsyncClient, request: httpx.Request, *, credential: Credential = "sign-in"
) -> httpx.Response:
    """Send and wait for the head of a good answer; the caller closes it.

    Raises ``ProxyError`` for any other answer, whose body has then been read and closed.
    """
    with mapped_errors():
        response = await http.send(request, stream=True)
    if response.status_code == 200:
        if response.headers.get("content-type", "").startswith("text/html"):
            await response.aclose()
            raise UpstreamError(
                f"A web page answered where {request.url.host} was expected. Is a login page or a "
                "proxy in the way? Check the network and the base address."
            )
        return response
    body = bytearray()
    try:
        async with asyncio.timeout(REFUSAL_S):
            await _read_into(body, response, MOST_REFUSAL_BYTES)
    except TimeoutError:
        pass  # what has come will do
    finally:
        await response.aclose()
    note("stream", bytes(body), f"HTTP {response.status_code}")
    raise error_from_response(
        response.status_code, response.headers, bytes(body), credential=credential
    )


async def _read_into(body: bytearray, response: httpx.Response, most: int) -> None:
    """Add the body of ``response``, decoded, until there is more than ``most`` of it."""
    response.request.extensions["timeout"]["read"] = IDLE_S
    heard = _Heard()
    with mapped_errors(started=True):
        async with aclosing(_decoded(response)) as reads:
            async for data in reads:
                body += data[: most + 1 - len(body)]  # a piece may have any size
                if len(body) > most:
                    return
                heard.progress(new=not data.isspace())


async def read_chunks(
    response: httpx.Response, unwrap: Unwrap, *, credential: Credential = "sign-in"
) -> AsyncGenerator[list[Chunk], None]:
    """The chunks of an open answer, one list per network read that completed any.

    Closing the generator closes the connection, which cancels the request upstream. An error inside
    the stream is raised after the chunks before it were handed out. Once the answer is complete,
    nothing that becomes of the connection matters any more.
    """
    reader, heard = SSEReader(), _Heard()
    try:
        async with aclosing(_reads(response, heard)) as reads:
            async for data in reads:
                new = False
                for chunks in _chunks(reader.feed(data), unwrap, credential):
                    new = heard.note(chunks)
                    yield chunks
                heard.progress(new=new, pending=reader.pending)
                if reader.pending > MOST_BYTES:
                    raise _too_large()
        for chunks in _chunks(reader.close(), unwrap, credential):
            yield chunks
    except (BrokenAnswerError, UpstreamTimeoutError):
        if not heard.ended:
            raise
    finally:
        await response.aclose()


async def _reads(response: httpx.Response, heard: "_Heard") -> AsyncGenerator[bytes, None]:
    """What arrives, decoded; after the answer's end only what comes at once."""
    # httpx looks the timeout up anew when the body is read.
    response.request.extensions["timeout"]["read"] = IDLE_S
    with mapped_errors(started=True):
        async with aclosing(_decoded(response)) as reads:
            while True:
                try:
                    if heard.ended:
                        async with asyncio.timeout(AFTER_END_S):
                            data = await anext(reads)
                    else:
                        data = await anext(reads)
                except (StopAsyncIteration, TimeoutError):
                    return
                yield data


def _decoded(response: httpx.Response) -> AsyncGenerator[bytes, None]:
    """The body as it arrives, unpacked. The caller closes ``response``."""
    coding = response.headers.get("content-encoding", "").strip().lower()
    reads = aiter(response.stream)  # type: ignore[arg-type]
    if coding in CODINGS:
        reads = unpacked(reads, coding, response.request)
    elif coding not in ("", "identity"):
        reads = response.aiter_bytes()
    return cast("AsyncGenerator[bytes, None]", reads)


@dataclass(slots=True)
class _Heard:
    """What an answer has told so far: whether it is over, and whether it is getting anywhere."""

    ended: bool = False
    """Every candidate has its finish reason, or the prompt was refused."""
    _open: dict[str, bool] = field(default_factory=dict)
    _usage: object = None
    _longest: int = 0
    _moved_at: float = field(default_factory=lambda: asyncio.get_running_loop().time())

    def note(self, chunks: list[Chunk]) -> bool:
        """Whether there is anything new in ``chunks``."""
        new = False
        for chunk in chunks:
            if chunk.get("usageMetadata") != self._usage:
                self._usage = chunk.get("usageMetadata")
                new = True
            for candidate in dicts(chunk.get("candidates")):
                content, finished = candidate.get("content"), bool(candidate.get("finishReason"))
                self._open[str(candidate.get("index", 0))] = not finished
                new = new or finished or (isinstance(content, dict) and bool(content.get("parts")))
            feedback = chunk.get("promptFeedback")
            if isinstance(feedback, dict) and feedback.get("blockReason"):
                self._open = {"0": False}
        self.ended = bool(self._open) and not any(self._open.values())
        return new

    def progress(self, *, new: bool, pending: int = 0) -> None:
        """After each read; ``pending``: bytes of an event that is still coming.

        Raises ``UpstreamTimeoutError`` when there has been nothing new for too long.
        """
        now = asyncio.get_running_loop().time()
        if new or pending > self._longest:
            self._longest = 0 if new else pending
            self._moved_at = now
        elif now - self._moved_at > PROGRESS_S:
            raise UpstreamTimeoutError(
                f"Google kept the answer open but sent nothing of it for {PROGRESS_S:g} s."
            )


def _too_large() -> BrokenAnswerError:
    return BrokenAnswerError(
        f"Google's answer is larger than {MOST_BYTES // 1024 // 1024} MiB in one piece.",
        code="answer_too_large",
    )


def _chunks(events: list[bytes], unwrap: Unwrap, credential: Credential) -> Iterator[list[Chunk]]:
    """The chunks of these events as one list, if there are any; then the error that ended them."""
    chunks: list[Chunk] = []
    failure: ProxyError | None = None
    try:
        for payload in _payloads(events):
            note("stream", payload)
            failure = error_from_payload(payload, credential=credential)
            if failure is not None:
                break
            chunk = unwrap(payload)
            if chunk is not None:
                chunks.append(chunk)
    except BrokenAnswerError as error:
        failure = error
    if chunks:
        yield chunks
    if failure is not None:
        raise failure


def _payloads(events: list[bytes]) -> Iterator[Json]:
    """The JSON objects of events. A bare array (an answer without ``alt=sse``) is its members."""
    for event in events:
        try:
            payload = loads(event)
        except ValueError as error:
            raise BrokenAnswerError("Google's stream broke: an event is not JSON.") from error
        yield from dicts(payload if isinstance(payload, list) else [payload])


async def stream_chunks(
    http: httpx.AsyncClient,
    request: httpx.Request,
    unwrap: Unwrap,
    *,
    credential: Credential = "sign-in",
    unary: bool = False,
) -> AsyncGenerator[list[Chunk], None]:
    """Send ``request`` and read its answer: as ``read_chunks`` does, or ``unary``, as one chunk."""
    if unary:
        yield [await whole_answer(http, request, unwrap, credential=credential)]
        return
    response = await open_stream(http, request, credential=credential)
    async with aclosing(read_chunks(response, unwrap, credential=credential)) as batches:
        async for batch in batches:
            yield batch


async def whole_answer(
    http: httpx.AsyncClient,
    request: httpx.Request,
    unwrap: Unwrap,
    *,
    credential: Credential = "sign-in",
) -> Chunk:
    """Send a unary ``request`` and return the one chunk of its answer."""
    chunk = unwrap(await ask(http, request, credential=credential, short=False))
    if chunk is None:
        raise BrokenAnswerError("Google's answer has no content in it.")
    return chunk


async def ask(
    http: httpx.AsyncClient,
    request: httpx.Request,
    *,
    credential: Credential = "sign-in",
    short: bool = True,
) -> Json:
    """Send ``request`` and return the JSON object of its answer; an empty body counts as ``{}``.

    ``short``: the whole answer has to come in the time that its first byte has otherwise.
    """
    limits = request.extensions["timeout"]
    host, whole_s = request.url.host, limits["connect"] + limits["read"] if short else None
    body = bytearray()
    try:
        async with asyncio.timeout(whole_s):
            response = await open_stream(http, request, credential=credential)
            try:
                await _read_into(body, response, MOST_BYTES)
            finally:
                await response.aclose()
    except TimeoutError as error:
        raise UpstreamTimeoutError(f"{host} did not finish its answer in {whole_s:g} s.") from error
    if request.method == "POST":  # lists of models would bury what was asked
        note("stream", bytes(body), "HTTP 200")
    if len(body) > MOST_BYTES:
        raise _too_large()
    try:
        large = len(body) > LARGE_BODY_BYTES
        payload = await off_loop(lambda: loads(bytes(body)), when=large) if body.strip() else {}
    except ValueError as error:
        raise UpstreamError(f"{host} answered something that is not JSON.") from error
    if isinstance(payload, list) and len(payload) == 1:
        payload = payload[0]
    if not isinstance(payload, dict):
        raise UpstreamError(f"{host} answered something unexpected.")
    failure = error_from_payload(payload, credential=credential)
    if failure is not None:
        raise failure
    return payload


def as_chunk(payload: Json) -> Chunk:
    """The chunk of an API that sends no envelope."""
    return cast(Chunk, payload)


def count_of(answer: Json) -> Count:
    """An answer of ``countTokens``."""
    total = answer.get("totalTokens")
    if not isinstance(total, int):
        raise UpstreamError("Google's token count has no number in it.")
    return Count(total, answer)


def prompt_tokens(answer: Json) -> int:
    """What an embedding answer says it cost; 0 when it does not say."""
    usage = answer.get("usageMetadata")
    count = usage.get("promptTokenCount") if isinstance(usage, dict) else None
    return count if isinstance(count, int) else 0
