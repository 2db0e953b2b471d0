"""Which route an address leads to, and in whose dialect its refusals are worded.

The address decides; headers only where dialects share one (``/v1/models``), or where nothing is at
the address.
"""

import re
from collections.abc import Mapping, Sequence
from functools import lru_cache
from urllib.parse import unquote

from server.dialects.base import Dialect, Route
from server.errors import MethodNotAllowedError, NotFoundError

USUAL_PATH = 200
"""Characters of an address whose route is remembered."""

API_ROOTS = (
    *("/v1", "/anthropic", "/models", "/chat", "/completions", "/embeddings", "/messages"),
    *("/responses", "/openai/", "/api/v1/", "/upload/"),
)
"""What an address of an API begins with; also addresses of other programs' APIs, where nothing is:
who calls these is never a browser."""

MOST_VERSIONS = 4
"""In one path: more are no base URL put before another."""
_VERSION = re.compile(r"/v1(?:beta|alpha)?(?=/|$)")
_ALPHA = re.compile(r"/v1alpha(?=/|$)")
_COMPATIBLE = "/openai"
"""Below Google's versions: its OpenAI-compatible address (``/v1beta/openai/chat/completions``)."""

_KEY_IN_ADDRESS = re.compile(r"/v1beta(?:/.*)?|/v1/models/.+:[^/:]+|/v1/interactions(?:/.*)?")

Found = tuple[Dialect, Route, Mapping[str, str]]
"""The dialect, its route, and the values of the route's placeholders."""


def canonical(path: str) -> str:
    """The path as routes are written: base URLs come with, without and with a doubled version."""
    version, rest = "/v1", path.removeprefix("/anthropic")
    for _ in range(MOST_VERSIONS):
        found = _VERSION.match(rest)
        if found is None:
            break
        version, rest = _ALPHA.sub("/v1beta", found[0]), rest[found.end() :]
        if version == "/v1beta" and rest.partition("/")[2].partition("/")[0] == "openai":
            version, rest = "/v1", rest.removeprefix(_COMPATIBLE)
    return version + rest.rstrip("/")


def page_only(method: str, path: str) -> NotFoundError:
    """The refusal of a program's request at the address of a page."""
    return NotFoundError(
        f"There is no JSON at {method} {path}, which is a web page for browsers and takes only the "
        "forms that it shows. GET /openapi.json lists what programs may call."
    )


def takes_key(path: str) -> bool:
    """Whether this is an address of Gemini's own, where a key may stand in ``?key=``."""
    return not _is_compatible(path) and bool(_KEY_IN_ADDRESS.fullmatch(canonical(path)))


def _is_compatible(path: str) -> bool:
    return re.search(r"/v1(?:beta|alpha)/openai(?:/|$)", path) is not None


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


class Routes:
    """The routes of every dialect. The last dialect words errors for everybody else."""

    def __init__(self, dialects: Sequence[Dialect]) -> None:
        self._dialects = dialects
        self._remembered = lru_cache(256)(self._find)
        self._known_owners = lru_cache(256)(self._owners)

    def find(self, method: str, path: str, dialect: Dialect) -> Found:
        """The route of an address; ``dialect`` is asked first. Raises 404 and 405."""
        find = self._remembered if len(path) < USUAL_PATH else self._find
        return find(method, path, dialect.name)

    def _find(self, method: str, asked: str, first: str) -> Found:
        path = canonical(asked)
        found = []
        other_method = False
        for dialect in sorted(self._dialects, key=lambda dialect: dialect.name != first):
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

    def dialect_of(self, method: str, path: str, headers: Mapping[str, str]) -> Dialect:
        """Whose address this is; where several share it, or none has it, what the headers speak."""
        owners = (self._known_owners if len(path) < USUAL_PATH else self._owners)(method, path)
        if len(owners) == 1:
            return owners[0]
        return next((d for d in owners if d.speaks(headers)), owners[-1])

    def _owners(self, method: str, asked: str) -> Sequence[Dialect]:
        """The dialects that have the route, else those that have the longest beginning of the
        address; Google's compatible address belongs to the last that has it."""
        path = canonical(asked)
        found = self._fitting(method, path) or self._rooted(path) or self._dialects
        return found[-1:] if _is_compatible(asked) else found

    def _fitting(self, method: str, path: str) -> Sequence[Dialect]:
        longest = 0
        found: list[Dialect] = []
        for dialect in self._dialects:
            fitting = [len(r.path) for r in dialect.routes if _fits(r, method, path)]
            length = max(fitting, default=0)
            if length > longest:
                longest, found = length, []
            if length and length == longest:
                found.append(dialect)
        return found

    def _rooted(self, path: str) -> Sequence[Dialect]:
        beginning = path
        while beginning := beginning.rpartition("/")[0]:
            found = [
                dialect
                for dialect in self._dialects
                if any(f"{route.path}/".startswith(f"{beginning}/") for route in dialect.routes)
            ]
            if found:
                return found
        return ()


def _fits(route: Route, method: str, path: str) -> bool:
    """Whether ``path`` is the route's, with any method; or asks for another of Gemini's methods of
    the same model (``:predict``), even one that is not served here."""
    before, _, after = route.path.partition("{id}")
    beside = method == route.method == "POST" and after.startswith(":")
    return match(route.path, path) is not None or (
        beside and re.fullmatch(re.escape(before) + r".+:\w+", path) is not None
    )
