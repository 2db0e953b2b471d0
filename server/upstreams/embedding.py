"""What the upstreams with real embeddings share: the model meant, the texts, the vectors."""

import math
import re
from collections.abc import Sequence
from dataclasses import replace

from server.errors import BadRequestError, NotFoundError, UpstreamError
from server.gemini.catalogue import catalogue
from server.gemini.models import Model, describe
from server.gemini.types import EmbedCall, Embedding, Json
from server.upstreams.wire import prompt_tokens

_LARGEST = 1e30
"""More than any vector holds, and little enough for its length to be a number."""
_OPENAI_EMBEDDING = re.compile(r"text-embedding-(3-|ada-)")
_ANY = "text-embedding-3-small"
"""One of OpenAI's names, which mean whatever embeds here."""


def embedding_model(asked: str, available: Sequence[Model]) -> str:
    """The Google id to embed with: OpenAI's names mean "your embedding model"."""
    if not _OPENAI_EMBEDDING.match(asked):
        return asked
    there = [model.id for model in available if model.embeds]
    usual = catalogue().table.embeddings
    return next((model_id for model_id in (*usual, *there) if model_id in there), usual[0])


def embedder(model_id: str, available: Sequence[Model]) -> Model:
    """The model to embed with. Raises ``NotFoundError`` for an id of another kind, which Google
    would refuse each time."""
    listed = next((model for model in available if model.id == model_id), None)
    model = listed if listed and listed.embeds else describe(model_id)
    if model.embeds:
        return model
    usual = embedding_model(_ANY, available)
    raise NotFoundError(
        f"The model '{model_id[:128]}' makes no vectors. Use {usual} instead.",
        param="model",
        code="model_not_found",
    )


def texts_of(call: EmbedCall) -> list[str]:
    """The inputs. Raises ``BadRequestError`` for token ids, which Google cannot read."""
    texts = [item for item in call.inputs if isinstance(item, str)]
    if len(texts) != len(call.inputs):
        raise BadRequestError(
            "Token ids cannot be embedded by Gemini: send text. In LangChain's "
            "OpenAIEmbeddings set check_embedding_ctx_length=False.",
            param="input",
        )
    return texts


def embedding_of(
    call: EmbedCall, entries: Sequence[Json], counted_tokens: int, beside: Json | None = None
) -> Embedding:
    """The vectors of ``call``, one in the ``values`` of each entry, brought to length 1.

    A request in Gemini's own form gets them as they came, with what stands beside them.
    ``counted_tokens``: 0 when Google is silent. Raises ``UpstreamError`` when they are not one an
    input, or not numbers.
    """
    texts = texts_of(call)
    values = [_numbers(entry.get("values")) for entry in entries]
    vectors = tuple(tuple(v) if call.requests else unit(v) for v in values)
    if len(vectors) != len(texts):
        raise UpstreamError(f"Google made {len(vectors)} vectors of {len(texts)} texts.")
    estimate = sum(-(-len(text) // 4) for text in texts)
    counted = Embedding(vectors, counted_tokens or estimate, estimated=not counted_tokens)
    return (
        replace(counted, entries=tuple(entries), beside=beside or {}) if call.requests else counted
    )


def beside_of(answers: Sequence[Json], name: str) -> Json:
    """What answers say beside ``name``: of several, the tokens in all."""
    if len(answers) == 1:
        return {key: value for key, value in answers[0].items() if key != name}
    counted = sum(map(prompt_tokens, answers))
    return {"usageMetadata": {"promptTokenCount": counted}} if counted else {}


def _numbers(vector: object) -> list[float]:
    if isinstance(vector, list) and all(
        isinstance(number, int | float) and abs(number) < _LARGEST for number in vector
    ):
        return vector
    raise UpstreamError("Google's answer holds a vector that is not made of numbers.")


def unit(values: Sequence[float]) -> tuple[float, ...]:
    """``values`` brought to length 1: Google leaves shortened vectors as they are, and OpenAI's
    clients take the dot product for the cosine.
    """
    vector = tuple(float(value) for value in values)
    length = math.hypot(*vector)
    if not length or abs(length - 1) < 1e-3:
        return vector
    return tuple(value / length for value in vector)
