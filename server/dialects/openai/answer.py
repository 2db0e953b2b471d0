"""What OpenAI's answers have in common: chunks, usage, finish reasons, citations.

A *choice* turns the events of one answer into pieces and keeps what they add up to, so that the
unary response is the fold of the stream by construction. Source: OpenAI API reference, *The chat
completion chunk object* and *Streaming*.
"""

import base64
import re
import time
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import Protocol

from server.dialects.openai.errors import error_body
from server.errors import ProxyError
from server.gemini.events import Code, Event, UsageSeen
from server.gemini.types import Call, Json, Usage, new_id
from server.json_codec import dumps
from server.sse import comment, frame

_DONE = frame(b"[DONE]")
_KEEP_ALIVE = comment("keep-alive")

_FILTERED = re.compile(
    "SAFETY|RECITATION|BLOCKLIST|PROHIBITED_CONTENT|SPII|LANGUAGE|MODEL_ARMOR|ESCALATION"
    "|BLOCKED|NO_IMAGE|IMAGE_.*"
)
"""Gemini's finish reasons that mean: Google withheld content."""


def dump(value: object) -> bytes:
    """Compact JSON in UTF-8; half of a surrogate pair, which UTF-8 cannot hold, becomes ``?``."""
    return dumps(value)


def finish_reason(reason: str, *, called: bool) -> str:
    """Gemini's finish reason in OpenAI's words; ``called`` says whether tools were called.

    An answer that met its limit is told as cut, calls or not: what else it wanted is unknown.
    Only OpenAI's own literals leave here (strict clients refuse others); the open rest of Gemini's
    set is a normal end.
    """
    if _FILTERED.fullmatch(reason):
        return "content_filter"
    if reason == "MAX_TOKENS":
        return "length"
    return "tool_calls" if called else "stop"


def usage_body(usage: Usage) -> Json:
    """Tokens as OpenAI counts them: reasoning is a part of the completion."""
    return {
        "prompt_tokens": usage.prompt_tokens,
        "completion_tokens": usage.output_tokens,
        "total_tokens": usage.total_tokens,
        "prompt_tokens_details": {"cached_tokens": usage.cached_tokens},
        "completion_tokens_details": {"reasoning_tokens": usage.thoughts_tokens},
    }


def fenced(code: Code, before: str) -> str:
    """Code, or what it printed, as a Markdown block to follow the text ``before``."""
    fence = "````" if "```" in code.text else "```"
    lead = "\n" if before and not before.endswith("\n") else ""
    return f"{lead}{fence}{code.language or ''}\n{code.text.rstrip()}\n{fence}\n"


def joined(pieces: Sequence[str]) -> str:
    """Base64 of all that the ``pieces`` hold, each of which is base64 of its own."""
    if len(pieces) == 1:
        return pieces[0]
    return base64.b64encode(b"".join(map(base64.b64decode, pieces))).decode()


def citations(metadata: Json, text: str) -> list[Json]:
    """The sources in ``groundingMetadata``: ``{start_index, end_index, title, url}`` each.

    Gemini counts UTF-8 bytes, OpenAI characters. Sources without a place in the text stand for all
    of it; a place that does not exist in the text is left out.
    """
    sources = [_source(chunk) for chunk in _dicts(metadata.get("groundingChunks"))]
    supports = _dicts(metadata.get("groundingSupports"))
    if not supports:
        return [_citation(0, len(text), source) for source in sources if source]
    data = text.encode("utf-8", "replace")
    return [
        _citation(*span, source)
        for support in supports
        if (span := _span(support.get("segment"), text, data))
        for source in _picked(sources, support.get("groundingChunkIndices"))
    ]


def _citation(start: int, end: int, source: Json) -> Json:
    return {"start_index": start, "end_index": end, **source}


def _source(chunk: Json) -> Json | None:
    """Title and address of one ``groundingChunks`` entry (``web`` or ``retrievedContext``)."""
    place = chunk.get("web") or chunk.get("retrievedContext")
    if not isinstance(place, dict) or not isinstance(place.get("uri"), str):
        return None
    return {"title": str(place.get("title") or place["uri"]), "url": place["uri"]}


def _picked(sources: list[Json | None], indices: object) -> Iterator[Json]:
    for index in indices if isinstance(indices, list) else ():
        if isinstance(index, int) and 0 <= index < len(sources):
            source = sources[index]
            if source is not None:
                yield source


