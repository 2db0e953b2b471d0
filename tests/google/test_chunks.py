"""Chunks as no sound Google sends them."""

from typing import Any

from server.demo.stream import fold
from server.demo.tokens import Counted
from tests.google.chunks import chunks
from tests.google.model import Answer, Asked
from tests.google.table import CATALOGUE
from tests.support import texts_of, user

Json = dict[str, Any]

ASKED = Asked(model=CATALOGUE[0], request={"contents": [user("hi")]}, serial=3)
PROMPT = Counted({"TEXT": 10})


def usages(answer: Answer, cached: int = 0) -> list[Json]:
    return [chunk["usageMetadata"] for chunk in chunks(answer, ASKED, PROMPT, cached)]


def test_scripted_usage_replaces_or_removes() -> None:
    answer = Answer(parts=[{"text": "a"}], usage={"candidatesTokenCount": 77})
    assert usages(answer)[0]["candidatesTokenCount"] == 77
    assert "usageMetadata" not in chunks(Answer(usage={}), ASKED, PROMPT, 0)[0]


def test_a_refused_prompt_has_no_candidates() -> None:
    only = chunks(Answer(block_reason="SAFETY"), ASKED, PROMPT, 0)
    assert len(only) == 1
    assert texts_of(only) == ""
    assert fold(only)["promptFeedback"] == {"blockReason": "SAFETY"}


def test_an_end_may_carry_a_message() -> None:
    made = chunks(Answer(finish="OTHER", finish_message="Odd."), ASKED, PROMPT, 0)
    ended = made[-1]["candidates"][0]
    assert (ended["finishReason"], ended["finishMessage"]) == ("OTHER", "Odd.")


def test_only_the_gemini_api_numbers_its_candidates() -> None:
    def numbers(asked: Asked) -> list[int | None]:
        made = chunks(Answer(parts=[{"text": "a"}, {"text": "b"}]), asked, PROMPT, 0)
        return [chunk["candidates"][0].get("index") for chunk in made]

    cloud = Asked(model=CATALOGUE[0], request=ASKED.request, door="vertex")
    assert (numbers(ASKED), numbers(cloud)) == ([0, 0], [None, None])
