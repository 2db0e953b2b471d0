"""Accounts of every kind, as ``loadCodeAssist`` and ``onboardUser`` show them."""

from typing import Any

import pytest

from server.demo.errors import GoogleError
from tests.google import account
from tests.google.account import Account

Json = dict[str, Any]


def test_an_onboarded_account_names_its_project_in_either_shape() -> None:
    assert account.onboarded("p").load({})["cloudaicompanionProject"] == "p"
    as_object = account.onboarded("p", as_object=True).load({})
    assert as_object["cloudaicompanionProject"] == {"id": "p", "name": "p"}


@pytest.mark.parametrize(
    ("made", "reason"),
    [
        (account.unsupported_client(), "UNSUPPORTED_CLIENT"),
        (account.validation_required(), "VALIDATION_REQUIRED"),
        (account.ineligible("RESTRICTED_AGE"), "RESTRICTED_AGE"),
    ],
)
def test_ineligible_accounts_have_no_tier_and_a_reason(made: Account, reason: str) -> None:
    loaded = made.load({})
    assert "currentTier" not in loaded
    assert loaded["ineligibleTiers"][0]["reasonCode"] == reason


def test_validation_is_over_after_one_more_load() -> None:
    made = account.validation_required()
    made.load({})
    assert "currentTier" in made.load({})


def test_onboarding_an_unsupported_client_yields_no_project() -> None:
    made = account.unsupported_client()
    made.load({})
    done = made.onboard({"tierId": "standard-tier"})
    assert done["done"]
    assert "cloudaicompanionProject" not in done["response"]


def test_onboarding_may_never_finish() -> None:
    made = account.never_finishing()
    name = made.onboard({"tierId": "free-tier"})["name"]
    assert not any("done" in made.operation(name) for _ in range(20))


@pytest.mark.parametrize(
    ("body", "status", "words"),
    [
        ({"tierId": "free-tier", "cloudaicompanionProject": "p"}, 400, "Precondition check"),
        ({"tierId": "gold-tier"}, 400, "Invalid tier"),
        ({"tierId": "standard-tier", "cloudaicompanionProject": "p"}, 403, "#3501"),
        ({"tierId": "free-tier", "cloudaicompanionProject": "123"}, 400, "not the number"),
    ],
)
def test_wrong_onboarding(body: Json, status: int, words: str) -> None:
    made = account.new_user()
    made.load({})
    with pytest.raises(GoogleError, match=words) as caught:
        made.onboard(body)
    assert caught.value.status == status


def test_an_unknown_operation_is_not_found() -> None:
    with pytest.raises(GoogleError, match="not found"):
        account.new_user().operation("operations/other")


@pytest.mark.parametrize(
    ("made", "words"),
    [
        (account.missing_licence(), "#3501"),
        (account.tos_violation(), "Terms of Service"),
        (account.service_disabled(), "Gemini for Google Cloud API"),
        (account.empty_body(), "does not have permission"),
    ],
)
def test_accounts_that_load_but_may_not_work(made: Account, words: str) -> None:
    made.load({})
    with pytest.raises(GoogleError, match=words):
        made.check(account.PROJECT)


def test_a_perimeter_refuses_the_load_only() -> None:
    made = account.behind_perimeter()
    with pytest.raises(GoogleError, match="organization's policy"):
        made.load({})
    made.check(account.PROJECT)


def test_a_tier_with_the_users_own_projects_names_none() -> None:
    made = account.own_project("mine")
    assert "cloudaicompanionProject" not in made.load({})
    made.check("mine")
    with pytest.raises(GoogleError):
        made.check("other")
