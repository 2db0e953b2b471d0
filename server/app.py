"""The edge: HTTP in, HTTP out. Binds every dialect's routes to the pipeline.

An ASGI application of two layers. API routes are answered here, directly: a stream needs to know at
once that its client left, and costs nothing it does not need. Everything else (``/health``,
``/usage``, the pages) is ``server/behind.py``. The access check stands before both.
"""

import asyncio
import contextlib
import logging
import re
import time
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache
from typing import assert_never, cast
from urllib.parse import unquote

from server import openapi
from server.access import Access
from server.behind import Behind
from server.body import Incoming, read_json
from server.connections import bounded
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
    Route,
    StreamEncoder,
)
from server.errors import (
    InternalServerError,
    MethodNotAllowedError,
    NotFoundError,
    OverloadedError,
    ProxyError,
    UpgradeRefusedError,
)
from server.exchange import Exchange, client_name
from server.gemini.events import Event
from server.gemini.types import Call, Json
from server.heads import check_head, headers_of, origin_form
from server.inspector import note
from server.pipeline import Pipeline
from server.reply import (
    Receive,
    Request,
    Scope,
    Send,
    facts,
    send_body,
    send_error,
    send_head,
    send_json,
    send_preflight,
    while_connected,
)
from server.response_store import ResponseStore

log = logging.getLogger(__name__)

KEEP_ALIVE_S = 10.0
"""Silence after which a waiting stream says that it is still there."""

USUAL_PATH = 200
"""Characters of an address whose route is remembered."""

_API_ROOTS = (
    *("/v1", "/anthropic", "/models", "/chat", "/completions", "/embeddings", "/messages"),
    "/responses",
)
_VERSION = re.compile(r"/v1(?:beta)?(?=/|$)")
_IGNORED = ("/api/event_logging", "/api/hello")
"""Probes and telemetry of Claude Code: answered, never read."""


