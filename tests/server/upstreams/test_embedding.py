"""What the upstreams with real embeddings share."""

import math

import pytest

from server.errors import BadRequestError, UpstreamError
from server.gemini.types import EmbedCall
from server.models import describe
from server.upstreams.embedding import embedding_model, embedding_of, texts_of, unit


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


def test_tokens_are_googles_count_or_an_estimate_that_says_so() -> None:
    counted = embedding_of(["word"], [[1.0]], 7)
    assert (counted.prompt_tokens, counted.estimated, counted.mock) == (7, False, False)
    guessed = embedding_of(["twelve chars"], [[1.0]], 0)
    assert (guessed.prompt_tokens, guessed.estimated) == (3, True)


def test_a_missing_vector_is_an_error_not_a_gap() -> None:
    with pytest.raises(UpstreamError, match="1 vectors of 2 texts"):
        embedding_of(["a", "b"], [[1.0]], 1)
