"""Gemini's own API: ``/v1beta/models/...``, and the same under ``/v1``.

Nothing is translated. A request is passed on as it came, under the name of the model that its own
name leads to; the chunks of the answer reach the client as upstream sent them. So fields that this
program has never heard of survive both ways, and what is wrong with a request is Google's to say,
except where we could not even read it. This module reads requests; ``gemini_native_stream`` tells
answers, ``gemini_native_errors`` failures. Source: Gemini API reference.
"""

from collections.abc import Iterator, Mapping
from typing import cast

from server.dialects.base import (
    CountTokens,
    Dialect,
    Embed,
    Generate,
    GetModel,
    ListModels,
    Params,
    Route,
)
from server.dialects.fields import Fields, wrong
from server.dialects.gemini_native.embeddings import (
    encode_batch,
    encode_embed,
    parse_batch,
    parse_embed,
)
from server.dialects.gemini_native.errors import encode_error
from server.dialects.gemini_native.models import encode_model, encode_models
from server.dialects.gemini_native.stream import encode_unary, encoder
from server.gemini.types import Call, Count, GenerateRequest, Json


def parse_unary(body: Json, params: Params) -> Call:
    """The body of ``generateContent``. Raises ``BadRequestError`` naming the field."""
    return _call(Fields.of(body), params)


def parse_stream(body: Json, params: Params) -> Call:
    """The body of ``streamGenerateContent``; ``options`` notes the framing asked for."""
    call = _call(Fields.of(body), params)
    call.stream = True
    call.options = params.query.get("alt")
    return call


def parse_count(body: Json, params: Params) -> Call:
    """The body of ``countTokens``: bare contents, or a whole request."""
    fields = Fields.of(body)
    whole = fields.object("generateContentRequest") or fields.object("generate_content_request")
    if whole is not None and "contents" in body:
        raise wrong("contents", "Only one of contents and generateContentRequest may be set")
    return _call(whole or fields, params)


def _call(fields: Fields, params: Params) -> Call:
    """``fields`` as they are, but for the model: the address names it."""
    if fields.get("contents") is None:
        raise wrong(fields.at("contents"), "Field required")
    list(fields.objects("contents"))  # objects, which is all that has to be known of them
    fields.object("systemInstruction")
    request = {name: value for name, value in fields.raw.items() if name != "model"}
    return Call(
        dialect="gemini",
        model=params.path["id"],
        request=cast("GenerateRequest", request),
        verbatim=True,
    )


def encode_count(count: Count) -> Json:
    """Google's own answer; the number alone where it is an estimate."""
    return count.answer or {"totalTokens": count.tokens}


def speaks(headers: Mapping[str, str]) -> bool:
    """Whether one of Google's own clients sent these headers."""
    return "x-goog-api-key" in headers or "x-goog-api-client" in headers


def _routes(models: str) -> Iterator[Route]:
    """What there is below ``models``, the address of the list."""
    one = models + "/{id}"
    yield Route("GET", models, ListModels(encode_models))
    yield Route("GET", one, GetModel(encode_model))
    unary = Generate(parse_unary, encode_unary, encoder)
    yield Route("POST", f"{one}:generateContent", unary)
    stream = Generate(parse_stream, encode_unary, encoder)
    yield Route("POST", f"{one}:streamGenerateContent", stream)
    yield Route("POST", f"{one}:countTokens", CountTokens(parse_count, encode_count))
    yield Route("POST", f"{one}:embedContent", Embed(parse_embed, encode_embed))
    yield Route("POST", f"{one}:batchEmbedContents", Embed(parse_batch, encode_batch))


DIALECT = Dialect(
    name="gemini",
    routes=(*_routes("/v1beta/models"), *_routes("/v1/models")),
    encode_error=encode_error,
    speaks=speaks,
)
