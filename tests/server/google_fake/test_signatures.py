"""Signatures prove themselves."""

import base64

import pytest

from server.google_fake.signatures import BYPASS, is_valid, issue


def test_a_signature_is_good_for_its_own_model_only() -> None:
    signature = issue("gemini-3-flash-preview", "seed")
    assert is_valid(signature, "gemini-3-flash-preview")
    assert not is_valid(signature, "gemini-3.1-pro-preview")
    assert issue("gemini-3-flash-preview", "other") != signature


@pytest.mark.parametrize("value", BYPASS)
def test_bypass_values_are_good_plain_and_encoded(value: str) -> None:
    assert is_valid(value, "any")
    assert is_valid(base64.b64encode(value.encode()).decode(), "any")


@pytest.mark.parametrize("value", ["", "c2ln", "skip_thought", issue("m", "s")[:-8] + "AAAAAAA="])
def test_anything_else_is_corrupt(value: str) -> None:
    assert not is_valid(value, "m")
