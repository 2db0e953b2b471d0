"""What each refusal of Google's means to the caller: the table of the dossier, row by row."""

import json
from typing import Any

import pytest

from server.auth.eligibility import BillingError
from server.errors import (
    AuthenticationError,
    BadRequestError,
    ContextLengthError,
    MediaRejectedError,
    OverloadedError,
    PayloadTooLargeError,
    PermissionDeniedError,
    ProxyError,
    RateLimitError,
    SchemaRejectedError,
    SignatureRejectedError,
    ThinkingRejectedError,
    UpstreamError,
)
from server.upstreams.google_errors import clean, error_from_payload, error_from_response
from server.upstreams.model_refusals import (
    ModelNotFoundError,
    ModelNotInPlanError,
    ModelRefusedError,
    Why,
)
from server.upstreams.signs import Credential

Json = dict[str, Any]
NOW = 1_790_000_000.0
"""2026-09-21T14:13:20Z, which is 07:13:20 in UTC-8 ... 06:13:20."""
DOMAIN = "cloudcode-pa.googleapis.com"
SAME_SENTENCE = "You have exhausted your capacity on this model."


def info(reason: str, **metadata: str) -> Json:
    return {
        "@type": "type.googleapis.com/google.rpc.ErrorInfo",
        "reason": reason,
        "domain": DOMAIN,
        "metadata": metadata,
    }


def retry_info(delay: str) -> Json:
    return {"@type": "type.googleapis.com/google.rpc.RetryInfo", "retryDelay": delay}


def quota_failure(quota_id: str) -> Json:
    return {
        "@type": "type.googleapis.com/google.rpc.QuotaFailure",
        "violations": [{"quotaMetric": "requests", "quotaId": quota_id}],
    }


def refused(status: int, message: str, *details: Json, **headers: str) -> ProxyError:
    body = {"error": {"code": status, "message": message, "details": list(details)}}
    return error_from_response(status, headers, json.dumps(body).encode(), now=lambda: NOW)


def quota(message: str, *details: Json, status: int = 429) -> RateLimitError:
    error = refused(status, message, *details)
    assert isinstance(error, RateLimitError)
    assert error.source == "quota"
    return error


# ── 429 ──


@pytest.mark.parametrize(
    ("message", "details", "delay"),
    [
        (SAME_SENTENCE, [info("RATE_LIMIT_EXCEEDED"), retry_info("2.139s")], 2.139),
        (f"{SAME_SENTENCE} Your quota will reset after 39s.", [info("RATE_LIMIT_EXCEEDED")], 39.0),
        (SAME_SENTENCE, [info("QUOTA_EXHAUSTED", quotaResetDelay="20s")], 20.0),
        ("Slow down.", [quota_failure("RequestsPerMinutePerProject")], 60.0),
        ("Slow down.", [info("RATE_LIMIT_EXCEEDED", quota_limit="RequestsPerMinute")], 60.0),
        ("Please retry in 12.5s.", [], 12.5),
        ("Resource exhausted. Please try again later.", [], None),
    ],
)
def test_a_short_limit_can_be_waited_for(
    message: str, details: list[Json], delay: float | None
) -> None:
    error = quota(message, *details)
    assert not error.exhausted
    assert error.retry_after_s == delay
    assert error.should_retry is None


@pytest.mark.parametrize(
    ("message", "details", "delay"),
    [
        (
            "Individual quota reached. Resets in 9h22m20s.",
            [info("QUOTA_EXHAUSTED", quotaResetDelay="33740.9s"), retry_info("33740.9s")],
            33740.9,
        ),
        (SAME_SENTENCE, [info("QUOTA_EXHAUSTED")], None),
        (SAME_SENTENCE, [info("RATE_LIMIT_EXCEEDED"), retry_info("301s")], 301.0),
        ("Quota exceeded, limit: 0, model: gemini-2.5-pro", [], None),
        ("No credits.", [info("INSUFFICIENT_G1_CREDITS_BALANCE")], None),
    ],
)
def test_a_limit_of_hours_is_exhausted(
    message: str, details: list[Json], delay: float | None
) -> None:
    error = quota(message, *details)
    assert error.exhausted
    assert error.retry_after_s == delay
    assert error.should_retry is False


def test_a_daily_quota_lasts_until_midnight_pacific_whatever_retry_info_says() -> None:
    error = quota(
        "You exceeded your current quota.",
        quota_failure("GenerateRequestsPerDayPerProjectPerModel-FreeTier"),
        retry_info("38s"),
    )
    assert error.exhausted
    # 06:13:20 in UTC-8: 17:46:40 are left of the day.
    assert error.retry_after_s == 17 * 3600 + 46 * 60 + 40