def _span(segment: object, text: str, data: bytes) -> tuple[int, int] | None:
    """Where a segment stands in ``text``, in characters; ``data`` is the same text in bytes.

    The offsets count from the start of one part, so the segment's own text has the last word.
    """
    if not isinstance(segment, dict):
        return None
    start, end = segment.get("startIndex", 0), segment.get("endIndex", 0)
    quoted = segment.get("text")
    if isinstance(start, int) and isinstance(end, int) and 0 <= start < end <= len(data):
        first = len(data[:start].decode("utf-8", "ignore"))
        found = data[start:end].decode("utf-8", "ignore")
        if quoted in (None, "", found):
            return first, first + len(found)
    if isinstance(quoted, str) and quoted:
        first = text.find(quoted)
        return (first, first + len(quoted)) if first >= 0 else None
    return None


def _dicts(value: object) -> list[Json]:
    return [item for item in value if isinstance(item, dict)] if isinstance(value, list) else []


Piece = str | Json
"""What one event adds to a choice: text, or all that its chunk says beside ``index``."""


class Choice(Protocol):
    """One answer as it grows."""

    def feed(self, event: Event) -> Iterable[Piece]:
        """The pieces to stream for ``event``."""
        ...

    def whole(self) -> Json:
        """What the unary response says of this choice, beside ``index``."""
        ...


@dataclass(frozen=True, slots=True)
class Shape:
    """How one endpoint words its answer."""

    id_prefix: str
    whole: str
    """``object`` of the unary response."""
    chunk: str
    """``object`` of a chunk."""
    text: tuple[bytes, bytes]
    """The JSON around a piece of text, from behind ``"index":0,`` to the end of the choice."""
    choice: Callable[[Call], Choice]


class Answer:
    """All choices of one call: a ``StreamEncoder``, and the unary response it adds up to."""

    media_type = "text/event-stream"

    def __init__(self, call: Call, shape: Shape, *, include_usage: bool) -> None:
        self._call = call
        self._shape = shape
        self._include_usage = include_usage
        self._top = {
            "id": new_id(shape.id_prefix),
            "created": int(time.time()),
            "model": call.model,
        }
        # Most frames carry one piece of text: everything around it is built once per stream.
        self._tail = b'],"usage":null}' if include_usage else b"]}"
        self._text_end = shape.text[1] + self._tail
        self._starts: dict[int, bytes] = {}
        self._choices: dict[int, Choice] = {}
        self._usage: dict[int, Usage] = {}

    def feed(self, event: Event) -> bytes:
        pieces = self._pieces(event)
        if not pieces:
            return b""
        start = self._start(event.choice)
        return b"".join([self._frame(start, piece) for piece in pieces])

    def finish(self) -> bytes:
        if not self._include_usage:
            return _DONE
        chunk = {
            "object": self._shape.chunk,
            **self._top,
            "choices": [],
            "usage": usage_body(self._total()),
        }
        return frame(dump(chunk)) + _DONE

    def fail(self, error: ProxyError) -> bytes:
        """An error frame; no finish and no ``[DONE]`` follow, so nobody takes it for an end."""
        return frame(dump(error_body(error)))

    def keep_alive(self) -> bytes:
        return _KEEP_ALIVE

    def fold(self, events: Iterable[Event]) -> Json:
        """The unary response: what the stream of the same events adds up to."""
        for event in events:
            self._pieces(event)
        return {
            "object": self._shape.whole,
            **self._top,
            "choices": [
                {"index": index, **choice.whole()}
                for index, choice in sorted(self._choices.items())
            ],
            "usage": usage_body(self._total()),
        }

    def _pieces(self, event: Event) -> list[Piece]:
        """What one event adds to its choice."""
        if isinstance(event, UsageSeen):
            self._usage[event.choice] = event.usage
        choice = self._choices.get(event.choice)
        if choice is None:
            choice = self._choices[event.choice] = self._shape.choice(self._call)
        return list(choice.feed(event))

    def _start(self, index: int) -> bytes:
        """The beginning of every frame of one choice."""
        if index not in self._starts:
            head = dump({"object": self._shape.chunk, **self._top})[:-1]
            self._starts[index] = head + b',"choices":[{"index":%d,' % index
        return self._starts[index]

    def _frame(self, start: bytes, piece: Piece) -> bytes:
        if isinstance(piece, str):
            return frame(b"".join((start, self._shape.text[0], dump(piece), self._text_end)))
        return frame(b"".join((start, dump(piece)[1:], self._tail)))

    def _total(self) -> Usage:
        """Each choice was a request of its own, with a cumulative count of its own."""
        return sum(self._usage.values(), Usage())
