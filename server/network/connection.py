"""HTTP/1.1 as a client: llhttp parses (the package httptools), asyncio carries.

``Answer`` is what has arrived of one response, and does no I/O. ``Connection`` carries one request
at a time. What goes wrong is raised as the exception that httpx's own transport would raise.
"""

import asyncio
import contextlib
from collections.abc import Iterable, Mapping
from typing import cast

import httpx
from httptools import HttpParserError, HttpParserUpgrade, HttpResponseParser

MOST_BARREN = 256 * 1024
"""Bytes in a row that bring nothing: a head that does not end, trailers, chunk extensions."""

MOST_HELD = 256 * 1024
"""Bytes of a body that may wait for whoever reads it; then the other side has to."""

PIECE = 256 * 1024
"""Bytes of a request that are written at once, and then waited for."""


class AnswerError(Exception):
    """These bytes are no HTTP/1.1 answer."""


class Answer:
    """One response, as far as it has arrived. Interim ones (1xx) before it are passed over."""

    def __init__(self, method: str) -> None:
        self.status = 0
        self.headers: list[tuple[bytes, bytes]] = []
        self.begun = False
        """Its head is complete."""
        self.complete = False
        self.keep_alive = False
        """Another request may follow on this connection; known once it is complete."""
        self.held = 0
        """Bytes of the body that nobody has taken yet."""
        self._pieces: list[bytes] = []
        self._bodiless = method == "HEAD"
        self._until_close = False
        self._barren = 0
        self._parser: HttpResponseParser | None = HttpResponseParser(self)
        # Forgiven as by other clients: lines that end with LF alone, folded header lines.
        self._parser.set_dangerous_leniencies(
            lenient_headers=True,
            lenient_optional_cr_before_lf=True,
            lenient_spaces_after_chunk_size=True,
        )

    def feed(self, data: bytes) -> None:
        """Take bytes as they come. Raises ``AnswerError``; what was complete stays complete."""
        if self._parser is None:
            self.keep_alive = self.keep_alive and not data  # more than was asked for
            return
        self._barren += len(data)
        try:
            self._parser.feed_data(data)
        except (HttpParserError, HttpParserUpgrade) as error:
            if not self.complete:
                raise AnswerError(_reason(error)) from error
            self.keep_alive = False
        if self.complete:
            self._parser = None
        elif self._barren > MOST_BARREN:
            raise AnswerError(f"{MOST_BARREN} bytes brought nothing")

    def end(self) -> bool:
        """Nothing more will come. Whether the answer is complete with that."""
        self._parser = None  # which knows us: together they would be left to the garbage collector
        self.complete = self.complete or self._until_close
        return self.complete

    def take(self) -> bytes:
        """All of the body that has arrived since the last call."""
        data = self._pieces[0] if len(self._pieces) == 1 else b"".join(self._pieces)
        self._pieces.clear()
        self.held = 0
        return data

    # What the parser calls. What is raised here, it raises from ``feed_data``.

    def on_message_begin(self) -> None:
        if self.complete:
            raise AnswerError("an answer to no request")

    def on_header(self, name: bytes, value: bytes) -> None:
        if not self.begun:  # else it is a trailer
            self.headers.append((name, value.rstrip(b" \t")))

    def on_headers_complete(self) -> None:
        self.status = self._parser.get_status_code() if self._parser else 0
        if self.status < 200:
            return
        self.begun = True
        self._barren = 0
        fields = {name.lower(): value for name, value in self.headers}
        coding = fields.get(b"transfer-encoding")
        if coding is not None and coding.strip().lower() != b"chunked":
            raise AnswerError("an unknown transfer coding")
        framed = coding is not None or b"content-length" in fields
        self._until_close = not framed and self.status not in (204, 304)
        if self._bodiless:
            self.complete = True

    def on_body(self, data: bytes) -> None:
        if not self._bodiless:
            self._barren = 0
            self._pieces.append(data)
            self.held += len(data)

    def on_message_complete(self) -> None:
        if not self.begun:
            self.headers.clear()
        elif not self._bodiless and self._parser:
            self.complete = True
            self.keep_alive = self._parser.should_keep_alive()


def _reason(error: Exception) -> str:
    cause = error.__context__ if isinstance(error.__context__, AnswerError) else error
    return "an upgrade nobody asked for" if isinstance(cause, HttpParserUpgrade) else str(cause)


