"""Refusals in Google's error shape."""

import json
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


class GoogleError(Exception):
    """A refusal: raised wherever a rule is broken, sent once by who answers."""

    def __init__(
        self,
        status: int,
        message: str,
        *details: Json,
        word: str | None = None,
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
        self.headers = {"content-type": JSON_TYPE}

    def body(self) -> bytes:
        """The bytes to send."""
        return json.dumps({"error": self.error}, indent=2, ensure_ascii=False).encode()


def invalid(message: str) -> GoogleError:
    """400 INVALID_ARGUMENT."""
    return GoogleError(400, message)


def bad_request(*violations: tuple[str, str]) -> Json:
    """``google.rpc.BadRequest`` with (field, description) pairs."""
    return {
        "@type": "type.googleapis.com/google.rpc.BadRequest",
        "fieldViolations": [{"field": f, "description": d} for f, d in violations],
    }
