"""What Google's refusals mean: status, body and ``ErrorInfo`` -> one ``ProxyError``.

``refusals`` reads the body, ``signs`` tells what is refused to an account, a key or for want of
money; ``judge`` here is the decision table. Facts: code-assist dossier section 8; Gemini CLI 0.61
``googleQuotaErrors``.
"""

import re
import time
from collections.abc import Callable, Mapping
from datetime import UTC, datetime, timedelta

from server.auth.eligibility import (
    CODES,
    GEMINI_API_SERVICE,
    KEY_CODES,
    SIGN_IN_REQUIRED,
    VERTEX_SERVICE,
    AccountError,
    BillingError,
    EligibilityError,
    KeyRefusedError,
    MisplacedError,
    Problem,
    problem_for,
    sentence,
)
from server.errors import (
    AuthenticationError,
    BadRequestError,
    ContextLengthError,
    MediaRejectedError,
    NotFoundError,
    OverloadedError,
    PayloadTooLargeError,
    ProxyError,
    RateLimitError,
    SchemaRejectedError,
    SignatureRejectedError,
    ThinkingRejectedError,
    UpstreamError,
)
from server.redaction import blank_shapes
from server.upstreams.model_refusals import ModelNotFoundError, ModelNotInPlanError, Why
from server.upstreams.refusals import (
    Refusal,
    delay_s,
    dicts,
    error_object,
    read_refusal,
    refusal_of,
)
from server.upstreams.signs import Credential, sign_of

_SERVICES: dict[Credential, str] = {
    "key": GEMINI_API_SERVICE,
    "standard-key": GEMINI_API_SERVICE,
    "adc": VERTEX_SERVICE,
}
"""What is refused when Google does not name it."""

LONGEST_SHORT_DELAY_S = 300.0
"""A longer delay than this is a quota used up, not a rate limit (Gemini CLI's own border)."""

_CAPACITY = frozenset({"MODEL_CAPACITY_EXHAUSTED", "MODEL_CAPACITY_EXCEEDED"})
_QUOTA = frozenset({"RATE_LIMIT_EXCEEDED", "QUOTA_EXHAUSTED", "INSUFFICIENT_G1_CREDITS_BALANCE"})
_CAPACITY_TEXT = re.compile(r"exhausted your capacity|capacity exceeded|no capacity", re.I)
_LICENCE_TEXT = re.compile(r"#3501|valid license|named user on your organization", re.I)
_DAILY = re.compile(r"\b(?:per[- ]day|daily|for today)\b", re.I)
_MONTHLY = re.compile(r"\b(?:per[- ]month|monthly|this month)\b", re.I)
_MINUTES = re.compile(r"\b(\d{1,3})[- ]?min(?:ute)?s?\b", re.I)
"""The window a limit counts in, where Google says nothing else about time."""
_LIMIT_ZERO = re.compile(r"\blimit\W{1,4}(?:is |of )?0(?!\d|[.,]\d)", re.I)
_MODEL = re.compile(r"\bmodels?\b", re.I)
_GONE = re.compile(
    r"no longer (?:available|supported|served)|(?:has been|was|is|been) (?:retired|deprecated and|"
    r"discontinued|shut ?down|removed|turned off|sunset)|retired",
    re.I,
)
_OTHER_RESOURCE = re.compile(
    r"cached ?contents?|\bfiles?[/ ]|\btuned|\bcorpora|\bprojects? .{0,80}not found|\bendpoints?/",
    re.I,
)
"""What a request may name besides its model, and what may be missing as well."""
_NO_ACCESS_TO_MODEL = re.compile(
    r"\b(?:access|entitle\w*|allow\w*|permitted|available|licen[cs]e\w*|enabled)\b[^.\n]{0,80}\bmodel\b"
    r"|\bmodel\b[^.\n]{0,80}\b(?:access|entitle\w*|allow\w*|permitted|available|licen[cs]e\w*|enabled)\b",
    re.I,
)
_TOO_LONG = re.compile(
    r"token count (?:\(|is )?([\d,]+)\)?.*?"
    r"(?:maximum number of tokens allowed \(?|supports up to )([\d,]+)",
    re.I | re.S,
)
_SIGNATURE = re.compile(r"thought.?signature", re.I)
_THINKING = re.compile(r"\bthinking[ _]?(?:budget|level|config|mode)\b|\binclude_?thoughts\b", re.I)
"""How Google says that this model thinks by other rules: one may answer for another unannounced."""
_MEDIA = re.compile(
    r"(?:process|read|decode|load|fetch|retrieve|download)\w*\s+(?:\w+\s+){0,5}?"
    r"(?:image|video|audio|document|pdf|file|media|url)\b|document has no pages"
    r"|unsupported (?:mime|image|media|file|video|audio)|mime ?type\b.*\bnot supported"
    r"|(?:image|document|video|audio) (?:is not valid|is invalid|is corrupt)"
    r"|inline_?data|file_?(?:data|uri)",
    re.I,
)
"""How Google says that it cannot read a part."""
_DEAD_FILE = re.compile(r"\baccess the file\b.*may not exist|\bfile\b.*\bnot found", re.I)
"""Files of the Files API end after two days: a 403 that concerns no key."""
_SCHEMA = re.compile(
    r"function_?declarations\[\d+\]|parameters_?json_?schema|response_?(json_?)?schema|\bschema\b"
    r"|cannot start list",
    re.I,
)
_VAGUE = re.compile(r"\s*request contains an invalid argument\.?\s*", re.I)
_SECRETS = (
    re.compile(r"(?<=Bearer )[\w.~+/-]+=*"),
    re.compile(r"(?<=\bprojects/)[\w:.-]+"),
    re.compile(r"(?<=\bproject )(?:\d{6,}|[a-z][a-z0-9]*-[a-z0-9-]+)|(?<=[?&]project=)[\w:.-]+"),
)
_LONGEST_MESSAGE = 2000
_GOOGLES_PAGE = re.compile(
    r"https://(?:[\w-]+\.)*(?:google\.com|google\.dev|ai\.studio|goo\.gle|g\.co)(?:/[^\s\"'<>]*)?",
    re.I,
)
"""Where Google's own words send the user."""


