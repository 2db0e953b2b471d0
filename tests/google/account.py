"""The account behind a sign-in: eligibility, tier, project, onboarding.

Each function below makes one kind of account; ``FakeGoogle.account`` is the one in force. Shapes:
Gemini CLI ``code_assist/types.js`` and ``setup.js``; reports on the switch-off of 2026-06-18.
"""

from dataclasses import dataclass, field

from server.demo.errors import GoogleError, Json
from tests.google import failures

PROJECT = "fake-project"
MANAGED_PROJECT = "fake-managed-project"

_TYPE = "type.googleapis.com/google.internal.cloud.code.v1internal"

STANDARD: Json = {
    "id": "standard-tier",
    "name": "Gemini Code Assist",
    "description": "Coding assistant for teams",
    "userDefinedCloudaicompanionProject": True,
    "privacyNotice": {},
}
FREE: Json = {
    "id": "free-tier",
    "name": "Gemini Code Assist for individuals",
    "description": "Individual tier",
    "privacyNotice": {"showNotice": True, "noticeText": "What you write may be reviewed."},
}


@dataclass(slots=True, kw_only=True)
class Account:
    """One account; ``loads`` are the answers of ``loadCodeAssist``, the last one for ever."""

    loads: list[Json | GoogleError] = field(default_factory=list)
    projects: set[str] = field(default_factory=lambda: {PROJECT})
    """Projects that generate requests may name."""
    onboarded: bool = True
    pending: int | None = 2
    """Polls until onboarding is done; None: it never is."""
    granted: Json | str | None = None
    """The project that onboarding yields, in whichever shape."""
    lacks: frozenset[str] = frozenset()
    """Models that the licence does not cover: 404, and no bucket."""
    refusal: GoogleError | None = None
    """Refuses everything but loading and onboarding."""
    opted_in: bool = False
    _loaded: int = 0
    _operation: str | None = None

    def load(self, request: Json) -> Json:
        """``loadCodeAssist``."""
        _no_number(request)
        index = min(self._loaded, len(self.loads) - 1)
        self._loaded += 1
        answer = self.loads[index]
        if isinstance(answer, GoogleError):
            raise answer
        return answer

    def onboard(self, request: Json) -> Json:
        """``onboardUser``: a long-running operation, done at once when nothing is pending."""
        _no_number(request)
        answer = self.loads[min(max(self._loaded - 1, 0), len(self.loads) - 1)]
        tiers = [] if isinstance(answer, GoogleError) else answer.get("allowedTiers", [])
        tier = request.get("tierId")
        if tier not in [t["id"] for t in tiers]:
            raise GoogleError(400, f"Invalid tier: {tier}")
        project = request.get("cloudaicompanionProject")
        if tier == "free-tier" and project is not None:
            raise GoogleError(400, "Precondition check failed.", word="FAILED_PRECONDITION")
        if project is not None and project not in self.projects:
            raise _error(failures.missing_licence())
        if self.granted is None and project is not None:
            self.granted = project
        self._operation = "operations/fake-operation-1"
        return self._state(self._operation)

    def operation(self, name: str) -> Json:
        """One poll of the operation."""
        if name != self._operation:
            raise GoogleError(404, "Requested entity was not found.")
        if self.pending:
            self.pending -= 1
        return self._state(name)

    def check(self, project: str | None) -> None:
        """Whether this account may work in ``project``."""
        if self.refusal is not None:
            raise self.refusal
        if not self.onboarded or project not in self.projects:
            raise _error(failures.no_permission())

    def _state(self, name: str) -> Json:
        if self.pending != 0:
            kind = {"@type": f"{_TYPE}.OnboardUserOperationMetadata"}
            return {"name": name, "metadata": kind}
        response: Json = {"@type": f"{_TYPE}.OnboardUserResponse"}
        if self.granted is not None:
            response["cloudaicompanionProject"] = self.granted
            granted = self.granted if isinstance(self.granted, str) else self.granted["id"]
            self.projects.add(granted)
            self.onboarded = True
            self.loads = [_onboarded_answer(granted)]
        return {"name": name, "done": True, "response": response}


def onboarded(project: str = PROJECT, *, as_object: bool = False) -> Account:
    """A licensed account that has worked before; the project as a string, or as an object."""
    return Account(loads=[_onboarded_answer(project, as_object=as_object)], projects={project})


def own_project(*projects: str) -> Account:
    """A licensed account whose tier has no project of its own: the user must name one."""
    answer = {"currentTier": STANDARD, "allowedTiers": [{**STANDARD, "isDefault": True}]}
    return Account(loads=[answer], projects=set(projects))


