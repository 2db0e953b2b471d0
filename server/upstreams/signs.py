"""By which signs Google's refusals of an account, a key, a place or a debt are told.

One table, read from above: status, ``ErrorInfo`` reason and words. Google names few of these
refusals by a reason of its own, and new ones come without any detail; so the words count wherever
no reason decides, a reason that we do not know is read as words, and each row knows the ways to say
one thing rather than one sentence of Google's. Facts: google-2026-11 dossier section 1.4; public
reports R5.
"""

import re
from collections.abc import Callable
from dataclasses import dataclass
from typing import Literal

from server.upstreams.refusals import Refusal

Credential = Literal["sign-in", "key", "standard-key", "adc"]
"""What the request carried: it decides what a person is told to do about a refusal. A standard key
begins with ``AIza``."""

KEYS: frozenset[Credential] = frozenset(("key", "standard-key"))
_ANY: frozenset[Credential] = frozenset(("sign-in", "key", "standard-key", "adc"))

_LONGEST = 4000
"""Of a message, as far as it is searched for words."""
_SENTENCE = r"[^.!?\n]"
"""Words of one statement stand in one sentence."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Sign:
    """One row: which refusals mean ``code`` (a code of ``server.auth.eligibility``)."""

    code: str
    statuses: tuple[int, ...] = (400, 401, 402, 403, 429)
    reasons: frozenset[str] = frozenset()
    words: re.Pattern[str] | None = None
    """Looked for where no reason decides."""
    always: bool = False
    """The words count beside any reason: they say more than it does."""
    credentials: frozenset[Credential] = _ANY
    unless: Callable[[Refusal], bool] = lambda refusal: False

    def fits(self, refusal: Refusal, credential: Credential) -> bool:
        if refusal.code not in self.statuses or credential not in self.credentials:
            return False
        if refusal.reason in self.reasons:
            return True
        if self.words is None or self.unless(refusal):
            return False
        if refusal.reason in _DECISIVE and not self.always:
            return False
        return self.words.search(_words_of(refusal)) is not None


def sign_of(refusal: Refusal, credential: Credential) -> str:
    """The code of the first row that fits; empty when the refusal is about something else."""
    return next((sign.code for sign in SIGNS if sign.fits(refusal, credential)), "")


def _words_of(refusal: Refusal) -> str:
    """What can be read of a refusal: its message, and the words in names of reason and quotas."""
    named = re.sub(r"(?<=[a-z])(?=[A-Z])", " ", f"{refusal.reason}. {refusal.quota_ids}")
    return f"{refusal.message[:_LONGEST]}\n{named.replace('_', ' ').replace('-', ' ')}"


def _any(*patterns: str) -> re.Pattern[str]:
    return re.compile("|".join(f"(?:{p})" for p in patterns).replace("§", _SENTENCE), re.I)


_NONE_LEFT = (
    r"deplet\w*|exhaust\w*|used up|consumed|r[au]n out|insufficient|not enough|too low|empty"
    r"|expired|zero|negative|no (?:remaining|more)|spent|overdrawn"
)
_MONEY = r"pre-?pa(?:y|id)\w*|credits?|(?:account|wallet|credit) balance|balance|funds"
_CREDITS = _any(
    rf"\b(?:{_MONEY})\b§{{0,60}}?\b(?:{_NONE_LEFT})\b",
    rf"\b(?:{_NONE_LEFT}|no|out of|lacks?)\b(?:[^\w.]+\w+){{0,3}}?[^\w.]+(?:{_MONEY})\b",
    r"\b(?:top up|add (?:more )?(?:credits?|funds)|buy (?:more )?credits)\b",
)
_ENDS = r"(?:caps?|limits?|ceilings?|maximum|threshold|allowance|budget)"
_SPENDING = r"(?:spend(?:ing)?|billing|budget|expenditure|expenses?|costs?|dollar|usd)"
_COUNTED = r"(?:requests?|tokens?|prompts?|images?|search\w*|quer\w+|calls?)"
_CAP = _any(
    rf"\b(?:monthly|billing period)\b(?:[^\w.]+(?!{_COUNTED}\b)\w+){{0,2}}?[^\w.]+{_ENDS}\b",
    rf"\b{_ENDS}\b§{{0,20}}?\bfor (?:this|the|your) billing account\b",
    r"\b(?:exceed\w*|reach\w*|hit|over)\b§{0,30}?\bbudget\b",
    rf"\b{_SPENDING}(?:[^\w.]+(?!and\b|details?\b)\w+){{0,2}}?[^\w.]+{_ENDS}\b",
    rf"\b{_ENDS}\b[^\w.]+(?:on|of|for)\b(?:[^\w.]+\w+){{0,2}}?[^\w.]+{_SPENDING}\b",
    rf"\bbudget\b§{{0,40}}?\b(?:{_NONE_LEFT}|exceeded|reached|hit)\b",
    r"\busage[^\w.]+cap\b",
    r"\$\s?\d[\d,.]*\b[^!?\n]{0,40}?\b(?:caps?|limit|budget)\b",
    r"\b(?:caps?|limit|budget)\b[^!?\n]{0,30}?\$\s?\d",
    rf"\b(?:exceed\w*|reach\w*|hit|over)\b§{{0,30}}?\b{_SPENDING}[^\w.]+{_ENDS}\b",
)
_BILLING_OFF = _any(
    r"\bbilling\b(?! details)§{0,60}?\b(?:disabled|not (?:been )?(?:enabled|active|activated|open|"
    r"set up|configured|found|linked|attached)|inactive|deactivated|closed|suspended|stopped|"
    r"delinquent|past due|invalid|missing|required|must be enabled|to be enabled)\b",
    r"\b(?:disabled|inactive|closed|suspended|no(?: active| valid)?|without)\b[^\w.]+billing\b",
)
_ENABLE_BILLING = _any(
    r"\b(?:enable|activate|set up|turn on|link|requires?|needs?)\b[^\w.]+"
    r"(?:(?:an?|the|your|active|valid|cloud)[^\w.]+){0,3}billing\b",
)
_UNPAID = _any(
    r"\bpayments?\b(?! details)§{0,40}?\b(?:declined|failed|overdue|past due|required|missing|"
    r"rejected|outstanding|invalid)\b",
    r"\b(?:overdue|unpaid|outstanding|past due)\b[^\w.]+(?:\w+[^\w.]+)?"
    r"(?:invoices?|payments?|balance|bills?|amount|charges)\b",
    r"\b(?:dunning|non-?payment|payment required)\b",
    r"\b(?:add|update|provide)\b[^\w.]+(?:\w+[^\w.]+){0,2}?payment method\b",
    r"\b(?:credit |debit )?card\b§{0,30}?\b(?:declined|expired|rejected|invalid)\b",
    r"\b(?:free )?trial\b§{0,40}?\b(?:ended|expired|over|used up)\b",
)
_WINDOW = re.compile(r"rolling|per[- ](?:minute|hour)|\b\d+[- ]?min|minutes?\b", re.I)

_DECISIVE = frozenset(
    {
        *("RATE_LIMIT_EXCEEDED", "QUOTA_EXHAUSTED", "INSUFFICIENT_G1_CREDITS_BALANCE"),
        *("MODEL_CAPACITY_EXHAUSTED", "MODEL_CAPACITY_EXCEEDED", "VALIDATION_REQUIRED"),
        *("TOS_VIOLATION", "SERVICE_DISABLED", "IAM_PERMISSION_DENIED", "SUBSCRIPTION_REQUIRED"),
        *("BILLING_DISABLED", "API_KEY_INVALID", "API_KEY_SERVICE_BLOCKED"),
    }
)
"""Reasons that say all there is to say; words beside them are read as explanations."""


def _in_a_window(refusal: Refusal) -> bool:
    """Whether a limit on spending counts minutes or hours: that one ends by waiting."""
    return _WINDOW.search(_words_of(refusal)) is not None


def _is_advice(refusal: Refusal) -> bool:
    """Whether billing is named beside a limit of requests, as the way to get more of them."""
    return bool(refusal.detail("QuotaFailure") or refusal.detail("RetryInfo"))


SIGNS: tuple[Sign, ...] = (
    Sign(
        code="TWO_CREDENTIALS",
        words=_any(r"\bmultiple authentication credentials\b", r"\bmore than one credential\b"),
    ),
    Sign(
        code="API_KEY_LEAKED",
        words=_any(r"\bkey\b§{0,60}?\b(?:leaked|compromised|exposed|published)\b"),
        always=True,
    ),
    Sign(
        code="API_KEY_EXPIRED",
        reasons=frozenset({"API_KEY_EXPIRED"}),
        words=_any(
            r"\bkey\b§{0,30}?\bexpired\b", r"\bexpired\b§{0,20}?\bkey\b", r"renew the API key"
        ),
        always=True,
    ),
    Sign(
        code="API_KEY_SERVICE_BLOCKED",
        reasons=frozenset({"API_KEY_SERVICE_BLOCKED"}),
        words=_any(r"\brequests to this api\b.*\bblocked\b"),
    ),
    Sign(
        code="API_KEY_RESTRICTED",
        reasons=frozenset(
            {
                *("API_KEY_HTTP_REFERRER_BLOCKED", "API_KEY_IP_ADDRESS_BLOCKED"),
                *("API_KEY_ANDROID_APP_BLOCKED", "API_KEY_IOS_APP_BLOCKED"),
            }
        ),
        words=_any(
            r"\brequests from\b.*\bare blocked\b", r"\b(?:ip address|referr?er)\b§*restrict"
        ),
    ),
    Sign(
        code="CONSUMER_SUSPENDED",
        reasons=frozenset({"CONSUMER_SUSPENDED"}),
        words=_any(r"\b(?:consumer|project)\b.{0,120}?\b(?:suspended|denied access)\b"),
    ),
    Sign(code="BILLING_DISABLED", reasons=frozenset({"BILLING_DISABLED"})),
    Sign(
        code="FREE_TIER_LOCATION",
        words=_any(r"\bfree (?:tier|use|quota)\b§{0,30}?\bnot available\b§{0,30}?\bcountry\b"),
    ),
    Sign(
        code="UNSUPPORTED_LOCATION",
        statuses=(400, 403, 451),
        reasons=frozenset({"UNSUPPORTED_LOCATION", "LOCATION_NOT_SUPPORTED"}),
        words=_any(
            r"\b(?:location|country|region)\b(?: is)? "
            r"(?:not (?:supported|available)|unsupported)\b§*\bapi\b",
            r"\bnot (?:yet )?(?:available|supported|offered)\b§{0,20}\byour (?:current )?"
            r"(?:country|region|location|territory)\b",
        ),
    ),
    Sign(code="PAYMENT_REQUIRED", words=_UNPAID, statuses=(402, 403, 429)),
    Sign(code="CREDITS_DEPLETED", words=_CREDITS, statuses=(402, 403, 429)),
    Sign(code="SPEND_CAP", words=_CAP, statuses=(402, 403, 429), unless=_in_a_window),
    Sign(code="BILLING_DISABLED", words=_BILLING_OFF),
    Sign(code="BILLING_DISABLED", words=_ENABLE_BILLING, unless=_is_advice),
    Sign(code="PAYMENT_REQUIRED", words=re.compile(""), statuses=(402,)),
    Sign(
        code="STANDARD_KEY_REFUSED",
        statuses=(401, 403),
        reasons=frozenset({"ACCESS_TOKEN_TYPE_UNSUPPORTED"}),
        words=_any(r"\binvalid authentication credentials\b", r"\bexpected oauth ?2\b"),
        credentials=frozenset(("standard-key",)),
    ),
    Sign(
        code="STANDARD_KEY_REFUSED",
        statuses=(400, 401, 403),
        words=_any(r"\bstandard (?:api )?keys?\b"),
        credentials=KEYS,
    ),
    Sign(
        code="AUTH_KEY_REFUSED",
        statuses=(401, 403),
        reasons=frozenset({"ACCESS_TOKEN_TYPE_UNSUPPORTED"}),
        words=_any(r"\binvalid authentication credentials\b", r"\bexpected oauth ?2\b"),
        credentials=frozenset(("key",)),
    ),
    Sign(
        code="API_KEY_INVALID",
        statuses=(400, 401, 403),
        reasons=frozenset({"API_KEY_INVALID", "API_KEY_NOT_FOUND"}),
        words=_any(r"\bapi key (?:not valid|not found|invalid)\b", r"\bvalid api key\b"),
    ),
    Sign(code="API_KEY_INVALID", statuses=(401,), words=re.compile(""), credentials=KEYS),
)
