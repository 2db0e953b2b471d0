"""Request heads, read so that they can mean one thing only.

What two programs on the way could read differently (a second Host, two lengths, an address inside
the target) is settled or refused before the access check looks at it.
"""

from collections import Counter
from collections.abc import Mapping
from typing import Any
from urllib.parse import unquote, urlsplit

from server.errors import BadRequestError

Scope = dict[str, Any]

_ONCE = frozenset(
    {
        *("host", "origin", "authorization", "x-api-key", "x-goog-api-key"),
        *("content-length", "content-type", "content-encoding", "transfer-encoding"),
        *("sec-fetch-site", "sec-fetch-mode", "sec-fetch-dest"),
    }
)
"""Headers that decide something here, and may therefore be sent only once."""


_API_HEADERS = (
    *("authorization", "x-api-key", "x-goog-api-key", "x-goog-api-client", "anthropic-version"),
)
"""What no browser sends by itself when an address is opened."""


def wants_websocket(headers: Mapping[str, str]) -> bool:
    return headers.get("upgrade", "").lower() == "websocket"


def takes_html(headers: Mapping[str, str]) -> bool:
    """Whether a page is asked for by name, as every browser does."""
    return "text/html" in headers.get("accept", "")


def asks_for_data(headers: Mapping[str, str]) -> bool:
    """Whether JSON is sent, or is the only answer that is taken: no form and no browser does."""
    accept = headers.get("accept", "")
    only = "json" in accept and not takes_html(headers) and "*/*" not in accept
    return only or "json" in headers.get("content-type", "")


def is_by_program(headers: Mapping[str, str]) -> bool:
    """Whether something says that this is no browser's request."""
    names = any(name in headers for name in _API_HEADERS)
    return wants_websocket(headers) or names or asks_for_data(headers)


def origin_form(scope: Scope) -> Scope:
    """``scope`` with the target's own address, where it has one, in the place of Host (RFC 9112,
    section 3.2.2): programs that take this server for their HTTP proxy send such targets. One that
    cannot be read leaves no Host at all."""
    raw = scope.get("raw_path", b"")
    if raw.startswith((b"/", b"*")) or b"://" not in raw:
        return scope
    headers = [(name, value) for name, value in scope["headers"] if name.lower() != b"host"]
    try:
        address = urlsplit(raw.decode("ascii", "replace"))
    except ValueError:
        return {**scope, "headers": headers}
    path = address.path or "/"
    return {
        **scope,
        "path": unquote(path),
        "raw_path": path.encode("ascii", "replace"),
        "headers": [(b"host", address.netloc.encode("ascii", "replace")), *headers],
    }


def without_key(scope: Scope) -> tuple[Scope, tuple[str, ...]]:
    """``scope`` without ``key`` in its query, and the values it had: before anything logs, shows,
    keeps or forwards the address."""
    query = scope["query_string"]
    if not query:
        return scope, ()
    kept, keys = [], []
    for pair in query.split(b"&"):
        name, _, value = pair.decode("latin-1").replace("+", " ").partition("=")
        if unquote(name).strip().lower() != "key":
            kept.append(pair)
        elif value:
            keys.append(unquote(value))
    if len(kept) == query.count(b"&") + 1:
        return scope, ()
    return {**scope, "query_string": b"&".join(kept)}, tuple(dict.fromkeys(keys))


def headers_of(scope: Scope) -> dict[str, str]:
    """The headers by name, in lower case; one sent twice is the list of its values, as RFC 9110
    (section 5.3) has it, so that a second line cannot hide the first."""
    found: dict[str, str] = {}
    more: dict[str, list[str]] = {}
    for raw_name, raw_value in scope["headers"]:
        name, value = raw_name.decode("latin-1").lower(), raw_value.decode("latin-1")
        if name in found:
            more.setdefault(name, [found[name]]).append(value)
        else:
            found[name] = value
    for name, values in more.items():
        found[name] = ("; " if name == "cookie" else ", ").join(values)
    return found


def check_head(scope: Scope) -> None:
    """Raise ``BadRequestError`` for a head that could be read in two ways, or is not of HTTP/1: the
    preface of HTTP/2 is made to look like one (RFC 9113, section 3.4)."""
    version = scope["http_version"]
    if not version.startswith("1."):
        raise BadRequestError(f"HTTP/{version} is not served here; send HTTP/1.1.")
    raw = scope.get("raw_path", b"")
    if not raw.startswith(b"/") and raw != b"*":
        raise BadRequestError("The address cannot be read.")
    if not scope["query_string"].isascii():
        raise BadRequestError("The address holds bytes that must be percent-encoded.")
    names = [name.decode("latin-1").lower() for name, _ in scope["headers"]]
    if len(set(names)) < len(names):
        times = Counter(names)
        twice = sorted(name for name in times if name in _ONCE and times[name] > 1)
    else:
        twice = []
    if twice:
        raise BadRequestError(f"The header {twice[0]} was sent more than once.")
    if "transfer-encoding" in names and "content-length" in names:
        raise BadRequestError("Content-Length and Transfer-Encoding cannot be sent together.")
