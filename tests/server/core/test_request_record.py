"""The facts of one request."""

import pytest

from server.core.request_record import Exchange, client_name
from server.gemini.types import Call, Usage


@pytest.mark.parametrize(
    ("agent", "name"),
    [
        ("claude-cli/2.1.330 (external, sdk-cli)", "claude-cli"),
        ("OpenAI/Python 3.54.0", "OpenAI/Python"),
        ("Anthropic/JS 1.12.0", "Anthropic/JS"),
        ("python-httpx/0.28.1", "python-httpx"),
        ("curl/8.5.0", "curl"),
        ("", "unknown"),
        ("x" * 200, "x" * 64),
    ],
)
def test_a_client_is_named_by_its_user_agent(agent: str, name: str) -> None:
    assert client_name({"user-agent": agent}) == name


def test_an_exchange_that_never_came_far_still_makes_an_entry() -> None:
    entry = Exchange(id="r", dialect="d", operation="generate", client="c").entry()
    assert (entry.model, entry.attempts, entry.first_token_ms) == ("", 0, None)
    assert entry.usage == Usage()


def test_the_first_token_is_the_first() -> None:
    exchange = Exchange(id="r", dialect="d", operation="generate", client="c")
    exchange.answered()
    first = exchange.first_token_s
    exchange.answered()
    assert exchange.first_token_s == first


def test_a_key_typed_as_a_name_is_not_kept() -> None:
    key = "AQ.Ab8RN6synthetic_synthetic-x"
    exchange = Exchange(
        id="r", dialect="d", operation="generate", client=client_name({"user-agent": key})
    )
    exchange.accept(Call(dialect="d", model=key, request={}))
    exchange.model = key
    assert "synthetic" not in str(exchange.entry())
