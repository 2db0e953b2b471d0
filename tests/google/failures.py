"""Everything that can go wrong, as values for ``FakeGoogle.fail``.

    fake.fail(rate_limited(2), capacity())          # the next two generate requests
    fake.fail(unauthenticated(), times=None)        # every one from now on
    fake.fail(unavailable(), model="gemini-2.5-pro", times=2)
    fake.fail(internal(), methods={"loadCodeAssist"})

A refusal is sent instead of an answer, but only to requests that Google would have taken: a wrong
request is refused for what is wrong with it. Bodies follow public reports (dossier section 8).
"""

import json
from collections.abc import Callable
from dataclasses import dataclass, replace

from server.demo.errors import GoogleError, Json, bad_request
from tests.google.http import RawError, error_info, retry_info
from tests.google.keys import limit_zero
from tests.google.model import Answer
from tests.google.wire import Cut, Framing, Item, Pause

DOMAIN = "cloudcode-pa.googleapis.com"
UNAVAILABLE = {
    "error": {
        "code": 503,
        "message": "The service is currently unavailable.",
        "status": "UNAVAILABLE",
    }
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Failure:
    """One way to fail; several fields may be set together."""

    error: GoogleError | None = None
    """Sent instead of an answer."""
    bend: Callable[[Answer], Answer] | None = None
    """Changes what the model answers."""
    tear: Callable[[list[Item]], list[Item]] | None = None
    """Changes the events of a stream (a unary answer is left alone)."""
    first_byte_s: float = 0
    """Silence before the status line."""
    framing: Framing | None = None
    """This answer's own framing."""


def refuse(error: GoogleError) -> Failure:
    """Any refusal of your own."""
    return Failure(error=error)


# -- 429 ----------------------------------------------------------------------------------------


def rate_limited(delay_s: float = 2.139477544, model: str = "gemini-2.5-pro") -> Failure:
    """Short limit with ``RetryInfo``."""
    delay = f"{delay_s:g}s"
    return refuse(
        GoogleError(
            429,
            "You have exhausted your capacity on this model. Your quota will reset after "
            f"{int(delay_s)}s.",
            error_info(
                "RATE_LIMIT_EXCEEDED", DOMAIN, uiMessage="true", model=model, quotaResetDelay=delay
            ),
            retry_info(delay),
        )
    )


def rate_limited_without_delay(delay_s: int = 39, model: str = "gemini-2.5-pro") -> Failure:
    """Only the message knows how long."""
    return refuse(
        GoogleError(
            429,
            "You have exhausted your capacity on this model. Your quota will reset after "
            f"{delay_s}s.",
            error_info("RATE_LIMIT_EXCEEDED", DOMAIN, uiMessage="true", model=model),
        )
    )


def quota_exhausted(delay_s: float = 33740.910400305, model: str = "gemini-2.5-pro") -> Failure:
    """A quota of hours; terminal."""
    hours, rest = divmod(int(delay_s), 3600)
    delay = f"{delay_s:.9f}s"
    return refuse(
        GoogleError(
            429,
            "Individual quota reached. Please upgrade your subscription to increase your limits. "
            f"Resets in {hours}h{rest // 60}m{rest % 60}s.",
            error_info(
                "QUOTA_EXHAUSTED", DOMAIN, uiMessage="true", model=model, quotaResetDelay=delay
            ),
            retry_info(delay),
        )
    )


def quota_until(timestamp: str, model: str = "gemini-2.5-pro") -> Failure:
    """A quota whose end is told as an RFC 3339 time only."""
    info = error_info("QUOTA_EXHAUSTED", DOMAIN, model=model, quotaResetTimeStamp=timestamp)
    return refuse(GoogleError(429, "Quota exceeded.", info))


def capacity(status: int = 429, model: str = "gemini-2.5-pro") -> Failure:
    """The model has no room for anybody; 429 or 503."""
    return refuse(
        GoogleError(
            status,
            f"No capacity available for model {model} on the server",
            error_info("MODEL_CAPACITY_EXHAUSTED", DOMAIN, model=model),
        )
    )


def shared_capacity() -> Failure:
    """A bare 429 wrapped in an array, with the legacy list and no details."""
    message = "Resource exhausted. Please try again later."
    legacy = {"message": message, "domain": "global", "reason": "rateLimitExceeded"}
    return in_array(
        {"code": 429, "message": message, "errors": [legacy], "status": "RESOURCE_EXHAUSTED"}
    )


def quota_failure(quota_id: str, delay: str | None = None) -> Failure:
    """The Gemini API's refusal; ``quota_id`` like ``GenerateRequestsPerDayPerProject-FreeTier``."""
    violation = {
        "quotaMetric": "generativelanguage.googleapis.com/generate_content_free_tier_requests",
        "quotaId": quota_id,
        "quotaDimensions": {"location": "global"},
    }
    quota = {"@type": "type.googleapis.com/google.rpc.QuotaFailure", "violations": [violation]}
    text = "You exceeded your current quota, please check your plan and billing details."
    details = [quota]
    if delay is not None:
        text += f"\nPlease retry in {delay}."
        details.append(retry_info(delay))
    return refuse(GoogleError(429, text, *details))


def not_in_plan(model: str = "gemini-2.5-pro") -> Failure:
    """The account's limit for this model is zero; the delay it names never helps."""
    return refuse(limit_zero(model))


def no_credits() -> Failure:
    info = error_info("INSUFFICIENT_G1_CREDITS_BALANCE", DOMAIN)
    return refuse(GoogleError(429, "Your credits balance is insufficient.", info))


# -- 4xx ----------------------------------------------------------------------------------------


def unauthenticated() -> Failure:
    """The access token is refused although it has not run out."""
    return refuse(token_refused("ACCESS_TOKEN_EXPIRED"))


def token_refused(reason: str) -> GoogleError:
    refused = GoogleError(
        401,
        "Request had invalid authentication credentials. Expected OAuth 2 access token, login "
        "cookie or other valid authentication credential. See "
        "https://developers.google.com/identity/sign-in/web/devconsole-project.",
        error_info(reason, "googleapis.com", service=DOMAIN),
    )
    realm = 'Bearer realm="https://accounts.google.com/"'
    refused.headers["www-authenticate"] = f'{realm}, error="invalid_token"'
    return refused


VALIDATION_URL = "https://accounts.example.com/signin/continue"


def validation_required() -> Failure:
    """The account must be verified in a browser."""
    message = "Verify your account to continue."
    info = error_info(
        "VALIDATION_REQUIRED",
        DOMAIN,
        validation_error_message=message,
        validation_url_link_text="Verify your account",
        validation_url=VALIDATION_URL,
    )
    links = [
        {"description": "Verify your account", "url": VALIDATION_URL},
        {"description": "Learn more", "url": "https://support.example.com/accounts"},
    ]
    help_ = {"@type": "type.googleapis.com/google.rpc.Help", "links": links}
    return refuse(GoogleError(403, message, info, help_))


def tos_violation() -> Failure:
    """The account is suspended; there is a form to appeal."""
    return refuse(
        GoogleError(
            403,
            "This service has been disabled in this account for violation of Terms of Service. "
            "Please submit an appeal to continue using this product.",
            error_info(
                "TOS_VIOLATION",
                DOMAIN,
                uiMessage="true",
                appeal_url="https://forms.example.com/appeal",
                appeal_url_link_text="Appeal Here",
            ),
        )
    )


def service_disabled(service: str = DOMAIN, project: str = "fake-project") -> Failure:
    """``cloudcode-pa``: a foreign OAuth client; ``cloudaicompanion``: the API is not enabled."""
    title = "Cloud Code Private API" if service == DOMAIN else "Gemini for Google Cloud API"
    text = f"{title} has not been used in project {project} before or it is disabled."
    return refuse(
        GoogleError(
            403,
            f"{text} Enable it by visiting https://console.example.com/ then retry.",
            error_info(
                "SERVICE_DISABLED",
                "googleapis.com",
                consumer=f"projects/{project}",
                service=service,
                serviceTitle=title,
                containerInfo=project,
                activationUrl=f"https://console.example.com/apis/api/{service}/overview",
            ),
            {
                "@type": "type.googleapis.com/google.rpc.LocalizedMessage",
                "locale": "en-US",
                "message": text,
            },
        )
    )


def missing_licence() -> Failure:
    return refuse(
        GoogleError(
            403,
            "You do not have a valid license of this product. Please contact your administrator. "
            "(#3501)",
        )
    )


def subscription_required() -> Failure:
    """The same in the words of newer backends (gemini-cli #19472)."""
    text = "You are missing a valid license for Gemini Code Assist. (#3501)"
    domain = "cloudaicompanion.googleapis.com"
    return refuse(GoogleError(403, text, error_info("SUBSCRIPTION_REQUIRED", domain)))


def security_policy() -> Failure:
    """A VPC Service Controls perimeter."""
    info = error_info("SECURITY_POLICY_VIOLATED", "googleapis.com", uid="fake-vpc-sc")
    return refuse(GoogleError(403, "Request is prohibited by organization's policy.", info))


def no_permission() -> Failure:
    return refuse(GoogleError(403, "The caller does not have permission"))


def not_found() -> Failure:
    return refuse(GoogleError(404, "Requested entity was not found."))


def corrupted_signature() -> Failure:
    return refuse(GoogleError(400, "Corrupted thought signature."))


def schema_rejected(keyword: str = "$schema") -> Failure:
    path = "request.tools[0].function_declarations[0].parameters"
    text = (
        f"Invalid JSON payload received. Unknown name \"{keyword}\" at '{path}': Cannot find field."
    )
    return refuse(GoogleError(400, text, bad_request((path, text))))


def input_too_long(tokens: int = 1_200_000, maximum: int = 1_048_576) -> Failure:
    return refuse(
        GoogleError(
            400,
            f"The input token count ({tokens}) exceeds the maximum number of tokens allowed "
            f"({maximum}).",
        )
    )


# -- 5xx and odd bodies -------------------------------------------------------------------------


def cancelled() -> Failure:
    return refuse(GoogleError(499, "The operation was cancelled."))


def internal() -> Failure:
    return refuse(GoogleError(500, "Internal error encountered."))


def unavailable() -> Failure:
    return refuse(GoogleError(503, "The model is overloaded. Please try again later."))


def deadline() -> Failure:
    return refuse(
        GoogleError(504, "The request timed out. Please try again.", word="DEADLINE_EXCEEDED")
    )


def html(status: int = 502) -> Failure:
    """The front end answers before any API does."""
    return refuse(html_page(status))


def html_page(status: int) -> GoogleError:
    page = (
        f"<!DOCTYPE html>\n<html lang=en>\n<title>Error {status} (Server Error)!!1</title>\n"
        f"<p><b>{status}.</b> <ins>That’s an error.</ins>\n"
    )
    return RawError(status, page.encode(), "text/html; charset=UTF-8")


def in_array(error: Json) -> Failure:
    """An error object inside a one-element array."""
    return refuse(RawError(error["code"], json.dumps([{"error": error}]).encode()))


def stray_commas() -> Failure:
    """A known corruption: commas inside values and doubled between them."""
    body = (
        '{"error": {"code": 429, "message": "You have exhausted your capacity on this model. Your '
        'quota will reset after 5s.", "status": "RESOURCE_EXHAUSTED", "details": [{"@type": '
        '"type.googleapis.com/google.rpc.ErrorInfo", "reason": "RATE_LIMIT_EXCEEDED", "domain": '
        f'"{DOMAIN},",\n, "metadata": {{"quotaResetDelay": "5s"}}}}]}}}}'
    )
    return refuse(RawError(429, body.encode()))


def nested_message() -> Failure:
    """A whole error body as JSON text inside ``message``."""
    inner = json.dumps(UNAVAILABLE)
    return refuse(GoogleError(503, json.dumps({"error": {"code": 503, "message": inner}})))


# -- broken streams -----------------------------------------------------------------------------


def error_event(after: int = 2) -> Failure:
    """A 200 stream that turns into an error event."""
    return Failure(tear=lambda items: [*items[:after], UNAVAILABLE])


def raw_error(after: int = 2) -> Failure:
    """A 200 stream that goes on with raw JSON over several lines."""
    raw = json.dumps(UNAVAILABLE, indent=2).encode()
    return Failure(tear=lambda items: [*items[:after], raw])


def truncated(after: int = 2) -> Failure:
    """A clean end of file after ``after`` events, the last one without its blank line."""

    def tear(items: list[Item]) -> list[Item]:
        kept = items[:after]
        if isinstance(kept[-1], dict):
            kept[-1] = b"data: " + json.dumps(kept[-1], ensure_ascii=False).encode()
        return kept

    return Failure(tear=tear)


def connection_cut(after: int = 2) -> Failure:
    """The connection breaks after ``after`` events."""
    return Failure(tear=lambda items: [*items[:after], Cut()])


def stalled(seconds: float = 3600, after: int = 1) -> Failure:
    """Silence in the middle of a stream."""
    return Failure(tear=lambda items: [*items[:after], Pause(seconds), *items[after:]])


def slow_first_byte(seconds: float = 90) -> Failure:
    return Failure(first_byte_s=seconds)


def framed(framing: Framing) -> Failure:
    """A sound answer in an unusual framing: CRLF, split anywhere, compressed."""
    return Failure(framing=framing)


def missing_response() -> Failure:
    """An event without ``response`` (Code Assist: credits only) before the answer; harmless."""
    credits_ = {"traceId": "credits", "remainingCredits": [{"creditType": "GOOGLE_ONE_AI"}]}
    return Failure(tear=lambda items: [credits_, *items])


def no_response_at_all() -> Failure:
    """Events without ``response`` only."""
    return Failure(tear=lambda items: [{"traceId": "nothing"} for _ in items[:1]])


# -- bent answers -------------------------------------------------------------------------------


def no_finish_reason() -> Failure:
    return finishes(None)


def finishes(reason: str | None, message: str | None = None) -> Failure:
    """The usual answer with another ``finishReason``."""
    return Failure(bend=lambda given: replace(given, finish=reason, finish_message=message))


def only_finishes(reason: str, message: str | None = None) -> Failure:
    """No part at all, just this ``finishReason``."""
    return Failure(
        bend=lambda given: replace(given, parts=[], finish=reason, finish_message=message)
    )


def malformed_function_call() -> Failure:
    return only_finishes(
        "MALFORMED_FUNCTION_CALL", "Malformed function call: print(default_api.get_weather("
    )


def thinking_only(tokens: int = 128) -> Failure:
    """The whole budget went into thinking."""
    parts: list[Json] = [{"text": "**Considering**\n\n...", "thought": True}, {"text": ""}]
    ended = Answer(parts=parts, finish="MAX_TOKENS", thoughts_tokens=tokens)
    return Failure(bend=lambda _: ended)


def prompt_blocked(reason: str = "PROHIBITED_CONTENT") -> Failure:
    return Failure(bend=lambda _: Answer(block_reason=reason))


def empty_candidates() -> Failure:
    """Chunks whose ``candidates`` list is empty."""

    def empty(items: list[Item]) -> list[Item]:
        return [_without_candidates(item) if isinstance(item, dict) else item for item in items[:1]]

    return Failure(tear=empty)


def _without_candidates(item: Json) -> Json:
    if "response" in item:
        return {**item, "response": {**item["response"], "candidates": []}}
    return {**item, "candidates": []}


def unknown_part() -> Failure:
    """A part of a type nobody has heard of, before the answer."""
    strange: Json = {"holographicData": {"mimeType": "model/hologram"}}
    return Failure(bend=lambda given: replace(given, parts=[strange, *given.parts]))


def no_usage() -> Failure:
    """``usageMetadata`` is missing from every chunk."""
    return Failure(bend=lambda given: replace(given, usage={}))
