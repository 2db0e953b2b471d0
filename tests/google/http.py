"""Requests and responses without a socket, and what only tests have Google say."""

import json
from collections.abc import AsyncIterator, Mapping
from dataclasses import dataclass, field

from server.demo.errors import JSON_TYPE, GoogleError, Json, invalid


@dataclass(frozen=True, slots=True, kw_only=True)
class FakeRequest:
    """One request as it reached Google; header names are lower case."""

    method: str
    path: str
    query: Mapping[str, str] = field(default_factory=dict)
    headers: Mapping[str, str] = field(default_factory=dict)
    body: bytes = b""


@dataclass(slots=True)
class FakeResponse:
    """Status and headers now, the body piece by piece."""

    status: int
    headers: dict[str, str]
    body: AsyncIterator[bytes]


class ConnectionCutError(Exception):
    """Raised out of a body: the connection ends here, in the middle of the answer."""


class RawError(GoogleError):
    """A refusal in a body of any kind."""

    def __init__(self, status: int, raw: bytes, media_type: str = JSON_TYPE) -> None:
        super().__init__(status, "")
        self.headers["content-type"] = media_type
        self._raw = raw

    def body(self) -> bytes:
        return self._raw


def refused(error: GoogleError) -> FakeResponse:
    """The answer that a refusal is sent as."""
    return FakeResponse(error.status, dict(error.headers), once(error.body()))


def error_info(reason: str, domain: str, **metadata: str) -> Json:
    """``google.rpc.ErrorInfo``: the machine-readable reason."""
    return {
        "@type": "type.googleapis.com/google.rpc.ErrorInfo",
        "reason": reason,
        "domain": domain,
        "metadata": metadata,
    }


def retry_info(delay: str) -> Json:
    """``google.rpc.RetryInfo``; ``delay`` as in ``2.5s``."""
    return {"@type": "type.googleapis.com/google.rpc.RetryInfo", "retryDelay": delay}


async def once(data: bytes) -> AsyncIterator[bytes]:
    """A body of one piece."""
    yield data


def respond(value: object, status: int = 200) -> FakeResponse:
    """A JSON answer, indented as Google's front end does it."""
    body = json.dumps(value, indent=2, ensure_ascii=False).encode()
    return FakeResponse(status, {"content-type": JSON_TYPE}, once(body))


def parse_json(request: FakeRequest) -> Json:
    """The body as an object; an empty body is an empty object."""
    if not request.body:
        return {}
    media_type = request.headers.get("content-type", "").partition(";")[0].strip()
    if media_type != "application/json":
        raise invalid(f"Invalid JSON payload received. Content type '{media_type}' is no JSON.")
    try:
        value = json.loads(request.body)
    except ValueError as error:
        raise invalid(f"Invalid JSON payload received. Unexpected token.\n{error}") from error
    if not isinstance(value, dict):
        raise invalid("Invalid JSON payload received. Root element must be a message.")
    return value
