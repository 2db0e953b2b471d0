"""What stands behind the edge: answers about the server itself, and the pages.

``/health``, ``/usage``, ``/metrics`` and ``/events`` are asked by programs and answered here. Every
other address is a page. The pages' application costs 8 MB and a third of a second, which a server
without visitors never spends: it is built with the first of them, in a thread, so that no stream
waits for it.
"""

import asyncio
import json
import re
from collections.abc import Awaitable, Callable
from typing import Any

from server.edge.request import Request, Send, dump, send_body, send_head, while_connected
from server.errors import ProxyError
from server.host.gateway import Gateway
from server.storage import metrics

Application = Callable[[Any, Any, Any], Awaitable[None]]
"""(scope, receive, send); every framework types them in its own way."""

FEED_PING_S = 25.0

_JSON = {"content-type": "application/json"}
_HARDENED = {
    "content-security-policy": "default-src 'none'; frame-ancestors 'none'",
    "referrer-policy": "same-origin",
    "x-content-type-options": "nosniff",
    "x-frame-options": "DENY",
    "cache-control": "no-store",
}


class Behind:
    """Answers what is not an API route. The edge has checked the caller, and says in the scope who
    it is (``gemini_proxy.caller``) and why it is turned away (``gemini_proxy.refusal``)."""

    def __init__(self, gateway: Gateway, make_pages: Callable[[Gateway], Application]) -> None:
        self._gateway = gateway
        self._make_pages = make_pages
        self._pages: asyncio.Future[Application] | None = None
        self._views = {
            "/health": self._health,
            "/usage": self._usage,
            "/metrics": self._metrics,
            "/events": self._events,
        }

    async def __call__(self, request: Request, *, refusal: ProxyError | None = None) -> None:
        """Answer ``request``; ``refusal``: why its caller may not see what it asks for."""
        view = self._views.get(request.path)
        if view is not None and request.method in ("GET", "HEAD"):
            await view(request)
            return
        scope = {
            **request.scope,
            "gemini_proxy.refusal": refusal,
            "gemini_proxy.caller": request.caller,
        }
        await (await self.pages())(scope, request.receive, _with_id(request))

    async def pages(self) -> Application:
        """The pages' application, built when it is first wanted."""
        if self._pages is None:
            building = asyncio.to_thread(self._make_pages, self._gateway)
            self._pages = asyncio.ensure_future(building)
        return await asyncio.shield(self._pages)

    async def routes(self) -> list[tuple[str, str]]:
        """(method, path) of everything here, where the pages can tell theirs."""
        rules = getattr(await self.pages(), "url_map", None)
        found = [("GET", path) for path in self._views]
        for rule in rules.iter_rules() if rules is not None else ():
            path = re.sub(r"<(?:\w+:)?(\w+)>", r"{\1}", rule.rule)
            found += [(method, path) for method in sorted(rule.methods - {"HEAD", "OPTIONS"})]
        return found

    async def _health(self, request: Request) -> None:
        status = self._gateway.status()
        health = {
            "status": "ok",
            "version": status.version,
            "upstream": status.upstream,
            "authenticated": status.account.authenticated,
            "rate_limit": status.throttle.rate_limit_s,
            "wait_mode": status.throttle.wait_mode,
        }
        await send_body(request, 200, dump(health), _JSON | _HARDENED)

    async def _usage(self, request: Request) -> None:
        body = dump(await self._gateway.usage.summary())
        if not request.caller.is_owner:
            body = self._gateway.access.veiled(body.decode(), request.caller).encode()
        await send_body(request, 200, body, _JSON | _HARDENED)

    async def _metrics(self, request: Request) -> None:
        text = await asyncio.to_thread(self._gateway.metrics.render)
        await send_body(request, 200, text, _HARDENED | {"content-type": metrics.CONTENT_TYPE})

    async def _events(self, request: Request) -> None:
        """The change feed as server-sent events, while somebody listens."""
        head = {"content-type": "text/event-stream; charset=utf-8", "x-accel-buffering": "no"}
        await send_head(request, 200, _HARDENED | head, None)
        if request.method == "GET":
            await while_connected(request, self._feed(request))
        await request.send({"type": "http.response.body", "body": b"", "more_body": False})

    async def _feed(self, request: Request) -> None:
        async def say(line: bytes) -> None:
            body = line + b"\n\n"
            await request.send({"type": "http.response.body", "body": body, "more_body": True})

        with self._gateway.usage.feed() as queue:
            await say(b": connected")
            while not self._gateway.stopping.is_set():
                try:
                    # Not wait_for: Python 3.11's forgets a cancellation that comes together with a
                    # change, and the feed would go on for ever, for nobody.
                    async with asyncio.timeout(FEED_PING_S):
                        change = await queue.get()
                except TimeoutError:
                    await say(b": still here")
                else:
                    told = self._gateway.access.veiled(json.dumps(change), request.caller)
                    await say(b"data: " + told.encode())


def _with_id(request: Request) -> Send:
    """``send`` of the pages' application, with the id that every answer has."""

    async def send(message: dict[str, Any]) -> None:
        if message["type"] == "http.response.start":
            given = (b"x-request-id", request.id.encode("ascii"))
            message = {**message, "headers": [*message["headers"], given]}
        await request.send(message)

    return send
