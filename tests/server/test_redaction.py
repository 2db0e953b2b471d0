"""Values that were learnt never come out again; ordinary words do."""

import base64
import json
from urllib.parse import quote

import pytest

from server import redaction
from server.errors import BadRequestError
from server.redaction import blank, learn


@pytest.fixture(autouse=True)
def _nothing_known(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(redaction, "_known", type(redaction._known)())


def test_a_long_value_is_found_anywhere() -> None:
    learn("correct-horse-battery")
    assert blank("xcorrect-horse-batteryx") == "x…x"


def test_a_short_value_is_found_as_a_whole_word_and_a_tiny_one_never() -> None:
    learn("password", "secret", None)
    assert (
        blank("password=password, my_password, client_secret") == "…=…, my_password, client_secret"
    )


def test_an_error_message_never_carries_what_is_known() -> None:
    learn("correct-horse-battery")
    assert BadRequestError("you sent correct-horse-battery").message == "you sent …"
    assert str(BadRequestError("you sent correct-horse-battery")) == "you sent …"


@pytest.mark.parametrize(
    "told",
    [
        quote("correct horse/battery", safe=""),
        base64.b64encode(b"key: correct horse/battery").decode(),
        base64.urlsafe_b64encode(b"a key: correct horse/battery.").decode(),
        base64.b64encode(b"my key: correct horse/battery; more").decode(),
        json.dumps({"key": "correct horse/battery"}),
    ],
)
def test_other_spellings_are_found_as_well(told: str) -> None:
    """As Google repeats an address, or as a header of ``Authorization: Basic`` has it."""
    learn("correct horse/battery")
    assert "…" in blank(f"you sent {told}")
    assert told not in blank(f"you sent {told}")


def test_the_oldest_values_are_forgotten() -> None:
    for number in range(redaction.MOST + 1):
        learn(f"a-very-long-secret-{number:03}")
    assert blank("a-very-long-secret-000") == "a-very-long-secret-000"
    assert blank("a-very-long-secret-001") == "…"
