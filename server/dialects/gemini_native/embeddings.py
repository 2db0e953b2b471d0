"""``embedContent`` and ``batchEmbedContents`` (Gemini API reference, *Embeddings*).

The requests themselves travel along (``EmbedCall.requests``) for an upstream that speaks the same
API; for the others the text is read out of them.
"""

from collections.abc import Sequence

from server.dialects.base import Params
from server.dialects.fields import Fields, wrong
from server.gemini.types import EmbedCall, Embedding, Json
from server.limits import VECTOR_LENGTH, VECTORS


def parse_embed(body: Json, params: Params) -> EmbedCall:
    """The body of ``embedContent``: one content."""
    return _call([Fields.of(body)], params)


def parse_batch(body: Json, params: Params) -> EmbedCall:
    """The body of ``batchEmbedContents``: a request for each content."""
    requests = list(Fields.of(body).objects("requests"))
    if not requests:
        raise wrong("requests", "At least one request is required")
    if len(requests) > VECTORS:
        raise wrong("requests", f"At most {VECTORS} requests at once")
    return _call(requests, params)


def _call(requests: Sequence[Fields], params: Params) -> EmbedCall:
    """Options of the whole call are those of its first request; clients give all the same."""
    first = requests[0]
    lengths = [r.integer("outputDimensionality", low=1, high=VECTOR_LENGTH) for r in requests]
    return EmbedCall(
        dialect="gemini",
        model=params.path["id"],
        inputs=tuple(map(_text, requests)),
        dimensions=lengths[0],
        task_type=first.string("taskType"),
        title=first.string("title"),
        requests=tuple(request.raw for request in requests),
    )


def _text(request: Fields) -> str:
    """The text of the request's content; what else is in it only Google can embed."""
    content = request.object("content")
    if content is None:
        raise wrong(request.at("content"), "Field required")
    return "\n".join(part.string("text") or "" for part in content.objects("parts"))


def encode_embed(call: EmbedCall, embedding: Embedding) -> Json:
    """The one vector."""
    return {"embedding": _values(embedding)[0], **_usage(embedding)}


def encode_batch(call: EmbedCall, embedding: Embedding) -> Json:
    """The vectors in the order of the requests."""
    return {"embeddings": _values(embedding), **_usage(embedding)}


def _values(embedding: Embedding) -> list[Json]:
    return [*embedding.entries] or [{"values": vector} for vector in embedding.vectors]


def _usage(embedding: Embedding) -> Json:
    """What Google said beside the vectors; at least tokens, where it counted them."""
    if embedding.beside:
        return embedding.beside
    if embedding.estimated:
        return {}
    return {"usageMetadata": {"promptTokenCount": embedding.prompt_tokens}}
