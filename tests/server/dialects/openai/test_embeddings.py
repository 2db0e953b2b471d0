import math
from contextlib import suppress

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from openai.types import CreateEmbeddingResponse

from server.dialects.base import Params
from server.dialects.openai.embeddings import encode_embeddings, parse_embeddings
from server.errors import BadRequestError
from server.gemini.types import EmbedCall, Embedding
from tests.server.dialects.openai.support import JSON_VALUES, Desk, refused

VECTORS = Embedding(((0.25, -0.5, 1.0), (0.1, 0.2, 0.3)), prompt_tokens=7)


@pytest.mark.parametrize(
    ("given_input", "inputs"),
    [
        ("a", ("a",)),
        (["a", "b"], ("a", "b")),
        ([1, 2, 3], ((1, 2, 3),)),
        ([[1, 2], [3]], ((1, 2), (3,))),
        (["a", [1]], ("a", (1,))),
    ],
)
def test_every_form_of_input_is_read(given_input: object, inputs: object) -> None:
    call = parse_embeddings({"model": "m", "input": given_input}, Params())
    assert call.inputs == inputs


@pytest.mark.parametrize(
    ("field", "value", "param"),
    [
        ("input", None, "input"),
        ("input", "", "input"),
        ("input", [], "input"),
        ("input", ["a", ""], "input[1]"),
        ("input", [[]], "input[0]"),
        ("input", [True], "input[0]"),
        ("input", ["a"] * 2049, "input"),
        ("input", {"text": "a"}, "input"),
        ("dimensions", 0, "dimensions"),
        ("dimensions", 3073, "dimensions"),
        ("dimensions", "256", "dimensions"),
        ("encoding_format", "hex", "encoding_format"),
        ("model", None, "model"),
    ],
)
def test_a_bad_field_is_named(field: str, value: object, param: str) -> None:
    body = {"model": "m", "input": "a", field: value}
    assert refused(parse_embeddings, body)[0] == param


def test_unknown_fields_are_named_as_dropped() -> None:
    body = {"model": "m", "input": "a", "user": "u", "truncate": "END", "dimensions": 8}
    call = parse_embeddings(body, Params())
    assert (call.dropped, call.dimensions) == (("truncate",), 8)


def test_floats_unless_base64_is_asked_for() -> None:
    call = EmbedCall(dialect="openai-chat", model="asked", inputs=("a", "b"), options="float")
    body = encode_embeddings(call, VECTORS)
    response = CreateEmbeddingResponse.model_validate(body, strict=True)
    assert [item.embedding for item in response.data] == [list(v) for v in VECTORS.vectors]
    assert (response.model, response.usage.prompt_tokens) == ("asked", 7)


def test_the_sdk_asks_for_base64_and_reads_it() -> None:
    desk = Desk(VECTORS)
    # Strict validation runs before the SDK decodes base64, so it refuses OpenAI's own answers too.
    response = desk.client(strict=False).embeddings.create(model="m", input=["a", "b"])
    assert desk.calls[0].options == "base64"
    for item, vector in zip(response.data, VECTORS.vectors, strict=True):
        assert all(
            math.isclose(one, other, rel_tol=1e-6)
            for one, other in zip(item.embedding, vector, strict=True)
        )


@settings(max_examples=60)
@given(st.fixed_dictionaries({"model": st.just("m"), "input": JSON_VALUES}) | JSON_VALUES)
def test_any_json_is_a_call_or_a_bad_request(body: object) -> None:
    with suppress(BadRequestError):
        assert isinstance(parse_embeddings(body, Params()), EmbedCall)  # type: ignore[arg-type]