def test_a_daily_quota_that_says_when_it_resets_is_believed() -> None:
    stamp = info("QUOTA_EXHAUSTED", quotaResetTimeStamp="2026-09-21T15:13:20Z")
    error = quota("Quota.", stamp, quota_failure("RequestsPerDay"), retry_info("3s"))
    assert error.retry_after_s == 3600


def test_a_quota_and_missing_capacity_are_told_apart() -> None:
    """Google uses one sentence for both; ``ErrorInfo`` decides."""
    limited = refused(429, SAME_SENTENCE, info("RATE_LIMIT_EXCEEDED"), retry_info("2s"))
    crowded = refused(429, SAME_SENTENCE, info("MODEL_CAPACITY_EXHAUSTED"))
    bare = refused(429, "No capacity available for model gemini-3.1-pro-preview on the server")
    assert isinstance(limited, RateLimitError)
    assert isinstance(crowded, OverloadedError)
    assert isinstance(bare, OverloadedError)
    assert crowded.transient
    assert crowded.code is None, "every dialect has its own word for overloaded"
    assert "not your quota" in crowded.message
    assert "rate limit" in limited.message
    assert SAME_SENTENCE.rstrip(".") in limited.message


def test_a_quota_reason_counts_whatever_the_status() -> None:
    assert quota("Busy.", info("RATE_LIMIT_EXCEEDED"), status=503).retry_after_s is None
    assert isinstance(refused(503, "x", info("MODEL_CAPACITY_EXCEEDED")), OverloadedError)


def test_the_header_is_the_last_source_of_a_delay() -> None:
    error = refused(429, "Busy.", **{"retry-after": "17"})
    assert error.retry_after_s == 17


def test_zero_point_something_is_no_limit_of_zero() -> None:
    assert not quota("limit: 0.5 per second", retry_info("2s")).exhausted


# ── 400 ──


@pytest.mark.parametrize(
    ("message", "kind"),
    [
        ("Function call is missing a thought_signature in functionCall parts.", "signature"),
        ("Corrupted thought signature.", "signature"),
        ("Invalid thought signature", "signature"),
        (
            'Invalid JSON payload received. Unknown name "$schema" at \'request.tools[0].'
            "function_declarations[0].parameters': Cannot find field.",
            "schema",
        ),
        ("Proto field is not repeating, cannot start list.", "schema"),
        ("Request contains an invalid argument.", "schema"),
        ("The specified schema produces a constraint that has too many states.", "schema"),
        ("Penalty is not enabled for this model", "plain"),
        (
            "Please ensure that the number of function response parts is equal to the number of "
            "function call parts of the function call turn.",
            "plain",
        ),
    ],
)
def test_what_the_pipeline_can_repair_is_told_apart(message: str, kind: str) -> None:
    error = refused(400, message)
    repairs = {"signature": SignatureRejectedError, "schema": SchemaRejectedError}
    assert type(error) is repairs.get(kind, BadRequestError)
    assert error.message == message


def test_a_named_field_makes_a_vague_message_plain() -> None:
    violation = {
        "@type": "type.googleapis.com/google.rpc.BadRequest",
        "fieldViolations": [{"field": "contents[0].role"}],
    }
    error = refused(400, "Request contains an invalid argument.", violation)
    assert type(error) is BadRequestError


@pytest.mark.parametrize(
    "message",
    [
        "The input token count (1200000) exceeds the maximum number of tokens allowed (1048576).",
        "The input token count 1,200,000 exceeds the maximum number of tokens allowed 1,048,576.",
        "Unable to submit request because the input token count is 1200000 but model only "
        "supports up to 1048576. Reduce the input token count.",
    ],
)
def test_a_conversation_that_is_too_long_comes_with_both_numbers(message: str) -> None:
    error = refused(400, message)
    assert isinstance(error, ContextLengthError)
    assert (error.tokens, error.maximum) == (1_200_000, 1_048_576)


@pytest.mark.parametrize(
    ("status", "message", "details"),
    [
        (400, "API key not valid. Please pass a valid API key.", [info("API_KEY_INVALID")]),
        (400, "API key not valid. Please pass a valid API key.", []),
        (400, "API key expired. Please renew the API key.", []),
        (400, "API key expired. Please renew the API key.", [info("API_KEY_INVALID")]),
    ],
)
def test_a_bad_key_is_an_authentication_error(
    status: int, message: str, details: list[Json]
) -> None:
    error = refused(status, message, *details)
    assert isinstance(error, AuthenticationError)
    assert (error.code, error.should_retry) == ("invalid_api_key", False)