class Edge:
    """The ASGI application."""

    def __init__(
        self,
        pipeline: Pipeline,
        access: Access,
        dialects: Sequence[Dialect],
        behind: Behind,
        responses: ResponseStore,
        *,
        keep_alive_s: float = KEEP_ALIVE_S,
    ) -> None:
        self.access = access
        self._pipeline = pipeline
        self._dialects = dialects
        self._behind = behind
        self._responses = responses
        self._keep_alive_s = keep_alive_s
        self._running: set[asyncio.Task[None]] = set()
        self._stopping = False
        self._route = lru_cache(256)(self._find)

    def stop(self) -> None:
        """End every request under way with a 503, or the in-stream error that stands for it."""
        self._stopping = True
        self._pipeline.throttle.close()
        for work in self._running:
            work.cancel()

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] == "http":
            slow = scope["http_version"] == "2"
            await self._http(scope, receive, bounded(send) if slow else send)
        else:
            await _live(receive, send)

    def _admit(self, request: Request, *, is_api: bool) -> None:
        """Let the request in, or raise the ``ProxyError`` that says why not."""
        request.last = True
        check_head(request.scope)
        request.last = _wants_websocket(request.headers)
        client = request.scope.get("client")
        request.caller = self.access.check(
            request.method,
            request.path,
            request.headers,
            client[0] if client else None,
            "api" if is_api else "page",
        )
        if request.last:  # Codex then speaks HTTP at once; after another refusal only in seconds
            raise UpgradeRefusedError(
                "There are no WebSockets here. Send the same request as POST, over HTTP."
            )

    async def _http(self, scope: Scope, receive: Receive, send: Send) -> None:
        scope = origin_form(scope)
        headers = headers_of(scope)
        if "content-length" in headers or "transfer-encoding" in headers:
            incoming = Incoming(receive, send)
            receive, send = incoming.receive, incoming.send
        await self._answer(Request(scope, receive, send, headers))

    async def _answer(self, request: Request) -> None:
        headers = request.headers
        is_api = request.path.startswith(_API_ROOTS) or _wants_websocket(headers)
        dialect = self._dialect_of(headers, request.path)
        try:
            self._admit(request, is_api=is_api)
        except ProxyError as error:
            if not is_api and error.status == 401:
                await self._behind(request, locked=True)
            else:
                await send_error(request, dialect, error)
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
        else:
            await self._behind(request, locked=False)

    def _dialect_of(self, headers: Mapping[str, str], path: str) -> Dialect:
        """The dialect these headers speak; else the last one that has addresses of this root."""
        speaking = next((d for d in self._dialects if d.speaks(headers)), None)
        if speaking is not None:
            return speaking
        root = "/".join(path.split("/", 2)[:2]) + "/"
        owners = [d for d in self._dialects if any(r.path.startswith(root) for r in d.routes)]
        return (owners or self._dialects)[-1]

    async def _api(self, request: Request, dialect: Dialect) -> None:
        """Find the route, run it while the client listens, and word its errors in its dialect."""
        task = cast("asyncio.Task[None]", asyncio.current_task())
        self._running.add(task)
        try:
            self._pipeline.inspector.attend()
            find = self._route if len(request.path) < USUAL_PATH else self._find
            dialect, route, placeholders = find(request.method, request.path, dialect.name)
            work = self._operate(request, dialect, route.operation, placeholders)
            await while_connected(request, work)
        except ProxyError as error:
            await send_error(request, dialect, error)
        except Exception:
            log.exception("%s failed", request.id)
            await send_error(request, dialect, _our_fault(request))
        finally:
            self._running.discard(task)

    def _find(
        self, method: str, asked: str, fallback: str
    ) -> tuple[Dialect, Route, Mapping[str, str]]:
        """The route of an address; the dialect named ``fallback`` is asked first."""
        path = canonical(asked)
        found = []
        other_method = False
        for dialect in sorted(self._dialects, key=lambda dialect: dialect.name != fallback):
            for route in dialect.routes:
                placeholders = match(route.path, path)
                if placeholders is None:
                    continue
                if route.method == method:
                    found.append((dialect, route, placeholders))
                # Only an address without placeholders is known to exist.
                other_method = other_method or not placeholders
        if found:
            return found[0]
        if other_method:
            raise MethodNotAllowedError(f"{method} is not supported at {asked}.")
        raise NotFoundError(f"There is nothing at {method} {asked}.")

    async def _operate(
        self,
        request: Request,
        dialect: Dialect,
        operation: Operation,
        placeholders: Mapping[str, str],
    ) -> None:
        with self._until_stopped():
            await self._run(request, dialect, operation, placeholders)

    async def _run(
        self,
        request: Request,
        dialect: Dialect,
        operation: Operation,
        placeholders: Mapping[str, str],
    ) -> None:
        params = request.params(placeholders, self._responses.recall)
        match operation:
            case Generate():
                await self._generate(request, dialect, operation, params)
            case CountTokens():
                call = operation.parse(await self._read(request), params)
                tokens, estimated = await self._pipeline.count(call)
                flag = {"x-token-estimate": "true"} if estimated else {}
                await send_json(request, dialect, operation.encode(tokens), flag)
            case ListModels():
                models = await self._pipeline.models()
                await send_json(request, dialect, operation.encode(models, params), {})
            case GetModel():
                model = await self._pipeline.model(placeholders["id"])
                await send_json(request, dialect, operation.encode(model), {})
            case Embed():
                await self._embed(request, dialect, operation, params)
            case Recall():
                record = self._responses.get(placeholders["id"])
                if record is None:
                    raise _not_kept(placeholders["id"])
                await send_json(request, dialect, operation.encode(record, params), {})
            case Forget():
                if not await asyncio.to_thread(self._responses.forget, placeholders["id"]):
                    raise _not_kept(placeholders["id"])
                await send_json(request, dialect, operation.encode(placeholders["id"]), {})
            case _:
                assert_never(operation)

    async def _read(self, request: Request) -> Json:
        """The body; from here on the inspector follows this request."""
        body = await read_json(request.receive, request.headers)
        what, client = f"{request.method} {request.path}", client_name(request.headers)
        self._pipeline.inspector.watch(request.id, what, client, time.time(), body)
        return body

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
            call = operation.parse(await self._read(request), params)
            embedding = await self._pipeline.embed(call, exchange)
            flag = {"x-embedding-mock": "true"} if embedding.mock else {}
            body = operation.encode(call, embedding)
            await send_json(request, dialect, body, {**facts(exchange), **flag})

    async def _generate(
        self, request: Request, dialect: Dialect, operation: Generate, params: Params
    ) -> None:
        exchange = self._exchange(request, dialect, "generate")
        with self._pipeline.recorded(exchange), self._until_stopped():
            call = operation.parse(await self._read(request), params)
            if call.stream:
                await self._stream(request, dialect, operation, call, exchange)
                return
            events: list[Event] = []
            async with contextlib.aclosing(self._pipeline.generate(call, exchange)) as batches:
                async for batch in batches:
                    events.extend(batch)
            answer = operation.encode(call, events)
            self._responses.keep(operation.keep(call))
            await send_json(request, dialect, answer, facts(exchange) | self._limits())

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
            self._responses.keep(operation.keep(call))
            await out.write(end)
        except ProxyError as error:
            if not (out.started or operation.in_stream(call, error)):
                raise
            exchange.fail(error)
            await out.write(encoder.fail(error))
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
            raise OverloadedError(
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


def canonical(path: str) -> str:
    """The path as routes are written: base URLs come with, without and with a doubled version."""
    version, rest = "/v1", path.removeprefix("/anthropic")
    while found := _VERSION.match(rest):
        version, rest = found[0], rest[found.end() :]
    return version + rest.rstrip("/")


def match(pattern: str, path: str) -> dict[str, str] | None:
    """The placeholder values when ``path`` fits. ``{id}`` takes what stands in its place; slashes
    only where no further path segment follows."""
    before, placeholder, after = pattern.partition("{id}")
    if not placeholder:
        return {} if pattern == path else None
    if not (path.startswith(before) and path.endswith(after)):
        return None
    value = path[len(before) : len(path) - len(after)]
    if not value or ("/" in value and after.startswith("/")):
        return None
    return {"id": unquote(value)}


def _wants_websocket(headers: Mapping[str, str]) -> bool:
    return headers.get("upgrade", "").lower() == "websocket"


async def _live(receive: Receive, send: Send) -> None:
    """The lifespan protocol: nothing of ours waits for it."""
    message = {"type": ""}
    while message["type"] != "lifespan.shutdown":
        message = await receive()
        await send({"type": f"{message['type']}.complete"})


def _our_fault(request: Request) -> InternalServerError:
    return InternalServerError(
        f"The proxy failed on this request ({request.id}); its log has the details."
    )


def _not_kept(name: str) -> NotFoundError:
    return NotFoundError(
        f"No answer with the id {name} is kept here (any more): see RESPONSE_STORE.", param="id"
    )
