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
from server.gemini.types import Json

PATH = "/openapi.json"

_JSON = {"application/json": {"schema": {"type": "object"}}}
_REFUSALS = {
    "400": "the request cannot be understood",
    "401": "no key, or nobody is signed in",
    "403": "a foreign page, or Google refuses the account",
    "421": "the Host is not this server",
    "429": "too many requests",
}


def describe(dialects: Sequence[Dialect], pages: Iterable[tuple[str, str]]) -> Json:
    """The document. ``pages``: (method, path) of everything that no dialect answers."""
    paths: dict[str, Json] = {}
    for dialect in dialects:
        for route in dialect.routes:
            here = paths.setdefault(route.path, {})
            known = here.setdefault(route.method.lower(), _api(route.operation, route.path))
            known["tags"].append(dialect.name)
    for method, path in pages:
        paths.setdefault(path, {}).setdefault(method.lower(), _page(path))
    keys = {
        "bearer": {"type": "http", "scheme": "bearer"},
        "x-api-key": {"type": "apiKey", "in": "header", "name": "x-api-key"},
        "x-goog-api-key": {"type": "apiKey", "in": "header", "name": "x-goog-api-key"},
    }
    return {
        "openapi": "3.1.0",
        "info": {"title": "Gemini API Proxy", "version": __version__},
        "paths": dict(sorted(paths.items())),
        "components": {"securitySchemes": keys},
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


def _api(operation: Operation, path: str) -> Json:
    answer: Json = dict(_JSON)
    described: Json = {"summary": summary(operation), "tags": [], **_parameters(path)}
    if isinstance(operation, Generate):
        answer["text/event-stream"] = {"schema": {"type": "string"}}
    if isinstance(operation, Generate | CountTokens | Embed):
        described["requestBody"] = {"required": True, "content": _JSON}
    refusals = {
        status: {"description": words, "content": _JSON} for status, words in _REFUSALS.items()
    }
    described["responses"] = {"200": {"description": "the answer", "content": answer}, **refusals}
    return described


def _page(path: str) -> Json:
    answers = {"200": {"description": "the page"}, "401": {"description": "wants the API key"}}
    return {"summary": path, "tags": ["pages"], **_parameters(path), "responses": answers}


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