def test_an_unsupported_place_gets_its_sentence() -> None:
    error = refused(400, "User location is not supported for the API use.")
    assert error.code == "UNSUPPORTED_LOCATION"
    assert "country" in error.message


# ── 401 and 403 ──


def test_a_refused_sign_in_and_a_refused_key_have_different_remedies() -> None:
    body = b'{"error": {"code": 401, "message": "Request had invalid credentials."}}'
    sign_in = error_from_response(401, {}, body)
    key = error_from_response(401, {}, body, credential="key")
    assert sign_in.code == "google_sign_in_required"
    assert "Sign in again" in sign_in.message
    assert key.code == "invalid_api_key"
    assert "Sign in" not in key.message


@pytest.mark.parametrize(
    ("message", "details", "code", "words"),
    [
        (
            "Verify your account to continue.",
            [info("VALIDATION_REQUIRED", validation_url="https://example.com/check")],
            "VALIDATION_REQUIRED",
            "https://example.com/check",
        ),
        (
            "Disabled for violation of Terms of Service.",
            [
                info(
                    "TOS_VIOLATION",
                    appeal_url="https://example.com/appeal",
                    appeal_url_link_text="Appeal Here",
                )
            ],
            "TOS_VIOLATION",
            "Appeal Here: https://example.com/appeal",
        ),
        (
            "Gemini for Google Cloud API has not been used.",
            [
                info(
                    "SERVICE_DISABLED",
                    service="cloudaicompanion.googleapis.com",
                    activationUrl="https://example.com/enable",
                )
            ],
            "SERVICE_DISABLED",
            "https://example.com/enable",
        ),
        (
            "You do not have a valid license of this product. (#3501)",
            [],
            "NO_LICENSE",
            "licence assigned",
        ),
        ("The caller does not have permission", [], "PERMISSION_DENIED", "GOOGLE_CLOUD_PROJECT"),
        ("Something new.", [info("NEVER_SEEN")], "NEVER_SEEN", "Something new."),
    ],
)
def test_every_403_has_its_code_sentence_and_link(
    message: str, details: list[Json], code: str, words: str
) -> None:
    error = refused(403, message, *details)
    assert isinstance(error, PermissionDeniedError)
    assert (error.code, error.should_retry) == (code, False)
    assert message in error.message
    assert words in error.message


def test_a_forbidden_key_is_not_told_of_licences() -> None:
    body = {"error": {"code": 403, "message": "The caller may not.", "details": []}}
    error = error_from_response(403, {}, json.dumps(body).encode(), credential="key")
    assert error.code == "PERMISSION_DENIED"
    assert "Gemini API key" in error.message
    assert "licence" not in error.message


@pytest.mark.parametrize(
    ("status", "message", "details", "code", "words"),
    [
        (401, "Invalid.", [], "ADC_REFUSED", "gcloud auth application-default login"),
        (
            403,
            "Vertex AI API has not been used in project acme-1 before or it is disabled.",
            [info("SERVICE_DISABLED", service="aiplatform.googleapis.com")],
            "SERVICE_DISABLED",
            "https://console.cloud.google.com/apis/library/aiplatform.googleapis.com",
        ),
        (403, "The caller may not.", [], "PERMISSION_DENIED", "roles/aiplatform.user"),
        (
            403,
            "Permission 'aiplatform.endpoints.predict' denied.",
            [info("IAM_PERMISSION_DENIED", permission="aiplatform.endpoints.predict")],
            "IAM_PERMISSION_DENIED",
            "roles/aiplatform.user",
        ),
        (403, "Billing.", [info("BILLING_DISABLED")], "BILLING_DISABLED", "Enable billing"),
        (403, "Denied.", [info("CONSUMER_INVALID")], "CONSUMER_INVALID", "GOOGLE_CLOUD_PROJECT"),
        (404, "Publisher Model x.", [], "model_not_found", "GOOGLE_CLOUD_LOCATION"),
        (429, "Resource exhausted. Please try again.", [], "rate_limit_exceeded", "rate limit"),
    ],
)
def test_refusals_of_vertex_name_its_own_remedies(
    status: int, message: str, details: list[Json], code: str, words: str
) -> None:
    body = {"error": {"code": status, "message": message, "details": details}}
    error = error_from_response(status, {}, json.dumps(body).encode(), credential="adc")
    assert (error.status, error.code) == (status, code)
    assert words in error.message
    assert "acme-1" not in error.message
    assert "Code Assist" not in error.message


