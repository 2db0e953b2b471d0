"""Who may do what (contract section 5, the table of ``docs/security.md``): one function decides.

A *kind* says who asks, a *matter* what it is about. Every page, endpoint and setting belongs to one
matter; what is not named here is a model endpoint, or nothing at all.
"""

import html
import json
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Literal

from server.settings.load import Settings, host_of
from server.settings.options import ALL_OPTIONS

Kind = Literal["this machine", "admin key", "api key", "named key", "no key"]
"""``this machine``: loopback or TRUSTED_NETWORKS, with a key where API_KEY is set. ``api key``: an
API_KEY value or the generated key, from elsewhere."""

Matter = Literal["open", "door", "model", "page", "owner"]
"""``open``: for everybody. ``door``: the login form. ``model``: the model endpoints. ``page``: the
pages, figures and settings. ``owner``: what shows or changes the owner's addresses, files, keys and
other callers' bodies."""

PAGES: Mapping[str, Matter] = {
    "/": "page",
    "/about": "page",
    "/auth": "open",
    "/connect": "page",
    "/help": "page",
    "/inspect": "owner",
    "/log": "page",
    "/login": "door",
    "/logout": "page",
    "/oauth2callback": "open",
    "/settings": "page",
    "/setup": "page",
    "/static/forms.js": "open",
    "/static/icon.svg": "open",
    "/static/style.css": "open",
}
"""What is answered with a web page or a part of one; other files below ``/static/`` are pages."""

ENDPOINTS: Mapping[str, Matter] = {
    "/events": "page",
    "/health": "open",
    "/metrics": "page",
    "/openapi.json": "page",
    "/usage": "page",
}
"""Answers about the server itself, for programs."""

ACTIONS: Mapping[str, Matter] = dict.fromkeys(
    ("client", "remove-client", "gemini-cli", "no-gemini-cli", "trust"), "owner"
)
"""Buttons of the set-up page whose matter is not that of the page: those of the OAuth client."""

_PROBES = ("/api/event_logging", "/api/hello")


def may(kind: Kind, matter: Matter, *, admin_key: bool) -> bool:
    """The decision. ``admin_key``: whether ADMIN_KEY is set: API_KEY then opens the API alone."""
    match matter:
        case "open":
            return True
        case "door":
            return kind != "named key"
        case "model":
            return kind != "no key"
        case "page":
            return kind in ("this machine", "admin key") or (kind == "api key" and not admin_key)
        case "owner":
            return kind in ("this machine", "admin key")


def is_page(path: str) -> bool:
    """Whether a browser gets a page there."""
    return path in PAGES or path.startswith("/static/")


def matter_of(method: str, path: str) -> Matter:
    """What a request is about, by its address."""
    if path.startswith(_PROBES) or (method, path) == ("HEAD", "/"):
        return "model"  # probes of Claude Code, which has a model's key
    if path.startswith("/static/"):
        return PAGES.get(path, "page")
    return PAGES.get(path) or ENDPOINTS.get(path) or "model"


def matter_of_setting(name: str) -> Matter:
    """What showing or changing a setting is about."""
    return "owner" if ALL_OPTIONS[name].owner else "page"


def refusal(kind: Kind, matter: Matter, *, admin_key: bool) -> str:
    """Why ``kind`` may not, and where or with what it can be done."""
    if matter != "owner":
        wanted = "ADMIN_KEY" if admin_key else "an API_KEY value or the generated key"
        mine = "A named key" if kind == "named key" else "An API_KEY value"
        return (
            f"{mine} opens the model endpoints only. This needs {wanted}, or a browser on the "
            "server's own computer."
        )
    return (
        "This shows or changes what belongs to the owner of the server. Do it on the server's own "
        "computer, or log in with ADMIN_KEY."
    )


HIDDEN = "(hidden)"
SHORTEST = 6
"""Shorter values are no use to anybody, and would blank out ordinary words."""


def veil(text: str, settings: Settings) -> str:
    """``text`` for a caller who is not the owner: without the owner's addresses and files, also
    where an error message or a log line names them."""
    for value in sorted(set(_owners_values(settings)), key=len, reverse=True):
        for spelling in {value, html.escape(value), json.dumps(value)[1:-1]}:
            text = text.replace(spelling, HIDDEN)
    return text


def _owners_values(settings: Settings) -> Iterator[str]:
    """What the owner has chosen; Google's own addresses are no secret."""
    yield str(settings.data_dir)
    for name, option in ALL_OPTIONS.items():
        value = getattr(settings, option.field)
        if not option.owner or option.secret or value == settings.default(name):
            continue
        for one in value if isinstance(value, tuple) else (value,):
            text = str(one) if isinstance(one, str | Path) else ""
            host = host_of(text) if "://" in text else ""
            yield from (word for word in (text, host) if len(word) >= SHORTEST)
