"""The model list as Google's SDKs read it."""

import pytest

from server.dialects.base import Params
from server.dialects.gemini_native.models import encode_model, encode_models
from server.errors import BadRequestError
from server.gemini.models import Aliases, Model, describe

LISTED = [Model(id=name, display_name=name.upper()) for name in ("a", "b", "c", "d")]


@pytest.mark.parametrize(
    ("query", "names", "token"),
    [
        ({}, "abcd", None),
        ({"pageSize": "0", "pageToken": ""}, "abcd", None),
        ({"pageSize": "1000"}, "abcd", None),
        ({"pageSize": "3"}, "abc", "3"),
        ({"pageSize": "3", "pageToken": "3"}, "d", None),
        ({"pageSize": "2", "pageToken": "2"}, "cd", None),
        ({"pageToken": "9"}, "", None),
        ({"key": "any", "filter": "x"}, "abcd", None),
    ],
)
def test_pages(query: dict[str, str], names: str, token: str | None) -> None:
    page = encode_models(LISTED, Params(query=query))
    assert "".join(m["name"].removeprefix("models/") for m in page["models"]) == names
    assert page.get("nextPageToken") == token


@pytest.mark.parametrize("query", [{"pageSize": "-1"}, {"pageSize": "x"}, {"pageToken": "²"}])
def test_a_page_that_is_no_number_is_refused(query: dict[str, str]) -> None:
    with pytest.raises(BadRequestError, match=next(iter(query))):
        encode_models(LISTED, Params(query=query))


def test_a_model_has_its_name_limits_and_methods() -> None:
    model = describe("gemini-2.5-pro", description="Fast.")
    assert encode_model(model) == {
        "name": "models/gemini-2.5-pro",
        "displayName": "Gemini 2.5 Pro",
        "description": "Fast.",
        "inputTokenLimit": 1_048_576,
        "outputTokenLimit": 65_536,
        "supportedGenerationMethods": ["generateContent", "countTokens"],
    }


def test_only_what_is_passed_on_counts_as_supported() -> None:
    methods = ("createCachedContent", "embedContent", "bidiGenerateContent")
    encoded = encode_model(describe("m", methods=methods))
    assert encoded["supportedGenerationMethods"] == ["embedContent"]


def test_an_alias_says_who_answers() -> None:
    alias = Aliases().find("claude-opus-5-5", [describe("gemini-3.8-flash")])
    encoded = encode_model(alias)
    assert encoded["name"] == "models/claude-opus-5-5"
    assert "gemini-3.8-flash" in encoded["description"]
