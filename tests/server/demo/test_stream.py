"""Chunks, usage, the unary answer and events."""

from typing import Any

from server.demo.answers import Answer, Asked
from server.demo.stream import chunks, events, fold
from server.demo.tokens import Counted
from tests.google.table import CATALOGUE
from tests.support import call, events_of

Json = dict[str, Any]

ASKED = Asked(model=CATALOGUE[0], request={"contents": [{"parts": [{"text": "hi"}]}]}, serial=3)
PROMPT = Counted({"TEXT": 10})


def thought(text: str) -> Json:
    return {"text": text, "thought": True}


def usages(answer: Answer, cached: int = 0) -> list[Json]:
    return [chunk["usageMetadata"] for chunk in chunks(answer, ASKED, PROMPT, cached)]


def test_usage_is_cumulative_and_adds_up() -> None:
    parts = [thought("a"), thought("b"), {"text": "12345678"}, {"text": "1234"}]
    seen = usages(Answer(parts=parts, thoughts_tokens=31, tool_use_tokens=5), cached=4)
    assert [usage.get("thoughtsTokenCount", 0) for usage in seen] == [16, 31, 31, 31]
    assert [usage.get("candidatesTokenCount") for usage in seen] == [None, None, 2, 3]
    assert [usage["totalTokenCount"] for usage in seen] == [31, 46, 48, 49]
    assert all(usage["cachedContentTokenCount"] == 4 for usage in seen)


def test_parallel_calls_arrive_together_and_the_end_is_told_once() -> None:
    made = chunks(Answer(parts=[{"text": "a"}, call("f"), call("g")]), ASKED, PROMPT, 0)
    assert [len(chunk["candidates"][0]["content"]["parts"]) for chunk in made] == [1, 2]
    assert ["finishReason" in chunk["candidates"][0] for chunk in made] == [False, True]
    assert made[0]["responseId"] == made[1]["responseId"]


def test_the_unary_answer_is_the_fold_of_the_stream() -> None:
    parts = [thought("a"), thought("b"), {"text": "one "}, {"text": "two"}, call("f")]
    signature = {"text": "", "thoughtSignature": "c2ln"}
    folded = fold(chunks(Answer(parts=[*parts, signature]), ASKED, PROMPT, 0))
    assert folded["candidates"][0]["content"]["parts"] == [
        thought("ab"),
        {"text": "one two"},
        call("f"),
        signature,
    ]
    ended = fold(chunks(Answer(parts=[{"text": "one"}, signature]), ASKED, PROMPT, 0))
    assert ended["candidates"][0]["content"]["parts"] == [
        {"text": "one", "thoughtSignature": "c2ln"}
    ]


async def test_events_come_apart_and_say_the_chunks() -> None:
    slept: list[float] = []

    async def sleep(seconds: float) -> None:
        slept.append(seconds)

    made: list[Json] = [{"a": "Grüße 🎈"}, {"b": "x\ny"}, {"c": 1}]
    sent = [piece async for piece in events(made, delay_s=0.5, sleep=sleep)]
    assert events_of(b"".join(sent)) == made
    assert sent[2] == b'data: {"c": 1}\n\n'
    assert slept == [0.5, 0.5]
