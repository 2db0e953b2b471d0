"""Code Assist: from a signed-in account to a tier and a project.

The decision tree of Gemini CLI 0.61 ``code_assist/setup.js`` (code-assist dossier section 3), with
a cap on how long onboarding is waited for.
"""

from collections.abc import Awaitable, Callable
from dataclasses import dataclass

from server.auth.eligibility import EligibilityError, Problem, problem_for
from server.gemini.types import Json
from server.upstreams.google_errors import error_from_payload
from server.upstreams.refusals import dicts

POLL_S = 5.0
LONGEST_ONBOARDING_S = 60.0

Ask = Callable[[str, Json | None], Awaitable[Json]]
"""(path after the version, body or None for GET) -> the answer."""

_METADATA: Json = {
    "ideType": "IDE_UNSPECIFIED",
    "platform": "PLATFORM_UNSPECIFIED",
    "pluginType": "GEMINI",
}
_FREE_TIER = "free-tier"


@dataclass(frozen=True, slots=True)
class Setup:
    """What every generate request needs to know about the account."""

    project: str
    tier: str | None


async def set_up(ask: Ask, project: str | None, sleep: Callable[[float], Awaitable[None]]) -> Setup:
    """Load the account, onboard it if it is new, and return its project.

    ``project``: the user's own setting. Raises ``EligibilityError`` with the reason Google gave.
    """
    if project and project.isdigit():
        raise EligibilityError(problem_for("PROJECT_NUMBER"))
    load = await _load(ask, project)
    current = load.get("currentTier")
    if isinstance(current, dict) and current:
        found = project_id(load.get("cloudaicompanionProject")) or project
        return Setup(_required(found, load), _tier_name(load.get("paidTier"), current))
    tier = tier_to_onboard(load)
    problem = ineligibility(load)
    hopeless = tier.get("userDefinedCloudaicompanionProject") and not project
    if problem is not None and (hopeless or problem.code == "VALIDATION_REQUIRED"):
        raise EligibilityError(problem)
    answer = await _onboard(ask, tier, project, sleep)
    found = project_id(answer.get("cloudaicompanionProject")) or project
    return Setup(_required(found, load), _tier_name(tier))


async def _load(ask: Ask, project: str | None) -> Json:
    try:
        return await ask(":loadCodeAssist", _about(project))
    except EligibilityError as error:
        if error.code != "SECURITY_POLICY_VIOLATED":
            raise
        # Inside a VPC perimeter only loading is blocked; such an account is a licensed one.
        return {"currentTier": {"id": "standard-tier"}}


def _about(project: str | None) -> Json:
    if not project:
        return {"metadata": dict(_METADATA)}
    return {
        "cloudaicompanionProject": project,
        "metadata": {**_METADATA, "duetProject": project},
    }


async def _onboard(
    ask: Ask, tier: Json, project: str | None, sleep: Callable[[float], Awaitable[None]]
) -> Json:
    """Run ``onboardUser`` to its end; its ``response``, empty when there is none."""
    # The free tier brings its own project: sending one is a failed precondition.
    body = {"tierId": tier["id"], **_about(None if tier["id"] == _FREE_TIER else project)}
    operation = await ask(":onboardUser", body)
    for _ in range(int(LONGEST_ONBOARDING_S / POLL_S)):
        name = operation.get("name")
        if operation.get("done") or not isinstance(name, str) or not name:
            break
        await sleep(POLL_S)
        operation = await ask(f"/{name}", None)
    else:
        raise EligibilityError(problem_for("ONBOARDING_TIMEOUT"))
    failure = error_from_payload(operation)
    if failure is not None:
        raise failure
    response = operation.get("response")
    return response if isinstance(response, dict) else {}


def tier_to_onboard(load: Json) -> Json:
    """The default tier on offer, else the legacy one."""
    for tier in dicts(load.get("allowedTiers")):
        if tier.get("isDefault") and tier.get("id"):
            return tier
    return {"id": "legacy-tier", "userDefinedCloudaicompanionProject": True}


def ineligibility(load: Json) -> Problem | None:
    """The first reason why a tier is refused to this account."""
    for tier in dicts(load.get("ineligibleTiers")):
        code = str(tier.get("reasonCode") or "UNKNOWN")
        said = tier.get("validationErrorMessage") or tier.get("reasonMessage") or ""
        link, text = tier.get("validationUrl"), tier.get("validationUrlLinkText")
        return problem_for(
            code,
            said=str(said),
            link=link if isinstance(link, str) else None,
            link_text=text if isinstance(text, str) else None,
        )
    return None


def project_id(value: object) -> str | None:
    """Code Assist sends the project as a string or as ``{id, name}``."""
    if isinstance(value, dict):
        value = value.get("id")
    return value if isinstance(value, str) and value else None


def _required(project: str | None, load: Json) -> str:
    """``project``; without one, Google's reason goes before "set a project"."""
    if project:
        return project
    raise EligibilityError(ineligibility(load) or problem_for("PROJECT_REQUIRED"))


def _tier_name(*tiers: object) -> str | None:
    """The name, else the id, of the first tier that has one."""
    for tier in tiers:
        if isinstance(tier, dict) and (tier.get("name") or tier.get("id")):
            return str(tier.get("name") or tier["id"])
    return None
