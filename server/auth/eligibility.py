"""Why Google does not serve an account: one sentence and one remedy per code.

The page, the banner, the tray and the API error all take their words from here (contract section 3,
*The honest door*). Codes: ``ineligibleTiers[].reasonCode`` of Code Assist, ``ErrorInfo.reason`` of
its refusals, error codes of Google's token endpoint, and a few of our own.
"""

from collections.abc import Mapping
from dataclasses import dataclass, replace

from server.errors import (
    AuthenticationError,
    BadRequestError,
    PermissionDeniedError,
    ProxyError,
    RateLimitError,
)

SIGN_IN_REQUIRED = "google_sign_in_required"
API_KEY_PAGE = "https://aistudio.google.com/apikey"
VERTEX_SERVICE = "aiplatform.googleapis.com"
GEMINI_API_SERVICE = "generativelanguage.googleapis.com"


@dataclass(frozen=True, slots=True, kw_only=True)
class Problem:
    """Why an upstream cannot serve, in words for a person."""

    code: str
    """Google's own code where there is one: ``UNSUPPORTED_CLIENT``, ``TOS_VIOLATION``, ..."""
    message: str
    remedy: str
    link: str | None = None
    link_text: str | None = None

    @property
    def sentence(self) -> str:
        """Everything in one line, for places that show plain text."""
        link = f" {self.link_text or 'See'}: {self.link}" if self.link else ""
        return f"{self.message} {self.remedy}{link}"


class AccountError(ProxyError):
    """A refusal that concerns whoever pays or asks, not the request: no repeating will help."""

    problem: Problem


class EligibilityError(AccountError, PermissionDeniedError):
    """Google knows who is asking and does not serve that account."""

    def __init__(self, problem: Problem, said: str = "") -> None:
        """``said``: Google's own text, kept in front of ours where it adds something."""
        super().__init__(_words(problem, said), code=problem.code, should_retry=False)
        self.problem = problem


class KeyRefusedError(AccountError, AuthenticationError):
    """Google does not take the API key."""

    def __init__(self, problem: Problem, said: str = "") -> None:
        super().__init__(_words(problem, said), code="invalid_api_key", should_retry=False)
        self.problem = problem


class MisplacedError(AccountError, BadRequestError):
    """Google refuses every request that comes this way: from this place, with two credentials."""

    def __init__(self, problem: Problem, said: str = "") -> None:
        super().__init__(_words(problem, said), code=problem.code, should_retry=False)
        self.problem = problem


class BillingError(AccountError, RateLimitError):
    """Nothing is answered until somebody pays, or raises a limit on spending: no delay ends it."""

    def __init__(self, problem: Problem, said: str = "") -> None:
        super().__init__(_words(problem, said), source="quota", exhausted=True)
        self.problem = problem


def _words(problem: Problem, said: str) -> str:
    return f"{sentence(said)} {problem.sentence}" if said else problem.sentence


def sentence(text: str) -> str:
    """``text`` as others wrote it, with the full stop that ours needs in front."""
    return text if text.endswith((".", "!", "?")) else f"{text}."


_OTHER_ROADS = "Use a Gemini API key or Vertex AI instead: both are served to everyone."
_ASK_ADMIN = "Ask the administrator of your organisation."
_SET_UP_ADC = (
    "Run `gcloud auth application-default login`, or set GOOGLE_APPLICATION_CREDENTIALS to the "
    "path of a service account's key file."
)
_ENTERED = "it is entered on the set-up page, or in GEMINI_API_KEY."

