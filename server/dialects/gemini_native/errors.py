"""How Google's APIs word a failure: ``{"error": {code, message, status, details}}``.

Statuses: ``google/rpc/code.proto``; details: ``google/rpc/error_details.proto``.
Gemini CLI decides by ``RetryInfo`` whether and when to try again.
"""

from collections.abc import Iterator

from server.errors import (
    AuthenticationError,
    BadRequestError,
    InternalServerError,
    LoopError,
    MethodNotAllowedError,
    MisdirectedRequestError,
    NotFoundError,
    NotOfferedError,
    OverloadedError,
    PayloadTooLargeError,
    PermissionDeniedError,
    ProxyError,
    RateLimitError,
    UnsupportedMediaTypeError,
    UpstreamError,
    UpstreamTimeoutError,
)
from server.gemini.types import Json

_STATUSES: dict[type[ProxyError], str] = {
    ProxyError: "INTERNAL",
    BadRequestError: "INVALID_ARGUMENT",
    AuthenticationError: "UNAUTHENTICATED",
    PermissionDeniedError: "PERMISSION_DENIED",
    NotFoundError: "NOT_FOUND",
    MethodNotAllowedError: "UNIMPLEMENTED",
    PayloadTooLargeError: "INVALID_ARGUMENT",
    UnsupportedMediaTypeError: "INVALID_ARGUMENT",
    MisdirectedRequestError: "INVALID_ARGUMENT",
    RateLimitError: "RESOURCE_EXHAUSTED",
    UpstreamError: "UNAVAILABLE",
    OverloadedError: "UNAVAILABLE",
    UpstreamTimeoutError: "DEADLINE_EXCEEDED",
    LoopError: "FAILED_PRECONDITION",
    NotOfferedError: "UNIMPLEMENTED",
    InternalServerError: "INTERNAL",
}
"""Error class -> ``status``. Subclasses share the line."""

_DETAIL = "type.googleapis.com/google.rpc."
_DOMAIN = "gemini-api-proxy"
"""Reasons are our own: what upstream said of its own is in the message."""


def error_body(error: ProxyError) -> Json:
    """The body of an error response; in a stream, its last element."""
    status = next(_STATUSES[base] for base in type(error).__mro__ if base in _STATUSES)
    body: Json = {"code": error.status, "message": error.message, "status": status}
    if details := list(_details(error)):
        body["details"] = details
    return {"error": body}


def encode_error(error: ProxyError, request_id: str) -> tuple[int, Json]:
    """HTTP status and body; the request id is told in a header only."""
    return error.status, error_body(error)


def _details(error: ProxyError) -> Iterator[Json]:
    if error.code:
        yield {"@type": _DETAIL + "ErrorInfo", "reason": error.code.upper(), "domain": _DOMAIN}
    if error.param:
        violation = {"field": error.param, "description": error.message}
        yield {"@type": _DETAIL + "BadRequest", "fieldViolations": [violation]}
    if error.retry_after_s is not None:
        yield {"@type": _DETAIL + "RetryInfo", "retryDelay": f"{error.retry_after_s:g}s"}
