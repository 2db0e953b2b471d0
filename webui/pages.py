"""The pages and the small JSON endpoints beside them: a Quart application behind the edge.

Plain server-rendered HTML that works with scripts off. A form that changes anything carries the
page token of this server start. Nothing here returns a credential, except the generated API key,
shown to this machine only.
"""

import asyncio
import json
from collections.abc import AsyncIterator
from typing import Any

from quart import Quart, Response, g, redirect, render_template, request

from server import __version__, metrics
from server.access import COOKIE
from server.gateway import Gateway
from webui.connect import ConnectPage
from webui.dashboard import Dashboard
from webui.forms import Forms
from webui.help import HelpPage
from webui.inspect import InspectPage
from webui.labels import FILTERS
from webui.settings import SettingsPage
from webui.setup import SetupPage

CONTENT_SECURITY_POLICY = "; ".join(
    (
        "default-src 'none'",
        "script-src 'self'",
        "style-src 'self'",
        "img-src 'self' data:",
        "connect-src 'self'",
        "form-action 'self'",
        "frame-ancestors 'none'",
        "base-uri 'none'",
    )
)
FEED_PING_S = 25.0
_JSON_PATHS = ("/usage", "/metrics", "/events")


def create_pages(gateway: Gateway) -> Quart:
    """The application, bound to the running parts."""
    app = Quart(__name__)
    app.config["MAX_CONTENT_LENGTH"] = 1024 * 1024
    app.jinja_env.globals["version"] = __version__
    app.jinja_env.filters.update(FILTERS)
    pages, forms = _Pages(gateway), Forms(gateway)
    setup, settings, inspect = SetupPage(forms), SettingsPage(forms), InspectPage(forms)
    connect = ConnectPage(forms)
    app.before_request(pages.gate)
    app.after_request(_harden)
    for method, path, view in (
        ("GET", "/", Dashboard(forms).show),
        ("GET", "/setup", setup.show),
        ("POST", "/setup", setup.change),
        ("GET", "/connect", connect.show),
        ("POST", "/connect", connect.change),
        ("GET", "/settings", settings.show),
        ("POST", "/settings", settings.change),
        ("GET", "/help", HelpPage(forms).show),
        ("GET", "/inspect", inspect.show),
        ("POST", "/inspect", inspect.change),
        ("GET", "/auth", setup.came_back),
        ("GET", "/oauth2callback", setup.came_back),
        ("POST", "/login", pages.log_in),
        ("GET", "/usage", pages.usage),
        ("GET", "/health", pages.health),
        ("GET", "/metrics", pages.metrics),
        ("GET", "/events", pages.events),
    ):
        app.add_url_rule(path, f"{method} {path}", view, methods=[method])
    app.register_error_handler(404, pages.not_found)
    return app


def _harden(response: Response) -> Response:
    response.headers.update(
        {
            "Content-Security-Policy": CONTENT_SECURITY_POLICY,
            "Referrer-Policy": "same-origin",
            "X-Content-Type-Options": "nosniff",
            "X-Frame-Options": "DENY",
        }
    )
    if not request.path.startswith("/static/"):
        response.headers["Cache-Control"] = "no-store"
    return response


class _Pages:
    """The views of one server."""

    def __init__(self, gateway: Gateway) -> None:
        self._gateway = gateway

    async def gate(self) -> Any:
        """Whoever the access check turned away gets the login form, and nothing else."""
        locked = request.scope.get("gemini_proxy.locked", False)
        g.local = request.scope.get("gemini_proxy.local", False)
        if not locked or request.path in ("/login", "/static/style.css", "/static/icon.svg"):
            return None
        if request.path in _JSON_PATHS:
            return {"error": {"message": "This server wants its API key."}}, 401
        return await render_template("login.html", locked=True), 401

    async def log_in(self) -> Any:
        form = await request.form
        key = str(form.get("key", "")).strip()
        access = self._gateway.access
        if not access.is_key(key):
            return await render_template("login.html", locked=True, failed=True), 401
        response = redirect("/", 303)
        response.set_cookie(COOKIE, access.cookie_value(key), httponly=True, samesite="Lax")
        return response

    async def usage(self) -> dict[str, Any]:
        return await self._gateway.usage.summary()

    async def health(self) -> dict[str, Any]:
        status = self._gateway.status()
        return {
            "status": "ok",
            "version": status.version,
            "upstream": status.upstream,
            "authenticated": status.account.authenticated,
            "rate_limit": status.throttle.rate_limit_s,
            "wait_mode": status.throttle.wait_mode,
        }

    async def metrics(self) -> Response:
        text = self._gateway.metrics.render()
        return Response(text, content_type=metrics.CONTENT_TYPE)

    async def events(self) -> Response:
        """The change feed as server-sent events."""
        response = Response(self._feed(), content_type="text/event-stream")
        response.timeout = None
        return response

    async def _feed(self) -> AsyncIterator[bytes]:
        with self._gateway.usage.feed() as queue:
            yield b": connected\n\n"
            while not self._gateway.stopping.is_set():
                try:
                    change = await asyncio.wait_for(queue.get(), FEED_PING_S)
                except TimeoutError:
                    yield b": still here\n\n"
                else:
                    yield b"data: " + json.dumps(change).encode() + b"\n\n"

    async def not_found(self, _error: Exception) -> Any:
        page = await render_template(
            "message.html", heading="Nothing here", message="There is no such page.", failed=True
        )
        return page, 404
