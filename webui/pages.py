"""The pages: a Quart application behind the edge, built with the first visitor.

Plain server-rendered HTML that works with scripts off. A form that changes anything carries the
page token of this server start. Nothing here returns a credential, except the generated API key,
shown to this machine only.
"""

import asyncio
import logging
import re
from collections.abc import Sequence
from typing import Any

from quart import Quart, Response, g, redirect, render_template, request
from werkzeug.exceptions import HTTPException

from server import __version__
from server.edge.access import Caller
from server.edge.sessions import VALID_S
from server.errors import AuthenticationError, WrongKeyError, WrongKindOfKeyError
from server.host.doctor import Check
from server.host.gateway import Gateway
from webui.about import AboutPage
from webui.connect import ConnectPage
from webui.dashboard import Dashboard
from webui.forms import FormError, Forms
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
    app.after_request(pages.veil)
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
    app.register_error_handler(FormError, forms.refuse)
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
        access = self._gateway.access
        return {
            "logged_in": access.session_in(request.headers.get("cookie", "")) is not None,
            "logout_token": self._forms.token,
            "owner": g.caller.is_owner,
        }

    async def gate(self) -> Any:
        """Whom the access check turned away gets the login form, or the reason; nothing else."""
        g.caller = request.scope.get("gemini_proxy.caller") or Caller(False, None)
        g.local = g.caller.local
        refusal = request.scope.get("gemini_proxy.refusal")
        if refusal is None:
            return None
        if isinstance(refusal, AuthenticationError):
            return await render_template("login.html", locked=True, then=_wanted()), 401
        return await self._forms.forbid(str(refusal))

    async def veil(self, response: Response) -> Response:
        """What a page says of the owner's addresses and files is for the owner only."""
        if not g.caller.is_owner and response.mimetype == "text/html":
            text = await response.get_data(as_text=True)
            response.set_data(self._gateway.access.veiled(text, g.caller))
        return response

    async def enter(self) -> Any:
        """The tray's own window, with the ticket that the tray has given it."""
        access, to = self._gateway.access, _own_path(request.args.get("to", "/"))
        client = request.scope.get("client")
        peer = (str(client[0]), int(client[1])) if client else None
        if self._gateway.tickets.redeem(request.args.get("ticket", ""), peer):
            return self._with_cookie(to, access.log_in_here())
        if access.may(g.caller.kind, "page"):
            return redirect("/", 303)
        return await render_template("login.html", locked=True, then=to), 401

    async def log_in(self) -> Any:
        form = await request.form
        then = str(form.get("then", "/"))
        access = self._gateway.access
        try:
            cookie = access.log_in(str(form.get("key", "")).strip(), here=g.caller.here)
        except WrongKeyError:
            client = request.scope.get("client")
            await asyncio.sleep(access.guesses.wrong(str(client[0]) if client else ""))
            return await render_template("login.html", locked=True, failed=True, then=then), 401
        except WrongKindOfKeyError as error:
            return await self._forms.forbid(error.message)
        return self._with_cookie(_own_path(then), cookie)

    def _with_cookie(self, to: str, cookie: str) -> Any:
        response = redirect(to, 303)
        response.set_cookie(
            self._gateway.access.cookie_name,
            cookie,
            max_age=int(VALID_S),
            httponly=True,
            samesite="Lax",
        )
        return response

    async def log_out(self) -> Any:
        """End the login, here and in the browser."""
        await self._forms.read("")
        access = self._gateway.access
        access.sessions.end(access.cookie_in(request.headers.get("cookie", "")))
        response = redirect("/", 303)
        response.delete_cookie(access.cookie_name, httponly=True, samesite="Lax")
        return response

    async def failed(self, error: HTTPException) -> Any:
        """A page for what HTTP has a status for; JSON for who did not ask for a page."""
        status = error.code or 500
        heading, message = _SENTENCES.get(status, ("That did not work", str(error.description)))
        return await self._forms.tell(status, heading, message, home=True)

    async def broke(self, error: Exception) -> Any:
        """A page for our own fault; the traceback is in the log."""
        log.error("%s %s failed", request.method, request.path, exc_info=error)
        told = (
            "That is a fault of this program. Nothing was changed that is not shown; the log has "
            "the details."
        )
        return await self._forms.tell(500, "This page broke", told, home=True, to_log=True)


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
