"""The pages: a Quart application behind the edge, built with the first visitor.

Plain server-rendered HTML that works with scripts off. A form that changes anything carries the
page token of this server start. Nothing here returns a credential, except the generated API key,
shown to this machine only.
"""

import logging
import re
from collections.abc import Sequence
from typing import Any

from quart import Quart, Response, g, redirect, render_template, request
from werkzeug.exceptions import HTTPException

from server import __version__
from server.access import COOKIE
from server.doctor import Check
from server.gateway import Gateway
from webui.about import AboutPage
from webui.connect import ConnectPage
from webui.dashboard import Dashboard
from webui.forms import Forms
from webui.help import HelpPage
from webui.inspect import InspectPage
from webui.labels import FILTERS
from webui.log import LogPage
from webui.settings import SettingsPage
from webui.setup import SetupPage

log = logging.getLogger(__name__)

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
_OPEN = ("/static/style.css", "/static/icon.svg", "/static/forms.js")


def create_pages(gateway: Gateway, *, checks: Sequence[Check] = ()) -> Quart:
    """The application, bound to the running parts. ``checks``: what the doctor looks at besides."""
    app = Quart(__name__)
    app.config["MAX_CONTENT_LENGTH"] = 1024 * 1024
    app.jinja_env.globals["version"] = __version__
    app.jinja_env.filters.update(FILTERS)
    forms = Forms(gateway)
    pages = _Pages(forms)
    setup, settings, inspect = SetupPage(forms), SettingsPage(forms), InspectPage(forms)
    about = AboutPage(forms)
    help_page = HelpPage(forms, checks)
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
        ("GET", "/help", help_page.show),
        ("POST", "/help", help_page.examine),
        ("GET", "/log", LogPage(forms).show),
        ("GET", "/about", about.show),
        ("POST", "/about", about.check),
        ("GET", "/inspect", inspect.show),
        ("POST", "/inspect", inspect.change),
        ("GET", "/auth", setup.came_back),
        ("GET", "/oauth2callback", setup.came_back),
        ("GET", "/login", pages.enter),
        ("POST", "/login", pages.log_in),
        ("POST", "/logout", pages.log_out),
    ):
        app.add_url_rule(path, f"{method} {path}", view, methods=[method])
    app.context_processor(pages.everywhere)
    app.register_error_handler(HTTPException, pages.failed)
    app.register_error_handler(Exception, pages.broke)
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


def _own_path(path: str) -> str:
    """``path`` where it is one of ours; the dashboard for anything that leads elsewhere."""
    return path if re.fullmatch(r"/(?![/\\])[\w./?=&#%-]*", path) else "/"


class _Pages:
    """The views of one server."""

    def __init__(self, forms: Forms) -> None:
        self._forms = forms
        self._gateway = forms.gateway

    def everywhere(self) -> dict[str, Any]:
        """What the frame of every page needs."""
        return {
            "logged_in": self._gateway.access.is_cookie(request.cookies.get(COOKIE, "")),
            "logout_token": self._forms.token,
        }

    async def gate(self) -> Any:
        """Whoever the access check turned away gets the login form, and nothing else."""
        locked = request.scope.get("gemini_proxy.locked", False)
        g.local = request.scope.get("gemini_proxy.local", False)
        if not locked or request.path in ("/login", *_OPEN):
            return None
        return await render_template("login.html", locked=True, then=_wanted()), 401

    async def enter(self) -> Any:
        """The tray's own window, with the ticket that the tray has given it."""
        access, to = self._gateway.access, _own_path(request.args.get("to", "/"))
        client = request.scope.get("client")
        peer = (str(client[0]), int(client[1])) if client else None
        if not self._gateway.tickets.redeem(request.args.get("ticket", ""), peer):
            if not request.scope.get("gemini_proxy.locked", False):
                return redirect("/", 303)
            return await render_template("login.html", locked=True, then=to), 401
        access.ensure_key()
        response = redirect(to, 303)
        value = access.cookie_value(access.keys[0])
        response.set_cookie(COOKIE, value, httponly=True, samesite="Lax")
        return response

    async def log_in(self) -> Any:
        form = await request.form
        key = str(form.get("key", "")).strip()
        access = self._gateway.access
        if not access.is_key(key):
            then = form.get("then", "/")
            return await render_template("login.html", locked=True, failed=True, then=then), 401
        response = redirect(_own_path(str(form.get("then", "/"))), 303)
        response.set_cookie(COOKIE, access.cookie_value(key), httponly=True, samesite="Lax")
        return response

    async def log_out(self) -> Any:
        """Forget the browser's cookie."""
        if await self._forms.read() is None:
            return await self._forms.refuse()
        response = redirect("/", 303)
        response.delete_cookie(COOKIE, httponly=True, samesite="Lax")
        return response

    async def failed(self, error: HTTPException) -> Any:
        """A page for what HTTP has a status for."""
        status = error.code or 500
        heading, message = _SENTENCES.get(status, ("That did not work", str(error.description)))
        page = await render_template(
            "message.html", heading=heading, message=message, failed=True, home=True
        )
        return page, status

    async def broke(self, error: Exception) -> Any:
        """A page for our own fault; the traceback is in the log."""
        log.error("%s %s failed", request.method, request.path, exc_info=error)
        page = await render_template(
            "message.html",
            heading="This page broke",
            message="That is a fault of this program. Nothing was changed that is not shown; the "
            "log has the details.",
            failed=True,
            home=True,
            to_log=True,
        )
        return page, 500


_SENTENCES = {
    404: ("Nothing here", "There is no such page."),
    405: ("Nothing here", "This address is not for opening; choose a page above."),
    413: (
        "Too large",
        "What was sent is larger than any form of these pages. Send a smaller file.",
    ),
}


def _wanted() -> str:
    """Where the visitor wanted to go, for after the login."""
    return _own_path(request.path) if request.method == "GET" else "/"