class Connection(asyncio.Protocol):
    """One connection. At most one task at a time may wait on it."""

    def __init__(self) -> None:
        self._loop = asyncio.get_running_loop()
        self._transport: asyncio.Transport
        self._answer: Answer | None = None
        self._request: httpx.Request | None = None
        self._failure: httpx.RequestError | None = None
        self._waiter: asyncio.Future[None] | None = None
        self._watch: asyncio.TimerHandle | None = None
        self._deadline = 0.0
        self._too_late: type[httpx.TimeoutException] = httpx.ReadTimeout
        self._full = False
        self._paused = False
        self.usable = True
        """Open, and nothing has come that nobody asked for."""
        self.heard = False
        """Anything has come since the last request."""

    @property
    def held(self) -> int:
        """Bytes of the answer that nobody has taken yet."""
        return self._answer.held if self._answer is not None else 0

    def keep_alive(self, options: Iterable[tuple[int, int, int]]) -> None:
        """Set what the system knows of ``options`` (arguments of ``setsockopt``)."""
        sock = self._transport.get_extra_info("socket")
        for option in options:
            with contextlib.suppress(OSError):  # an older system
                sock.setsockopt(*option)

    async def ask(self, request: httpx.Request, head: bytes, body: bytes) -> Answer:
        """Send a request; returns with the head of its answer.

        Raises ``httpx.RequestError``. ``finish`` must be called afterwards, however it went.
        """
        self._request, self.heard = request, False
        self._answer = answer = Answer(request.method)
        whole = len(body) <= PIECE
        self._transport.write(head + body if whole else head)
        if not whole:
            view = memoryview(body)
            for start in range(0, len(body), PIECE):
                if not await self._sent(answer):
                    self.usable = False  # the rest is not sent, so nothing can follow
                    break
                self._transport.write(view[start : start + PIECE])
        await self._sent(answer)
        while not answer.begun:
            await self._wait("read", httpx.ReadTimeout)
        return answer

    async def read(self) -> bytes:
        """All that has arrived of the body since the last call; empty at its end.

        Raises ``httpx.RequestError`` where it breaks off or nothing comes for too long.
        """
        answer = self._answer
        while answer is not None and not answer.held:
            if answer.complete:
                return b""
            await self._wait("read", httpx.ReadTimeout)
        data = answer.take() if answer is not None else b""
        self._resume()
        return data

    def finish(self) -> bool:
        """The request is over. Whether another may follow; otherwise the connection is cut."""
        answer, self._answer, self._request = self._answer, None, None
        if self._watch is not None:  # an idle connection wakes nobody up
            self._watch.cancel()
            self._watch = None
        whole = answer is not None and answer.end() and answer.keep_alive
        if whole and self.usable and not self._full:
            self._resume()
            return True
        self.abort()
        return False

    def abort(self) -> None:
        """Cut it at once."""
        self.usable = False
        self._transport.abort()

    async def _sent(self, answer: Answer) -> bool:
        """Wait until the other side takes more. Whether it still wants any: it may answer before
        it has read everything, or be gone."""
        while self._full and not answer.begun:
            await self._wait("write", httpx.WriteTimeout)
        return not answer.begun and self._failure is None

    async def _wait(self, phase: str, too_late: type[httpx.TimeoutException]) -> None:
        """Until something happens. The limit is looked up anew each time: it may change with the
        head of the answer. One timer serves all waits, and is moved only when it rings."""
        if self._failure is not None:
            raise self._failure
        extensions = self._request.extensions if self._request is not None else {}
        limits: Mapping[str, float | None] = extensions.get("timeout") or {}
        limit_s = limits.get(phase)
        self._too_late = too_late
        self._deadline = float("inf") if limit_s is None else self._loop.time() + limit_s
        if limit_s is not None and (self._watch is None or self._watch.when() > self._deadline):
            self._look_at(self._deadline)
        self._waiter = self._loop.create_future()
        try:
            await self._waiter
        finally:
            self._waiter = None

    def _look_at(self, deadline: float) -> None:
        if self._watch is not None:
            self._watch.cancel()
        self._watch = self._loop.call_at(deadline, self._look)

    def _look(self) -> None:
        self._watch = None
        if self._waiter is None or self._waiter.done() or self._deadline == float("inf"):
            return
        if self._loop.time() < self._deadline:
            self._look_at(self._deadline)
        else:
            self._fail(self._too_late, "nothing came in time")

    def _wake(self) -> None:
        if self._waiter is not None and not self._waiter.done():
            self._waiter.set_result(None)

    def _fail(
        self, kind: type[httpx.RequestError], words: str, cause: Exception | None = None
    ) -> None:
        """Nothing more will come of the answer under way."""
        self.usable = False
        if self._failure is None:
            self._failure = kind(words, request=self._request)
            self._failure.__cause__ = cause
        if self._waiter is not None and not self._waiter.done():
            self._waiter.set_exception(self._failure)

    def _resume(self) -> None:
        if self._paused:
            self._paused = False
            self._transport.resume_reading()

    # What asyncio calls.

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast("asyncio.Transport", transport)

    def data_received(self, data: bytes) -> None:
        answer = self._answer
        if answer is None:
            self.abort()
            return
        self.heard = True
        try:
            answer.feed(data)
        except AnswerError as error:
            self._fail(httpx.RemoteProtocolError, str(error), error)
            return
        if answer.held > MOST_HELD and not self._paused:
            self._paused = True
            self._transport.pause_reading()
        self._wake()

    def eof_received(self) -> None:
        self._end(None)

    def connection_lost(self, exc: Exception | None) -> None:
        self._full = False
        self._end(exc)

    def pause_writing(self) -> None:
        self._full = True

    def resume_writing(self) -> None:
        self._full = False
        self._wake()

    def _end(self, error: Exception | None) -> None:
        """The other side has closed, or the connection broke."""
        self.usable = False
        answer = self._answer
        if answer is None or answer.complete:
            self._wake()
        elif error is not None:
            self._fail(httpx.ReadError, str(error), error)
        elif answer.end():
            self._wake()
        else:
            self._fail(httpx.RemoteProtocolError, "the connection was closed before the end")
