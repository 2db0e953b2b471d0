"""What the upstreams with real embeddings share."""

import math

import pytest

from server.errors import BadRequestError, UpstreamError
from server.gemini.models import describe
from server.gemini.types import EmbedCall, Json
from server.upstreams.embedding import (
    beside_of,
    embedding_model,
    embedding_of,
    texts_of,
    unit,
)


@pytest.mark.parametrize(
    ("asked", "listed", "found"),
    [
        ("text-embedding-3-small", ["gemini-embedding-001"], "gemini-embedding-001"),
        ("text-embedding-ada-002", [], "gemini-embedding-001"),
        ("text-embedding-3-large", ["gemini-embedding-2", "gemini-embedding-3"], None),
        (
            "text-embedding-3-large",
            ["gemini-3.8-flash", "gemini-embedding-9"],
            "gemini-embedding-9",
        ),
        ("gemini-embedding-2", ["gemini-embedding-001"], "gemini-embedding-2"),
        ("text-embedding-005", ["gemini-embedding-001"], "text-embedding-005"),
    ],
)
def test_openai_names_lead_to_googles_embedding_model(
    asked: str, listed: list[str], found: str | None
) -> None:
    available = [describe(model_id) for model_id in listed]
    assert embedding_model(asked, available) == (found or "gemini-embedding-2")


def test_texts_pass_and_token_ids_are_refused_with_the_way_out() -> None:
    assert texts_of(EmbedCall(dialect="openai", model="m", inputs=("a", "b"))) == ["a", "b"]
    with pytest.raises(BadRequestError, match="check_embedding_ctx_length=False") as caught:
        texts_of(EmbedCall(dialect="openai", model="m", inputs=("a", (1, 2))))
    assert caught.value.param == "input"


def test_a_vector_is_brought_to_length_one() -> None:
    assert unit([3, 4]) == (0.6, 0.8)
    assert unit([0, 0]) == (0.0, 0.0)
    assert unit([]) == ()
    nearly = (math.sqrt(0.5), math.sqrt(0.5) + 1e-6)
    assert unit(nearly) == nearly


def asking(*texts: str, own: bool = False) -> EmbedCall:
    """``own``: in Gemini's own form."""
    requests = tuple({"content": {"parts": [{"text": text}]}} for text in texts)
    return EmbedCall(dialect="t", model="m", inputs=texts, requests=requests if own else ())


def test_geminis_own_dialect_gets_what_google_sent() -> None:
    """Shortened vectors are not of length 1."""
    entry: Json = {"values": [3, 4], "shape": [2]}
    assert embedding_of(asking("a"), [entry], 1).vectors == ((0.6, 0.8),)
    own = embedding_of(asking("a", own=True), [entry], 1, {"usageMetadata": {"x": 1}})
    assert list(own.vectors[0]) == [3, 4]
    assert (own.entries, own.beside) == ((entry,), {"usageMetadata": {"x": 1}})


def test_what_stands_beside_vectors() -> None:
    one: Json = {"embeddings": [], "usageMetadata": {"promptTokenCount": 3, "details": [1]}}
    assert beside_of([one], "embeddings") == {"usageMetadata": one["usageMetadata"]}
    assert beside_of([one, one], "embeddings") == {"usageMetadata": {"promptTokenCount": 6}}
    assert beside_of([{}, {}], "embeddings") == {}


def test_tokens_are_googles_count_or_an_estimate_that_says_so() -> None:
    counted = embedding_of(asking("word"), [{"values": [1.0]}], 7)
    assert (counted.prompt_tokens, counted.estimated, counted.mock) == (7, False, False)
    guessed = embedding_of(asking("twelve chars"), [{"values": [1.0]}], 0)
    assert (guessed.prompt_tokens, guessed.estimated) == (3, True)


def test_a_missing_vector_is_an_error_not_a_gap() -> None:
    with pytest.raises(UpstreamError, match="1 vectors of 2 texts"):
        embedding_of(asking("a", "b"), [{"values": [1.0]}], 1)
