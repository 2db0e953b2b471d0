"""What Google refuses to a key, an account or a place: by reason, else by words."""

import json
from typing import Any, NamedTuple

import pytest

from server.auth.eligibility import AccountError, BillingError, problem_of
from server.errors import ProxyError
from server.upstreams.google_errors import error_from_response
from server.upstreams.signs import Credential
from tests.server.upstreams.test_google_errors import (
    NOW,
    SAME_SENTENCE,
    info,
    quota_failure,
    retry_info,
)

Json = dict[str, Any]

LEAKED = "Your API key was reported as leaked. Please use another API key."
EXPIRED = "API key expired. Please renew the API key."
BLOCKED = (
    "Requests to this API generativelanguage.googleapis.com method "
    "google.ai.generativelanguage.v1beta.GenerativeService.GenerateContent are blocked."
)
UNAUTHENTICATED = (
    "Request had invalid authentication credentials. Expected OAuth 2 access token, login cookie "
    "or other valid authentication credential."
)
PREPAID = (
    "Your prepayment credits are depleted. Please go to AI Studio at https://ai.studio/projects to "
    "manage your project and billing."
)


def of_key(status: int, message: str, *details: Json, credential: Credential = "key") -> ProxyError:
    body = {"error": {"code": status, "message": message, "details": list(details)}}
    data = json.dumps(body).encode()
    return error_from_response(status, {}, data, credential=credential, now=lambda: NOW)


class Row(NamedTuple):
    """One refusal, what its request carried, and what it is."""

    status: int
    message: str
    reason: str
    credential: Credential
    code: str
    answered: int


BAD_TYPE = "ACCESS_TOKEN_TYPE_UNSUPPORTED"
NO_FREE_TIER = (
    "Gemini API free tier is not available in your country. Please enable billing on your project "
    "in Google AI Studio."
)
SUSPENDED = "Permission denied: Consumer 'api_key:x' has been suspended."
NOT_HERE = "User location is not supported for the API use."
TWO = "Multiple authentication credentials received."


@pytest.mark.parametrize(
    "row",
    [
        Row(400, "API key not valid.", "API_KEY_INVALID", "key", "API_KEY_INVALID", 401),
        Row(400, EXPIRED, "API_KEY_INVALID", "key", "API_KEY_EXPIRED", 401),
        Row(403, LEAKED, "", "key", "API_KEY_LEAKED", 403),
        Row(403, "This key has been exposed publicly.", "", "key", "API_KEY_LEAKED", 403),
        Row(403, BLOCKED, "API_KEY_SERVICE_BLOCKED", "key", "API_KEY_SERVICE_BLOCKED", 403),
        Row(403, BLOCKED, "", "key", "API_KEY_SERVICE_BLOCKED", 403),
        Row(403, "No.", "API_KEY_IP_ADDRESS_BLOCKED", "key", "API_KEY_RESTRICTED", 403),
        Row(401, UNAUTHENTICATED, BAD_TYPE, "standard-key", "STANDARD_KEY_REFUSED", 401),
        Row(401, UNAUTHENTICATED, "", "standard-key", "STANDARD_KEY_REFUSED", 401),
        Row(401, UNAUTHENTICATED, BAD_TYPE, "key", "AUTH_KEY_REFUSED", 401),
        Row(401, UNAUTHENTICATED, "", "key", "AUTH_KEY_REFUSED", 401),
        Row(400, TWO, "", "key", "TWO_CREDENTIALS", 400),
        Row(400, NOT_HERE, "", "key", "UNSUPPORTED_LOCATION", 400),
        Row(
            400, "The API is not available in your region.", "", "key", "UNSUPPORTED_LOCATION", 400
        ),
        Row(400, NO_FREE_TIER, "", "key", "FREE_TIER_LOCATION", 400),
        Row(403, SUSPENDED, "", "key", "CONSUMER_SUSPENDED", 403),
    ],
)
def test_each_refusal_of_a_key_has_its_own_sentence(row: Row) -> None:
    details = [info(row.reason)] if row.reason else []
    error = of_key(row.status, row.message, *details, credential=row.credential)
    assert isinstance(error, AccountError)
    assert problem_of(error).code == row.code
    assert (error.status, error.should_retry, error.transient) == (row.answered, False, False)
    assert problem_of(error).remedy in error.message
    assert row.message.rstrip(".") in error.message


