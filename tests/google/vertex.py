"""The Vertex AI door: ``/v1/projects/{p}/locations/{l}/publishers/google/models/{id}:{method}``.

Fields and methods: google-genai 3.4.0, Vertex converters; limits of ``predict``: Vertex AI, *Text
embeddings API*; refusals: public reports.
"""

from dataclasses import dataclass
from typing import TYPE_CHECKING

from server.demo.errors import GoogleError, Json, invalid
from server.demo.proto import read
from server.demo.tokens import count_request
from tests.google import doors, failures, messages
from tests.google.catalogue import FakeModel
from tests.google.gemini_api import text_tokens, vector_of
from tests.google.http import FakeRequest, FakeResponse, error_info, parse_json, respond
from tests.google.model import Asked
from tests.google.oauth import CLOUD_SCOPE
from tests.google.wire import Generation

if TYPE_CHECKING:
    from tests.google.google import FakeGoogle

SERVICE = "aiplatform.googleapis.com"
LOCATIONS = frozenset({"global", "us", "eu", "us-central1", "europe-west4"})
MOST_INSTANCES = 250
MOST_TOKENS = 20_000


@dataclass(frozen=True, slots=True)
class Address:
    """What the path names."""

    project: str
    location: str
    model: str
    method: str

    @property
    def resource(self) -> str:
        return (
            f"projects/{self.project}/locations/{self.location}/publishers/google/models/"
            f"{self.model}"
        )


def handle(
    google: "FakeGoogle", request: FakeRequest, address: Address
) -> FakeResponse | Generation:
    """Answer one call."""
    _authenticate(google, request)
    _check_project(google, address)
    model = _model(google, address)
    body = parse_json(request)
    match address.method:
        case "generateContent" | "streamGenerateContent" if not model.embeds:
            return _generate(google, request, model, body)
        case "countTokens" if not model.embeds:
            return respond(_count(read(messages.VERTEX_COUNT, body)))
        case "embedContent" if model.embeds and model.id.startswith("gemini-"):
            return respond(_embed(model, read(messages.VERTEX_EMBED, body)))
        case "predict" if model.embeds and model.id != "gemini-embedding-2":
            return respond(_predict(model, read(messages.VERTEX_PREDICT, body)))
        case method:
            raise GoogleError(400, f"{method} is not supported by {model.id}.")


def _authenticate(google: "FakeGoogle", request: FakeRequest) -> None:
    if "x-goog-user-project" in request.headers:
        # Refused unless the caller may bill that project; here nobody may.
        info = error_info("USER_PROJECT_DENIED", "googleapis.com", service=SERVICE)
        text = "Caller does not have required permission to use project."
        raise GoogleError(403, text, info)
    if "authorization" not in request.headers:
        raise failures.token_refused("CREDENTIALS_MISSING")
    grant = google.oauth.bearer(request)
    if grant is None:
        raise failures.token_refused("ACCESS_TOKEN_EXPIRED")
    if CLOUD_SCOPE not in grant.scopes:
        info = error_info("ACCESS_TOKEN_SCOPE_INSUFFICIENT", "googleapis.com")
        raise GoogleError(403, "Request had insufficient authentication scopes.", info)


def _check_project(google: "FakeGoogle", address: Address) -> None:
    if address.project not in google.vertex_projects:
        name = f"projects/{address.project}"
        info = error_info("CONSUMER_INVALID", "googleapis.com", consumer=name, service=SERVICE)
        raise GoogleError(403, f"Permission denied on resource project {address.project}.", info)
    if address.location not in LOCATIONS:
        raise GoogleError(404, f"Location {address.location} is not found or not accessible.")


def _model(google: "FakeGoogle", address: Address) -> FakeModel:
    """One text for what is unknown, retired, in another place, or not for this project.

    Previews are served globally only (Vertex AI, *Model versions and lifecycle*), Gemini 4 and the
    3.8 speech models in three places.
    """
    model = google.served(address.model, "vertex")
    place = address.location
    if model is None or _closed(google, address, model) or not model.served_in(place):
        raise GoogleError(
            404,
            f"Publisher Model `{address.resource}` was not found or your project does not have "
            "access to it. Please ensure you are using a valid model version.",
        )
    return model


def _closed(google: "FakeGoogle", address: Address, model: FakeModel) -> bool:
    old = address.project in google.old_vertex_projects
    return not old and model.closed_to_new("vertex", google.day())


def _generate(
    google: "FakeGoogle", request: FakeRequest, model: FakeModel, body: Json
) -> Generation:
    beta = request.path.startswith("/v1beta1/")
    message = read(messages.VERTEX_BETA_GENERATE if beta else messages.VERTEX_GENERATE, body)
    streams = request.path.endswith(":streamGenerateContent")
    doors.check(message, model, "vertex", streams=streams)
    asked = Asked(model=model, request=message, door="vertex", serial=google.next_serial())
    sse = request.query.get("alt") == "sse"
    usage = {"trafficType": _traffic(google, request)}
    return Generation(asked=asked, wrap=dict, streams=streams, sse=sse, usage=usage)


def _traffic(google: "FakeGoogle", request: FakeRequest) -> str:
    """The tier is asked for by a header, and told as a kind of traffic (@ai-sdk/google)."""
    asked = request.headers.get("x-vertex-ai-llm-shared-request-type", "standard")
    tier = google.served_tier or asked
    return "ON_DEMAND" if tier == "standard" else f"ON_DEMAND_{tier.upper()}"


def _count(body: Json) -> Json:
    doors.check_contents(body.get("contents", []), "vertex")
    counted = count_request(body)
    return {"totalTokens": counted.total, "promptTokensDetails": counted.details()}


# -- embeddings ---------------------------------------------------------------------------------


def _embed(model: FakeModel, body: Json) -> Json:
    values = vector_of(model, body, "EmbedContentRequest")
    usage = {"promptTokenCount": text_tokens(body)}
    return {"embedding": {"values": values}, "usageMetadata": usage, "truncated": False}


def _predict(model: FakeModel, body: Json) -> Json:
    instances, parameters = body.get("instances", []), body.get("parameters", {})
    most = 1 if model.id == "gemini-embedding-001" else MOST_INSTANCES
    if not 1 <= len(instances) <= most:
        raise invalid(f"{len(instances)} instance(s) given, 1 to {most} are allowed per prediction")
    requests = [_as_content(instance, parameters) for instance in instances]
    if sum(text_tokens(one) for one in requests) > MOST_TOKENS:
        raise invalid(f"The input token count exceeds {MOST_TOKENS} for one request.")
    return {"predictions": [{"embeddings": _prediction(model, one)} for one in requests]}


def _as_content(instance: Json, parameters: Json) -> Json:
    options = {k: v for k, v in instance.items() if k != "content"}
    return {"content": {"parts": [{"text": instance.get("content", "")}]}, **options, **parameters}


def _prediction(model: FakeModel, request: Json) -> Json:
    values = vector_of(model, request, "instances")
    statistics = {"token_count": text_tokens(request), "truncated": False}
    return {"values": values, "statistics": statistics}