_TABLE: Mapping[str, tuple[str, str]] = {
    "UNSUPPORTED_CLIENT": (
        "Google no longer serves this kind of account through this sign-in: since 2026-06-18 only "
        "Gemini Code Assist Standard and Enterprise licences are.",
        _OTHER_ROADS,
    ),
    "VALIDATION_REQUIRED": (
        "Google wants this account to be verified first.",
        "Open Google's page in your browser, complete the check, then check again here.",
    ),
    "TOS_VIOLATION": (
        "Google has suspended this account's access for a violation of its Terms of Service.",
        "Only Google can lift that: send them an appeal, and do not retry.",
    ),
    "INELIGIBLE_ACCOUNT": (
        "Google says this account is not eligible for Gemini Code Assist.",
        _OTHER_ROADS,
    ),
    "NON_USER_ACCOUNT": (
        "Gemini Code Assist takes only accounts of people, not service accounts.",
        "Sign in with a personal or work account, or use Vertex AI.",
    ),
    "DASHER_USER": (
        "This is a Google Workspace account: it needs a Gemini Code Assist licence and a project.",
        f"Set GOOGLE_CLOUD_PROJECT to the licensed project's ID. {_ASK_ADMIN}",
    ),
    "RESTRICTED_AGE": (
        "Google does not offer Gemini Code Assist to an account of this age.",
        "Sign in with an account whose owner is an adult, and whose age Google knows.",
    ),
    "RESTRICTED_NETWORK": (
        "Google does not offer Gemini Code Assist on this network.",
        "Try from another network, without a VPN.",
    ),
    "UNSUPPORTED_LOCATION": (
        "Google does not offer this service in the country you are connecting from.",
        "Google's list of available regions says where it works; Vertex AI may be offered to you.",
    ),
    "UNKNOWN_LOCATION": (
        "Google cannot tell which country you are connecting from.",
        "Try without a VPN or proxy.",
    ),
    "NO_LICENSE": (
        "This account has no valid Gemini Code Assist licence in the project in use.",
        f"Have a Standard or Enterprise licence assigned, or unset GOOGLE_CLOUD_PROJECT if it "
        f"names the wrong project. {_ASK_ADMIN}",
    ),
    "SERVICE_DISABLED": (
        "A Google API that this needs is switched off in the project in use.",
        "Enable it in the Google Cloud console, wait a few minutes, then check again here.",
    ),
    "SERVICE_DISABLED:cloudcode-pa": (
        "Google's Code Assist API is private: the OAuth client or project in use has no access, "
        "and cannot be given any.",
        _OTHER_ROADS,
    ),
    "SERVICE_DISABLED:aiplatform": (
        "The Vertex AI API is switched off in the project in use.",
        "Enable it in the Google Cloud console, wait a few minutes, then check again here.",
    ),
    "BILLING_DISABLED": (
        "The Google Cloud project in use has no billing account.",
        f"Enable billing for it in the Google Cloud console. {_ASK_ADMIN}",
    ),
    "BILLING_DISABLED:generativelanguage": (
        "Billing is off, or has been stopped, for the project of this Gemini API key.",
        "Set billing up, or settle what is owed, in Google AI Studio; or use another key.",
    ),
    "PAYMENT_REQUIRED": (
        "Google refuses to answer until what is owed for this account has been paid.",
        "Settle it on Google's billing page.",
    ),
    "CREDITS_DEPLETED": (
        "The prepaid balance of this account at Google is used up.",
        "Add credit on Google's billing page; waiting does not bring it back.",
    ),
    "SPEND_CAP": (
        "The limit on spending that is set for this account at Google has been reached.",
        "Raise it on Google's billing page, or wait until Google's billing period ends.",
    ),
    "CONSUMER_SUSPENDED": (
        "Google has suspended the project that this request belongs to.",
        "Open the project's page at Google: it says why, and how to appeal. Or use another one.",
    ),
    "CONSUMER_INVALID": (
        "Google does not know the Google Cloud project in use, or hides it from this account.",
        "Set GOOGLE_CLOUD_PROJECT to the project's ID.",
    ),
    "IAM_PERMISSION_DENIED": (
        "This account lacks a permission in the Google Cloud project in use.",
        f"For Vertex AI it needs the role Vertex AI User (roles/aiplatform.user). {_ASK_ADMIN}",
    ),
    "SECURITY_POLICY_VIOLATED": (
        "A security perimeter (VPC Service Controls) of your organisation blocks this request.",
        f"Connect from inside the perimeter. {_ASK_ADMIN}",
    ),
    "PERMISSION_DENIED": (
        "This account may not use Gemini Code Assist in the project in use.",
        "Check the licence and GOOGLE_CLOUD_PROJECT; an individual account should leave that unset "
        f"and needs a licence, too. {_ASK_ADMIN}",
    ),
    "PERMISSION_DENIED:aiplatform": (
        "This account may not use Vertex AI in the project in use.",
        "Give it the role Vertex AI User (roles/aiplatform.user) there, or correct "
        f"GOOGLE_CLOUD_PROJECT. {_ASK_ADMIN}",
    ),
    "PERMISSION_DENIED:generativelanguage": (
        "Google denies this to the Gemini API key in use.",
        "Check the key's restrictions and the state of its project, or use another key.",
    ),
    "ACCESS_TOKEN_SCOPE_INSUFFICIENT": (
        "The permission for Google Cloud was not given at sign-in.",
        "Sign in again and leave its box ticked.",
    ),
    "PROJECT_REQUIRED": (
        "This account's licence needs a Google Cloud project.",
        "Set GOOGLE_CLOUD_PROJECT to the ID of the licensed project.",
    ),
    "PROJECT_REQUIRED:aiplatform": (
        "Vertex AI needs a Google Cloud project.",
        "Set GOOGLE_CLOUD_PROJECT to the project's ID.",
    ),
    "PROJECT_NUMBER": (
        "GOOGLE_CLOUD_PROJECT is a project number, and Google takes only project IDs there.",
        "Set it to the project ID (it has letters in it).",
    ),
    "ONBOARDING_TIMEOUT": (
        "Google is still setting this account up and did not finish within a minute.",
        "Wait a little, then check again here.",
    ),
    "UNKNOWN": ("Google refuses to serve this account and does not say why.", _OTHER_ROADS),
    "invalid_grant": (
        "The Google sign-in has expired or was revoked.",
        "Sign in again; if it expires at once, check this computer's clock.",
    ),
    "invalid_rapt": (
        "Your organisation asks you to prove your identity to Google again.",
        "Sign in again.",
    ),
    "invalid_client": (
        "Google does not know the OAuth client of this sign-in any more.",
        "Check GOOGLE_OAUTH_CLIENT_FILE, then sign in again.",
    ),
    "unauthorized_client": (
        "Google does not allow this OAuth client to renew the sign-in.",
        "Use an OAuth client of the type 'Desktop app', then sign in again.",
    ),
    "NO_OAUTH_CLIENT": (
        "There is a Google sign-in, but the OAuth client that could renew it is not known.",
        "Set GOOGLE_OAUTH_CLIENT_FILE to the client-secrets file it was made with, or sign in "
        "again.",
    ),
    "OAUTH_CLIENT_ELSEWHERE": (
        "The OAuth client in use signs in at another endpoint than the one this Google sign-in "
        "came from, so the sign-in is not renewed there.",
        "Set GOOGLE_OAUTH_CLIENT_FILE to the client-secrets file it was made with, or sign in "
        "again.",
    ),
    "SIGN_IN_ELSEWHERE": (
        "The Google sign-in was made for another host than CODE_ASSIST_ENDPOINT names now, and is "
        "not sent there.",
        "Sign in again for the address that is set now, or set the address back.",
    ),
    "TOKEN_FILE_UNREADABLE": (
        "The token file cannot be read or is not a token file.",
        "Check TOKEN_FILE, or sign in again.",
    ),
    "ADC_MISSING": (
        "There are no Application Default Credentials of Google Cloud on this computer.",
        _SET_UP_ADC,
    ),
    "ADC_UNREADABLE": (
        "The file with the Application Default Credentials cannot be read, or is of no known kind.",
        _SET_UP_ADC,
    ),
    "ADC_REFUSED": (
        "Google does not accept the Application Default Credentials on this computer (any more).",
        "Run `gcloud auth application-default login` again, or give "
        "GOOGLE_APPLICATION_CREDENTIALS a key file that is still valid.",
    ),
    SIGN_IN_REQUIRED: ("Nobody is signed in to Google.", "Sign in."),
    "API_KEY_INVALID": (
        "Google does not accept this API key.",
        f"Copy it again, whole, or create another; {_ENTERED}",
    ),
    "API_KEY_EXPIRED": (
        "This API key has expired.",
        f"Renew it, or create another, at Google; {_ENTERED}",
    ),
    "API_KEY_LEAKED": (
        "Google has blocked this API key because it was found in public.",
        "It will not work again, so create another and delete this one at Google. Keep the new one "
        f"out of code and web pages; {_ENTERED}",
    ),
    "API_KEY_SERVICE_BLOCKED": (
        "This API key may not be used for the Gemini API: its restrictions name other APIs.",
        "Allow the Generative Language API in the key's restrictions, or create a key in Google AI "
        "Studio.",
    ),
    "API_KEY_RESTRICTED": (
        "This API key may not be used from here: its restrictions name other addresses, web sites "
        "or apps.",
        "Change the key's application restrictions to none, or to this computer's address.",
    ),
    "STANDARD_KEY_REFUSED": (
        "Google no longer takes this standard API key (the kind that begins with AIza).",
        f"Create an auth key (it begins with AQ.) in Google AI Studio; {_ENTERED}",
    ),
    "AUTH_KEY_REFUSED": (
        "Google takes this for no credential of its own: the key is incomplete, or is no longer "
        "linked to an account.",
        f"Copy all of it again, or create another in Google AI Studio; {_ENTERED}",
    ),
    "TWO_CREDENTIALS": (
        "Google got two credentials with one request.",
        "Something on the way to Google adds one of its own: look at the base address and at "
        "proxies that add an Authorization header.",
    ),
    "FREE_TIER_LOCATION": (
        "Google does not offer the free use of its API in the country you are connecting from.",
        "Set billing up for the key's project in Google AI Studio, or use Vertex AI.",
    ),
}
_KEY_LINK = (API_KEY_PAGE, "Get an API key")
_PROJECT_LINK = ("https://support.google.com/googleapi/answer/7014113", "Find the project ID")
_REGIONS_LINK = (
    "https://ai.google.dev/gemini-api/docs/available-regions",
    "Available regions",
)
_CONSOLE = "https://console.cloud.google.com"
_BILLING_LINK = (f"{_CONSOLE}/billing", "Billing")
_ADC_LINK = (
    "https://cloud.google.com/docs/authentication/provide-credentials-adc",
    "Set up the credentials",
)
_LINKS: Mapping[str, tuple[str, str]] = {
    "UNSUPPORTED_CLIENT": _KEY_LINK,
    "INELIGIBLE_ACCOUNT": _KEY_LINK,
    "NON_USER_ACCOUNT": _KEY_LINK,
    "UNKNOWN": _KEY_LINK,
    "RESTRICTED_AGE": (
        "https://support.google.com/accounts/answer/1333913",
        "Prove your age to Google",
    ),
    "UNSUPPORTED_LOCATION": _REGIONS_LINK,
    "UNKNOWN_LOCATION": _REGIONS_LINK,
    "RESTRICTED_NETWORK": _REGIONS_LINK,
    "NO_LICENSE": ("https://docs.cloud.google.com/gemini/docs/manage-licenses", "Assign licences"),
    "DASHER_USER": _PROJECT_LINK,
    "PROJECT_REQUIRED": _PROJECT_LINK,
    "PROJECT_NUMBER": _PROJECT_LINK,
    "CONSUMER_INVALID": _PROJECT_LINK,
    "SERVICE_DISABLED": (
        f"{_CONSOLE}/apis/library/cloudaicompanion.googleapis.com",
        "Enable the Gemini for Google Cloud API",
    ),
    "SERVICE_DISABLED:aiplatform": (
        f"{_CONSOLE}/apis/library/{VERTEX_SERVICE}",
        "Enable the Vertex AI API",
    ),
    "BILLING_DISABLED": _BILLING_LINK,
    "IAM_PERMISSION_DENIED": (f"{_CONSOLE}/iam-admin/iam", "Permissions"),
    "PERMISSION_DENIED:aiplatform": (f"{_CONSOLE}/iam-admin/iam", "Permissions"),
    "ADC_MISSING": _ADC_LINK,
    "ADC_UNREADABLE": _ADC_LINK,
    "ADC_REFUSED": _ADC_LINK,
    **dict.fromkeys(
        (
            *("API_KEY_INVALID", "API_KEY_EXPIRED", "API_KEY_LEAKED", "API_KEY_SERVICE_BLOCKED"),
            *("API_KEY_RESTRICTED", "STANDARD_KEY_REFUSED", "AUTH_KEY_REFUSED"),
        ),
        (API_KEY_PAGE, "API keys"),
    ),
    "FREE_TIER_LOCATION": _REGIONS_LINK,
    "CONSUMER_SUSPENDED": (f"{_CONSOLE}/home/dashboard", "Projects"),
    **dict.fromkeys(("PAYMENT_REQUIRED", "CREDITS_DEPLETED", "SPEND_CAP"), _BILLING_LINK),
    **dict.fromkeys(
        (
            "BILLING_DISABLED:generativelanguage",
            "PAYMENT_REQUIRED:generativelanguage",
            "CREDITS_DEPLETED:generativelanguage",
            "SPEND_CAP:generativelanguage",
        ),
        ("https://aistudio.google.com/billing", "Billing"),
    ),
}
KEY_CODES = frozenset(code for code in _TABLE if "_KEY" in code)
"""Refusals of the key itself: with it, nobody is signed in."""
_NOT_FOR_USERS = frozenset({"SERVICE_DISABLED:cloudcode-pa"})
"""Google's link leads nowhere: no user can enable this."""
CODES = frozenset(code for code in _TABLE if ":" not in code)
"""Every code that has a sentence of its own."""


def problem_for(
    code: str,
    *,
    service: str = "",
    said: str = "",
    link: str | None = None,
    link_text: str | None = None,
) -> Problem:
    """The sentence and remedy for ``code``; an unknown code keeps what Google ``said``.

    ``service``: the API that was refused, where the words depend on it. ``link``: an address
    Google gave, which wins over ours.
    """
    special = f"{code}:{service.partition('.')[0]}"
    key = special if special in _TABLE else code
    address, text = _LINKS.get(special) or _LINKS.get(key) or (None, None)
    message, remedy = _TABLE.get(key, (None, _OTHER_ROADS))
    problem = Problem(code=code, message=message or said or f"Google says: {code}.", remedy=remedy)
    if key in _NOT_FOR_USERS:
        return problem
    if link:
        return replace(problem, link=link, link_text=link_text)
    return replace(problem, link=address, link_text=text)


def problem_of(error: ProxyError) -> Problem:
    """What an error says about the account behind it."""
    if isinstance(error, AccountError):
        return error.problem
    if error.code in CODES:
        return problem_for(error.code)
    remedy = "Then check again."
    return Problem(code=error.code or error.kind, message=error.message, remedy=remedy)
