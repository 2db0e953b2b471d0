"""Signatures prove themselves."""

import base64

import pytest

from server.demo.signatures import BYPASS, GEMINI_API


def test_a_signature_is_good_for_its_own_model_only() -> None:
    signature = GEMINI_API.issue("gemini-3-flash-preview", "seed")
    assert GEMINI_API.takes(signature, "gemini-3-flash-preview")
    assert not GEMINI_API.takes(signature, "gemini-3.1-pro-preview")
    assert GEMINI_API.issue("gemini-3-flash-preview", "other") != signature


@pytest.mark.parametrize("value", BYPASS)
def test_bypass_values_are_good_plain_and_encoded(value: str) -> None:
    assert GEMINI_API.takes(value, "any")
    assert GEMINI_API.takes(base64.b64encode(value.encode()).decode(), "any")


@pytest.mark.parametrize(
    "value", ["", "c2ln", "skip_thought", GEMINI_API.issue("m", "s")[:-8] + "AAAAAAA="]
)
def test_anything_else_is_corrupt(value: str) -> None:
    assert not GEMINI_API.takes(value, "m")
