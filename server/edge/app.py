"""The edge: HTTP in, HTTP out. Binds every dialect's routes to the pipeline.

An ASGI application of two layers. API routes are answered here, directly: a stream needs to know at
once that its client left, and costs nothing it does not need. Everything else (``/health``,
``/usage``, the pages) is ``server/host/local_endpoints.py``. The access check stands before both.
"""

import asyncio
import contextlib
import logging
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Protocol, TypeVar, assert_never, cast

from server.aside import off_loop
from server.core.pipeline import Pipeline
from server.core.request_record import Exchange, client_name
from server.dialects.base import (
    CountTokens,
    Dialect,
    Embed,
    Forget,
    Generate,
    GetModel,
    ListModels,
    Operation,
    Params,
    Recall,
    StreamEncoder,
)
from server.edge import openapi
from server.edge.access import Access
from server.edge.body import Bodies, Incoming, read_body
from server.edge.head_checks import (
    asks_for_data,
    check_head,
    headers_of,
    is_by_program,
    origin_form,
    takes_html,
    wants_websocket,
    without_key,
)
from server.edge.request import (
    Receive,
    Request,
    Scope,
    Send,
    dump_pieces,
    facts,
    note_failure,
    send_body,
    send_error,
    send_head,
    send_json,
    send_preflight,
    stay,
    while_connected,
)
from server.edge.rights import ENDPOINTS, is_page
from server.edge.routes import API_ROOTS, Routes, page_only, takes_key
from server.errors import (
    AuthenticationError,
    InternalServerError,
    NotFoundError,
    ProxyError,
    StoppedError,
    UpgradeRefusedError,
    WrongKeyError,
    WrongKindOfKeyError,
)
from server.gemini.events import Event
from server.gemini.types import Call, EmbedCall, Json
from server.inspector import note
from server.limits import VECTORS_AT_ONCE
from server.storage.responses import ResponseStore

log = logging.getLogger(__name__)

AnyCall = TypeVar("AnyCall", Call, EmbedCall)
Parse = Callable[[Json, Params], AnyCall]

KEEP_ALIVE_S = 10.0
"""Silence after which a waiting stream says that it is still there."""

_IGNORED = ("/api/event_logging", "/api/hello")
"""Probes and telemetry of Claude Code: answered, never read."""


class Elsewhere(Protocol):
    """What answers the addresses that are no API route (``server.host.local_endpoints``)."""

    async def __call__(self, request: Request, *, refusal: ProxyError | None = None) -> None: ...

    async def routes(self) -> Sequence[tuple[str, str]]:
        """(method, path) of every page."""
        ...


