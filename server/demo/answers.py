"""What was asked and what is answered: Gemini parts, with thoughts, limits and signatures.

The words themselves come from a model (``model.py`` is the demo's).
"""

import re
from dataclasses import dataclass, field, replace
from typing import TypeVar

from server.demo import turns
from server.demo.catalogue import Model
from server.demo.errors import Json
from server.demo.proto import decode_bytes
from server.demo.rules import built_in
from server.demo.signatures import GEMINI_API, Signer
from server.demo.tokens import json_tokens, text_tokens

THOUGHT_TOKENS = {"MINIMAL": 4, "LOW": 16, "MEDIUM": 32, "HIGH": 64, "XHIGH": 128}
SEARCH_TOKENS = 40
"""``toolUsePromptTokenCount`` of an answer backed by a search."""

_LONGEST_STREAM = 40
"""Pieces a text is streamed in, at most."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Asked:
    """One valid request, as the model sees it."""

    model: Model
    request: Json
    serial: int = 0
    """Counts the requests; makes ids and signatures distinct."""
    signer: Signer = GEMINI_API

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
    grounding: Json | None = None
    thoughts_tokens: int = 0
    tool_use_tokens: int = 0


AnswerT = TypeVar("AnswerT", bound=Answer)


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


# -- text ---------------------------------------------------------------------------------------


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


def signed(given: AnswerT, asked: Asked) -> AnswerT:
    """``given`` with ids and thought signatures where Google puts them.

    Gemini 3 and later: on the first call of a step, else on an empty text part at the end. 2.5
    signs the first call only.
    """
    seed = f"{asked.model.id}/{asked.serial}"
    parts = [dict(part) for part in given.parts]
    calls = [part for part in parts if "functionCall" in part]
    for i, part in enumerate(calls):
        if asked.model.signs:
            part["functionCall"] = {"id": f"fc-{asked.serial}-{i + 1}", **part["functionCall"]}
    if calls and (asked.model.signs or given.thoughts_tokens):
        calls[0].setdefault("thoughtSignature", asked.signer.issue(asked.model.id, seed))
    if asked.model.signs:
        last: Json = {"text": ""}
        if not calls and given.finish == "STOP":
            last["thoughtSignature"] = asked.signer.issue(asked.model.id, f"{seed}/end")
        parts.append(last)
    return replace(given, parts=parts)
