"""Gemini's own embedding requests."""

from typing import Any

import pytest

from server.dialects.base import Params
from server.dialects.gemini_native.embeddings import (
    encode_batch,
    encode_embed,
    parse_batch,
    parse_embed,
)
from server.errors import BadRequestError
from server.gemini.types import EmbedCall, Embedding, Json
from server.limits import VECTOR_LENGTH, VECTORS

PARAMS = Params(path={"id": "gemini-embedding-001"})


def request(*texts: str, **more: object) -> Json:
    return {"content": {"parts": [{"text": text} for text in texts]}, **more}


def test_one_content_with_its_options() -> None:
    body = request("a", "b", taskType="RETRIEVAL_DOCUMENT", title="T", outputDimensionality=8)
    call = parse_embed({**body, "model": "models/x", "autoTruncate": True}, PARAMS)
    assert (call.model, call.inputs) == ("gemini-embedding-001", ("a\nb",))
    assert (call.task_type, call.title, call.dimensions) == ("RETRIEVAL_DOCUMENT", "T", 8)
    assert call.requests == ({**body, "model": "models/x", "autoTruncate": True},)


def test_a_batch_keeps_every_request_as_it_is() -> None:
    requests = [request("a", title="A"), request("b", title="B", futureField={"x": 1})]
    call = parse_batch({"requests": requests}, PARAMS)
    assert call.inputs == ("a", "b")
    assert call.requests == tuple(requests)


def test_content_without_text_is_googles_matter() -> None:
    image = {"content": {"parts": [{"inlineData": {"mimeType": "image/png", "data": ""}}]}}
    call = parse_embed(image, PARAMS)
    assert (call.inputs, call.requests) == (("",), (image,))


@pytest.mark.parametrize(
    ("body", "param"),
    [
        ({}, "content"),
        ({"content": "hello"}, "content"),
        ({"content": {"parts": ["hello"]}}, "content.parts[0]"),
        ({"content": {"parts": [{"text": 1}]}}, "content.parts[0].text"),
        (request("a", outputDimensionality="8"), "outputDimensionality"),
        (request("a", outputDimensionality=0), "outputDimensionality"),
    ],
)
def test_what_cannot_be_read_names_its_field(body: Json, param: str) -> None:
    with pytest.raises(BadRequestError) as caught:
        parse_embed(body, PARAMS)
    assert caught.value.param == param


@pytest.mark.parametrize(
    ("body", "param"),
    [
        ({}, "requests"),
        ({"requests": []}, "requests"),
        ({"requests": {}}, "requests"),
        ({"requests": [request("a"), {}]}, "requests[1].content"),
    ],
)
def test_a_bad_batch_names_the_request(body: Json, param: str) -> None:
    with pytest.raises(BadRequestError) as caught:
        parse_batch(body, PARAMS)
    assert caught.value.param == param


def test_answers_have_googles_shape() -> None:
    call = EmbedCall(dialect="gemini", model="m", inputs=("a", "b"))
    counted = Embedding(((0.6, 0.8), (1.0, 0.0)), 7)
    values: list[Any] = [{"values": (0.6, 0.8)}, {"values": (1.0, 0.0)}]
    usage = {"usageMetadata": {"promptTokenCount": 7}}
    assert encode_batch(call, counted) == {"embeddings": values, **usage}
    assert encode_embed(call, counted) == {"embedding": values[0], **usage}


def test_estimated_tokens_are_not_told_as_usage() -> None:
    call = EmbedCall(dialect="gemini", model="m", inputs=("a",))
    assert encode_embed(call, Embedding(((1.0,),), 1, estimated=True)) == {
        "embedding": {"values": (1.0,)}
    }


@pytest.mark.parametrize("length", [0, -1, VECTOR_LENGTH + 1, 30_000_000])
def test_a_vector_has_no_more_numbers_than_google_gives(length: int) -> None:
    whole = {"content": {"parts": [{"text": "a"}]}}
    long = {**whole, "outputDimensionality": length}
    params = Params(path={"id": "gemini-embedding-001"})
    with pytest.raises(BadRequestError) as caught:
        parse_embed(long, params)
    assert caught.value.param == "outputDimensionality"
    with pytest.raises(BadRequestError) as caught:
        parse_batch({"requests": [whole, long]}, params)
    assert caught.value.param == "requests[1].outputDimensionality"


def test_no_more_texts_than_a_request_may_hold() -> None:
    whole = {"content": {"parts": [{"text": "a"}]}}
    with pytest.raises(BadRequestError) as caught:
        parse_batch({"requests": [whole] * (VECTORS + 1)}, Params(path={"id": "x"}))
    assert caught.value.param == "requests"
