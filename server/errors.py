"""Every way a request can fail, named once.

A ``ProxyError`` is raised where the failure is understood and caught once, at the edge, where the
caller's dialect words it. Names follow the exceptions of the official ``openai`` and ``anthropic``
Python SDKs.

    ProxyError
     ├─ BadRequestError ─┬─ ContextLengthError
     │                   ├─ HeadTooLargeError
     │                   ├─ SchemaRejectedError      (upstream refused a tool or answer schema)
     │                   ├─ SignatureRejectedError   (upstream refused a thought signature)
     │                   └─ MediaRejectedError   (upstream could not read a picture or file)
     ├─ AuthenticationError ── WrongKeyError
     ├─ PermissionDeniedError ── WrongKindOfKeyError
     │                             ├─ PayloadTooLargeError
     │                             ├─ UnsupportedMediaTypeError
     ├─ NotFoundError              ├─ MethodNotAllowedError ── UpgradeRefusedError
     │                             ├─ MisdirectedRequestError
     ├─ RateLimitError             ├─ NotOfferedError
     ├─ UpstreamError ─┬─ BrokenAnswerError
     │                 └─ NetworkSettingError
     ├─ OverloadedError            ├─ LoopError
     ├─ UpstreamTimeoutError       └─ InternalServerError
"""

from typing import ClassVar, Literal

from server.limits import MESSAGE_CHARS, cut
from server.redaction import blank, blank_shapes

_MARGIN = 1024
"""Characters behind the cut in which a secret that begins before it may end."""


class ProxyError(Exception):
    """A request that cannot be answered; ``message`` says what happened and what to do."""

    kind: ClassVar[str] = "error"
    """The outcome written to the usage log."""

    status: ClassVar[int] = 500
    """The HTTP status, unless a dialect has its own (Anthropic answers 529 when overloaded)."""

    fault: ClassVar[bool] = False
    """Ours or Google's, which is an error in the log; what the client can mend is a warning."""

    transient: ClassVar[bool] = False
    """A short blip: worth a quick second try while nothing has reached the client."""

    def __init__(
        self,
        message: str,
        *,
        param: str | None = None,
        code: str | None = None,
        retry_after_s: float | None = None,
        should_retry: bool | None = None,
    ) -> None:
        # Half a surrogate pair, which Google's JSON may hold, cannot be written anywhere.
        said = message[: MESSAGE_CHARS + _MARGIN].encode("utf-8", "replace").decode()
        self.message = cut(blank_shapes(blank(said)), MESSAGE_CHARS)
        super().__init__(self.message)
        self.param = param and cut(param, MESSAGE_CHARS // 8)
        """The request field at fault, as a path in the caller's own notation."""
        self.code = code
        """A machine-readable reason (OpenAI's ``code``; also logged)."""
        self.retry_after_s = retry_after_s
        """Seconds until another try can succeed, where known."""
        self.should_retry = should_retry
        """False tells SDKs (``x-should-retry``) that repeating the request is pointless."""


class BadRequestError(ProxyError):
    """The request itself is wrong; ``param`` names the field."""

    kind = "bad_request"
    status = 400


class ContextLengthError(BadRequestError):
    """The conversation is longer than the model's input window."""

    kind = "context_length"

    def __init__(self, message: str, *, tokens: int | None = None, maximum: int | None = None):
        super().__init__(message, code="context_length_exceeded")
        self.tokens = tokens
        self.maximum = maximum


class SchemaRejectedError(BadRequestError):
    """Upstream could not read a schema; the pipeline sends it once more in plainer words."""

    def __init__(self, message: str, *, code: str | None = None, where: str = ""):
        super().__init__(message, code=code)
        self.where = where or message
        """All that Google said about the place."""


class SignatureRejectedError(BadRequestError):
    """Upstream refused a thought signature; the pipeline sends the bypass value once."""


class ThinkingRejectedError(BadRequestError):
    """Upstream cannot think as asked; the pipeline lets the model think its own way once."""


class MediaRejectedError(BadRequestError):
    """Upstream could not read a picture or file; the pipeline leaves out those of earlier turns."""


class HeadTooLargeError(BadRequestError):
    """The head of the request is larger than this server reads."""

    status = 431


class AuthenticationError(ProxyError):
    """The caller's key is wrong, or nobody is signed in to the upstream."""

    kind = "authentication"
    status = 401


class WrongKeyError(AuthenticationError):
    """A key was sent, and is none of this server's: worth slowing down."""


class PermissionDeniedError(ProxyError):
    """Known, but not allowed: a licence, a ban, a foreign web page."""

    kind = "permission_denied"
    status = 403


class WrongKindOfKeyError(PermissionDeniedError):
    """The key is one of this server's, and does not open this."""


class NotFoundError(ProxyError):
    """No such model or address."""

    kind = "not_found"
    status = 404


class MethodNotAllowedError(ProxyError):
    """The address exists, but not for this HTTP method."""

    kind = "method_not_allowed"
    status = 405


class UpgradeRefusedError(MethodNotAllowedError):
    """A WebSocket was asked for; the same can be had over HTTP."""

    kind = "upgrade_refused"
    status = 426


class PayloadTooLargeError(ProxyError):
    """The body is larger than 32 MiB after decoding."""

    kind = "too_large"
    status = 413


class UnsupportedMediaTypeError(ProxyError):
    """The body's content type or content encoding is not one we read."""

    kind = "unsupported_media_type"
    status = 415


class MisdirectedRequestError(ProxyError):
    """The Host header names a machine that is not this one (DNS rebinding)."""

    kind = "misdirected"
    status = 421


class RateLimitError(ProxyError):
    """Too many requests: our own spacing, our queue, or Google's limit."""

    kind = "rate_limit"
    status = 429

    def __init__(
        self,
        message: str,
        *,
        source: Literal["throttle", "queue", "quota"],
        retry_after_s: float | None = None,
        exhausted: bool = False,
    ) -> None:
        super().__init__(
            message,
            code="insufficient_quota" if exhausted else "rate_limit_exceeded",
            retry_after_s=retry_after_s,
            should_retry=False if exhausted else None,
        )
        self.source = source
        self.exhausted = exhausted
        """A quota of hours or days is used up: waiting inside the request is pointless."""


class UpstreamError(ProxyError):
    """Upstream failed or answered something unreadable."""

    kind = "upstream"
    status = 502
    fault = True
    transient = True


class BrokenAnswerError(UpstreamError):
    """The model's answer broke off or was malformed, so it must not look like a normal end."""

    kind = "broken_answer"


class NetworkSettingError(UpstreamError):
    """What this computer sets for its network (a proxy, certificates) cannot be used."""

    transient = False

    def __init__(self, message: str) -> None:
        super().__init__(message, code="network_setting", should_retry=False)


class OverloadedError(ProxyError):
    """Upstream has no capacity at the moment, or we are shutting down."""

    kind = "overloaded"
    status = 503
    fault = True
    transient = True


class StoppedError(OverloadedError):
    """The server is asked to stop, which is nobody's fault."""

    fault = False


class UpstreamTimeoutError(ProxyError):
    """Upstream did not answer in time."""

    kind = "timeout"
    status = 504
    fault = True


class LoopError(ProxyError):
    """The request has already passed through this program."""

    kind = "loop"
    status = 508


class NotOfferedError(ProxyError):
    """The chosen upstream, or the settings, do not offer this operation."""

    kind = "not_offered"
    status = 501


class InternalServerError(ProxyError):
    """Our own bug. The log has the traceback."""

    kind = "internal"
    status = 500
    fault = True
