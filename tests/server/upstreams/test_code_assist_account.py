"""The decision tree from a signed-in account to a tier and a project."""

from typing import Any

import pytest

from server.auth.eligibility import EligibilityError, problem_for
from server.errors import UpstreamError
from server.gemini.types import Json
from server.upstreams.code_assist_account import Setup, project_id, set_up, tier_to_onboard

STANDARD: Json = {
    "id": "standard-tier",
    "name": "Standard",
    "userDefinedCloudaicompanionProject": True,
}
FREE: Json = {"id": "free-tier", "name": "Free", "isDefault": True}
DONE: Json = {"done": True, "response": {"cloudaicompanionProject": {"id": "managed-1"}}}
PENDING: Json = {"name": "operations/op-1"}


class Google:
    """Answers in order, and notes what was asked and how long was slept."""

    def __init__(self, *answers: Json | Exception) -> None:
        self.answers = list(answers)
        self.asked: list[tuple[str, Json | None]] = []
        self.slept_s = 0.0

    async def ask(self, path: str, body: Json | None) -> Json:
        self.asked.append((path, body))
        answer = self.answers.pop(0) if len(self.answers) > 1 else self.answers[0]
        if isinstance(answer, Exception):
            raise answer
        return answer

    async def sleep(self, delay_s: float) -> None:
        self.slept_s += delay_s

    async def set_up(self, project: str | None = None) -> Setup:
        return await set_up(self.ask, project, self.sleep)

    async def refused(self, project: str | None = None) -> EligibilityError:
        with pytest.raises(EligibilityError) as caught:
            await self.set_up(project)
        return caught.value


def ineligible(code: str, **more: str) -> Json:
    return {"reasonCode": code, "reasonMessage": f"Google says {code}.", **more}


@pytest.mark.parametrize("project", ["proj-1", {"id": "proj-1", "name": "Proj"}])
async def test_an_onboarded_account_has_its_project_in_either_shape(project: Any) -> None:
    google = Google({"currentTier": STANDARD, "cloudaicompanionProject": project})
    assert await google.set_up() == Setup("proj-1", "Standard")
    path, body = google.asked[0]
    assert path == ":loadCodeAssist"
    assert body == {
        "metadata": {
            "ideType": "IDE_UNSPECIFIED",
            "platform": "PLATFORM_UNSPECIFIED",
            "pluginType": "GEMINI",
        }
    }


async def test_the_users_project_is_told_twice_and_used_when_google_names_none() -> None:
    google = Google({"currentTier": STANDARD})
    assert (await google.set_up("mine-1")).project == "mine-1"
    body = google.asked[0][1]
    assert body is not None
    assert body["cloudaicompanionProject"] == "mine-1"
    assert body["metadata"]["duetProject"] == "mine-1"


async def test_a_paid_tier_is_the_one_shown() -> None:
    google = Google(
        {"currentTier": STANDARD, "paidTier": {"id": "g1-pro-tier"}, "cloudaicompanionProject": "p"}
    )
    assert (await google.set_up()).tier == "g1-pro-tier"


async def test_a_licence_without_any_project_asks_for_one() -> None:
    assert (await Google({"currentTier": STANDARD}).refused()).code == "PROJECT_REQUIRED"


async def test_googles_reason_goes_before_asking_for_a_project() -> None:
    google = Google({"currentTier": STANDARD, "ineligibleTiers": [ineligible("RESTRICTED_AGE")]})
    assert (await google.refused()).code == "RESTRICTED_AGE"


async def test_a_project_number_is_refused_before_google_is_asked() -> None:
    google = Google({})
    assert (await google.refused("123456")).code == "PROJECT_NUMBER"
    assert google.asked == []


async def test_a_new_free_user_is_onboarded_without_a_project() -> None:
    google = Google({"allowedTiers": [STANDARD, FREE]}, PENDING, PENDING, DONE)
    assert await google.set_up("mine-1") == Setup("managed-1", "Free")
    path, body = google.asked[1]
    assert path == ":onboardUser"
    assert body is not None
    assert body["tierId"] == "free-tier"
    assert "cloudaicompanionProject" not in body
    assert "duetProject" not in body["metadata"]
    assert google.asked[2:] == [("/operations/op-1", None), ("/operations/op-1", None)]
    assert google.slept_s == 10


async def test_any_other_tier_is_onboarded_with_the_users_project() -> None:
    google = Google({"allowedTiers": [{**STANDARD, "isDefault": True}]}, {"done": True})
    assert await google.set_up("mine-1") == Setup("mine-1", "Standard")
    body = google.asked[1][1]
    assert body is not None
    assert body["cloudaicompanionProject"] == "mine-1"


async def test_onboarding_is_waited_for_a_minute_at_most() -> None:
    google = Google({"allowedTiers": [FREE]}, PENDING)
    assert (await google.refused()).code == "ONBOARDING_TIMEOUT"
    assert google.slept_s == 60


async def test_an_operation_that_fails_says_why() -> None:
    failed = {"done": True, "error": {"code": 500, "message": "Internal."}}
    with pytest.raises(UpstreamError, match="Internal"):
        await Google({"allowedTiers": [FREE]}, failed).set_up()


async def test_an_account_no_longer_served_is_told_so_without_onboarding() -> None:
    google = Google(
        {
            "allowedTiers": [{**STANDARD, "isDefault": True}],
            "ineligibleTiers": [ineligible("UNSUPPORTED_CLIENT")],
        }
    )
    error = await google.refused()
    assert error.code == "UNSUPPORTED_CLIENT"
    assert "Gemini API key" in error.message
    assert len(google.asked) == 1


async def test_a_verification_comes_with_its_link() -> None:
    demand = ineligible(
        "VALIDATION_REQUIRED",
        validationUrl="https://example.com/check",
        validationUrlLinkText="Verify",
    )
    error = await Google({"allowedTiers": [FREE], "ineligibleTiers": [demand]}).refused()
    assert (error.problem.link, error.problem.link_text) == ("https://example.com/check", "Verify")


async def test_an_unknown_reason_is_shown_in_googles_words() -> None:
    google = Google({"allowedTiers": [], "ineligibleTiers": [ineligible("BRAND_NEW")]})
    assert "Google says BRAND_NEW." in (await google.refused()).message


async def test_a_perimeter_that_blocks_loading_means_a_licensed_account() -> None:
    blocked = EligibilityError(problem_for("SECURITY_POLICY_VIOLATED"))
    assert await Google(blocked).set_up("mine-1") == Setup("mine-1", "standard-tier")
    assert (await Google(EligibilityError(problem_for("TOS_VIOLATION"))).refused()).code == (
        "TOS_VIOLATION"
    )


@pytest.mark.parametrize("answer", [{}, {"done": True}, {"done": True, "response": {}}])
async def test_empty_answers_end_in_a_reason(answer: Json) -> None:
    assert (await Google({}, answer).refused()).code == "PROJECT_REQUIRED"


def test_shapes_that_are_not_there_are_none() -> None:
    assert [project_id(value) for value in (None, "", 5, {}, {"id": ""})] == [None] * 5
    assert tier_to_onboard({})["id"] == "legacy-tier"
