"""The scripted model of tests: from a valid request to an answer, the same one every time.

It says back what it was told, so that a test can see at once what arrived. What it calls comes from
the user's words, so it never answers people (the demo has a
model of its own, ``server/demo/model.py``):

* functions declared and no result yet: it calls the one the user named, else the first; two calls
  when the user says "both", "twice" or "parallel";
* results at hand: it quotes them;
* JSON asked for: the smallest instance of the schema; without a schema ``{"echo": <text>}``;
* otherwise ``You said: <text>``, with a word on every image or document it was given.
"""

import json
import re
from collections.abc import Callable
from dataclasses import dataclass, fields, replace

from server.demo import answers, turns
from server.demo.answers import seen
from server.demo.errors import Json
from server.demo.rules import declarations
from tests.google.build import build, clues
from tests.google.catalogue import FakeModel
from tests.google.doors import SIGNERS
from tests.google.messages import Door

_PARALLEL = re.compile(r"\b(twice|both|parallel)\b", re.IGNORECASE)


@dataclass(frozen=True, slots=True, kw_only=True)
class Asked(answers.Asked):
    """One valid request, and the door it came through."""

    model: FakeModel
    door: Door = "gemini-api"
    flavour: str = ""
    """Put before every text answer."""

    def __post_init__(self) -> None:
        object.__setattr__(self, "signer", SIGNERS[self.door])


@dataclass(slots=True, kw_only=True)
class Answer(answers.Answer):
    """An answer with all that tests may have Google say; streamed exactly as its parts stand."""

    finish_message: str | None = None
    block_reason: str | None = None
    """The prompt is refused: ``promptFeedback`` and no candidates."""
    usage: Json | None = None
    """Replaces these fields of every ``usageMetadata``; ``{}`` sends no usage at all."""
    signed: bool = False
    """Add ids and thought signatures, as the scripted model's own answers have them."""


Script = Answer | Callable[[Asked], Answer]
"""A prepared answer, or a function that makes one."""


def answer(asked: Asked) -> Answer:
    """The scripted model's own answer."""
    functions = _callable(asked)
    if functions and not turns.results(asked.request["contents"][-1]):
        return finished(asked, asked.user_text, _calls(functions, asked.user_text))
    return finished(asked, asked.user_text, _text(asked))


def finished(asked: Asked, heard: str, spoken: str | list[Json]) -> Answer:
    """As ``answers.finished``, for every door."""
    made = answers.finished(asked, heard, spoken)
    return _of_the_door(Answer(**{f.name: getattr(made, f.name) for f in fields(made)}), asked)


def signed(given: Answer, asked: Asked) -> Answer:
    """As ``answers.signed``, for every door."""
    return _of_the_door(replace(answers.signed(given, asked), signed=False), asked)


def _of_the_door(given: Answer, asked: Asked) -> Answer:
    """Code Assist also sends an empty thought part with a signature, after the thoughts."""
    thoughts = [i for i, part in enumerate(given.parts) if part.get("thought")]
    if asked.door != "code-assist" or not asked.model.signs or not thoughts:
        return given
    seed = f"{asked.model.id}/{asked.serial}/thought"
    part: Json = {"text": "", "thought": True}
    part["thoughtSignature"] = asked.signer.issue(asked.model.id, seed)
    after = thoughts[-1] + 1
    return replace(given, parts=[*given.parts[:after], part, *given.parts[after:]])


# -- function calls -----------------------------------------------------------------------------


def _callable(asked: Asked) -> list[Json]:
    """The declared functions that may be called now, the one the user names first."""
    calling = asked.request.get("toolConfig", {}).get("functionCallingConfig", {})
    if calling.get("mode") == "NONE":
        return []
    allowed = calling.get("allowedFunctionNames")
    functions = [d for d in declarations(asked.request) if not allowed or d["name"] in allowed]
    words = set(re.findall(r"[\w.:-]+", asked.user_text))
    return sorted(functions, key=lambda d: d["name"] not in words)


def _calls(functions: list[Json], text: str) -> list[Json]:
    function = functions[0]
    schema: Json = function.get("parametersJsonSchema") or function.get("parameters") or {}
    found = [clue for clue in clues(text) if clue != function["name"]] or [text]
    count = 2 if _PARALLEL.search(text) else 1
    return [
        {
            "functionCall": {
                "name": function["name"],
                "args": build({"type": "object", **schema}, found[i % len(found)]),
            }
        }
        for i in range(count)
    ]


# -- text ---------------------------------------------------------------------------------------


def _text(asked: Asked) -> str:
    last = asked.request["contents"][-1]
    text = _quoted(turns.results(last)) or asked.user_text
    mime = asked.config.get("responseMimeType", "text/plain")
    schema = asked.config.get("responseJsonSchema", asked.config.get("responseSchema"))
    if mime == "text/x.enum":
        return str(build(schema, text))
    if mime == "application/json":
        value = build(schema, text) if schema is not None else {"echo": text}
        return json.dumps(value, ensure_ascii=False)
    if turns.results(last):
        return f"{asked.flavour}The tool answered: {text}"
    images = [seen(part["inlineData"]) for part in last["parts"] if "inlineData" in part]
    return asked.flavour + " ".join([f"You said: {text}", *images])


def _quoted(results: list[Json]) -> str:
    """``get_weather: 12 C, rain; get_weather: error: timeout``."""
    quoted = []
    for result in results:
        response = result["response"]
        only = next(iter(response.items())) if len(response) == 1 else None
        if only and isinstance(only[1], str):
            said = only[1] if only[0] != "error" else f"error: {only[1]}"
        else:
            said = json.dumps(response, ensure_ascii=False)
        images = [seen(p["inlineData"]) for p in result.get("parts", ()) if "inlineData" in p]
        quoted.append(" ".join([f"{result['name']}: {said}", *images]))
    return "; ".join(quoted)
