"""An answer becomes chunks, chunks become bytes.

Usage is cumulative in every chunk; ``candidatesTokenCount`` is missing as long as only thinking
happened. The framing (line ends, byte splitting, gzip) can be anything an HTTP client must bear.
"""

import json
import zlib
from collections.abc import AsyncIterator, Awaitable, Callable, Iterable, Mapping
from dataclasses import dataclass, field

from server.google_fake.http import ConnectionCutError, Json
from server.google_fake.model import Answer, Asked, visible_tokens
from server.google_fake.tokens import Counted

Sleep = Callable[[float], Awaitable[object]]


@dataclass(frozen=True, slots=True)
class Pause:
    """Nothing is sent for so many seconds."""

    seconds: float


@dataclass(frozen=True, slots=True)
class Cut:
    """The connection breaks here."""


Item = Json | bytes | Pause | Cut
"""What a stream is made of: events, bytes sent as they are, silence, and a broken connection."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Framing:
    """How events are put on the wire."""

    newline: str = "\n"
    split_bytes: int = 0
    """Cut everything into pieces of this size (mid UTF-8, mid ``data:``); 0: one piece an event."""
    gzip: bool = False
    """Compress, for clients that accept it."""
    comments: bool = False
    """Comment and ``id:`` lines between the events."""
    multiline: bool = False
    """Spread every event over several ``data:`` lines."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Generation:
    """A valid generate request, and how its door wants the answer."""

    asked: Asked
    wrap: Callable[[Json], Json]
    """Puts a chunk into the door's envelope."""
    streams: bool
    sse: bool
    """``alt=sse``; without it a stream is one long JSON array."""
    status: Json | None = None
    """``modelStatus`` of the answer."""
    usage: Json = field(default_factory=dict)
    """What the door adds to every ``usageMetadata``."""
    headers: Mapping[str, str] = field(default_factory=dict)

    def dressed(self, chunk: Json) -> Json:
        """A chunk with what the door adds, in the door's envelope."""
        if self.status is not None:
            chunk = {**chunk, "modelStatus": self.status}
        if self.usage and "usageMetadata" in chunk:
            chunk = {**chunk, "usageMetadata": {**self.usage, **chunk["usageMetadata"]}}
        return self.wrap(chunk)


# -- chunks -------------------------------------------------------------------------------------


def chunks(answer: Answer, asked: Asked, prompt: Counted, cached_tokens: int) -> list[Json]:
    """The ``GenerateContentResponse`` objects of an answer, in order."""
    common = {"modelVersion": asked.model.id, "responseId": f"resp-{asked.serial}"}
    usage = _UsageCounter(answer, prompt, cached_tokens)
    if answer.block_reason is not None:
        feedback = {"promptFeedback": {"blockReason": answer.block_reason}}
        return [{**feedback, **usage.so_far([], last=True), **common}]
    groups = _grouped(answer.parts) or [[]]
    result: list[Json] = []
    for i, parts in enumerate(groups):
        last = i == len(groups) - 1
        candidate: Json = {"content": {"role": "model"}}
        if parts:
            candidate["content"]["parts"] = parts
        if asked.door == "gemini-api":
            candidate["index"] = 0
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
    ending = {
        "finishReason": answer.finish,
        "finishMessage": answer.finish_message,
        "groundingMetadata": answer.grounding,
    }
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
        """The field to add to a chunk; empty when the answer is to carry no usage."""
        answer = self._answer
        if answer.usage == {}:
            return {}
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
        return {"usageMetadata": usage | (answer.usage or {})}


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


# -- bytes --------------------------------------------------------------------------------------


async def encode(
    items: Iterable[Item], framing: Framing, *, delay_s: float, sleep: Sleep
) -> AsyncIterator[bytes]:
    """Server-sent events, one by one, ``delay_s`` apart."""
    squeeze = zlib.compressobj(wbits=31) if framing.gzip else None
    for i, item in enumerate(items):
        if isinstance(item, Cut):
            raise ConnectionCutError
        if isinstance(item, Pause):
            await sleep(item.seconds)
            continue
        if i and delay_s:
            await sleep(delay_s)
        data = item if isinstance(item, bytes) else event(item, framing)
        if squeeze is not None:
            data = squeeze.compress(data) + squeeze.flush(zlib.Z_SYNC_FLUSH)
        for piece in _split(data, framing.split_bytes):
            yield piece
    if squeeze is not None:
        yield squeeze.flush()


def event(value: Json, framing: Framing | None = None) -> bytes:
    """One event; Google's end of line is CRLF on one door and LF on the other."""
    framing = framing or Framing()
    text = json.dumps(value, ensure_ascii=False, indent=2 if framing.multiline else None)
    lines = [f"data: {line}" for line in text.split("\n")]
    if framing.comments:
        lines = [": keep-alive", "id: 1", *lines]
    return (framing.newline.join(lines) + framing.newline * 2).encode()


def _split(data: bytes, size: int) -> list[bytes]:
    if not size:
        return [data]
    return [data[i : i + size] for i in range(0, len(data), size)]


async def encode_array(
    items: Iterable[Item], *, delay_s: float, sleep: Sleep
) -> AsyncIterator[bytes]:
    """What ``streamGenerateContent`` sends without ``alt=sse``: one JSON array, piece by piece."""
    opened = False
    for item in items:
        if isinstance(item, dict):
            if opened and delay_s:
                await sleep(delay_s)
            text = json.dumps(item, indent=2, ensure_ascii=False)
            yield f"{',' if opened else '['}{text}\n".encode()
            opened = True
    yield b"]"
