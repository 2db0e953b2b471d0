"""The pages and the small JSON endpoints beside them: a Quart application behind the edge.

Plain server-rendered HTML that works with scripts off. A form that changes anything carries the
page token of this server start. Nothing here returns a credential, except the generated API key,
shown to this machine only.
"""

import asyncio
import hmac
import json
import secrets
from collections.abc import AsyncIterator
from typing import Any

from quart import Quart, Response, g, redirect, render_template, request

from server import __version__, metrics
from server.access import COOKIE
from server.errors import ProxyError
from server.gateway import Gateway
from server.settings import SettingsError

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
    pages = _Pages(gateway)
    app.before_request(pages.gate)
    app.after_request(_harden)
    for path, view, methods in (
        ("/", pages.dashboard, ["GET"]),
        ("/setup", pages.setup, ["GET"]),
        ("/setup", pages.change_setup, ["POST"]),
        ("/settings", pages.change_settings, ["POST"]),
        ("/auth", pages.came_back, ["GET"]),
        ("/oauth2callback", pages.came_back, ["GET"]),
        ("/login", pages.log_in, ["POST"]),
        ("/usage", pages.usage, ["GET"]),
        ("/health", pages.health, ["GET"]),
        ("/metrics", pages.metrics, ["GET"]),
        ("/events", pages.events, ["GET"]),
    ):
        name = f"{view.__name__}{path.replace('/', '_')}"
        app.add_url_rule(path, name, view, methods=methods)
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


def read_aliases(text: str) -> dict[str, str]:
    """``name = Gemini id``, one per line. Raises ``SettingsError`` naming the line."""
    table = {}
    for line in filter(None, map(str.strip, text.splitlines())):
        name, equals, target = (part.strip() for part in line.partition("="))
        if not (name and equals and target):
            raise SettingsError("ALIASES", line, "lines of the form name = Gemini id", "default")
        table[name] = target
    return table


class _Pages:
    """The views of one server."""

    def __init__(self, gateway: Gateway) -> None:
        self._gateway = gateway
        self._token = secrets.token_urlsafe(24)

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

    async def dashboard(self) -> str:
        gateway = self._gateway
        settings = gateway.settings
        return await render_template(
            "dashboard.html",
            status=gateway.status(),
            usage=await gateway.usage.summary(),
            base_url=gateway.base_url,
            api_key=gateway.access.generated_key if g.local else None,
            key_is_set=bool(settings.api_keys),
            token=self._token,
            aliases=settings.aliases,
            pinned={
                name: f"the {settings.source(name)}"
                for name in ("RATE_LIMIT", "WAIT_MODE", "UPSTREAM")
                if settings.pinned(name)
            },
        )

    async def setup(self, message: str | None = None, *, failed: bool = False) -> str:
        gateway = self._gateway
        offer = await gateway.offer_sign_in()
        return await render_template(
            "setup.html",
            status=gateway.status(),
            message=message,
            failed=failed,
            token=self._token,
            doors=gateway.doors.listed(),
            ready=gateway.doors.configured(),
            chosen=gateway.settings.upstream,
            has_key=gateway.settings.gemini_api_key is not None,
            signed_in=gateway.tokens.signed_in,
            sign_in_url=offer.url,
            state=offer.state,
            client_source=offer.source,
            client_problem=offer.problem,
        )

    async def change_setup(self) -> Any:
        form = await request.form
        if not self._is_ours(form.get("token")):
            return await self._refuse()
        try:
            message = await self._act(
                str(form.get("action", "")), {k: str(v) for k, v in form.items()}
            )
        except (ProxyError, SettingsError) as error:
            return await self.setup(str(error), failed=True), 400
        return await self.setup(message)

    async def _act(self, action: str, form: dict[str, str]) -> str:
        gateway = self._gateway
        if action == "code":
            await gateway.finish_sign_in(form.get("state", ""), form.get("code", ""))
            return "Signed in."
        if action == "key":
            await gateway.change("GEMINI_API_KEY", form.get("key", "").strip())
            return "The key is saved."
        if action == "client":
            files = await request.files
            uploaded = files.get("file")
            gateway.keep_client(uploaded.read().decode("utf-8", "replace") if uploaded else "")
            return "The OAuth client is saved."
        if action == "gemini-cli":
            await gateway.change("USE_GEMINI_CLI_CLIENT", value=True)
            return "The Gemini CLI's own client is used from now on, if it is installed here."
        if action == "sign-out":
            await gateway.sign_out()
            return "Signed out."
        if action == "upstream":
            await gateway.change("UPSTREAM", form.get("upstream", ""))
            return f"In use from now on: {gateway.status().upstream or 'nothing yet'}."
        return ""

    async def came_back(self) -> Any:
        """Google (or the user's browser) brings the code; the one-shot state is its authority."""
        query = request.args
        try:
            # The whole address, so that an error Google sends back is read where codes are.
            await self._gateway.finish_sign_in(query.get("state", ""), request.url)
        except ProxyError as error:
            page = await render_template(
                "message.html", heading="Not signed in", message=str(error), failed=True
            )
            return page, error.status if error.status < 500 else 502
        return await render_template(
            "message.html", heading="Signed in", message="Gemini API Proxy can use your account."
        )

    async def change_settings(self) -> Any:
        form = await request.form
        if not self._is_ours(form.get("token")):
            return await self._refuse()
        try:
            for name in ("RATE_LIMIT", "WAIT_MODE"):
                if name in form:
                    await self._gateway.change(name, str(form[name]))
            if "ALIASES" in form:
                await self._gateway.change("ALIASES", read_aliases(str(form["ALIASES"])))
        except SettingsError as error:
            page = await render_template(
                "message.html", heading="Not saved", message=str(error), failed=True
            )
            return page, 400
        return redirect("/", 303)

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

    def _is_ours(self, token: object) -> bool:
        return hmac.compare_digest(str(token or "").encode(), self._token.encode())

    async def _refuse(self) -> Any:
        page = await render_template(
            "message.html",
            heading="Please try again",
            message="The page was older than the running server. Open it again and repeat.",
            failed=True,
        )
        return page, 403
