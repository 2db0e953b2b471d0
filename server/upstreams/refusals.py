"""Reading Google's error bodies, whatever their shape.

Seen in the field: objects, one-element arrays, JSON inside ``message`` several levels deep, stray
commas, HTML of a front end. Facts: code-assist dossier sections 4.1 and 8; Gemini CLI 0.61
``googleErrors``.
"""

import re
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass, field
from datetime import datetime
from email.utils import parsedate_to_datetime

from server import json_codec
from server.gemini.types import Json

_STATUS_CODES: Mapping[str, int] = {
    "INVALID_ARGUMENT": 400,
    "FAILED_PRECONDITION": 400,
    "OUT_OF_RANGE": 400,
    "UNAUTHENTICATED": 401,
    "PERMISSION_DENIED": 403,
    "NOT_FOUND": 404,
    "ABORTED": 409,
    "RESOURCE_EXHAUSTED": 429,
    "CANCELLED": 499,
    "INTERNAL": 500,
    "UNAVAILABLE": 503,
    "DEADLINE_EXCEEDED": 504,
}
_DURATION = re.compile(r"(?:(\d+)h)?(?:(\d+)m(?!s))?(?:([\d.]+)s)?(?:([\d.]+)ms)?")
_RETRY_IN = re.compile(r"please retry in ([\d.]+m?s)", re.I)
_RESETS_IN = re.compile(r"\b(?:after|in)\s+((?=\d)(?:\d+h)?(?:\d+m)?(?:[\d.]+s)?)", re.I)


@dataclass(frozen=True, slots=True)
class Refusal:
    """One error of Google's, read but not yet judged."""

    code: int
    """HTTP status; the one inside the body where both are there."""
    message: str
    status: str = ""
    """``RESOURCE_EXHAUSTED``, ..."""
    reason: str = ""
    """``ErrorInfo.reason``."""
    metadata: Mapping[str, str] = field(default_factory=dict)
    """``ErrorInfo.metadata``."""
    details: tuple[Json, ...] = ()
    headers: Mapping[str, str] = field(default_factory=dict)
    web_page: bool = False
    """The body was HTML: some front end answered, not the API."""

    def detail(self, kind: str) -> Json:
        """The first detail whose ``@type`` ends in ``kind``."""
        for detail in self.details:
            if str(detail.get("@type", "")).strip(" ,").endswith(kind):
                return detail
        return {}

    @property
    def quota_ids(self) -> str:
        """Which quotas were hit, joined: names such as ``...RequestsPerDayPerProject-FreeTier``."""
        ids = [str(v.get("quotaId") or v.get("quotaMetric") or "") for v in self._violations]
        return " ".join([*ids, self.metadata.get("quota_limit", "")])

    @property
    def quota_values(self) -> frozenset[str]:
        """How much the quotas that were hit allow, where Google says it."""
        return frozenset(str(v["quotaValue"]) for v in self._violations if "quotaValue" in v)

    @property
    def _violations(self) -> list[Json]:
        return dicts(self.detail("QuotaFailure").get("violations"))


def loads(data: bytes) -> object:
    """JSON, forgiving the stray commas of Google's front end. Raises ``ValueError``."""
    try:
        return json_codec.loads(data)
    except ValueError:
        text = data.decode("utf-8", "replace")
        mended = re.sub(r",(\s*,)+", ",", text)
        return json_codec.loads(re.sub(r",(\s*[}\]])", r"\1", mended).encode())


def read_refusal(status: int, headers: Mapping[str, str], body: bytes) -> Refusal:
    """Read an error body of any shape."""
    try:
        error = error_object(loads(body))
    except ValueError:
        error = None
    if error is not None:
        return refusal_of(status, headers, error)
    text = body.decode("utf-8", "replace").strip()
    web_page = text[:1] == "<"
    said = _page_text(text) if web_page else text
    return Refusal(status, said, headers=headers, web_page=web_page)


def error_object(payload: object, depth: int = 10) -> Json | None:
    """The innermost error: out of a one-element array, and out of JSON inside ``message``.

    ``depth``: how many levels of ``message`` are opened, as many as Gemini CLI opens.
    """
    if isinstance(payload, list):
        payload = next(iter(dicts(payload)), None)
    if not isinstance(payload, dict) or not payload.get("error"):
        return None
    error: object = payload["error"]
    if not isinstance(error, dict):
        return {"status": str(error), "message": str(payload.get("error_description") or error)}
    message = error.get("message")
    if depth and isinstance(message, str) and message.lstrip()[:1] in ("{", "["):
        with suppress(ValueError):
            return error_object(loads(message.encode()), depth - 1) or error
    return error