class Edge:
    """The ASGI application."""

    def __init__(
        self,
        pipeline: Pipeline,
        access: Access,
        dialects: Sequence[Dialect],
        behind: Elsewhere,
        responses: ResponseStore,
        *,
        keep_alive_s: float = KEEP_ALIVE_S,
    ) -> None:
        self.access = access
        self._pipeline = pipeline
        self._dialects = dialects
        self._routes = Routes(dialects)
        self._behind = behind
        self._responses = responses
        self._keep_alive_s = keep_alive_s
        self._bodies = Bodies()
        self._running: set[asyncio.Task[None]] = set()
        self._stopping = False

    def stop(self) -> None:
        """End every request under way with a 503, or the in-stream error that stands for it."""
        self._stopping = True
        self._pipeline.throttle.close()
        for work in self._running:
            work.cancel()

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] == "http":
            await self._http(scope, receive, send)
        else:
            await _live(receive, send)

    def _admit(self, request: Request, *, is_api: bool) -> None:
        """Let the request in, or raise the ``ProxyError`` that says why not."""
        request.last = True
        check_head(request.scope)
        request.last = wants_websocket(request.headers)
        client = request.scope.get("client")
        request.caller = self.access.check(
            request.method,
            request.path,
            request.headers,
            client[0] if client else None,
            "api" if is_api else "page",
            address_keys=keys if (keys := request.address_keys) and takes_key(request.path) else (),
        )
        if request.last:  # Codex then speaks HTTP at once; after another refusal only in seconds
            raise UpgradeRefusedError(
                "There are no WebSockets here. Send the same request as POST, over HTTP."
            )

    async def _http(self, scope: Scope, receive: Receive, send: Send) -> None:
        scope, keys = without_key(origin_form(scope))
        headers = headers_of(scope)
        if "content-length" in headers or "transfer-encoding" in headers:
            incoming = Incoming(receive, send)
            receive, send = incoming.receive, incoming.send
        await self._answer(Request(scope, receive, send, headers, address_keys=keys))

    async def _answer(self, request: Request) -> None:
        headers = request.headers
        is_api = request.path.startswith(API_ROOTS) or not _is_for_pages(request)
        dialect = self._routes.dialect_of(request.method, request.path, headers)
        try:
            self._admit(request, is_api=is_api)
        except ProxyError as error:
            await self._refuse(request, dialect, error)
            return
        if request.method == "OPTIONS":
            await send_preflight(request)
        elif request.path.startswith(_IGNORED) or (request.method, request.path) == ("HEAD", "/"):
            await send_body(request, 200, b"", {})
        elif (request.method, request.path) == ("GET", openapi.PATH):
            pages = [("GET", openapi.PATH), *await self._behind.routes()]
            document = openapi.describe(self._dialects, pages)
            await send_json(request, dialect, document, {})
        elif is_api:
            await self._api(request, dialect)
        elif is_page(request.path) and asks_for_data(headers):
            await send_error(request, dialect, page_only(request.method, request.path))
        else:
            await self._behind(request)

    async def _refuse(self, request: Request, dialect: Dialect, error: ProxyError) -> None:
        """A browser gets a page where it asked for one, everybody else the dialect's error."""
        request.caller = self.access.caller_refused(request.headers)
        if isinstance(error, WrongKeyError):
            await self._slow_down(request)
        by_key = isinstance(error, AuthenticationError | WrongKindOfKeyError)
        looks = request.method in ("GET", "HEAD") or takes_html(request.headers)
        opened = is_page(request.path) and looks and not is_by_program(request.headers)
        if by_key and opened:
            await self._behind(request, refusal=error)
        else:
            await send_error(request, dialect, error)

    async def _slow_down(self, request: Request) -> None:
        """Hold the refusal of a wrong key back, while its sender is there to wait for it."""
        client = request.scope.get("client")
        wait_s = self.access.guesses.wrong(str(client[0]) if client else "")
        if wait_s:
            await stay(request, wait_s)

    async def _api(self, request: Request, dialect: Dialect) -> None:
        """Find the route, run it while the client listens, and word its errors in its dialect."""
        task = cast("asyncio.Task[None]", asyncio.current_task())
        self._running.add(task)
        try:
            self._pipeline.inspector.attend()
            found = self._routes.find(request.method, request.path, dialect)
            dialect, route, placeholders = found
            work = self._operate(request, dialect, route.operation, placeholders)
            await while_connected(request, work)
        except ProxyError as error:
            await send_error(request, dialect, self._veiled(error, request))
        except Exception:
            log.exception("%s failed", request.id)
            await send_error(request, dialect, _our_fault(request))
        finally:
            self._running.discard(task)

    def _veiled(self, error: ProxyError, request: Request) -> ProxyError:
        """The error without the owner's addresses and files, for a caller who may not see them."""
        error.message = self.access.veiled(error.message, request.caller)
        return error

    async def _operate(
        self,
        request: Request,
        dialect: Dialect,
        operation: Operation,
        placeholders: Mapping[str, str],
    ) -> None:
        with self._until_stopped(), self._bodies.share() as request.share:
            await self._run(request, dialect, operation, placeholders)

    async def _run(
        self,
        request: Request,
        dialect: Dialect,
        operation: Operation,
        placeholders: Mapping[str, str],
    ) -> None:
        params = request.params(
            placeholders, partial(self._responses.recall, owner=request.caller.key)
        )
        match operation:
            case Generate():
                await self._generate(request, dialect, operation, params)
            case CountTokens():
                call = await self._call(request, operation.parse, params)
                count, estimated = await self._pipeline.count(call)
                flag = {"x-token-estimate": "true"} if estimated else {}
                await send_json(request, dialect, operation.encode(count), flag)
            case ListModels():
                models = await self._pipeline.models()
                await send_json(request, dialect, operation.encode(models, params), {})
            case GetModel():
                model = await self._pipeline.model(placeholders["id"])
                await send_json(request, dialect, operation.encode(model), {})
            case Embed():
                await self._embed(request, dialect, operation, params)
            case Recall():
                record = self._responses.get(placeholders["id"], request.caller.key)
                if record is None:
                    raise _not_kept(placeholders["id"])
                await send_json(request, dialect, operation.encode(record, params), {})
            case Forget():
                forget, name = self._responses.forget, placeholders["id"]
                if not await asyncio.to_thread(forget, name, request.caller.key):
                    raise _not_kept(placeholders["id"])
                await send_json(request, dialect, operation.encode(placeholders["id"]), {})
            case _:
                assert_never(operation)

    async def _call(self, request: Request, parse: Parse[AnyCall], params: Params) -> AnyCall:
        """What the body asks for; from here on the inspector follows this request."""
        body = await read_body(request.receive, request.headers, request.share)
        large = body.is_large

        def understand() -> AnyCall:
            said = body.json()
            what, client = f"{request.method} {request.path}", client_name(request.headers)
            self._pipeline.inspector.watch(request.id, what, client, time.time(), said)
            return parse(said, params)

        call = await off_loop(understand, when=large)
        if large and isinstance(call, Call):
            call.large = True
        return call

    def _exchange(self, request: Request, dialect: Dialect, operation: str) -> Exchange:
        return Exchange(
            id=request.id,
            dialect=dialect.name,
            operation=operation,
            client=client_name(request.headers),
        )

    async def _embed(
        self, request: Request, dialect: Dialect, operation: Embed, params: Params
    ) -> None:
        exchange = self._exchange(request, dialect, "embed")
        with self._pipeline.recorded(exchange), self._until_stopped():
            call = await self._call(request, operation.parse, params)
            embedding = await self._pipeline.embed(call, exchange)
            flag = {"x-embedding-mock": "true"} if embedding.mock else {}
            pieces = await off_loop(
                lambda: dump_pieces(operation.encode(call, embedding)),
                when=len(embedding.vectors) > VECTORS_AT_ONCE,
            )
            head = {"content-type": "application/json", **facts(exchange), **flag}
            await send_body(request, 200, pieces, head, dialect)

    async def _generate(
        self, request: Request, dialect: Dialect, operation: Generate, params: Params
    ) -> None:
        exchange = self._exchange(request, dialect, "generate")
        with self._pipeline.recorded(exchange), self._until_stopped():
            call = await self._call(request, operation.parse, params)
            if call.stream:
                await self._stream(request, dialect, operation, call, exchange)
                return
            events: list[Event] = []
            async with contextlib.aclosing(self._pipeline.generate(call, exchange)) as batches:
                async for batch in batches:
                    events.extend(batch)
            answer = operation.encode(call, events)
            await self._keep(operation, call, request)
            await send_json(request, dialect, answer, facts(exchange) | self._limits())

    async def _keep(self, operation: Generate, call: Call, request: Request) -> None:
        """Keep the answer for later requests, where its dialect wants that."""
        key = request.caller.key
        await off_loop(lambda: self._responses.keep(operation.keep(call), key), when=call.large)

    async def _stream(
        self,
        request: Request,
        dialect: Dialect,
        operation: Generate,
        call: Call,
        exchange: Exchange,
    ) -> None:
        """Send frames as they come. Once the 200 is out, a failure becomes the dialect's own
        in-stream error, never a cut connection."""
        encoder = operation.encoder(call)
        out = _Stream(request, dialect, encoder, exchange, self._limits())
        out.keep_alive(self._keep_alive_s)
        try:
            with self._until_stopped():
                async with contextlib.aclosing(self._pipeline.generate(call, exchange)) as batches:
                    async for batch in batches:
                        await out.write(b"".join(map(encoder.feed, batch)))
            end = encoder.finish()
            await self._keep(operation, call, request)
            await out.write(end)
        except ProxyError as error:
            if not (out.started or operation.in_stream(call, error)):
                raise
            exchange.fail(error)
            note_failure(request, dialect, "in mid-stream", error)
            await out.write(encoder.fail(self._veiled(error, request)))
        except Exception:
            if not out.started:
                raise
            log.exception("%s failed in mid-stream", request.id)
            fault = _our_fault(request)
            exchange.fail(fault)
            await out.write(encoder.fail(fault))
        finally:
            out.be_quiet()
        await out.end()

    @contextlib.contextmanager
    def _until_stopped(self) -> Iterator[None]:
        """Turn the cancellation that ``stop`` sends into an error the client can read."""
        try:
            yield
        except asyncio.CancelledError:
            task = asyncio.current_task()
            if not self._stopping or task is None:
                raise
            task.uncancel()
            raise StoppedError(
                "The proxy was stopped while it was answering.", retry_after_s=5
            ) from None

    def _limits(self) -> dict[str, str]:
        """OpenAI's rate-limit headers, from RATE_LIMIT; nothing when there is no limit to tell."""
        state = self._pipeline.throttle.state()
        if not state.rate_limit_s:
            return {}
        return {
            "x-ratelimit-limit-requests": "1",
            "x-ratelimit-remaining-requests": "0" if state.next_free_in_s > 0 else "1",
            "x-ratelimit-reset-requests": f"{state.next_free_in_s:.3f}s",
        }


