"""Every failure in Anthropic's words."""

from collections.abc import Iterator

import pytest

from server.dialects.anthropic.errors import encode_error, encode_stream_error
from server.errors import (
    AuthenticationError,
    BadRequestError,
    BrokenAnswerError,
    ContextLengthError,
    HeadTooLargeError,
    InternalServerError,
    LoopError,
    MediaRejectedError,
    MethodNotAllowedError,
    MisdirectedRequestError,
    NetworkSettingError,
    NotFoundError,
    NotOfferedError,
    OverloadedError,
    PayloadTooLargeError,
    PermissionDeniedError,
    ProxyError,
    RateLimitError,
    SchemaRejectedError,
    SignatureRejectedError,
    StoppedError,
    ThinkingRejectedError,
    UnsupportedMediaTypeError,
    UpgradeRefusedError,
    UpstreamError,
    UpstreamTimeoutError,
    WrongKeyError,
    WrongKindOfKeyError,
)

TABLE: list[tuple[ProxyError, int, str]] = [
    (BadRequestError("m"), 400, "invalid_request_error"),
    (ContextLengthError("m"), 400, "invalid_request_error"),
    (SchemaRejectedError("m"), 400, "invalid_request_error"),
    (SignatureRejectedError("m"), 400, "invalid_request_error"),
    (ThinkingRejectedError("m"), 400, "invalid_request_error"),
    (MediaRejectedError("m"), 400, "invalid_request_error"),
    (HeadTooLargeError("m"), 431, "invalid_request_error"),
    (WrongKeyError("m"), 401, "authentication_error"),
    (WrongKindOfKeyError("m"), 403, "permission_error"),
    (AuthenticationError("m"), 401, "authentication_error"),
    (PermissionDeniedError("m"), 403, "permission_error"),
    (NotFoundError("m"), 404, "not_found_error"),
    (MethodNotAllowedError("m"), 405, "invalid_request_error"),
    (UpgradeRefusedError("m"), 426, "invalid_request_error"),
    (PayloadTooLargeError("m"), 413, "request_too_large"),
    (UnsupportedMediaTypeError("m"), 415, "invalid_request_error"),
    (MisdirectedRequestError("m"), 421, "invalid_request_error"),
    (RateLimitError("m", source="quota"), 429, "rate_limit_error"),
    (InternalServerError("m"), 500, "api_error"),
    (NotOfferedError("m"), 501, "invalid_request_error"),
    (NetworkSettingError("m"), 502, "api_error"),
    (UpstreamError("m"), 502, "api_error"),
    (BrokenAnswerError("m"), 502, "api_error"),
    (NetworkSettingError("m"), 502, "api_error"),
    (OverloadedError("m"), 529, "overloaded_error"),
    (StoppedError("m"), 529, "overloaded_error"),
    (UpstreamTimeoutError("m"), 504, "timeout_error"),
    (LoopError("m"), 508, "invalid_request_error"),
]


@pytest.mark.parametrize(("error", "status", "kind"), TABLE, ids=lambda v: type(v).__name__)
def test_status_and_type(error: ProxyError, status: int, kind: str) -> None:
    answered, body = encode_error(error, "req_1")
    assert (answered, body["type"], body["error"]["type"]) == (status, "error", kind)
    assert body["request_id"] == "req_1"
    assert body["error"]["message"].endswith("m")


def _subclasses(cls: type[ProxyError]) -> Iterator[type[ProxyError]]:
    for sub in cls.__subclasses__():
        yield sub
        yield from _subclasses(sub)


def test_the_table_above_names_every_error() -> None:
    ours = {cls for cls in _subclasses(ProxyError) if cls.__module__ == ProxyError.__module__}
    assert ours == {type(error) for error, _, _ in TABLE}


def test_a_long_prompt_has_the_words_that_make_claude_code_compact() -> None:
    error = ContextLengthError("too long", tokens=1_200_000, maximum=1_048_576)
    message = encode_error(error, "r")[1]["error"]["message"]
    assert message == "prompt is too long: 1200000 tokens > 1048576 maximum"


def test_an_unknown_model_is_told_behind_the_field_name() -> None:
    error = NotFoundError("The model 'x' does not exist here.", param="model")
    message = encode_stream_error(error)["error"]["message"]
    assert message == "model: The model 'x' does not exist here."


def test_the_in_stream_error_has_no_request_id() -> None:
    assert encode_stream_error(UpstreamError("gone")) == {
        "type": "error",
        "error": {"type": "api_error", "message": "gone"},
    }
