"""Requests and responses without a socket, and refusals in Google's error shape."""

import json
from collections.abc import AsyncIterator, Mapping
from dataclasses import dataclass, field
from typing import Any

Json = dict[str, Any]

JSON_TYPE = "application/json; charset=UTF-8"

STATUS_WORDS = {
    400: "INVALID_ARGUMENT",
    401: "UNAUTHENTICATED",
    403: "PERMISSION_DENIED",
    404: "NOT_FOUND",
    429: "RESOURCE_EXHAUSTED",
    499: "CANCELLED",
    500: "INTERNAL",
    501: "UNIMPLEMENTED",
    503: "UNAVAILABLE",
    504: "DEADLINE_EXCEEDED",
}
"""HTTP status -> canonical code (google.rpc.Code)."""


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


class GoogleError(Exception):
    """A refusal: raised wherever a rule is broken, sent once by ``FakeGoogle``."""

    def __init__(
        self,
        status: int,
        message: str,
        *details: Json,
        word: str | None = None,
        headers: Mapping[str, str] | None = None,
        raw: bytes | None = None,
        media_type: str = JSON_TYPE,
    ) -> None:
        super().__init__(message)
        self.status = status
        self.error: Json = {
            "code": status,
            "message": message,
            "status": word or STATUS_WORDS.get(status, "UNKNOWN"),
        }
        if details:
            self.error["details"] = list(details)
        self.headers = {"content-type": media_type, **(headers or {})}
        self._raw = raw

    def body(self) -> bytes:
        """The bytes to send: ``raw`` as given, else the usual error object."""
        if self._raw is not None:
            return self._raw
        return json.dumps({"error": self.error}, indent=2, ensure_ascii=False).encode()

    def response(self) -> FakeResponse:
        return FakeResponse(self.status, dict(self.headers), once(self.body()))


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


def invalid(message: str, field_path: str | None = None) -> GoogleError:
    """400 INVALID_ARGUMENT, naming the field where Google does."""
    if field_path is None:
        return GoogleError(400, message)
    return GoogleError(400, message, bad_request((field_path, message)))


def bad_request(*violations: tuple[str, str]) -> Json:
    """``google.rpc.BadRequest`` with (field, description) pairs."""
    return {
        "@type": "type.googleapis.com/google.rpc.BadRequest",
        "fieldViolations": [{"field": f, "description": d} for f, d in violations],
    }


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
