"""Mock vectors: equal everywhere, of length one, and honest about what they are."""

import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from server.upstreams.mock_vectors import default_dimensions, mock_vectors

PINNED = [0.259397728743, -0.496226037104, -0.717512225737, 0.414305134341]


def test_the_numbers_are_the_same_on_every_platform() -> None:
    """Written down once; a change here breaks every index made with them."""
    vector = mock_vectors(["hello"], 4).vectors[0]
    assert [round(number, 12) for number in vector] == PINNED


@given(st.text(), st.integers(1, 300))
def test_vectors_have_length_one(text: str, dimensions: int) -> None:
    (vector,) = mock_vectors([text], dimensions).vectors
    assert len(vector) == dimensions
    assert math.isclose(math.hypot(*vector), 1.0)


def test_different_inputs_have_different_vectors() -> None:
    made = mock_vectors(["a", "b", (1, 2), (12,), ""], 8)
    assert len(set(made.vectors)) == 5
    assert made.vectors[0] == mock_vectors(["a"], 8).vectors[0]


def test_token_ids_are_counted_texts_are_estimated() -> None:
    assert mock_vectors([(1, 2, 3)], 8).prompt_tokens == 3
    assert not mock_vectors([(1, 2, 3)], 8).estimated
    mixed = mock_vectors(["12345", (7,)], 8)
    assert (mixed.prompt_tokens, mixed.estimated, mixed.mock) == (3, True, True)


@pytest.mark.parametrize(
    ("model", "dimensions"),
    [
        ("text-embedding-3-large", 3072),
        ("text-embedding-3-small", 1536),
        ("text-embedding-ada-002", 1536),
        ("gemini-embedding-001", 3072),
    ],
)
def test_default_dimensions(model: str, dimensions: int) -> None:
    assert default_dimensions(model) == dimensions