def refusal_of(status: int, headers: Mapping[str, str], error: Json) -> Refusal:
    """Read an error object; ``status`` counts where it has no code of its own."""
    details = tuple(dicts(error.get("details")))
    bare = Refusal(status, "", details=details)
    info = bare.detail("ErrorInfo")
    metadata = info.get("metadata")
    name = str(error.get("status", ""))
    code = error.get("code")
    if not (isinstance(code, int) and 400 <= code < 600):
        code = _STATUS_CODES.get(name, status)
    return Refusal(
        code=code,
        message=str(error.get("message") or bare.detail("LocalizedMessage").get("message") or name),
        status=name,
        reason=str(info.get("reason", "")).strip(" ,"),
        metadata={k: str(v) for k, v in metadata.items()} if isinstance(metadata, dict) else {},
        details=details,
        headers=headers,
    )


def dicts(value: object) -> list[Json]:
    """The objects of a list; nothing for anything else."""
    return [item for item in value if isinstance(item, dict)] if isinstance(value, list) else []


def _page_text(html: str) -> str:
    """The words of a web page; its title where it has one."""
    lower = html.lower()
    begin = lower.find("<title")
    end = lower.find("</title", begin)
    if 0 <= begin < end:
        return _words(html[begin:end])
    said = []
    for number, piece in enumerate(_CODE.split(html)):
        # What follows the first one is code, until the tag that ends it.
        said.append(_CODE_END.split(piece, maxsplit=1)[-1] if number else piece)
    return _words(" ".join(said))


_CODE = re.compile(r"<(?:script|style)\b", re.I)
_CODE_END = re.compile(r"</(?:script|style)\b", re.I)


def _words(html: str) -> str:
    """``html`` without its tags, 200 characters of it; each piece is looked at once."""
    first, *rest = html.split("<")
    said = [piece.partition(">")[2] if ">" in piece else f"<{piece}" for piece in rest]
    return " ".join(" ".join([first, *said]).split())[:200]


def duration_s(text: object) -> float | None:
    """``373.8ms``, ``33740.9s``, ``9h22m20s`` in seconds; None for anything else."""
    found = _DURATION.fullmatch(text.strip()) if isinstance(text, str) and text.strip() else None
    if found is None:
        return None
    try:
        hours, minutes, seconds, millis = (float(part or 0) for part in found.groups())
    except ValueError:
        return None
    return hours * 3600 + minutes * 60 + seconds + millis / 1000


LONGEST_DELAY_S = 31 * 86_400.0
"""No quota resets later than this: a longer delay is told as this one."""


def delay_s(refusal: Refusal, now: float) -> float | None:
    """How long Google asks to wait, from the first of six places that says so."""
    delay = _stated_delay_s(refusal, now)
    return None if delay is None else min(delay, LONGEST_DELAY_S)


def _stated_delay_s(refusal: Refusal, now: float) -> float | None:
    metadata, message = refusal.metadata, refusal.message
    for text in (refusal.detail("RetryInfo").get("retryDelay"), metadata.get("quotaResetDelay")):
        if (delay := duration_s(text)) is not None:
            return delay
    try:
        reset = datetime.fromisoformat(metadata.get("quotaResetTimeStamp", ""))
        return max(0.0, reset.timestamp() - now)
    except (ValueError, OverflowError):
        pass
    for pattern in (_RETRY_IN, _RESETS_IN):
        found = pattern.search(message)
        if found and (delay := duration_s(found[1])) is not None:
            return delay
    return _retry_after_s(refusal.headers.get("retry-after", ""), now)


def _retry_after_s(header: str, now: float) -> float | None:
    """``Retry-After``: seconds or a date (RFC 9110, section 10.2.3)."""
    if re.fullmatch(r"[0-9]+", header):
        return float(header)
    try:
        return max(0.0, parsedate_to_datetime(header).timestamp() - now)
    except (ValueError, OverflowError):
        return None
