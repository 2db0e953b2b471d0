"""The model list as Anthropic's SDK and n8n read it."""

import pytest
from anthropic.types import ModelInfo

from server.dialects.anthropic.models import encode_model, encode_models
from server.dialects.base import Params
from server.errors import BadRequestError
from server.gemini.known import Kind
from server.gemini.models import Aliases, Model, living_models

LISTED = [Model(id=name, display_name=name.upper()) for name in ("a", "b", "c", "d")]


def page(**query: str) -> tuple[str, bool]:
    listed = encode_models(LISTED, Params(query=query))
    ids = "".join(entry["id"] for entry in listed["data"])
    assert (listed["first_id"], listed["last_id"]) == (ids[:1] or None, ids[-1:] or None)
    return ids, listed["has_more"]


@pytest.mark.parametrize(
    ("query", "expected"),
    [
        ({}, ("abcd", False)),
        ({"limit": "1000"}, ("abcd", False)),
        ({"limit": "2"}, ("ab", True)),
        ({"limit": "4"}, ("abcd", False)),
        ({"after_id": "b"}, ("cd", False)),
        ({"after_id": "a", "limit": "2"}, ("bc", True)),
        ({"after_id": "d"}, ("", False)),
        ({"before_id": "c"}, ("ab", False)),
        ({"before_id": "d", "limit": "2"}, ("bc", True)),
        ({"before_id": "a"}, ("", False)),
    ],
)
def test_pages(query: dict[str, str], expected: tuple[str, bool]) -> None:
    assert page(**query) == expected


@pytest.mark.parametrize(
    ("query", "param"),
    [
        ({"limit": "0"}, "limit"),
        ({"limit": "1001"}, "limit"),
        ({"limit": "100000"}, "limit"),
        ({"limit": "-1"}, "limit"),
        ({"limit": "²"}, "limit"),
        ({"limit": "9" * 5000}, "limit"),
        ({"after_id": "zzz"}, "after_id"),
        ({"before_id": "zzz"}, "before_id"),
    ],
)
def test_a_wrong_query_names_the_parameter(query: dict[str, str], param: str) -> None:
    with pytest.raises(BadRequestError) as caught:
        page(**query)
    assert caught.value.param == param


def test_every_listed_model_is_a_model_info() -> None:
    for model in Aliases().listed(living_models("free")):
        info = ModelInfo.model_validate(encode_model(model), strict=False)
        assert (info.id, info.lifecycle, info.type) == (model.id, "active", "model")
        assert info.created_at.tzinfo is not None
        assert info.max_input_tokens == model.input_limit_tokens


def test_claude_code_finds_a_twin_of_every_gemini_model() -> None:
    """It lists only ids that contain "claude" or "anthropic"."""
    body = encode_models(Aliases().listed(living_models("free")), Params(query={"limit": "1000"}))
    shown = [entry for entry in body["data"] if "claude" in entry["id"]]
    assert {"claude-gp-gemini-4-hydrogen", "claude-opus-5-5"} <= {entry["id"] for entry in shown}
    assert all(entry["display_name"] for entry in shown)


@pytest.mark.parametrize("kind", ["embedding", "image", "tts", "live", "interactions", "other"])
def test_only_chat_models_are_listed(kind: Kind) -> None:
    models = [Model(id="z", kind=kind), *LISTED]
    assert [m["id"] for m in encode_models(models, Params())["data"]] == list("abcd")


def test_an_empty_list_has_no_cursors() -> None:
    assert encode_models([], Params()) == {
        "data": [],
        "has_more": False,
        "first_id": None,
        "last_id": None,
    }
