"""The scripted model of tests: from a valid request to an answer, the same one every time.

It says back what it was told, so that a test can see at once what arrived. What it calls comes from
the user's words, so it never answers people (the demo has a model of its own, ``demo.py``):

* functions declared and no result yet: it calls the one the user named, else the first; two calls
  when the user says "both", "twice" or "parallel";
* results at hand: it quotes them;
* JSON asked for: the smallest instance of the schema; without a schema ``{"echo": <text>}``;
* otherwise ``You said: <text>``, with a word on every image or document it was given.
"""

import json
import re
from collections.abc import Callable
from dataclasses import dataclass, field, replace

from server.google_fake import turns
from server.google_fake.build import build, clues
from server.google_fake.catalogue import FakeModel
from server.google_fake.http import Json
from server.google_fake.messages import Door
from server.google_fake.proto import decode_bytes
from server.google_fake.rules import built_in, declarations
from server.google_fake.signatures import issue
from server.google_fake.tokens import json_tokens, text_tokens

THOUGHT_TOKENS = {"MINIMAL": 4, "LOW": 16, "MEDIUM": 32, "HIGH": 64, "XHIGH": 128}
SEARCH_TOKENS = 40
"""``toolUsePromptTokenCount`` of an answer backed by a search."""

_PARALLEL = re.compile(r"\b(twice|both|parallel)\b", re.IGNORECASE)
_LONGEST_STREAM = 40
"""Pieces a text is streamed in, at most."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Asked:
    """One valid request, as the model sees it."""

    model: FakeModel
    request: Json
    door: Door = "gemini-api"
    serial: int = 0
    """Counts the requests of this Google; makes ids and signatures distinct."""
    flavour: str = ""
    """Put before every text answer of the scripted model."""

    @property
    def config(self) -> Json:
        config: Json = self.request.get("generationConfig", {})
        return config

    @property
    def user_text(self) -> str:
        """The last thing the user wrote, results of functions aside."""
        for content in reversed(self.request["contents"]):
            texts = [part["text"] for part in content["parts"] if part.get("text")]
            if turns.role(content) == "user" and texts:
                return str(texts[-1])
        return ""


@dataclass(slots=True, kw_only=True)
class Answer:
    """What the model answers: Gemini parts, streamed one by one, exactly as they stand here."""

    parts: list[Json] = field(default_factory=list)
    finish: str | None = "STOP"
    """``finishReason`` of the last chunk; None leaves it out."""
    finish_message: str | None = None
    block_reason: str | None = None
    """The prompt is refused: ``promptFeedback`` and no candidates."""
    grounding: Json | None = None
    usage: Json | None = None
    """Replaces these fields of every ``usageMetadata``; ``{}`` sends no usage at all."""
    thoughts_tokens: int = 0
    tool_use_tokens: int = 0
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
    """What is spoken (a text, or function calls), with thoughts, sources, limits and signatures.

    ``heard`` is the part of the user's words that thoughts and searches may repeat.
    """
    thoughts = thoughts_tokens(asked)
    if isinstance(spoken, str):
        text = _stopped(spoken, asked.config.get("stopSequences", []))
        given = Answer(parts=[{"text": piece} for piece in pieces(text)], thoughts_tokens=thoughts)
        if "googleSearch" in built_in(asked.request):
            given.grounding = _grounding(heard, text)
            given.tool_use_tokens = SEARCH_TOKENS
    else:
        given = Answer(parts=spoken, thoughts_tokens=thoughts)
    if asked.config.get("thinkingConfig", {}).get("includeThoughts") and thoughts:
        given.parts = [*_thoughts(heard), *given.parts]
    return signed(_limited(given, asked.config.get("maxOutputTokens")), asked)


def thoughts_tokens(asked: Asked) -> int:
    """How much this request makes the model think."""
    config = asked.config.get("thinkingConfig", {})
    budget = config.get("thinkingBudget")
    if budget is not None:
        return THOUGHT_TOKENS["MEDIUM"] if budget < 0 else min(int(budget), THOUGHT_TOKENS["HIGH"])
    level = config.get("thinkingLevel", asked.model.default_level)
    return THOUGHT_TOKENS[level] if level is not None else 0


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


def seen(blob: Json) -> str:
    """``I see image/png, 70 bytes.``"""
    return f"I see {blob['mimeType']}, {len(decode_bytes(blob['data']) or b'')} bytes."


def _stopped(text: str, stops: list[str]) -> str:
    """``text`` up to the first stop sequence; upstream never says which one it was."""
    ends = [text.find(stop) for stop in stops if stop in text]
    return text[: min(ends)] if ends else text


def pieces(text: str) -> list[str]:
    """``text`` cut after spaces into the pieces it is streamed in."""
    size = max(12, -(-len(text) // _LONGEST_STREAM))
    found: list[str] = []
    for word in re.findall(r"\s*\S+\s*|\s+", text):
        if found and len(found[-1]) + len(word) <= size:
            found[-1] += word
        else:
            found.extend(word[i : i + size] for i in range(0, len(word), size))
    return found


def _thoughts(heard: str) -> list[Json]:
    text = heard[:60]
    return [
        {"text": "**Reading the request**\n\n", "thought": True},
        {"text": f"The user wrote {text!r}. ", "thought": True},
        {"text": "I will answer with what I was given.\n\n", "thought": True},
    ]


def _grounding(query: str, text: str) -> Json:
    size = len(text.encode())
    sources = [("Example Domain", "example.com"), ("Example Reference", "example.org")]
    return {
        "webSearchQueries": [query],
        "searchEntryPoint": {"renderedContent": "<div>Search suggestions</div>"},
        "groundingChunks": [
            {"web": {"uri": f"https://{domain}/", "title": title, "domain": domain}}
            for title, domain in sources
        ],
        "groundingSupports": [
            {
                "segment": {"startIndex": 0, "endIndex": size, "text": text},
                "groundingChunkIndices": [0, 1],
            }
        ],
    }


# -- limits and signatures ----------------------------------------------------------------------


def visible_tokens(part: Json) -> int:
    """What a part costs as ``candidatesTokenCount``; thoughts are counted elsewhere."""
    if part.get("thought"):
        return 0
    if "text" in part:
        return text_tokens(part["text"])
    return json_tokens(part["functionCall"]) if "functionCall" in part else 0


def _limited(given: Answer, most: int | None) -> Answer:
    """``maxOutputTokens``: thinking eats it first, then the visible parts as far as it lasts."""
    if most is None:
        return given
    if given.thoughts_tokens >= most:
        thoughts = [part for part in given.parts if part.get("thought")]
        return Answer(parts=thoughts, finish="MAX_TOKENS", thoughts_tokens=most)
    left = most - given.thoughts_tokens
    kept: list[Json] = []
    for part in given.parts:
        cost = visible_tokens(part)
        if cost > left:
            if "text" in part and left:
                kept.append({**part, "text": part["text"][: left * 4]})
            return replace(given, parts=kept, finish="MAX_TOKENS", grounding=None)
        left -= cost
        kept.append(part)
    return given


def signed(given: Answer, asked: Asked) -> Answer:
    """``given`` with ids and thought signatures where Google puts them.

    Gemini 3 and later: on the first call of a step, else on an empty text part at the end; Code
    Assist also sends an empty thought part with a signature. 2.5 signs the first call only.
    """
    seed = f"{asked.model.id}/{asked.serial}"
    parts = [dict(part) for part in given.parts]
    if asked.model.signs and asked.door == "code-assist" and any(p.get("thought") for p in parts):
        after = max(i for i, part in enumerate(parts) if part.get("thought")) + 1
        signature = issue(asked.model.id, f"{seed}/thought", asked.door)
        parts.insert(after, {"text": "", "thought": True, "thoughtSignature": signature})
    calls = [part for part in parts if "functionCall" in part]
    for i, part in enumerate(calls):
        if asked.model.signs:
            part["functionCall"] = {"id": f"fc-{asked.serial}-{i + 1}", **part["functionCall"]}
    if calls and (asked.model.signs or given.thoughts_tokens):
        calls[0].setdefault("thoughtSignature", issue(asked.model.id, seed, asked.door))
    if asked.model.signs:
        last: Json = {"text": ""}
        if not calls and given.finish == "STOP":
            last["thoughtSignature"] = issue(asked.model.id, f"{seed}/end", asked.door)
        parts.append(last)
    return replace(given, parts=parts, signed=False)
