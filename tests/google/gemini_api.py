"""The Gemini API door: ``/v1beta/models...`` and ``/v1/models...`` with an API key."""

import hashlib
import math
import re
import struct
from typing import TYPE_CHECKING

from server.demo import rules
from server.demo.errors import GoogleError, Json, invalid
from server.demo.gemini_api import listed_method, no_such_model, tier_of
from server.demo.messages import COUNT, GENERATE
from server.demo.proto import read
from server.demo.tokens import Counted, count_request
from tests.google import doors, keys, messages
from tests.google.catalogue import FakeModel
from tests.google.http import FakeRequest, FakeResponse, parse_json, respond
from tests.google.model import Asked
from tests.google.wire import Generation

if TYPE_CHECKING:
    from tests.google.google import FakeGoogle

LARGEST_VECTOR = 3072
LARGEST_BATCH = 100

_WORDS = 256
"""Words of a text that go into its vector."""


def handle(google: "FakeGoogle", request: FakeRequest, rest: str) -> FakeResponse | Generation:
    """Answer ``rest``, the path after the version: ``models``, ``models/x`` or ``models/x:y``."""
    key = _authenticated(google, request)
    if rest == "models":
        return respond(_list(google, request))
    name, _, method = rest.removeprefix("models/").partition(":")
    asked = google.model(name, "gemini-api")
    model = google.served(name, "gemini-api")
    if asked is None or model is None or (method and listed_method(method) not in asked.methods):
        raise no_such_model(request.path, name, method or "GetModel")
    if not method:
        return respond(asked.described())
    if asked.closed_to_new("gemini-api", google.day()) and not key.old:
        raise keys.no_longer_available(name)
    body = parse_json(request)
    match method:
        case "generateContent" | "streamGenerateContent":
            return _generate(google, request, key, model, body)
        case "countTokens":
            return respond(_count(name, model, read(COUNT, body)))
        case "embedContent":
            return respond(_embed(model, read(messages.EMBED, body)))
        case "batchEmbedContents":
            return respond(_batch(model, read(messages.BATCH_EMBED, body)))
        case _:
            raise no_such_model(request.path, name, method)


def _authenticated(google: "FakeGoogle", request: FakeRequest) -> keys.Key:
    """The key comes in a header; in the address it would end up in every log on the way."""
    given = request.headers.get("x-goog-api-key")
    if given is None:
        raise GoogleError(
            403,
            "Method doesn't allow unregistered callers (callers without established identity). "
            "Please use API Key or other form of API consumer identity to call this API.",
        )
    if "authorization" in request.headers:
        raise keys.two_credentials()
    key = google.key(given)
    if error := keys.refusal(key, request):
        raise error
    return key


def _list(google: "FakeGoogle", request: FakeRequest) -> Json:
    """``models.list``: 50 a page unless asked otherwise, never over 1000."""
    models = google.models("gemini-api")
    size = request.query.get("pageSize", "50")
    token = request.query.get("pageToken", "0")
    if not size.isdigit() or not token.isdigit():
        raise invalid("Invalid page size or page token.")
    start, end = int(token), int(token) + min(int(size) or 50, 1000)
    page: Json = {"models": [model.described() for model in models[start:end]]}
    if end < len(models):
        page["nextPageToken"] = str(end)
    return page


def _generate(
    google: "FakeGoogle", request: FakeRequest, key: keys.Key, model: FakeModel, body: Json
) -> Generation:
    message = read(GENERATE, body)
    if model.paid_only and not key.paid:
        raise keys.limit_zero(model.id)
    streams = request.path.endswith(":streamGenerateContent")
    doors.check(message, model, "gemini-api", streams=streams)
    asked = Asked(model=model, request=message, serial=google.next_serial(), flavour=google.flavour)
    tier = google.served_tier or (tier_of(message) if key.paid else "standard")
    return Generation(
        asked=asked,
        wrap=dict,
        streams=streams,
        sse=request.query.get("alt") == "sse",
        status=model.status("gemini-api", google.day()),
        usage={"serviceTier": tier} if "serviceTier" in message else {},
        headers={"x-gemini-service-tier": tier},
    )


