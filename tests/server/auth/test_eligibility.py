"""One sentence and one remedy per code, the same everywhere."""

import pytest

from server.auth.eligibility import CODES, EligibilityError, problem_for, problem_of
from server.errors import AuthenticationError, PermissionDeniedError, UpstreamError

CONTRACT = (
    "UNSUPPORTED_CLIENT",
    "VALIDATION_REQUIRED",
    "TOS_VIOLATION",
    "INELIGIBLE_ACCOUNT",
    "RESTRICTED_AGE",
    "UNSUPPORTED_LOCATION",
    "NO_LICENSE",
    "SERVICE_DISABLED",
    "invalid_grant",
    "DASHER_USER",
)


@pytest.mark.parametrize("code", CONTRACT)
def test_every_code_of_the_contract_has_words_of_its_own(code: str) -> None:
    assert code in CODES


def test_no_two_codes_share_a_sentence() -> None:
    messages = [problem_for(code).message for code in CODES]
    assert len(set(messages)) == len(messages)


@pytest.mark.parametrize("code", sorted(CODES))
def test_words_are_whole_sentences(code: str) -> None:
    problem = problem_for(code)
    assert problem.code == code
    for text in (problem.message, problem.remedy):
        assert text[0].isupper() or text.startswith("GOOGLE")
        assert text.endswith(".")
        assert "  " not in text


def test_an_unknown_code_keeps_what_google_said() -> None:
    problem = problem_for("BRAND_NEW_REASON", said="The moon is in the wrong house.")
    assert problem.message == "The moon is in the wrong house."
    assert problem.remedy
    assert "BRAND_NEW_REASON" in problem_for("BRAND_NEW_REASON").message


def test_a_link_of_googles_own_wins_over_ours() -> None:
    ours = problem_for("UNSUPPORTED_CLIENT")
    theirs = problem_for("UNSUPPORTED_CLIENT", link="https://example.com/x", link_text="Go")
    assert ours.link
    assert theirs.link == "https://example.com/x"
    assert theirs.sentence.endswith("Go: https://example.com/x")


def test_only_the_api_a_user_can_enable_comes_with_a_link_to_enable_it() -> None:
    link = "https://console.example.com/"
    private = problem_for("SERVICE_DISABLED", service="cloudcode-pa.googleapis.com", link=link)
    public = problem_for("SERVICE_DISABLED", service="cloudaicompanion.googleapis.com", link=link)
    assert private.link is None
    assert "private" in private.message
    assert public.link == link


def test_the_error_carries_the_problem_and_asks_nobody_to_retry() -> None:
    problem = problem_for("TOS_VIOLATION", link="https://example.com/appeal")
    error = EligibilityError(problem, "Disabled.")
    assert isinstance(error, PermissionDeniedError)
    assert error.problem is problem
    assert (error.code, error.should_retry, error.status) == ("TOS_VIOLATION", False, 403)
    assert error.message.startswith("Disabled. ")
    assert "https://example.com/appeal" in error.message


@pytest.mark.parametrize("code", ["SERVICE_DISABLED", "PERMISSION_DENIED", "PROJECT_REQUIRED"])
def test_vertex_has_words_of_its_own(code: str) -> None:
    problem = problem_for(code, service="aiplatform.googleapis.com")
    assert problem.code == code
    assert problem.message != problem_for(code).message
    assert "Vertex AI" in problem.message


def test_every_error_is_a_problem_for_a_person() -> None:
    refused = EligibilityError(problem_for("TOS_VIOLATION"))
    assert problem_of(refused) is refused.problem
    coded = AuthenticationError("Said at length.", code="ADC_REFUSED")
    assert problem_of(coded) == problem_for("ADC_REFUSED")
    other = problem_of(UpstreamError("No route."))
    assert other.message == "No route."
    assert other.remedy


@pytest.mark.parametrize(
    "code",
    [
        "UNSUPPORTED_CLIENT",
        "INELIGIBLE_ACCOUNT",
        "RESTRICTED_AGE",
        "UNSUPPORTED_LOCATION",
        "NO_LICENSE",
        "PROJECT_REQUIRED",
        "SERVICE_DISABLED",
        "ADC_MISSING",
    ],
)
def test_a_refusal_without_a_link_of_googles_has_one_of_ours(code: str) -> None:
    problem = problem_for(code)
    assert problem.link is not None
    assert problem.link.startswith("https://")
    assert problem.link_text
