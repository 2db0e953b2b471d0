"""Addresses: which route they lead to, and whose dialect words their refusals."""

import pytest

from server.dialects import DIALECTS
from server.edge.routes import Routes, canonical, match, takes_key


@pytest.mark.parametrize(
    ("path", "meant"),
    [
        ("/chat/completions", "/v1/chat/completions"),
        ("/v1/v1/chat/completions/", "/v1/chat/completions"),
        ("/anthropic/v1/messages", "/v1/messages"),
        ("/v1beta/models", "/v1beta/models"),
        ("/v1/v1beta/models", "/v1beta/models"),
        ("/v1beta/v1/models", "/v1/models"),
        ("/v1betamax", "/v1/v1betamax"),
        ("/v1alpha/models", "/v1beta/models"),
        ("/v1beta/openai/chat/completions", "/v1/chat/completions"),
        ("/v1alpha/openai/v1/models", "/v1/models"),
        ("/v1beta/openaiish", "/v1beta/openaiish"),
        ("/openai/v1/chat/completions", "/v1/openai/v1/chat/completions"),
    ],
)
def test_the_last_version_in_a_path_counts(path: str, meant: str) -> None:
    assert canonical(path) == meant


@pytest.mark.parametrize(
    ("pattern", "path", "found"),
    [
        ("/v1/models", "/v1/models", {}),
        ("/v1/models", "/v1/models/x", None),
        ("/v1/models/{id}", "/v1/models/google%2Fgemini", {"id": "google/gemini"}),
        ("/v1/models/{id}", "/v1/models/google/gemini", {"id": "google/gemini"}),
        ("/v1/models/{id}", "/v1/models/", None),
        ("/v1/responses/{id}/input_items", "/v1/responses/resp_1/input_items", {"id": "resp_1"}),
        ("/v1/responses/{id}/input_items", "/v1/responses/input_items", None),
        ("/v1/responses/{id}/input_items", "/v1/responses/a/b/input_items", None),
        ("/v1beta/models/{id}:count", "/v1beta/models/tuned/x:count", {"id": "tuned/x"}),
    ],
)
def test_a_placeholder_takes_what_stands_in_its_place(
    pattern: str, path: str, found: dict[str, str] | None
) -> None:
    assert match(pattern, path) == found


ANTHROPIC = {"anthropic-version": "2023-06-01"}
GOOGLE = {"x-goog-api-key": "any"}


@pytest.mark.parametrize("headers", [{}, ANTHROPIC, GOOGLE, {"x-api-key": "any"}])
@pytest.mark.parametrize(
    ("method", "path", "dialect"),
    [
        ("POST", "/v1/messages", "anthropic"),
        ("GET", "/v1/messages", "anthropic"),
        ("POST", "/v1/messages/count_tokens", "anthropic"),
        ("POST", "/v1/messages/batches", "anthropic"),
        ("POST", "/messages", "anthropic"),
        ("POST", "/v1/chat/completions", "openai-chat"),
        ("DELETE", "/v1/embeddings", "openai-chat"),
        ("POST", "/v1/responses", "openai-responses"),
        ("PUT", "/v1/responses/resp_1/input_items", "openai-responses"),
        ("POST", "/v1beta/models/gemini-2.5-pro:generateContent", "gemini"),
        ("GET", "/v1beta/models", "gemini"),
        ("POST", "/v1beta/cachedContents", "gemini"),
        ("GET", "/v1alpha/models", "gemini"),
        ("POST", "/v1/models/gemini-2.5-pro:generateContent", "gemini"),
        ("POST", "/v1/models/gemini-2.5-pro:predict", "gemini"),
        ("GET", "/v1/models/gemini-2.5-pro:countTokens", "gemini"),
        ("POST", "/v1beta/openai/chat/completions", "openai-chat"),
        ("GET", "/v1beta/openai/models", "openai-chat"),
        ("GET", "/v1beta/openai/models/gemini-2.5-pro", "openai-chat"),
    ],
)
def test_the_address_decides_the_dialect(
    method: str, path: str, dialect: str, headers: dict[str, str]
) -> None:
    assert Routes(DIALECTS).dialect_of(method, path, headers).name == dialect
    longer = f"{path}/{'x' * 300}" if dialect == "openai-chat" and "openai" in path else path
    assert Routes(DIALECTS).dialect_of(method, longer, {}).name == dialect


@pytest.mark.parametrize("path", ["/v1/models", "/v1/models/gemini-2.5-pro", "/v1/nowhere", "/x"])
def test_headers_decide_where_an_address_is_shared_or_nobodys(path: str) -> None:
    routes = Routes(DIALECTS)
    assert routes.dialect_of("GET", path, ANTHROPIC).name == "anthropic"
    assert routes.dialect_of("GET", path, GOOGLE).name == "gemini"
    assert routes.dialect_of("GET", path, {}).name == "openai-chat"


@pytest.mark.parametrize(
    ("path", "takes"),
    [
        ("/v1beta/models", True),
        ("/v1beta/models/gemini-2.5-pro:generateContent", True),
        ("/v1alpha/models/gemini-2.5-pro:countTokens", True),
        ("/v1/v1beta/models", True),
        ("/v1/models/gemini-2.5-pro:streamGenerateContent", True),
        ("/v1beta/interactions", True),
        ("/v1/interactions/abc", True),
        ("/v1beta/openai/chat/completions", False),
        ("/v1/models", False),
        ("/v1/models/gemini-2.5-pro", False),
        ("/v1/chat/completions", False),
        ("/v1/messages", False),
        ("/usage", False),
        ("/settings", False),
        ("/v1betamax", False),
    ],
)
def test_a_key_counts_in_geminis_own_addresses_only(path: str, takes: bool) -> None:
    assert takes_key(path) is takes
