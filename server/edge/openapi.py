"""An OpenAPI description of everything the server answers, generated from the routes themselves."""

from collections.abc import Iterable, Sequence
from typing import assert_never

from server import __version__
from server.dialects.base import (
    CountTokens,
    Dialect,
    Embed,
    Forget,
    Generate,
    GetModel,
    ListModels,
    Operation,
    Recall,
)
from server.edge.schemas import (
    ANSWERS,
    ANY,
    ERRORS,
    FLAG,
    PAGES,
    REQUESTS,
    TEXT,
    an_object,
    for_path,
)
from server.errors import ProxyError
from server.gemini.types import Json

PATH = "/openapi.json"

_FAMILY = {"openai-chat": "openai", "openai-responses": "openai"}
"""Dialect -> whose error shape it has; itself where nothing is said."""
_OVERLOADED = {"529": "the model is overloaded (Anthropic's own status)"}


def _refusals() -> dict[str, str]:
    """Every status an error of ours can have, and what it means."""
    found: dict[str, list[str]] = {}
    kinds = [ProxyError]
    while kinds:
        kind = kinds.pop(0)
        kinds += sorted(kind.__subclasses__(), key=lambda sub: sub.__name__)
        if kind is not ProxyError and kind.__module__ == ProxyError.__module__:
            words = (kind.__doc__ or "").splitlines()[0]
            found.setdefault(str(kind.status), []).append(words)
    return {status: " ".join(dict.fromkeys(words)) for status, words in sorted(found.items())}


def describe(dialects: Sequence[Dialect], pages: Iterable[tuple[str, str]]) -> Json:
    """The document. ``pages``: (method, path) of everything that no dialect answers."""
    paths: dict[str, Json] = {}
    for dialect in dialects:
        for route in dialect.routes:
            here = paths.setdefault(route.path, {})
            family = _FAMILY.get(dialect.name, dialect.name)
            known = here.setdefault(
                route.method.lower(), _api(route.operation, route.method, route.path)
            )
            known["tags"].append(dialect.name)
            _add_errors(known["responses"], family)
    for method, path in pages:
        paths.setdefault(path, {}).setdefault(method.lower(), _page(method, path))
    keys = {
        "bearer": {"type": "http", "scheme": "bearer"},
        "x-api-key": {"type": "apiKey", "in": "header", "name": "x-api-key"},
        "x-goog-api-key": {"type": "apiKey", "in": "header", "name": "x-goog-api-key"},
    }
    return {
        "openapi": "3.1.0",
        "info": {"title": "Gemini API Proxy", "version": __version__},
        "paths": dict(sorted(paths.items())),
        "components": {
            "securitySchemes": keys,
            "schemas": {f"{family}-error": schema for family, schema in ERRORS.items()},
        },
        "security": [{}, *({name: []} for name in keys)],
    }


def summary(operation: Operation) -> str:
    """What an operation does, in a few words."""
    match operation:
        case Generate():
            return "Ask the model for an answer"
        case CountTokens():
            return "Count the tokens of what would be sent"
        case ListModels():
            return "List the models"
        case GetModel():
            return "Describe one model"
        case Embed():
            return "Turn texts into vectors"
        case Recall():
            return "Show a kept answer"
        case Forget():
            return "Delete a kept answer"
        case _:
            assert_never(operation)


def _api(operation: Operation, method: str, path: str) -> Json:
    """One operation; ``_add_errors`` says how each dialect that has it refuses."""
    schema = for_path(ANSWERS, path) or ANY
    if isinstance(operation, Forget):
        schema = an_object("id deleted", id=TEXT, deleted=FLAG)
    answer: Json = {"application/json": {"schema": schema}}
    described: Json = {
        "operationId": f"{method.lower()} {path}",
        "summary": summary(operation),
        "tags": [],
        **_parameters(path),
    }
    if isinstance(operation, Generate):
        answer["text/event-stream"] = {"schema": {"type": "string"}}
    if isinstance(operation, Generate | CountTokens | Embed):
        body = {"schema": for_path(REQUESTS, path) or ANY}
        described["requestBody"] = {"required": True, "content": {"application/json": body}}
    described["responses"] = {"200": {"description": "the answer", "content": answer}}
    return described


def _add_errors(responses: Json, family: str) -> None:
    """The refusals of one dialect, beside those of others at the same address."""
    shape = {"$ref": f"#/components/schemas/{family}-error"}
    statuses = _refusals() | (_OVERLOADED if family == "anthropic" else {})
    for status, words in statuses.items():
        empty: Json = {"description": words, "content": {"application/json": {"schema": {}}}}
        content = responses.setdefault(status, empty)["content"]["application/json"]
        shapes = content["schema"].setdefault("anyOf", [])
        if shape not in shapes:
            shapes.append(shape)


def _page(method: str, path: str) -> Json:
    """A page, or one of the few addresses beside them that are none."""
    media, schema = PAGES.get(path, ("text/html", {"type": "string"}))
    if path.startswith("/static/"):
        media = "*/*"
    html = {"text/html": {"schema": {"type": "string"}}}
    plain = {"application/json": {"schema": ANY}}
    described: Json = {
        "operationId": f"{method.lower()} {path}",
        "summary": "A page" if media == "text/html" else f"{path}, for programs",
        "tags": ["pages"],
        **_parameters(path),
        "responses": {
            "200": {"description": "the page", "content": {media: {"schema": schema}}},
            **{
                status: {"description": words, "content": {**html, **plain}}
                for status, words in _PAGE_STATUSES.items()
            },
        },
    }
    if method == "POST":
        form = {"application/x-www-form-urlencoded": {"schema": ANY}}
        described["requestBody"] = {"content": form}
    return described


_PAGE_STATUSES = {
    "303": "done; see the page this leads to",
    "400": "something in the form, or in the request, cannot be used",
    "401": "wants the API key",
    "403": "the page was older than the server, or is a foreign one",
    "404": "there is no such page",
    "405": "not with this method",
    "413": "larger than any form",
    "421": "the Host is not this server",
    "508": "the request has already passed through this program",
}


def _parameters(path: str) -> Json:
    names = [piece.split("}")[0] for piece in path.split("{")[1:]]
    if not names:
        return {}
    text = {"type": "string"}
    return {
        "parameters": [
            {"name": name, "in": "path", "required": True, "schema": text} for name in names
        ]
    }