def error_from_response(
    status: int,
    headers: Mapping[str, str],
    body: bytes,
    *,
    credential: Credential = "sign-in",
    now: Callable[[], float] = time.time,
) -> ProxyError:
    """The error an HTTP answer other than 200 stands for. ``now``: Unix seconds."""
    return judge(read_refusal(status, headers, body), credential=credential, now=now)


def error_from_payload(
    payload: object,
    *,
    credential: Credential = "sign-in",
    now: Callable[[], float] = time.time,
) -> ProxyError | None:
    """The error inside a JSON value that came with status 200; None when there is none."""
    error = error_object(payload)
    if error is None:
        return None
    return judge(refusal_of(500, {}, error), credential=credential, now=now)


def judge(
    refusal: Refusal, *, credential: Credential = "sign-in", now: Callable[[], float] = time.time
) -> ProxyError:
    """The decision table. Reasons come before texts: one sentence of Google's ("You have exhausted
    your capacity on this model") is used for rate limits, quotas and real lack of capacity.
    """
    reason, code = refusal.reason, refusal.code
    if reason in _CAPACITY:
        return _no_capacity(refusal, now())
    if code in (403, 404) and _DEAD_FILE.search(refusal.message):
        said = clean(refusal.message, refusal.metadata)
        return MediaRejectedError(said, code="unreadable_media")
    if sign := sign_of(refusal, credential):
        return _refused_account(sign, refusal, credential)
    if reason in _QUOTA or code == 429:
        return _quota(refusal, now())
    return _by_status(refusal, credential, now())


def _by_status(refusal: Refusal, credential: Credential, now: float) -> ProxyError:
    """Where the reason decides nothing, the status does."""
    match refusal.code:
        case 400:
            return _bad_request(refusal)
        case 401:
            return _unauthenticated(refusal, credential)
        case 403:
            return _forbidden(refusal, credential)
        case 404 | 410:
            return _not_found(refusal, credential)
        case 413:
            return PayloadTooLargeError(_worded("Google finds this request too large", refusal))
        case 408 | 409 | 499 | 503:
            return _unavailable(refusal, now)
        case code if 400 <= code < 500:
            return BadRequestError(_worded(f"Google refused the request ({code})", refusal))
        case code:
            return UpstreamError(_worded(f"Google failed to answer ({code})", refusal))


def _worded(lead: str, refusal: Refusal, advice: str = "") -> str:
    """Our words around Google's own, without tokens and project ids."""
    said = clean(refusal.message, refusal.metadata)
    said = f"{lead}: {said}" if said else lead
    return f"{said.rstrip('.')}. {advice}".rstrip()


def clean(message: str, metadata: Mapping[str, str] | None = None) -> str:
    """A message of Google's without access tokens, keys and project ids."""
    for name in ("consumer", "containerInfo"):
        value = (metadata or {}).get(name, "").removeprefix("projects/")
        if value:
            message = message.replace(value, "…")
    for pattern in _SECRETS:
        message = pattern.sub("…", message)
    return blank_shapes(message).strip()[:_LONGEST_MESSAGE]