@pytest.mark.parametrize(
    ("message", "code"),
    [
        (PREPAID, "CREDITS_DEPLETED"),
        ("Your account balance is insufficient to complete this request.", "CREDITS_DEPLETED"),
        ("Insufficient credits.", "CREDITS_DEPLETED"),
        ("You have run out of prepaid credits", "CREDITS_DEPLETED"),
        ("The project has no remaining credit balance.", "CREDITS_DEPLETED"),
        ("Your project has exceeded its monthly spending cap.", "SPEND_CAP"),
        ("You have reached the billing cap of tier 1 ($250 per month).", "SPEND_CAP"),
        ("Monthly spend limit reached.", "SPEND_CAP"),
        ("The budget set for this project is exhausted.", "SPEND_CAP"),
        ("The limit on your monthly spending was reached.", "SPEND_CAP"),
        ("Billing is disabled for this project.", "BILLING_DISABLED"),
        ("Billing account is not active.", "BILLING_DISABLED"),
        ("This request requires billing to be enabled.", "BILLING_DISABLED"),
        ("The billing account of this project has been closed.", "BILLING_DISABLED"),
        ("Your organization has reached its usage cap.", "SPEND_CAP"),
        ("The tier 1 limit of $250 has been reached.", "SPEND_CAP"),
        ("You have used $2,000.00 this month, which is your limit.", "SPEND_CAP"),
        ("You have exceeded your monthly budget.", "SPEND_CAP"),
        ("Your organization has hit its monthly cap.", "SPEND_CAP"),
        ("Monthly usage limit reached for this billing account.", "SPEND_CAP"),
        ("The limit has been reached for your billing account.", "SPEND_CAP"),
        ("Billing account for this project was not found.", "BILLING_DISABLED"),
        ("No active billing account is linked.", "BILLING_DISABLED"),
        ("Your project has an unpaid invoice.", "PAYMENT_REQUIRED"),
        ("Access was stopped because of non-payment.", "PAYMENT_REQUIRED"),
        ("Your credit card was declined.", "PAYMENT_REQUIRED"),
        ("Please add a payment method.", "PAYMENT_REQUIRED"),
        ("Your free trial has ended.", "PAYMENT_REQUIRED"),
        ("Your last payment was declined.", "PAYMENT_REQUIRED"),
        ("You have an outstanding balance. Settle it to continue.", "PAYMENT_REQUIRED"),
    ],
)
def test_what_only_money_ends_is_told_by_its_words(message: str, code: str) -> None:
    for credential in ("key", "standard-key", "adc", "sign-in"):
        error = of_key(429, message, credential=credential)
        assert isinstance(error, BillingError)
        problem = problem_of(error)
        assert problem.code == code
        assert (error.code, error.status) == ("insufficient_quota", 429)
        assert (error.retry_after_s, error.should_retry) == (None, False)
        assert problem.link is not None
        assert problem.link in error.message


def test_a_delay_beside_an_empty_balance_means_nothing() -> None:
    error = of_key(429, PREPAID, retry_info("10s"))
    assert isinstance(error, BillingError)
    assert error.retry_after_s is None


def test_a_link_in_googles_own_words_is_the_link() -> None:
    assert problem_of(of_key(429, PREPAID)).link == "https://ai.studio/projects"
    assert "aistudio.google.com/billing" in of_key(429, "Insufficient funds.").message
    foreign = of_key(429, "Insufficient funds, see https://evil.example/google.com/.")
    assert problem_of(foreign).link == "https://aistudio.google.com/billing"


def test_an_unknown_reason_is_read_as_words() -> None:
    error = of_key(429, "Denied.", info("PROJECT_SPEND_CAP_REACHED"))
    assert problem_of(error).code == "SPEND_CAP"


@pytest.mark.parametrize(
    ("message", "details"),
    [
        (
            "You exceeded your current quota, please check your plan and billing details. For more "
            "information on this error, head to: https://ai.google.dev/gemini-api/docs/rate-limits."
            " Please retry in 10.6s.",
            [retry_info("10.6s")],
        ),
        ("You exceeded your current quota, please check your plan and billing details.", []),
        ("Resource exhausted. Please try again later.", []),
        ("Rate limit reached for requests per minute. Limit: 15.", []),
        ("Too many requests in flight: the limit is 100 at once.", []),
        ("Token limit exceeded; reduce the cost of the request by shortening it.", []),
        ("The service is temporarily out of capacity, retry with backoff.", []),
        (SAME_SENTENCE, [info("RATE_LIMIT_EXCEEDED"), retry_info("2s")]),
        (
            "Too many requests. Enable billing to get higher rate limits.",
            [quota_failure("RequestsPerMinutePerProject"), retry_info("20s")],
        ),
    ],
)
def test_a_limit_of_requests_that_names_billing_is_still_one(
    message: str, details: list[Json]
) -> None:
    error = of_key(429, message, *details)
    assert not isinstance(error, AccountError)
    assert error.should_retry is None


def test_a_limit_on_spending_of_minutes_ends_by_itself() -> None:
    error = of_key(429, "Spend limit of $10 per rolling 10 minutes reached.")
    assert not isinstance(error, AccountError)
    assert error.retry_after_s == 600


@pytest.mark.parametrize("secret", ["AQ.Ab8RN6synthetic_x-y", "AIzaSynthetic", "ya29.A0synthetic"])
def test_a_key_that_google_repeats_is_blanked(secret: str) -> None:
    error = of_key(403, f"Permission denied: Consumer 'api_key:{secret}' has been suspended.")
    assert secret not in error.message
