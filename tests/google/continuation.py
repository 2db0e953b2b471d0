"""Answers longer than one request returns (4.x): hops, their tokens, and checkpoints in a stream.

One request returns at most ``hop_tokens``. Asked for more, the hop ends with ``CONTINUATION`` and a
token; the same request with that token beside ``contents`` goes on. ``maxOutputTokens`` counts all
hops. Facts: dossier ``google-2026-11.md``, section 4.1; the words of the refusals are our own.
"""

import base64
from collections import OrderedDict
from dataclasses import dataclass, replace

from server.demo.answers import visible_tokens
from server.demo.errors import Json, invalid
from tests.google.model import Answer, Asked

_REMEMBERED = 512


@dataclass(frozen=True, slots=True, kw_only=True)
class Rest:
    """What is still to be said after a token."""

    answer: Answer
    told: int
    """Tokens of thoughts and text in all hops so far."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Hop:
    """One request's share of a long answer."""

    answer: Answer
    told: int
    """Tokens of the hops before this one."""
    rest: Rest | None = None
    """What the token of this hop leads to; None: the answer is complete, or cut for good."""
    checkpoints: bool = False
    """The stream carries a token in the middle, too."""


class Continuations:
    """The long answers begun at one Google."""

    def __init__(self) -> None:
        self._rests: OrderedDict[str, tuple[Json, Rest]] = OrderedDict()

    def resumed(self, asked: Asked) -> Rest | None:
        """What a request with a token goes on with; 400 where the token is not its own."""
        token = asked.request.get("continuationToken")
        if token is None:
            return None
        same, rest = self._rests.get(token, ({}, None))
        if rest is None or same != _compared(asked):
            raise invalid("Invalid continuation token.")
        return rest

    def hop(self, asked: Asked, rest: Rest, prompt_tokens: int, most_per_hop: int) -> Hop:
        """The share of ``rest`` that this request returns."""
        if not asked.model.family.continues:
            return Hop(answer=rest.answer, told=0)
        most = asked.config.get("maxOutputTokens", most_per_hop)
        window = asked.model.input_limit - prompt_tokens
        allowed = min(most, window) - rest.told
        now, later = split(rest.answer, min(most_per_hop, max(allowed, 0)))
        checkpoints = most > most_per_hop
        if later is None:
            return Hop(answer=now, told=rest.told, checkpoints=checkpoints)
        reason = "CONTINUATION" if allowed > most_per_hop else "MAX_TOKENS"
        told = rest.told + now.thoughts_tokens + sum(map(visible_tokens, now.parts))
        ended = replace(now, finish=reason, finish_message=None, grounding=None)
        after = Rest(answer=later, told=told) if checkpoints else None
        return Hop(answer=ended, told=rest.told, rest=after, checkpoints=checkpoints)

    def marked(self, chunks: list[Json], hop: Hop, asked: Asked, *, streams: bool) -> list[Json]:
        """``chunks`` with the tokens of a hop: on its last chunk, and in the middle of a stream."""
        marked = list(chunks)
        if hop.rest is not None:
            marked[-1] = _with_token(chunks[-1], self._issue(asked, hop.rest))
        middle = (len(chunks) - 1) // 2
        if hop.checkpoints and streams and middle:
            after = _after(hop, chunks[: middle + 1])
            marked[middle] = _with_token(chunks[middle], self._issue(asked, after))
        return marked

    def _issue(self, asked: Asked, rest: Rest) -> str:
        token = base64.b64encode(f"cont-{asked.serial}-{rest.told}".encode()).decode()
        self._rests[token] = (_compared(asked), rest)
        while len(self._rests) > _REMEMBERED:
            self._rests.popitem(last=False)
        return token


def split(answer: Answer, tokens: int) -> tuple[Answer, Answer | None]:
    """The first ``tokens`` of an answer, thinking before text, and what is left."""
    thoughts = min(answer.thoughts_tokens, tokens)
    more_thoughts = answer.thoughts_tokens - thoughts
    now = [part for part in answer.parts if part.get("thought")] if more_thoughts else []
    left = tokens - thoughts
    later = list(answer.parts) if not more_thoughts else _spoken(answer.parts)
    while later and not more_thoughts and visible_tokens(later[0]) <= left:
        left -= visible_tokens(later[0])
        now.append(later.pop(0))
    if later and left and "text" in later[0] and not more_thoughts:
        text = later[0]["text"]
        now.append({**later[0], "text": text[: left * 4]})
        later[0] = {**later[0], "text": text[left * 4 :]}
    begun = replace(answer, parts=now, thoughts_tokens=thoughts)
    if not later and not more_thoughts:
        return begun, None
    return begun, replace(answer, parts=later, thoughts_tokens=more_thoughts)


def _spoken(parts: list[Json]) -> list[Json]:
    return [part for part in parts if not part.get("thought")]


def _after(hop: Hop, told: list[Json]) -> Rest:
    """What is left after some chunks of a hop: the rest of it, and what the hop leaves."""
    sent = sum(len(chunk["candidates"][0]["content"].get("parts", ())) for chunk in told)
    usage = told[-1].get("usageMetadata", {})
    thoughts = usage.get("thoughtsTokenCount", 0)
    visible = sum(map(visible_tokens, hop.answer.parts[:sent]))
    left = hop.rest.answer if hop.rest is not None else replace(hop.answer, parts=[])
    unthought = hop.answer.thoughts_tokens - thoughts
    if hop.rest is not None:
        unthought += left.thoughts_tokens
    parts = [*hop.answer.parts[sent:], *left.parts]
    answer = replace(left, parts=parts, thoughts_tokens=unthought)
    return Rest(answer=answer, told=hop.told + thoughts + visible)


def _with_token(chunk: Json, token: str) -> Json:
    candidate = {**chunk["candidates"][0], "continuationToken": token}
    return {**chunk, "candidates": [candidate]}


def _compared(asked: Asked) -> Json:
    """What must be the same in every hop; the limit alone may be raised."""
    limits = {k: v for k, v in asked.config.items() if k != "maxOutputTokens"}
    same = {k: v for k, v in asked.request.items() if k != "continuationToken"}
    return {**same, "generationConfig": limits, "model": asked.model.id}
