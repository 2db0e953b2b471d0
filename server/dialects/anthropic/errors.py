"""Failures in Anthropic's words.

Types: Anthropic SDK 2.12 ``types/shared/error_object.py`` and the API's *Errors* page. How Claude
Code reacts to each was measured: it compacts on "prompt is too long", offers its model picker on
``not_found_error``, and repeats an unknown 400 six times.
"""

from server.errors import (
    AuthenticationError,
    BadRequestError,
    ContextLengthError,
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
    UpstreamTimeoutError,
)
from server.gemini.types import Json

_OVERLOADED = 529
"""Anthropic's own status for "no capacity"."""

_TYPES: dict[type[ProxyError], str] = {
    ProxyError: "api_error",
    BadRequestError: "invalid_request_error",
    UnsupportedMediaTypeError: "invalid_request_error",
    MethodNotAllowedError: "invalid_request_error",
    MisdirectedRequestError: "invalid_request_error",
    NotOfferedError: "invalid_request_error",
    LoopError: "invalid_request_error",
    AuthenticationError: "authentication_error",
    PermissionDeniedError: "permission_error",
    NotFoundError: "not_found_error",
    PayloadTooLargeError: "request_too_large",
    RateLimitError: "rate_limit_error",
    OverloadedError: "overloaded_error",
    UpstreamTimeoutError: "timeout_error",
}


def encode_error(error: ProxyError, request_id: str) -> tuple[int, Json]:
    """The HTTP status and the body."""
    status = _OVERLOADED if isinstance(error, OverloadedError) else error.status
    return status, {**encode_stream_error(error), "request_id": request_id}


def encode_stream_error(error: ProxyError) -> Json:
    """The body of the ``error`` event; also what every error response is made of."""
    kind = next(_TYPES[cls] for cls in type(error).__mro__ if cls in _TYPES)
    return {"type": "error", "error": {"type": kind, "message": _message(error)}}


def _message(error: ProxyError) -> str:
    match error:
        case ContextLengthError(tokens=int(tokens), maximum=int(maximum)):
            return f"prompt is too long: {tokens} tokens > {maximum} maximum"
        case ContextLengthError():
            return f"prompt is too long: {error.message}"
        case NotFoundError(param=str(param)) if not error.message.startswith(param):
            return f"{param}: {error.message}"
        case _:
            return error.message