def _count(name: str, model: FakeModel, body: Json) -> Json:
    """Either bare contents, or a whole request: then system and tools count as well."""
    whole = body.get("generateContentRequest")
    if whole is not None and "contents" in body:
        raise invalid("Only one of contents and generate_content_request may be set.")
    if whole is not None and whole.get("model") != f"models/{name}":
        raise invalid("* CountTokensRequest.generate_content_request.model: unexpected model name")
    if whole is not None:
        doors.check(whole, model, "gemini-api")
    else:
        doors.check_contents(body.get("contents", []), "gemini-api")
    counted = count_request(whole or body)
    return {"totalTokens": counted.total, "promptTokensDetails": counted.details()}


# -- embeddings ---------------------------------------------------------------------------------


def _embed(model: FakeModel, body: Json) -> Json:
    return {"embedding": {"values": vector_of(model, body, "EmbedContentRequest")}}


def _batch(model: FakeModel, body: Json) -> Json:
    requests = body.get("requests", [])
    if not requests:
        raise invalid("* BatchEmbedContentsRequest.requests: required field is empty")
    if len(requests) > LARGEST_BATCH:
        raise invalid(
            f"* BatchEmbedContentsRequest.requests: at most {LARGEST_BATCH} requests can be in one "
            "batch"
        )
    for i, one in enumerate(requests):
        if one.get("model") != f"models/{model.id}":
            raise invalid(
                f"* BatchEmbedContentsRequest.requests[{i}].model: model must match the model "
                "specified in the parent request"
            )
    path = "BatchEmbedContentsRequest.requests"
    return {"embeddings": [{"values": vector_of(model, one, path)} for one in requests]}


def vector_of(model: FakeModel, body: Json, path: str) -> list[float]:
    """The vector for an ``EmbedContentRequest``, which lies at ``path`` in what was sent."""
    parts = body.get("content", {}).get("parts", ())
    texts = [part.get("text") or part.get("inlineData", {}).get("data") for part in parts]
    if not texts or not all(texts):
        raise invalid(f"* {path}.content contains an empty Part.")
    dimensions = body.get("outputDimensionality", model.dimensions)
    if not 1 <= dimensions <= model.dimensions:
        raise invalid(f"* {path}.output_dimensionality: must be between 1 and {model.dimensions}.")
    if body.get("title") and body.get("taskType") != "RETRIEVAL_DOCUMENT":
        raise invalid(f"* {path}.title: only applicable when task type is RETRIEVAL_DOCUMENT.")
    rules.check_length(text_tokens(body), model)
    full = embedding(model.id, "\n".join(map(str, texts)))
    cut = full[:dimensions]
    # gemini-embedding-001 leaves shortened vectors as they are; the caller normalises them
    # (Gemini API, *Embeddings*, "Ensuring quality for smaller dimensions").
    return cut if model.id == "gemini-embedding-001" else _normalised(cut)


def text_tokens(body: Json) -> int:
    """Tokens of the ``content`` in an ``EmbedContentRequest``."""
    counted: Counted = count_request({"contents": [body["content"]]})
    return counted.total


def embedding(model_id: str, text: str) -> list[float]:
    """A unit vector; texts that share words lie near each other."""
    words = re.findall(r"\w+", text.lower())[:_WORDS] or [text]
    total = [0.0] * LARGEST_VECTOR
    for word in words:
        noise = hashlib.shake_256(f"{model_id}/{word}".encode()).digest(2 * LARGEST_VECTOR)
        for i, value in enumerate(struct.unpack(f"<{LARGEST_VECTOR}h", noise)):
            total[i] += value
    return _normalised(total)


def _normalised(vector: list[float]) -> list[float]:
    length = math.sqrt(math.fsum(value * value for value in vector)) or 1.0
    return [value / length for value in vector]