def new_user(*, pending: int | None = 2, as_object: bool = True) -> Account:
    """Never onboarded: the free tier is on offer, onboarding takes ``pending`` polls."""
    answer: Json = {"allowedTiers": [{**FREE, "isDefault": True}, STANDARD]}
    named = {"id": MANAGED_PROJECT, "name": MANAGED_PROJECT}
    return Account(
        loads=[answer],
        projects=set(),
        onboarded=False,
        pending=pending,
        granted=named if as_object else MANAGED_PROJECT,
    )


def never_finishing() -> Account:
    """Onboarding that stays pending for ever."""
    return new_user(pending=None)


def unsupported_client() -> Account:
    """An individual account since 2026-06-18: no tier, and onboarding yields no project."""
    message = (
        "This client is no longer supported for Gemini Code Assist for individuals. To continue "
        "using Gemini, please migrate to the Antigravity suite of products: "
        "https://antigravity.google"
    )
    answer = {
        "allowedTiers": [{**STANDARD, "isDefault": True}],
        "ineligibleTiers": [_ineligible("UNSUPPORTED_CLIENT", message)],
    }
    return Account(loads=[answer], projects=set(), onboarded=False, pending=0)


def validation_required(loads: int = 1) -> Account:
    """The account must be verified first; after ``loads`` calls it has been."""
    message = "Verify your account to continue."
    tier = _ineligible("VALIDATION_REQUIRED", message) | {
        "validationErrorMessage": message,
        "validationUrl": failures.VALIDATION_URL,
        "validationUrlLinkText": "Verify your account",
        "validationLearnMoreUrl": "https://support.example.com/accounts",
        "validationLearnMoreLinkText": "Learn more",
    }
    demand: Json = {"allowedTiers": [], "ineligibleTiers": [tier]}
    return Account(loads=[*[demand] * loads, _onboarded_answer(PROJECT)])


def ineligible(reason: str, message: str = "Your account is not eligible.") -> Account:
    """No tier at all: ``RESTRICTED_AGE``, ``UNSUPPORTED_LOCATION``, ``INELIGIBLE_ACCOUNT``, ..."""
    answer: Json = {"allowedTiers": [], "ineligibleTiers": [_ineligible(reason, message)]}
    return Account(loads=[answer], projects=set(), onboarded=False)


def missing_licence() -> Account:
    """Signed in and loaded, but every request is refused for want of a licence (#3501)."""
    return _refused(failures.missing_licence())


def tos_violation() -> Account:
    """Suspended."""
    return _refused(failures.tos_violation())


def service_disabled(service: str = "cloudaicompanion.googleapis.com") -> Account:
    """The user's project has not enabled the API."""
    return _refused(failures.service_disabled(service, PROJECT))


def refused_at_load(failure: failures.Failure) -> Account:
    """``loadCodeAssist`` itself is refused."""
    return Account(loads=[_error(failure)], refusal=_error(failure))


def behind_perimeter() -> Account:
    """VPC Service Controls refuse the load; requests in a named project work."""
    return Account(loads=[_error(failures.security_policy())])


def empty_body() -> Account:
    """``loadCodeAssist`` answers ``{}``."""
    return Account(loads=[{}], projects=set(), onboarded=False)


def _refused(failure: failures.Failure) -> Account:
    return Account(loads=[_onboarded_answer(PROJECT)], refusal=_error(failure))


def _error(failure: failures.Failure) -> GoogleError:
    if failure.error is None:
        raise ValueError("this failure is no refusal")
    return failure.error


def _ineligible(reason: str, message: str) -> Json:
    return {
        "reasonCode": reason,
        "reasonMessage": message,
        "tierId": FREE["id"],
        "tierName": FREE["name"],
    }


def _onboarded_answer(project: str, *, as_object: bool = False) -> Json:
    return {
        "currentTier": {**STANDARD, "hasOnboardedPreviously": True},
        "allowedTiers": [{**STANDARD, "isDefault": True}],
        "cloudaicompanionProject": {"id": project, "name": project} if as_object else project,
        "gcpManaged": False,
        "manageSubscriptionUri": "https://example.com/manage",
    }


def _no_number(request: Json) -> None:
    """A project is named by its id; its number is a common mistake."""
    if str(request.get("cloudaicompanionProject", "")).isdigit():
        raise GoogleError(400, "Invalid project: use the project ID, not the number.")
