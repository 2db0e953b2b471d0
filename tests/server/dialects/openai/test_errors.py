from collections.abc import Iterator

import openai
import pytest

from server.dialects.openai.errors import encode_error, error_body
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
from server.limits import MESSAGE_CHARS
from server.redaction import learn
from tests.server.dialects.openai.support import Desk

REQUEST = "invalid_request_error"

WORDING: list[tuple[ProxyError, int, str, str | None]] = [
    (ProxyError("m"), 500, "server_error", "internal_error"),
    (BadRequestError("m", param="temperature"), 400, REQUEST, None),
    (BadRequestError("m", code="invalid_value"), 400, REQUEST, "invalid_value"),
    (ContextLengthError("m"), 400, REQUEST, "context_length_exceeded"),
    (SchemaRejectedError("m"), 400, REQUEST, None),
    (SignatureRejectedError("m"), 400, REQUEST, None),
    (ThinkingRejectedError("m"), 400, REQUEST, None),
    (MediaRejectedError("m"), 400, REQUEST, None),
    (HeadTooLargeError("m"), 431, REQUEST, None),
    (AuthenticationError("m"), 401, REQUEST, "invalid_api_key"),
    (WrongKeyError("m"), 401, REQUEST, "invalid_api_key"),
    (WrongKindOfKeyError("m"), 403, "permission_error", "permission_denied"),
    (
        AuthenticationError("m", code="google_sign_in_required", should_retry=False),
        401,
        "authentication_error",
        "google_sign_in_required",
    ),
    (PermissionDeniedError("m"), 403, "permission_error", "permission_denied"),
    (NotFoundError("m"), 404, REQUEST, "not_found"),
    (NotFoundError("m", code="model_not_found"), 404, REQUEST, "model_not_found"),
    (MethodNotAllowedError("m"), 405, REQUEST, "method_not_allowed"),
    (UpgradeRefusedError("m"), 426, REQUEST, "method_not_allowed"),
    (PayloadTooLargeError("m"), 413, REQUEST, "request_too_large"),
    (UnsupportedMediaTypeError("m"), 415, REQUEST, "unsupported_content_encoding"),
    (MisdirectedRequestError("m"), 421, REQUEST, "misdirected_request"),
    (RateLimitError("m", source="throttle"), 429, "rate_limit_error", "rate_limit_exceeded"),
    (
        RateLimitError("m", source="quota", exhausted=True),
        429,
        "insufficient_quota",
        "insufficient_quota",
    ),
    (WrongKeyError("m"), 401, REQUEST, "invalid_api_key"),
    (WrongKindOfKeyError("m"), 403, "permission_error", "permission_denied"),
    (HeadTooLargeError("m"), 431, REQUEST, None),
    (NetworkSettingError("m"), 502, "server_error", "network_setting"),
    (UpstreamError("m"), 502, "server_error", "upstream_error"),
    (BrokenAnswerError("m"), 502, "server_error", "upstream_error"),
    (NetworkSettingError("m"), 502, "server_error", "network_setting"),
    (OverloadedError("m"), 503, "server_error", "server_is_overloaded"),
    (StoppedError("m"), 503, "server_error", "server_is_overloaded"),
    (OverloadedError("m", code="queue_full"), 503, "server_error", "queue_full"),
    (UpstreamTimeoutError("m"), 504, "server_error", "timeout"),
    (LoopError("m"), 508, REQUEST, "loop_detected"),
    (NotOfferedError("m"), 501, REQUEST, "unsupported_operation"),
    (InternalServerError("m"), 500, "server_error", "internal_error"),
]


@pytest.mark.parametrize(("error", "status", "kind", "code"), WORDING)
def test_an_error_is_worded_as_openai_would(
    error: ProxyError, status: int, kind: str, code: str | None
) -> None:
    body = {"message": "m", "type": kind, "param": error.param, "code": code}
    assert encode_error(error, "req_1") == (status, {"error": body})


def test_every_kind_of_failure_is_in_the_table() -> None:
    def family(kind: type[ProxyError]) -> Iterator[type[ProxyError]]:
        yield kind
        for child in kind.__subclasses__():
            yield from family(child)

    ours = {kind for kind in family(ProxyError) if kind.__module__ == "server.errors"}
    assert ours == {type(error) for error, *_ in WORDING}


def test_the_field_at_fault_is_named() -> None:
    assert error_body(BadRequestError("m", param="messages[0].role"))["error"]["param"] == (
        "messages[0].role"
    )


@pytest.mark.parametrize(
    ("error", "raised"),
    [
        (BadRequestError("m"), openai.BadRequestError),
        (AuthenticationError("m"), openai.AuthenticationError),
        (PermissionDeniedError("m"), openai.PermissionDeniedError),
        (NotFoundError("m"), openai.NotFoundError),
        (RateLimitError("m", source="quota"), openai.RateLimitError),
        (OverloadedError("m"), openai.InternalServerError),
    ],
)
def test_the_sdk_raises_its_own_exception(
    error: ProxyError, raised: type[openai.APIStatusError]
) -> None:
    with pytest.raises(raised) as caught:
        Desk(error).client().chat.completions.create(
            model="m", messages=[{"role": "user", "content": "hi"}]
        )
    assert caught.value.type == error_body(error)["error"]["type"]
    assert caught.value.code == error_body(error)["error"]["code"]


def test_what_an_error_repeats_is_cut_and_no_cut_shows_half_a_secret() -> None:
    secret = "a-secret-that-was-learnt" * 4
    learn(secret)
    for before in range(MESSAGE_CHARS - 120, MESSAGE_CHARS + 20):
        error = BadRequestError("m" * before + secret + "n" * 8_000_000, param="p" * 8_000_000)
        assert len(error.message) <= MESSAGE_CHARS
        assert "a-secret" not in error.message
        assert len(error.param or "") <= MESSAGE_CHARS
