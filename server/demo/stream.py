"""An answer becomes chunks, chunks become one answer or events.

Usage is cumulative in every chunk; ``candidatesTokenCount`` is missing as long as only thinking
happened.
"""

import json
from collections.abc import AsyncIterator, Awaitable, Callable, Iterable

from server.demo.answers import Answer, Asked, visible_tokens
from server.demo.errors import Json
from server.demo.tokens import Counted

Sleep = Callable[[float], Awaitable[object]]


def chunks(answer: Answer, asked: Asked, prompt: Counted, cached_tokens: int) -> list[Json]:
    """The ``GenerateContentResponse`` objects of an answer, in order."""
    common = {"modelVersion": asked.model.id, "responseId": f"resp-{asked.serial}"}
    usage = _UsageCounter(answer, prompt, cached_tokens)
    groups = _grouped(answer.parts) or [[]]
    result: list[Json] = []
    for i, parts in enumerate(groups):
        last = i == len(groups) - 1
        candidate: Json = {"content": {"role": "model"}, "index": 0}
        if parts:
            candidate["content"]["parts"] = parts
        if last:
            candidate |= _ending(answer)
        result.append({"candidates": [candidate], **usage.so_far(parts, last=last), **common})
    return result


def _grouped(parts: list[Json]) -> list[list[Json]]:
    """One part a chunk, except that parallel calls arrive together."""
    groups: list[list[Json]] = []
    for part in parts:
        if groups and "functionCall" in part and "functionCall" in groups[-1][-1]:
            groups[-1].append(part)
        else:
            groups.append([part])
    return groups


def _ending(answer: Answer) -> Json:
    ending = {"finishReason": answer.finish, "groundingMetadata": answer.grounding}
    return {name: value for name, value in ending.items() if value is not None}


class _UsageCounter:
    """``usageMetadata`` after each chunk."""

    def __init__(self, answer: Answer, prompt: Counted, cached_tokens: int) -> None:
        self._answer = answer
        self._prompt = prompt
        self._cached = cached_tokens
        self._visible = 0
        self._thoughts_left = sum(bool(part.get("thought")) for part in answer.parts)
        self._thoughts_each = answer.thoughts_tokens // (self._thoughts_left or 1)

    def so_far(self, parts: list[Json], *, last: bool) -> Json:
        """The field to add to a chunk."""
        answer = self._answer
        self._visible += sum(visible_tokens(part) for part in parts)
        self._thoughts_left -= sum(bool(part.get("thought")) for part in parts)
        thoughts = max(0, answer.thoughts_tokens - self._thoughts_left * self._thoughts_each)
        prompt = self._prompt.total
        optional = {
            "candidatesTokenCount": self._visible,
            "cachedContentTokenCount": self._cached,
            "thoughtsTokenCount": thoughts,
            "toolUsePromptTokenCount": answer.tool_use_tokens,
        }
        usage: Json = {
            "promptTokenCount": prompt,
            **{name: count for name, count in optional.items() if count},
            "totalTokenCount": prompt + answer.tool_use_tokens + self._visible + thoughts,
            "promptTokensDetails": self._prompt.details(),
        }
        if self._cached:
            usage["cacheTokensDetails"] = [{"modality": "TEXT", "tokenCount": self._cached}]
        if last and self._visible:
            visible = [{"modality": "TEXT", "tokenCount": self._visible}]
            usage["candidatesTokensDetails"] = visible
        return {"usageMetadata": usage}


def fold(stream: list[Json]) -> Json:
    """The unary answer: what the chunks say, in one."""
    folded = dict(stream[-1])
    candidates = [chunk["candidates"][0] for chunk in stream if chunk.get("candidates")]
    if candidates:
        parts = [part for c in candidates for part in c["content"].get("parts", ())]
        content: Json = {"role": "model"}
        if joined := _joined(parts):
            content["parts"] = joined
        folded["candidates"] = [{**candidates[-1], "content": content}]
    return folded


def _joined(parts: list[Json]) -> list[Json]:
    """Neighbouring texts of one kind as one part; a signature alone moves to the text before it."""
    joined: list[Json] = []
    for part in parts:
        before = joined[-1] if joined else {}
        alike = "text" in part and "text" in before and "thoughtSignature" not in before
        if alike and part.get("thought") == before.get("thought"):
            joined[-1] = {**before, **part, "text": before["text"] + part["text"]}
        elif part != {"text": ""}:
            joined.append(part)
    return joined


async def events(made: Iterable[Json], *, delay_s: float, sleep: Sleep) -> AsyncIterator[bytes]:
    """Server-sent events, ``delay_s`` apart."""
    for i, chunk in enumerate(made):
        if i and delay_s:
            await sleep(delay_s)
        yield f"data: {json.dumps(chunk, ensure_ascii=False)}\n\n".encode()
