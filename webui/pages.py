"""The pages: a Quart application behind the edge, built with the first visitor.

Plain server-rendered HTML that works with scripts off. A form that changes anything carries the
page token of this server start. Nothing here returns a credential, except the generated API key,
shown to this machine only.
"""

from collections.abc import Sequence
from typing import Any

from quart import Quart, Response, g, redirect, render_template, request

from server import __version__
from server.access import COOKIE
from server.doctor import Check
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


def create_pages(gateway: Gateway, *, checks: Sequence[Check] = ()) -> Quart:
    """The application, bound to the running parts. ``checks``: what the doctor looks at besides."""
    app = Quart(__name__)
    app.config["MAX_CONTENT_LENGTH"] = 1024 * 1024
    app.jinja_env.globals["version"] = __version__
    app.jinja_env.filters.update(FILTERS)
    pages, forms = _Pages(gateway), Forms(gateway)
    setup, settings, inspect = SetupPage(forms), SettingsPage(forms), InspectPage(forms)
    help_page = HelpPage(forms, checks)
    app.before_request(pages.gate)
    app.after_request(_harden)
    for method, path, view in (
        ("GET", "/", Dashboard(forms).show),
        ("GET", "/setup", setup.show),
        ("POST", "/setup", setup.change),
        ("GET", "/connect", ConnectPage(forms).show),
        ("GET", "/settings", settings.show),
        ("POST", "/settings", settings.change),
        ("GET", "/help", help_page.show),
        ("POST", "/help", help_page.examine),
        ("GET", "/inspect", inspect.show),
        ("POST", "/inspect", inspect.change),
        ("GET", "/auth", setup.came_back),
        ("GET", "/oauth2callback", setup.came_back),
        ("POST", "/login", pages.log_in),
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

    async def not_found(self, _error: Exception) -> Any:
        page = await render_template(
            "message.html", heading="Nothing here", message="There is no such page.", failed=True
        )
        return page, 404