def _no_capacity(refusal: Refusal, now: float) -> ProxyError:
    lead = "Google has no capacity for this model right now, which is not your quota"
    advice = "Try again shortly, or choose another model."
    return OverloadedError(_worded(lead, refusal, advice), retry_after_s=delay_s(refusal, now))


def _quota(refusal: Refusal, now: float) -> ProxyError:
    if not refusal.reason and _CAPACITY_TEXT.search(refusal.message):
        return _no_capacity(refusal, now)
    ids, delay = refusal.quota_ids.lower(), delay_s(refusal, now)
    if _LIMIT_ZERO.search(refusal.message) or "0" in refusal.quota_values:
        lead = "This key's plan has no quota for this model"
        return ModelNotInPlanError(_worded(lead, refusal, "Choose another model."))
    if refusal.reason == "INSUFFICIENT_G1_CREDITS_BALANCE":
        return _used_up("There are not enough Google One AI credits", refusal, delay)
    if "perday" in ids or "daily" in ids or (delay is None and _DAILY.search(refusal.message)):
        # The RetryInfo of a daily quota says seconds, and is of no use.
        reset = _reset_from(refusal, now) or _until_midnight_pacific(now)
        return _used_up("Google's daily quota is used up", refusal, reset)
    if delay is None and "perminute" in ids:
        delay = 60.0
    if delay is None and (window := _MINUTES.search(refusal.message)):
        delay = 60.0 * int(window[1])
    # The delay tells more than the word: a "used up" quota may be back in seconds.
    terminal = refusal.reason == "QUOTA_EXHAUSTED" or _MONTHLY.search(refusal.message)
    if (terminal and delay is None) or (delay or 0) > LONGEST_SHORT_DELAY_S:
        return _used_up("Google's quota for this account is used up", refusal, delay)
    message = _worded("Google's rate limit was hit", refusal, _when(delay))
    return RateLimitError(message, source="quota", retry_after_s=delay)


def _used_up(lead: str, refusal: Refusal, delay: float | None, advice: str = "") -> RateLimitError:
    message = _worded(lead, refusal, advice or _when(delay))
    return RateLimitError(message, source="quota", retry_after_s=delay, exhausted=True)


def _when(delay: float | None) -> str:
    if delay is None:
        return ""
    return f"Try again in {timedelta(seconds=max(1, round(delay)))} (h:mm:ss)."


def _reset_from(refusal: Refusal, now: float) -> float | None:
    """The delay to ``quotaResetTimeStamp`` or ``quotaResetDelay``; neither is ever invented."""
    stamped = {k: v for k, v in refusal.metadata.items() if k.startswith("quotaReset")}
    return delay_s(Refusal(refusal.code, "", metadata=stamped), now) if stamped else None


def _until_midnight_pacific(now: float) -> float:
    """Daily quotas reset at midnight Pacific time (Gemini API, *Rate limits*).

    Counted in UTC-8 all year: an hour late in summer, and no time-zone database is needed.
    """
    local = datetime.fromtimestamp(now, UTC) - timedelta(hours=8)
    midnight = (local + timedelta(days=1)).replace(hour=0, minute=0, second=0, microsecond=0)
    return (midnight - local).total_seconds()


def _refused_account(code: str, refusal: Refusal, credential: Credential) -> AccountError:
    """What a sign of ``signs`` means; Google's own class of status stays."""
    said, (link, link_text) = clean(refusal.message, refusal.metadata), _link_of(refusal)
    if link is None and (found := _GOOGLES_PAGE.search(said)):
        link = found[0].rstrip(".,;:)")
    service = refusal.metadata.get("service") or _SERVICES.get(credential, "")
    problem = problem_for(code, service=service, said=said, link=link, link_text=link_text)
    kind = _kind_of(problem, refusal.code)
    return kind(problem, said)


def _kind_of(problem: Problem, status: int) -> Callable[[Problem, str], AccountError]:
    if problem.code in KEY_CODES:
        return EligibilityError if status == 403 else KeyRefusedError
    if status in (402, 429):
        return BillingError
    return EligibilityError if status in (401, 403) else MisplacedError