def test_the_help_link_wins_and_learn_more_does_not_count() -> None:
    links = {
        "@type": "type.googleapis.com/google.rpc.Help",
        "links": [
            {"description": "Learn more", "url": "https://example.com/more"},
            {"description": "How", "url": "https://support.google.com/x"},
            {"description": "Verify", "url": "https://example.com/verify"},
        ],
    }
    old = info("VALIDATION_REQUIRED", validation_url="https://example.com/old")
    assert "Verify: https://example.com/verify" in refused(403, "Verify.", old, links).message


def test_the_private_api_is_not_offered_for_enabling() -> None:
    details = info("SERVICE_DISABLED", service=DOMAIN, activationUrl="https://example.com/enable")
    assert "https://example.com/enable" not in refused(403, "Disabled.", details).message


# ── the rest ──


@pytest.mark.parametrize(
    ("status", "kind"),
    [
        (402, BillingError),
        (404, ModelNotFoundError),
        (409, OverloadedError),
        (413, PayloadTooLargeError),
        (499, OverloadedError),
        (500, UpstreamError),
        (502, UpstreamError),
        (503, OverloadedError),
        (504, UpstreamError),
        (302, UpstreamError),
    ],
)
def test_other_statuses_keep_their_class(status: int, kind: type[ProxyError]) -> None:
    body = json.dumps({"error": {"code": status, "message": "Google's words."}}).encode()
    error = error_from_response(status, {}, body)
    assert type(error) is kind
    assert "Google's words" in error.message
    assert error.transient == (status in (302, 409, 499) or status >= 500)


def test_a_web_page_with_404_is_a_wrong_address_not_a_missing_model() -> None:
    error = error_from_response(404, {}, b"<html><title>Error 404 (Not Found)!!1</title>")
    assert type(error) is UpstreamError
    assert "base address" in error.message


def test_an_error_inside_a_good_answer_is_found() -> None:
    event = {"error": {"code": 503, "message": "Unavailable.", "status": "UNAVAILABLE"}}
    assert isinstance(error_from_payload(event), OverloadedError)
    assert isinstance(error_from_payload([event]), OverloadedError)
    assert error_from_payload({"candidates": []}) is None
    assert error_from_payload({"error": None}) is None


@pytest.mark.parametrize(
    "secret",
    [
        "synthetic-proj-12",
        "projects/123456789012",
        "ya29.A0synthetic_x-y",
        "1//0synthetic-token",
        "AIzaSynthetic",
    ],
)
def test_tokens_keys_and_project_ids_never_leave_in_a_message(secret: str) -> None:
    text = (
        f"Refused for project {secret}, see https://example.com/?project={secret} (Bearer {secret})"
    )
    assert secret not in clean(text)


def test_the_project_named_in_metadata_is_removed_wherever_it_stands() -> None:
    error = refused(
        403,
        "API not used in acme before.",
        info("SERVICE_DISABLED", consumer="projects/acme", service="x.googleapis.com"),
    )
    assert "acme" not in error.message
    assert "API not used in … before." in error.message


# ── what concerns one model ──

GONE = (
    "This model models/gemini-2.5-flash is no longer available to new users. Please update your "
    "code to use a newer model for the latest features and improvements."
)
UNKNOWN = (
    "models/gemini-x is not found for API version v1beta, or is not supported for generateContent. "
    "Call ListModels to see the list of available models and their supported methods."
)
PUBLISHER = "Publisher Model `x` was not found or your project does not have access to it."
ENTITY = "Requested entity was not found."
NO_QUOTA = (
    "You exceeded your current quota, please check your plan and billing details.\n* Quota "
    "exceeded for metric: generativelanguage.googleapis.com/generate_content_free_tier_requests, "
    "limit: 0, model: gemini-3-pro\nPlease retry in 10.6s."
)


