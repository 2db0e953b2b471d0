"""Every failure in Google's words."""

from typing import Any

import pytest
from google.genai.errors import APIError

from server.dialects.gemini_native.errors import encode_error, error_body
from server.errors import (
    AuthenticationError,
    BadRequestError,
    BrokenAnswerError,
    ContextLengthError,
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
    SchemaRejectedError,
    SignatureRejectedError,
    UnsupportedMediaTypeError,
    UpstreamError,
    UpstreamTimeoutError,
)

TABLE: list[tuple[ProxyError, int, str]] = [
    (ProxyError("m"), 500, "INTERNAL"),
    (BadRequestError("m"), 400, "INVALID_ARGUMENT"),
    (ContextLengthError("m"), 400, "INVALID_ARGUMENT"),
    (SchemaRejectedError("m"), 400, "INVALID_ARGUMENT"),
    (SignatureRejectedError("m"), 400, "INVALID_ARGUMENT"),
    (AuthenticationError("m"), 401, "UNAUTHENTICATED"),
    (PermissionDeniedError("m"), 403, "PERMISSION_DENIED"),
    (NotFoundError("m"), 404, "NOT_FOUND"),
    (MethodNotAllowedError("m"), 405, "UNIMPLEMENTED"),
    (PayloadTooLargeError("m"), 413, "INVALID_ARGUMENT"),
    (UnsupportedMediaTypeError("m"), 415, "INVALID_ARGUMENT"),
    (MisdirectedRequestError("m"), 421, "INVALID_ARGUMENT"),
    (RateLimitError("m", source="quota"), 429, "RESOURCE_EXHAUSTED"),
    (InternalServerError("m"), 500, "INTERNAL"),
    (NotOfferedError("m"), 501, "UNIMPLEMENTED"),
    (UpstreamError("m"), 502, "UNAVAILABLE"),
    (BrokenAnswerError("m"), 502, "UNAVAILABLE"),
    (OverloadedError("m"), 503, "UNAVAILABLE"),
    (UpstreamTimeoutError("m"), 504, "DEADLINE_EXCEEDED"),
    (LoopError("m"), 508, "FAILED_PRECONDITION"),
]


@pytest.mark.parametrize(("error", "status", "word"), TABLE, ids=lambda v: type(v).__name__)
def test_code_message_and_status(error: ProxyError, status: int, word: str) -> None:
    answered, body = encode_error(error, "req_1")
    assert (answered, body["error"]["code"]) == (status, status)
    assert (body["error"]["message"], body["error"]["status"]) == ("m", word)


def test_every_kind_of_error_is_in_the_table() -> None:
    ours = {cls for cls in ProxyError.__subclasses__() if cls.__module__ == "server.errors"}
    assert ours <= {type(error) for error, _, _ in TABLE}


def detail(error: ProxyError, kind: str) -> dict[str, Any]:
    details = error_body(error)["error"].get("details", [])
    return next((d for d in details if d["@type"] == f"type.googleapis.com/google.rpc.{kind}"), {})


def test_a_delay_is_told_as_google_tells_it() -> None:
    error = RateLimitError("m", source="quota", retry_after_s=2.139)
    assert detail(error, "RetryInfo")["retryDelay"] == "2.139s"
    assert detail(RateLimitError("m", source="queue", retry_after_s=33740.0), "RetryInfo") == {
        "@type": "type.googleapis.com/google.rpc.RetryInfo",
        "retryDelay": "33740s",
    }
    assert detail(RateLimitError("m", source="quota"), "RetryInfo") == {}


def test_the_field_at_fault_and_the_reason_are_details() -> None:
    error = BadRequestError("contents: Field required", param="contents", code="missing")
    violation = detail(error, "BadRequest")["fieldViolations"][0]
    assert violation == {"field": "contents", "description": "contents: Field required"}
    assert detail(error, "ErrorInfo")["reason"] == "MISSING"
    assert "details" not in error_body(BadRequestError("m"))["error"]


@pytest.mark.parametrize("error", [error for error, _, _ in TABLE], ids=lambda e: type(e).__name__)
def test_the_official_sdk_reads_it(error: ProxyError) -> None:
    status, body = encode_error(error, "req_1")
    read = APIError(status, body)
    assert (read.code, read.message) == (error.status, "m")
    assert read.status == body["error"]["status"]
