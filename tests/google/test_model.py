"""What the scripted model answers."""

import json
from typing import Any

import pytest

from server.demo import turns
from tests.google.messages import Door
from tests.google.model import Answer, Asked, answer, signed
from tests.google.table import CATALOGUE
from tests.support import call, model, result, user, weather_tool

Json = dict[str, Any]

MODELS = {entry.id: entry for entry in CATALOGUE}


def ask(
    text: str = "hello",
    model_id: str = "gemini-2.5-flash",
    door: Door = "gemini-api",
    **request: object,
) -> Answer:
    body: Json = {"contents": [user(text)], **request}
    return answer(Asked(model=MODELS[model_id], request=body, door=door, serial=7))


def visible(given: Answer) -> str:
    return "".join(p.get("text", "") for p in given.parts if not p.get("thought"))


def calls(given: Answer) -> list[Json]:
    return turns.calls({"parts": given.parts})


def config(**fields: object) -> Json:
    return {"generationConfig": fields}


TOOLS: Json = {"tools": [weather_tool()]}


def test_it_says_back_what_it_was_told() -> None:
    assert visible(ask("hello there, how are you today?")) == (
        "You said: hello there, how are you today?"
    )
    assert len(ask("hello there, how are you today?").parts) > 2


def test_it_names_what_it_sees() -> None:
    contents = [user({"inlineData": {"mimeType": "image/png", "data": "aGVsbG8="}}, "look")]
    assert visible(ask(contents=contents)) == "You said: look I see image/png, 5 bytes."


def test_it_calls_the_first_function_with_arguments_from_the_text() -> None:
    assert calls(ask("What's the weather in Paris?", **TOOLS)) == [
        {"name": "get_weather", "args": {"city": "Paris"}}
    ]


def test_it_calls_the_function_that_the_user_names() -> None:
    both = {"functionDeclarations": [{"name": "first"}, {"name": "second"}]}
    assert calls(ask("please use second", tools=[both]))[0]["name"] == "second"
    assert calls(ask("please", tools=[both]))[0] == {"name": "first", "args": {}}


def test_it_calls_twice_when_asked_for_both() -> None:
    given = ask("The weather in both Paris and Rome, please", "gemini-3-flash-preview", **TOOLS)
    assert [c["args"]["city"] for c in calls(given)] == ["Paris", "Rome"]
    assert [c["id"] for c in calls(given)] == ["fc-7-1", "fc-7-2"]
    signatures = ["thoughtSignature" in p for p in given.parts if "functionCall" in p]
    assert signatures == [True, False]


def test_calls_of_25_have_no_ids() -> None:
    assert "id" not in calls(ask(**TOOLS))[0]


@pytest.mark.parametrize(
    ("mode", "allowed", "called"),
    [("NONE", None, []), ("ANY", ["b"], ["b"]), ("AUTO", None, ["a"])],
)
def test_it_obeys_the_calling_mode(mode: str, allowed: list[str] | None, called: list[str]) -> None:
    tools = [{"functionDeclarations": [{"name": "a"}, {"name": "b"}]}]
    calling: Json = {"mode": mode} | ({"allowedFunctionNames": allowed} if allowed else {})
    given = ask("go", tools=tools, toolConfig={"functionCallingConfig": calling})
    assert [c["name"] for c in calls(given)] == called


def test_it_quotes_results() -> None:
    contents = [
        user("hi"),
        model(call("a"), call("b")),
        user(result("a", {"output": "12 C"}), result("b", {"error": "timeout"})),
    ]
    assert visible(ask(contents=contents, **TOOLS)) == (
        "The tool answered: a: 12 C; b: error: timeout"
    )


def test_it_writes_json_when_asked() -> None:
    mime = "application/json"
    assert json.loads(visible(ask("hi", **config(responseMimeType=mime)))) == {"echo": "hi"}
    schema = {
        "type": "object",
        "properties": {"name": {"type": "string"}, "size": {"type": "integer", "minimum": 5}},
        "required": ["name", "size"],
    }
    given = ask("hi", **config(responseMimeType=mime, responseJsonSchema=schema))
    assert json.loads(visible(given)) == {"name": "hi", "size": 5}


def test_code_assist_signs_an_empty_thought_and_the_end_of_a_text() -> None:
    thinking = config(thinkingConfig={"includeThoughts": True})
    given = ask("hi", "gemini-3-flash-preview", "code-assist", **thinking)
    thoughts = [part for part in given.parts if part.get("thought")]
    assert thoughts[-1]["text"] == ""
    assert thoughts[-1]["thoughtSignature"]
    assert given.parts[-1].keys() == {"text", "thoughtSignature"}
    without = ask("hi", "gemini-3-flash-preview", "code-assist")
    assert sum("thoughtSignature" in part for part in without.parts) == 1


def test_its_own_answers_pass_its_own_rules() -> None:
    """Replayed as they came, calls are accepted by the newest and strictest model."""
    asked = Asked(model=MODELS["gemini-3.8-flash"], request={"contents": [user("both A and B")]})
    given = signed(Answer(parts=[call("a"), call("b")]), asked)
    answers = [result(c["name"], {}, id=c["id"]) for c in calls(given)]
    replay = [user("hi"), model(*[p for p in given.parts if "functionCall" in p]), user(*answers)]
    turns.check({"contents": replay}, asked.model)