@pytest.mark.parametrize(
    ("status", "message", "credential", "why"),
    [
        (404, GONE, "key", "gone"),
        (404, "The model gemini-x has been retired.", "key", "gone"),
        (410, "Model gemini-x was shut down.", "key", "gone"),
        (404, UNKNOWN, "key", "unknown"),
        (404, PUBLISHER, "adc", "unknown"),
        (404, ENTITY, "sign-in", "licence"),
        (403, "Your licence does not include access to the model gemini-x.", "sign-in", "licence"),
        (403, "This model is not enabled for your edition.", "sign-in", "licence"),
        (429, NO_QUOTA, "key", "plan"),
        (429, "Quota exceeded: the limit is 0 for gemini-x.", "key", "plan"),
    ],
)
def test_a_refusal_of_one_model_says_why(
    status: int, message: str, credential: Credential, why: Why
) -> None:
    body = {"error": {"code": status, "message": message, "details": [retry_info("10.6s")]}}
    error = error_from_response(status, {}, json.dumps(body).encode(), credential=credential)
    assert isinstance(error, ModelRefusedError)
    assert (error.why, error.param) == (why, "model")
    assert (error.retry_after_s, error.should_retry, error.transient) == (None, False, False)
    assert error.status == (429 if why == "plan" else 404)


def test_a_quota_of_nothing_is_also_seen_in_the_details() -> None:
    failure = quota_failure("GenerateRequestsPerDayPerProjectPerModel-FreeTier")
    failure["violations"][0]["quotaValue"] = "0"
    error = quota("You exceeded your current quota.", failure, retry_info("10s"))
    assert isinstance(error, ModelNotInPlanError)


@pytest.mark.parametrize(
    ("status", "message", "credential"),
    [
        (404, "CachedContent not found (or permission denied)", "key"),
        (404, "File files/abc was not found.", "key"),
        (404, "Project acme-1 was not found.", "sign-in"),
        (403, "You do not have a valid license of this product. (#3501)", "sign-in"),
        (403, "The caller does not have permission", "sign-in"),
        (429, "Quota exceeded for metric: x, limit: 20, model: y", "key"),
        (429, "Quota exceeded for metric: x, limit: 0.5, model: y", "key"),
    ],
)
def test_what_concerns_something_else_is_no_refusal_of_a_model(
    status: int, message: str, credential: Credential
) -> None:
    body = {"error": {"code": status, "message": message}}
    error = error_from_response(status, {}, json.dumps(body).encode(), credential=credential)
    assert not isinstance(error, ModelRefusedError)


@pytest.mark.parametrize(
    ("message", "concerns"),
    [
        (
            "Thinking budget is not supported for this model. Use thinking level instead.",
            True,
        ),
        (
            "'minimal' is not a supported thinking level for this model. Allowed values are: "
            "medium, low, high.",
            True,
        ),
        ("Budget 0 is invalid. This model only works in thinking mode.", True),
        ("generation_config.thinking_config.include_thoughts is not supported here.", True),
        ("The model was thinking about a level.", False),
        ("temperature must be between 0 and 2.", False),
    ],
)
def test_how_google_says_that_a_model_thinks_otherwise(message: str, concerns: bool) -> None:
    body = {"error": {"code": 400, "message": message, "status": "INVALID_ARGUMENT"}}
    error = error_from_response(400, {}, json.dumps(body).encode())
    assert isinstance(error, ThinkingRejectedError) == concerns
    assert error.code == "invalid_argument"


@pytest.mark.parametrize(
    ("status", "message", "kind"),
    [
        (400, "Unable to process input image. Please retry.", MediaRejectedError),
        (400, "Unsupported MIME type: image/gif", MediaRejectedError),
        (400, "mimeType image/gif is not supported.", MediaRejectedError),
        (400, "The document has no pages.", MediaRejectedError),
        (400, "Provided image is not valid.", MediaRejectedError),
        (400, "Cannot fetch content from the provided URL.", MediaRejectedError),
        (400, "Invalid value at 'contents[0].parts[0].inline_data.data'", MediaRejectedError),
        (403, "No permission to access the File a or it may not exist.", MediaRejectedError),
        (
            400,
            "Invalid value at 'tools[0].function_declarations[0]': cannot read file",
            SchemaRejectedError,
        ),
        (400, "Image generation is not available for this model", BadRequestError),
        (403, "The caller does not have permission", PermissionDeniedError),
    ],
)
def test_media_that_google_cannot_read_is_told_apart(
    status: int, message: str, kind: type[ProxyError]
) -> None:
    body = {"error": {"code": status, "message": message, "status": "X"}}
    error = error_from_response(status, {}, json.dumps(body).encode(), credential="key")
    assert isinstance(error, kind)
    assert isinstance(error, MediaRejectedError) == (kind is MediaRejectedError)
