"""The Code Assist door: ``/{version}:{method}`` with an OAuth token and an envelope."""

from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING

from server.demo.errors import GoogleError, Json, invalid
from server.demo.proto import Message, read
from server.demo.tokens import count_request
from tests.google import doors, failures, messages
from tests.google.http import FakeRequest, FakeResponse, error_info, parse_json, respond
from tests.google.model import Asked
from tests.google.oauth import CLIENT_ID, CLOUD_SCOPE
from tests.google.wire import Generation

if TYPE_CHECKING:
    from tests.google.google import FakeGoogle

_NOT_FOUND = "Requested entity was not found."


def handle(google: "FakeGoogle", request: FakeRequest, method: str) -> FakeResponse | Generation:
    """Answer one call of the private API."""
    _authenticate(google, request)
    if method.startswith("operations/"):
        return respond(google.account.operation(method))
    if method in ("generateContent", "streamGenerateContent"):
        return _generate(google, request, streams=method == "streamGenerateContent")
    if method == "countTokens":
        return respond(_count(google, read(messages.ENVELOPE_COUNT, parse_json(request))))
    if (request.method, method) == ("GET", "getCodeAssistGlobalUserSetting"):
        return respond(_setting(google, {}))
    if request.method != "POST" or method not in _METHODS:
        raise GoogleError(404, _NOT_FOUND)
    spec, answer = _METHODS[method]
    return respond(answer(google, read(spec, parse_json(request))))


def _authenticate(google: "FakeGoogle", request: FakeRequest) -> None:
    if "x-goog-user-project" in request.headers:
        project = request.headers["x-goog-user-project"]
        raise _refusal(failures.service_disabled(project=project))
    if "authorization" not in request.headers:
        raise failures.token_refused("CREDENTIALS_MISSING")
    grant = google.oauth.bearer(request)
    if grant is None:
        raise failures.token_refused("ACCESS_TOKEN_EXPIRED")
    if CLOUD_SCOPE not in grant.scopes:
        info = error_info("ACCESS_TOKEN_SCOPE_INSUFFICIENT", "googleapis.com")
        raise GoogleError(403, "Request had insufficient authentication scopes.", info)
    if grant.client_id != CLIENT_ID:
        # Any other OAuth client belongs to a project that cannot enable this private API.
        raise _refusal(failures.service_disabled())


def _refusal(failure: failures.Failure) -> GoogleError:
    return failure.error or GoogleError(500, "Internal error encountered.")


def _generate(google: "FakeGoogle", request: FakeRequest, *, streams: bool) -> Generation:
    envelope = read(messages.ENVELOPE, parse_json(request))
    model = google.model(envelope.get("model", ""), "code-assist")
    if model is None or model.id in google.account.lacks:
        raise GoogleError(404, _NOT_FOUND)
    google.account.check(envelope.get("project"))
    inner = envelope.get("request", {})
    doors.check(inner, model, "code-assist", streams=streams)
    asked = Asked(model=model, request=inner, door="code-assist", serial=google.next_serial())
    sse = request.query.get("alt") == "sse"
    usage = {"trafficType": "ON_DEMAND"}
    return Generation(asked=asked, wrap=_wrap, streams=streams, sse=sse, usage=usage)


def _wrap(chunk: Json) -> Json:
    now = datetime(2026, 11, 22, 10, tzinfo=UTC).isoformat(timespec="microseconds")
    created = {**chunk, "createTime": now.replace("+00:00", "Z")}
    return {"response": created, "traceId": f"trace-{chunk['responseId']}"}


def _count(google: "FakeGoogle", envelope: Json) -> Json:
    inner = envelope.get("request", {})
    name = inner.get("model", "")
    model = google.model(name.removeprefix("models/"), "code-assist")
    if model is None or not name.startswith("models/"):
        raise GoogleError(404, _NOT_FOUND)
    doors.check_contents(inner.get("contents", []), "code-assist")
    return {"totalTokens": count_request(inner).total}


def _load(google: "FakeGoogle", body: Json) -> Json:
    return google.account.load(body)


def _onboard(google: "FakeGoogle", body: Json) -> Json:
    return google.account.onboard(body)


def _next_reset(now: float) -> str:
    """Quotas begin anew at midnight in California (without its summer time)."""
    moment = datetime.fromtimestamp(now, UTC)
    reset = moment.replace(hour=8, minute=0, second=0, microsecond=0)
    return f"{reset + timedelta(days=moment >= reset):%Y-%m-%dT%H:%M:%SZ}"


def _quota(google: "FakeGoogle", body: Json) -> Json:
    """One bucket a model; ``remainingAmount`` only when something has been used."""
    google.account.check(body.get("project"))
    buckets = []
    for model in google.models("code-assist"):
        if model.id in google.account.lacks:
            continue
        left = google.quota.get(model.id, 1.0)
        bucket: Json = {
            "resetTime": _next_reset(google.now()),
            "tokenType": "REQUESTS",
            "modelId": model.id,
            "remainingFraction": left,
        }
        if left < 1:
            bucket["remainingAmount"] = str(int(left * 1000))
        buckets.append(bucket)
    return {"buckets": buckets}


def _setting(google: "FakeGoogle", body: Json) -> Json:
    google.account.opted_in = body.get("freeTierDataCollectionOptin", google.account.opted_in)
    return {"freeTierDataCollectionOptin": google.account.opted_in}


def _experiments(google: "FakeGoogle", body: Json) -> Json:
    """Preview models are launched, request time-out 300 s (flag ids: Gemini CLI ``flagNames``)."""
    if "project" not in body:
        raise invalid("Request contains an invalid argument.")
    flags = [{"flagId": 45760185, "boolValue": True}, {"flagId": 45773134, "intValue": "300"}]
    return {"experimentIds": [101, 102], "flags": flags}


def _admin_controls(google: "FakeGoogle", body: Json) -> Json:
    return {"strictModeDisabled": True, "adminControlsApplicable": False}


def _metrics(google: "FakeGoogle", body: Json) -> Json:
    """Telemetry of the official product; a test that sees it in ``requests`` has found a bug."""
    return {}


_METHODS: dict[str, tuple[Message, Callable[["FakeGoogle", Json], Json]]] = {
    "loadCodeAssist": (messages.LOAD, _load),
    "onboardUser": (messages.ONBOARD, _onboard),
    "retrieveUserQuota": (messages.QUOTA, _quota),
    "setCodeAssistGlobalUserSetting": (messages.SETTING, _setting),
    "listExperiments": (messages.EXPERIMENTS, _experiments),
    "fetchAdminControls": (messages.ADMIN_CONTROLS, _admin_controls),
    "recordCodeAssistMetrics": (messages.METRICS, _metrics),
}
