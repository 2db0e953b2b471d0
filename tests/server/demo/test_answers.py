"""What every answer has beside its words: thoughts, limits, sources."""

from typing import Any

import pytest

from server.demo.answers import Answer, Asked, finished, pieces
from tests.google.table import CATALOGUE
from tests.support import user

Json = dict[str, Any]

MODELS = {entry.id: entry for entry in CATALOGUE}


def ask(text: str = "hello", model_id: str = "gemini-2.5-flash", **request: object) -> Answer:
    body: Json = {"contents": [user(text)], **request}
    asked = Asked(model=MODELS[model_id], request=body, serial=7)
    return finished(asked, text, f"You said: {text}")


def visible(given: Answer) -> str:
    return "".join(p.get("text", "") for p in given.parts if not p.get("thought"))


def config(**fields: object) -> Json:
    return {"generationConfig": fields}


def test_stop_sequences_cut_silently() -> None:
    given = ask("one STOP two", **config(stopSequences=["END", "STOP"]))
    assert visible(given) == "You said: one "
    assert given.finish == "STOP"


def test_thinking_eats_the_output_budget_first() -> None:
    nothing = ask("a long text", "gemini-2.5-pro", **config(maxOutputTokens=10))
    assert (visible(nothing), nothing.finish, nothing.thoughts_tokens) == ("", "MAX_TOKENS", 10)
    some = ask("a long text", "gemini-2.5-pro", **config(maxOutputTokens=34))
    assert (visible(some), some.finish) == ("You said", "MAX_TOKENS")


@pytest.mark.parametrize(
    ("model_id", "thinking", "tokens"),
    [
        ("gemini-2.5-flash", {}, 32),
        ("gemini-2.5-flash", {"thinkingBudget": 0}, 0),
        ("gemini-2.5-flash", {"thinkingBudget": -1}, 32),
        ("gemini-2.5-flash-lite", {}, 0),
        ("gemini-3-flash-preview", {"thinkingLevel": "MINIMAL"}, 4),
        ("gemini-3-flash-preview", {}, 64),
    ],
)
def test_how_much_it_thinks(model_id: str, thinking: Json, tokens: int) -> None:
    assert ask("hi", model_id, **config(thinkingConfig=thinking)).thoughts_tokens == tokens


def test_thoughts_are_shown_only_on_request() -> None:
    thinking = config(thinkingConfig={"includeThoughts": True})
    assert not any(p.get("thought") for p in ask().parts)
    assert ask(**thinking).parts[0]["thought"]


def test_search_brings_two_sources() -> None:
    given = ask("news", tools=[{"googleSearch": {}}])
    assert given.grounding is not None
    assert len(given.grounding["groundingChunks"]) == 2
    assert given.tool_use_tokens


def test_pieces_join_to_the_text() -> None:
    for text in ("", "a", " lead and trail ", "x" * 100, "ein paar Wörter — und mehr " * 50):
        assert "".join(pieces(text)) == text
        assert len(pieces(text)) <= 60
