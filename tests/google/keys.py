"""API keys of the Gemini API: what their past lets them do, and how Google refuses them.

    FakeGoogle(history=NEW_FREE)                          # every key of ``api_keys``
    FakeGoogle(keys={"old": OLD_PAID, "gone": LEAKED})    # single ones

Texts: dossier ``google-2026-11.md``, table 1.4.
"""

from dataclasses import dataclass
from typing import Literal

from server.demo.errors import GoogleError, Json
from tests.google.http import FakeRequest, error_info, retry_info

SERVICE = "generativelanguage.googleapis.com"
_METHODS = {
    "generateContent": "GenerativeService.GenerateContent",
    "streamGenerateContent": "GenerativeService.StreamGenerateContent",
    "countTokens": "GenerativeService.CountTokens",
    "embedContent": "GenerativeService.EmbedContent",
    "batchEmbedContents": "GenerativeService.BatchEmbedContents",
}
_LIMITS = "https://ai.google.dev/gemini-api/docs/rate-limits"
_MISLEADING = "10.673410956s"
"""What a refusal for good tells the client to wait."""

Refused = Literal["invalid", "expired", "leaked", "blocked", "standard", "location"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Key:
    """The history of one key."""

    paid: bool = True
    old: bool = False
    """Its project used the 2.5 family before that was closed to new users."""
    refused: Refused | None = None

    @property
    def stores(self) -> bool:
        """Its project keeps requests unless told otherwise (new paid ones, since 2026-10-26)."""
        return self.paid and not self.old


NEW_FREE = Key(paid=False)
NEW_PAID = Key()
OLD_FREE = Key(paid=False, old=True)
OLD_PAID = Key(old=True)
INVALID = Key(refused="invalid")
EXPIRED = Key(refused="expired")
LEAKED = Key(refused="leaked")
BLOCKED = Key(refused="blocked")
"""Restricted to other APIs."""
STANDARD = Key(refused="standard")
"""An ``AIza`` key of the kind that Google no longer takes."""
ABROAD = Key(refused="location")
"""Used from a country that Google does not serve."""


def refusal(key: Key, request: FakeRequest) -> GoogleError | None:
    """How Google refuses ``request`` for its key; None: it does not."""
    match key.refused:
        case "invalid":
            return _invalid("API key not valid. Please pass a valid API key.")
        case "expired":
            return _invalid("API key expired. Please renew the API key.")
        case "leaked":
            text = "Your API key was reported as leaked. Please use another API key."
            return GoogleError(403, text)
        case "blocked":
            return _blocked(_method(request))
        case "standard":
            return _unsupported(_method(request))
        case "location":
            text = "User location is not supported for the API use."
            return GoogleError(400, text, word="FAILED_PRECONDITION")
        case None:
            return None


def unknown(key: str) -> Key:
    """A key nobody issued: a broken ``AQ.`` one is taken for an access token."""
    return STANDARD if key.startswith("AQ.") else INVALID


def two_credentials() -> GoogleError:
    """``Authorization`` and ``x-goog-api-key`` in one request."""
    text = "Multiple authentication credentials received. Please pass only one."
    return GoogleError(400, text)


def no_longer_available(model_id: str) -> GoogleError:
    """The model is closed to keys without a past; the text is that of August 2026."""
    return GoogleError(
        404,
        f"This model models/{model_id} is no longer available to new users. Please update your "
        "code to use a newer model for the latest features and improvements. We recommend you to "
        "use the Interactions API "
        "(https://ai.google.dev/gemini-api/docs/migrate-to-interactions).",
    )


def limit_zero(model_id: str) -> GoogleError:
    """A model that only paid keys may use; the delay never helps."""
    name = model_id.removesuffix("-preview")
    kinds = (
        ("input_token_count", "GenerateContentInputTokensPerModelPerMinute-FreeTier"),
        ("requests", "GenerateRequestsPerDayPerProjectPerModel-FreeTier"),
    )
    metric = f"{SERVICE}/generate_content_free_tier_"
    lines = [
        f"* Quota exceeded for metric: {metric}{kind}, limit: 0, model: {name}" for kind, _ in kinds
    ]
    head = (
        "You exceeded your current quota, please check your plan and billing details. For more "
        f"information on this error, head to: {_LIMITS}. To monitor your current usage, head to: "
        "https://ai.dev/rate-limit. "
    )
    links = [{"description": "Learn more about Gemini API quotas", "url": _LIMITS}]
    help_: Json = {"@type": "type.googleapis.com/google.rpc.Help", "links": links}
    dimensions = {"location": "global", "model": name}
    quota: Json = {
        "@type": "type.googleapis.com/google.rpc.QuotaFailure",
        "violations": [
            {"quotaMetric": metric + kind, "quotaId": quota_id, "quotaDimensions": dimensions}
            for kind, quota_id in kinds
        ],
    }
    text = "\n".join([head, *lines, f"Please retry in {_MISLEADING}."])
    return GoogleError(429, text, help_, quota, retry_info("10s"))


def _invalid(text: str) -> GoogleError:
    return GoogleError(400, text, error_info("API_KEY_INVALID", "googleapis.com", service=SERVICE))


def _method(request: FakeRequest) -> str:
    """``google.ai.generativelanguage.v1beta.GenerativeService.GenerateContent``."""
    version = request.path.split("/")[1]
    name = request.path.rpartition(":")[2]
    listed = "GetModel" if "/models/" in request.path else "ListModels"
    method = _METHODS.get(name, f"ModelService.{listed}")
    return f"google.ai.generativelanguage.{version}.{method}"


def _blocked(method: str) -> GoogleError:
    return GoogleError(
        403,
        f"Requests to this API {SERVICE} method {method} are blocked.",
        error_info(
            "API_KEY_SERVICE_BLOCKED",
            "googleapis.com",
            consumer="projects/100000000000",
            service=SERVICE,
            apiName=SERVICE,
            methodName=method,
        ),
    )


def _unsupported(method: str) -> GoogleError:
    return GoogleError(
        401,
        "Request had invalid authentication credentials. Expected OAuth 2 access token, login "
        "cookie or other valid authentication credential. See "
        "https://developers.google.com/identity/sign-in/web/devconsole-project.",
        {
            "@type": "type.googleapis.com/google.rpc.ErrorInfo",
            "reason": "ACCESS_TOKEN_TYPE_UNSUPPORTED",
            "metadata": {"service": SERVICE, "method": method},
        },
    )