@dataclass(slots=True)
class _Stream:
    """One streamed response. The head goes out with the first bytes, so an early error keeps its
    HTTP status; after a silence it goes out with a keep-alive."""

    request: Request
    dialect: Dialect
    encoder: StreamEncoder
    exchange: Exchange
    headers: dict[str, str]
    started: bool = False
    _spoke_at: float = 0.0
    _looking: asyncio.TimerHandle | None = None
    _speaking: asyncio.Task[None] | None = None

    async def write(self, data: bytes) -> None:
        if not data:
            return
        if not self.started:
            self.started = True
            headers = {
                "content-type": f"{self.encoder.media_type}; charset=utf-8",
                "cache-control": "no-cache",
                "x-accel-buffering": "no",
                **facts(self.exchange),
                **self.headers,
            }
            await send_head(self.request, 200, headers, self.dialect)
        self._spoke_at = asyncio.get_running_loop().time()
        note("answer", data)
        await self.request.send({"type": "http.response.body", "body": data, "more_body": True})

    def keep_alive(self, silence_s: float, wait_s: float | None = None) -> None:
        """Speak whenever nothing was said for ``silence_s``: a look after that long, no task."""
        loop = asyncio.get_running_loop()

        def look() -> None:
            silent_s = loop.time() - self._spoke_at
            if silent_s < silence_s:
                self.keep_alive(silence_s, silence_s - silent_s)
            else:
                self._speaking = asyncio.create_task(self.write(self.encoder.keep_alive()))
                self.keep_alive(silence_s)

        self._spoke_at = self._spoke_at or loop.time()
        self._looking = loop.call_later(wait_s or silence_s, look)

    def be_quiet(self) -> None:
        """No more of it."""
        for pending in (self._looking, self._speaking):
            if pending is not None:
                pending.cancel()

    async def end(self) -> None:
        await self.request.send({"type": "http.response.body", "body": b"", "more_body": False})


async def _live(receive: Receive, send: Send) -> None:
    """The lifespan protocol: nothing of ours waits for it."""
    message = {"type": ""}
    while message["type"] != "lifespan.shutdown":
        message = await receive()
        await send({"type": f"{message['type']}.complete"})


def _is_for_pages(request: Request) -> bool:
    """Whether a browser asks, or a page, a figure or a probe of ours is asked for."""
    path, headers = request.path, request.headers
    if wants_websocket(headers):
        return False
    if is_page(path) or path in ENDPOINTS or path.startswith(_IGNORED):
        return True
    opened = request.method in ("GET", "HEAD") and takes_html(headers)
    return opened and not is_by_program(headers)


def _our_fault(request: Request) -> InternalServerError:
    return InternalServerError(
        f"The proxy failed on this request ({request.id}); its log has the details."
    )


def _not_kept(name: str) -> NotFoundError:
    return NotFoundError(
        f"No answer with the id {name} is kept here (any more): see RESPONSE_STORE.", param="id"
    )
