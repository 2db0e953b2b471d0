"""How OpenAI's API words a failure: one table for chat, completions, embeddings and Responses.

Types and codes: OpenAI API reference, *Error codes*; the openai Python SDK's ``_exceptions.py``.
"""

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

_WORDS: dict[type[ProxyError], tuple[str, str | None]] = {
    ProxyError: ("server_error", "internal_error"),
    BadRequestError: ("invalid_request_error", None),
    AuthenticationError: ("invalid_request_error", "invalid_api_key"),
    PermissionDeniedError: ("permission_error", "permission_denied"),
    NotFoundError: ("invalid_request_error", "not_found"),
    MethodNotAllowedError: ("invalid_request_error", "method_not_allowed"),
    PayloadTooLargeError: ("invalid_request_error", "request_too_large"),
    UnsupportedMediaTypeError: ("invalid_request_error", "unsupported_content_encoding"),
    MisdirectedRequestError: ("invalid_request_error", "misdirected_request"),
    RateLimitError: ("rate_limit_error", "rate_limit_exceeded"),
    UpstreamError: ("server_error", "upstream_error"),
    OverloadedError: ("server_error", "server_is_overloaded"),
    UpstreamTimeoutError: ("server_error", "timeout"),
    LoopError: ("invalid_request_error", "loop_detected"),
    NotOfferedError: ("invalid_request_error", "unsupported_operation"),
    InternalServerError: ("server_error", "internal_error"),
}
"""Error class -> (``type``, ``code`` unless the error has its own). Subclasses share the line."""

_TYPE_OF_CODE = {
    "google_sign_in_required": "authentication_error",
    "insufficient_quota": "insufficient_quota",
}
"""Codes with a ``type`` of their own, which clients act on: signing in, or giving up at once."""


def error_body(error: ProxyError) -> Json:
    """The one body every OpenAI client reads: ``{"error": {message, type, param, code}}``."""
    kind, usual_code = next(_WORDS[base] for base in type(error).__mro__ if base in _WORDS)
    code = error.code or usual_code
    return {
        "error": {
            "message": error.message,
            "type": _TYPE_OF_CODE.get(code or "", kind),
            "param": error.param,
            "code": code,
        }
    }


def encode_error(error: ProxyError, request_id: str) -> tuple[int, Json]:
    """HTTP status and body; OpenAI tells the request id in a header only."""
    return error.status, error_body(error)
