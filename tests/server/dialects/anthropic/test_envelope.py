"""Thought signatures inside Anthropic thinking blocks."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from server.dialects.anthropic.envelope import seal, unseal
from server.gemini.types import CarriedSignature


@given(
    signature=st.text(st.characters(exclude_categories=["Cs"]), min_size=1),
    model=st.from_regex(r"gemini-[a-z0-9.-]{1,20}", fullmatch=True),
)
def test_what_was_sealed_comes_back(signature: str, model: str) -> None:
    assert unseal(seal(signature, model)) == CarriedSignature(signature, model)


def test_the_envelope_has_the_documented_form() -> None:
    assert seal("sig", "gemini-3-pro-preview") == "gp1.gemini-3-pro-preview~c2ln"


@pytest.mark.parametrize(
    "text",
    [
        "",
        "EqMBCkYIBRgCKkBxYzE3",
        "gp1.",
        "gp1.~",
        "gp1.gemini-2.5-pro",
        "gp1.gemini-2.5-pro~",
        "gp1.gemini-2.5-pro~***",
        "gp1.gemini-2.5-pro~c2l",
        "gp1.gemini-2.5-pro~_w==",
        "gp1.gemini-2.5-pro~c2lnü",
    ],
)
def test_anything_else_carries_nothing(text: str) -> None:
    """Genuine Claude signatures, empty envelopes and damaged ones."""
    assert unseal(text) is None


def test_a_signature_without_a_model_is_still_carried() -> None:
    assert unseal(seal("sig", None)) == CarriedSignature("sig", None)