def _bad_request(refusal: Refusal) -> ProxyError:
    said = clean(refusal.message, refusal.metadata) or "Google found the request invalid."
    too_long = _TOO_LONG.search(said)
    if too_long:
        tokens, maximum = (int(number.replace(",", "")) for number in too_long.groups())
        return ContextLengthError(said, tokens=tokens, maximum=maximum)
    if "exceeds the maximum number of tokens" in said:
        return ContextLengthError(said)
    if _SIGNATURE.search(said):
        return SignatureRejectedError(said, code="thought_signature")
    if _THINKING.search(said):
        return ThinkingRejectedError(said, code=refusal.status.lower() or None)
    fields = " ".join(
        str(v.get("field", "")) for v in dicts(refusal.detail("BadRequest").get("fieldViolations"))
    )
    # Google words a schema it cannot digest as vaguely as this, without naming a field.
    where = f"{said} {fields}"
    if _SCHEMA.search(where) or (_VAGUE.fullmatch(said) and not fields):
        return SchemaRejectedError(said, code="invalid_schema", where=where)
    if _MEDIA.search(where):
        return MediaRejectedError(said, code="unreadable_media")
    return BadRequestError(said, code=refusal.status.lower() or None)


def _unauthenticated(refusal: Refusal, credential: Credential) -> ProxyError:
    if credential == "adc":
        problem = problem_for("ADC_REFUSED")
        said = clean(refusal.message, refusal.metadata)
        words = f"{sentence(said)} {problem.sentence}" if said else problem.sentence
        return AuthenticationError(words, code=problem.code, should_retry=False)
    message = _worded("Google does not accept the sign-in", refusal, "Sign in again.")
    return AuthenticationError(message, code=SIGN_IN_REQUIRED, should_retry=False)


def _forbidden(refusal: Refusal, credential: Credential) -> ProxyError:
    said = clean(refusal.message, refusal.metadata)
    if not refusal.reason and _NO_ACCESS_TO_MODEL.search(said) and not _LICENCE_TEXT.search(said):
        lead = "This model is not in the licence of the account"
        words = _worded(lead, refusal, "Choose another model.")
        return ModelNotFoundError(words, why="licence")
    code = "NO_LICENSE" if _LICENCE_TEXT.search(said) else refusal.reason
    if not code:
        # A bare refusal; Code Assist looks at the account once more before it believes it.
        code = "PERMISSION_DENIED"
    link, link_text = _link_of(refusal)
    known = code in CODES
    problem = problem_for(
        code,
        service=refusal.metadata.get("service") or _SERVICES.get(credential, ""),
        said=said,
        link=link,
        link_text=link_text,
    )
    return EligibilityError(problem, said if known else "")


def _link_of(refusal: Refusal) -> tuple[str | None, str | None]:
    """The page Google sends the user to: verification, appeal, or switching an API on."""
    metadata = refusal.metadata
    for link in dicts(refusal.detail("Help").get("links")):
        url, text = str(link.get("url", "")), str(link.get("description", ""))
        if url and text != "Learn more" and "//support.google.com" not in url:
            return url, text or None
    for url, text in (
        ("validation_url", "validation_url_link_text"),
        ("validation_link", "validation_url_link_text"),
        ("appeal_url", "appeal_url_link_text"),
        ("activationUrl", "serviceTitle"),
    ):
        if metadata.get(url):
            return metadata[url], metadata.get(text)
    return None, None


def _not_found(refusal: Refusal, credential: Credential) -> ProxyError:
    if refusal.web_page:
        lead = "A web page answered where Google's API was expected (404)"
        return UpstreamError(_worded(lead, refusal, "Check the upstream's base address."))
    why = _why_not_found(refusal, credential)
    if why is None:
        return NotFoundError(_worded("Google does not find it", refusal))
    advice = "The model may not exist or not be served to this account; see /v1/models."
    if why == "gone":
        advice = "Choose another model; see /v1/models."
    elif credential == "adc":
        advice = (
            "The model may not exist, or not be served in this GOOGLE_CLOUD_LOCATION; `global` has "
            "the most."
        )
    return ModelNotFoundError(_worded("Google does not find it", refusal, advice), why=why)


def _why_not_found(refusal: Refusal, credential: Credential) -> Why | None:
    """What a 404 says of the model asked for; None when it is about something else."""
    if _OTHER_RESOURCE.search(refusal.message):
        return None
    if _GONE.search(refusal.message):
        return "gone"
    if credential == "sign-in":
        return "licence"  # "Requested entity was not found." is all that Code Assist says
    return "unknown" if _MODEL.search(refusal.message) else None


def _unavailable(refusal: Refusal, now: float) -> ProxyError:
    broken = refusal.code in (408, 499)
    lead = "Google broke the request off" if broken else "Google is overloaded"
    return OverloadedError(
        _worded(f"{lead} ({refusal.code})", refusal, "Try again shortly."),
        retry_after_s=delay_s(refusal, now),
    )
