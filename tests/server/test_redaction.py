"""Values that were learnt never come out again; ordinary words do."""

import base64
import json
import re
import sys
from pathlib import Path
from urllib.parse import quote

import pytest

from server import redaction
from server.errors import BadRequestError
from server.gemini.models import ADVERTISED_ALIASES, Aliases, describe
from server.redaction import blank, blank_shapes, learn


@pytest.fixture(autouse=True)
def _nothing_known(monkeypatch: pytest.MonkeyPatch) -> None:
    nothing = {stay: type(known)() for stay, known in redaction._known.items()}
    monkeypatch.setattr(redaction, "_known", nothing)


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
    for number in range(redaction.MOST["hour"] + 1):
        learn(f"a-very-long-secret-{number:03}")
    assert blank("a-very-long-secret-000") == "a-very-long-secret-000"
    assert blank("a-very-long-secret-001") == "…"


KEYS = (
    "AIzaSyntheticSyntheticSynthetic",
    "AQ.Ab8RN6synthetic_synthetic-x",
    "ya29.a0Synthetic",
    "1//0gSyntheticRefreshToken",
    "GOCSPX-SyntheticSecret",
    "4/0ASyntheticCode",
    "gp-x7Kq2mVSyntheticKey",
    "sk-ant-api03-synthetic",
)


@pytest.mark.parametrize("key", KEYS)
@pytest.mark.parametrize(
    "around", ["{}", "models/{}", '"{}"', "({})", "key={}", "x_{}", "%22{}%22", "about {}: no"]
)
def test_a_key_is_known_by_its_shape(key: str, around: str) -> None:
    text = blank_shapes(around.format(key))
    assert key not in text
    assert key[8:] not in text
    assert key[8:] not in str(BadRequestError(around.format(key)))


def test_ordinary_words_and_names_have_no_such_shape() -> None:
    listed = [model.id for model in Aliases().listed([describe("gemini-9-test-preview")])]
    texts = (Path(__file__).parents[2]).glob("*.md")
    words = {word for text in texts for word in re.findall(r"[\w./@+-]+", text.read_text("utf-8"))}
    words |= {
        f"{a}-{b}" for a in ("disk", "task", "map", "claude") for b in ("usage-helper", "gp-x")
    }
    words |= {*listed, *ADVERTISED_ALIASES, *sys.stdlib_module_names}
    words |= {"claude-gp-gemini-9-test-preview", "task-manager-of-many-words", "FAQ.answered-here"}
    assert {word for word in words if blank_shapes(word) != word} == set()


def test_what_was_configured_outlives_every_renewal() -> None:
    learn("configured-key-of-the-server", stay="configured")
    learn("1//refresh-token-of-the-sign-in", stay="sign-in")
    for number in range(3 * redaction.MOST["hour"]):
        learn(f"ya29.access-token-{number:04}")
    assert blank("configured-key-of-the-server 1//refresh-token-of-the-sign-in") == "… …"
