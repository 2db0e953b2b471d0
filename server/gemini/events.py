"""What a chunk says: text, thought, function call, finish.

``EventReader`` turns the chunks of one upstream answer into events. It is the only place that reads
candidates, so every dialect sees the same answer the same way.
"""

import re
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from functools import cache
from typing import Any

from server.gemini.names import ToolNames
from server.gemini.served import ModelStatus, read_status, served_id
from server.gemini.types import Chunk, Json, Usage, new_id


@dataclass(frozen=True, slots=True)
class TextDelta:
    text: str
    choice: int = 0


@dataclass(frozen=True, slots=True)
class ThoughtDelta:
    """A piece of the model's thought summary."""

    text: str
    choice: int = 0


@dataclass(frozen=True, slots=True)
class FunctionCall:
    """One complete call; Gemini sends the arguments whole."""

    id: str
    """Minted by us: unique for ever, in the dialect's own form."""
    name: str
    """The client's own name for the tool."""
    args: Json
    signature: str | None = None
    model: str | None = None
    """The upstream model id that issued the signature."""
    upstream_id: str | None = None
    choice: int = 0


@dataclass(frozen=True, slots=True)
class TextSignature:
    """A thought signature that belongs to the text of this answer, not to a function call."""

    signature: str
    choice: int = 0


@dataclass(frozen=True, slots=True)
class InlineData:
    """An image or sound made by the model; ``data`` is base64."""

    mime_type: str
    data: str
    choice: int = 0


@dataclass(frozen=True, slots=True)
class Code:
    """Code the model ran with Google's code tool, or (``language`` None) what it printed."""

    text: str
    language: str | None = None
    choice: int = 0


@dataclass(frozen=True, slots=True)
class Grounding:
    """``groundingMetadata`` of a search-backed answer, as received."""

    metadata: Json
    choice: int = 0


@dataclass(frozen=True, slots=True)
class UsageSeen:
    """Cumulative usage of the answer so far; the last one counts."""

    usage: Usage
    choice: int = 0


@dataclass(frozen=True, slots=True)
class Finish:
    """The end of one answer. Emitted once per choice, after everything else."""

    reason: str
    """Gemini's ``finishReason``; ``STOP_SEQUENCE`` when one of ours matched; ``BLOCKED`` when the
    prompt was refused (``detail`` is then the ``blockReason``)."""
    detail: str | None = None
    """``finishMessage``, the block reason, or the stop sequence that was hit."""
    model_version: str | None = None
    choice: int = 0


@dataclass(frozen=True, slots=True)
class RawChunk:
    """A chunk as upstream sent it, in place of the events it holds: what a client reads that speaks
    Gemini's own JSON."""

    chunk: Chunk
    choice: int = 0

    @property
    def has_content(self) -> bool:
        """Whether any part says something; a part of a kind unknown to us does."""
        contents = [candidate.get("content") for candidate in _dicts(self.chunk.get("candidates"))]
        parts = [part for content in _dicts(contents) for part in _dicts(content.get("parts"))]
        return any(part[key] for part in parts for key in part if key not in _NOTES)


_MOST_TOKENS = 10**9
"""A count beyond this is no count."""

_OF_MOST_CHUNKS = frozenset(
    {"candidates", "usageMetadata", "modelVersion", "responseId", "createTime"}
)
_OF_MOST_CANDIDATES = frozenset({"content", "index"})
"""Fields that say nothing of an end or of sources: nearly every chunk has no others."""

_NOTES = frozenset({"thought", "thoughtSignature", "thought_signature"})
"""Fields of a part that say something about it."""

Event = (
    TextDelta
    | ThoughtDelta
    | FunctionCall
    | TextSignature
    | InlineData
    | Code
    | Grounding
    | UsageSeen
    | RawChunk
    | Finish
)

VISIBLE = (TextDelta, FunctionCall, InlineData, Code)
"""Events that are an answer; thoughts and bookkeeping are not."""


def read_usage(metadata: Json) -> Usage:
    """``usageMetadata`` as ``Usage``; absent counts are 0."""

    def count(name: str) -> int:
        value = _field(metadata, name)
        return value if isinstance(value, int) and 0 < value <= _MOST_TOKENS else 0

    prompt = count("promptTokenCount") + count("toolUsePromptTokenCount")
    candidates, thoughts = count("candidatesTokenCount"), count("thoughtsTokenCount")
    if _field(metadata, "candidatesTokenCount") is None:
        candidates = max(0, count("totalTokenCount") - prompt - thoughts)
    return Usage(prompt, min(count("cachedContentTokenCount"), prompt), candidates, thoughts)


@dataclass(slots=True)
class EventReader:
    """Reads the chunks of one answer. ``finish()`` is called once, at a clean end of stream.

    Gemini may repeat ``finishReason`` in several chunks, so the end is told at the end only.
    """

    tool_names: ToolNames
    id_prefix: str = "call_"
    model: str | None = None
    """The id asked for; once the answer names another, that one."""
    choice: int = 0
    status: ModelStatus | None = None
    finish_reason: str | None = None
    ends: dict[int, str] = field(default_factory=dict)
    """Candidate -> its finish reason; a client's own request may ask for several."""
    saw_call: bool = False
    saw_visible: bool = False
    saw_thought: bool = False
    saw_usage: bool = False
    _seen: Json | None = None
    """The last usage metadata."""
    _usage: Json = field(default_factory=dict)
    """All of them, the later over the earlier: the last may lack what an earlier one counted."""
    _detail: str | None = None
    _version: str | None = None
    _asked: str | None = field(init=False)
    _pending_signature: str | None = None
    _pending_is_of_text: bool = False

    def __post_init__(self) -> None:
        self._asked = self.model

    def read(self, chunks: Iterable[Chunk]) -> list[Event]:
        """The events of ``chunks``, in order; unknown parts are skipped, never an error.

        A chunk's usage comes before its content: dialects tell the input size first. Usage that
        only repeats the last is no news.
        """
        events: list[Event] = []
        for chunk in chunks:
            usual = _OF_MOST_CHUNKS.issuperset(chunk)
            if not usual or chunk.get("modelVersion") != self._version:
                self._read_model(chunk)
            usage = _field(chunk, "usageMetadata")
            if isinstance(usage, dict):
                self.saw_usage = True
                if usage != self._seen:
                    self._seen = usage
                    self._usage |= {k: v for k, v in usage.items() if v is not None}
                    events.append(UsageSeen(read_usage(self._usage), self.choice))
            for candidate in _dicts(chunk.get("candidates")):
                events.extend(self._candidate(candidate))
            if not usual:
                self._read_feedback(chunk)
        return events

    def _read_feedback(self, chunk: Chunk) -> None:
        feedback = _field(chunk, "promptFeedback")
        if isinstance(feedback, dict) and (blocked := _field(feedback, "blockReason")):
            self.finish_reason = self.ends[0] = "BLOCKED"
            self._detail = str(blocked)

    def _read_model(self, chunk: Chunk) -> None:
        version = _field(chunk, "modelVersion")
        if isinstance(version, str) and version != self._version:
            self._version = version
            if self._asked is not None:
                self.model = served_id(version, self._asked)
        if (status := chunk.get("modelStatus")) is not None:
            self.status = read_status(status) or self.status

    def finish(self) -> list[Event]:
        """The last events of the answer: a signature still owed to the text, and ``Finish``."""
        events: list[Event] = []
        if self._pending_signature is not None and not self.saw_call:
            events.append(TextSignature(self._pending_signature, self.choice))
        reason = self.finish_reason or "STOP"
        # The answer has more to say than one request may hold: for a client it is cut.
        reason = "MAX_TOKENS" if reason == "CONTINUATION" else reason
        events.append(Finish(reason, self._detail, self._version, self.choice))
        return events

    def _candidate(self, candidate: Json) -> Iterator[Event]:
        content = candidate.get("content")
        for part in _dicts(content.get("parts") if isinstance(content, dict) else None):
            yield from self._part(part)
        if _OF_MOST_CANDIDATES.issuperset(candidate):
            return
        grounding = _field(candidate, "groundingMetadata")
        if isinstance(grounding, dict) and grounding:
            yield Grounding(grounding, self.choice)
        reason = _field(candidate, "finishReason")
        if isinstance(reason, str) and reason and reason != "FINISH_REASON_UNSPECIFIED":
            self.finish_reason = reason
            index = candidate.get("index", 0)
            self.ends[index if isinstance(index, int) else 0] = reason
            message = _field(candidate, "finishMessage")
            self._detail = message if isinstance(message, str) else None

    def _part(self, part: Json) -> Iterator[Event]:
        if len(part) == 1 and isinstance(part.get("text"), str):  # most parts by far
            yield from self._text(part["text"], thought=False)
            return
        signature = _field(part, "thoughtSignature")
        call = _field(part, "functionCall")
        if isinstance(call, dict) and call.get("name"):
            yield self._call(call, signature if isinstance(signature, str) else None)
            return
        text = part.get("text")
        if isinstance(signature, str):
            self._pending_signature = signature
            self._pending_is_of_text = bool(text) and part.get("thought") is not True
        if isinstance(text, str):
            yield from self._text(text, thought=part.get("thought") is True)
            return
        yield from self._other(part)

    def _call(self, call: Json, signature: str | None) -> FunctionCall:
        # Code Assist may put a step's signature on an empty thought part before the call; one on
        # visible text (2.5 signs its first part, whatever it is) is not the call's.
        if signature is None and not self.saw_call and not self._pending_is_of_text:
            signature = self._pending_signature
        self._pending_signature = None
        self.saw_call = self.saw_visible = True
        args, upstream_id = call.get("args"), call.get("id")
        return FunctionCall(
            id=new_id(self.id_prefix),
            name=self.tool_names.client(str(call["name"])),
            args=args if isinstance(args, dict) else {},
            signature=signature,
            model=self.model,
            upstream_id=upstream_id if isinstance(upstream_id, str) and upstream_id else None,
            choice=self.choice,
        )

    def _text(self, text: str, *, thought: bool) -> Iterator[Event]:
        if not text:
            return
        if thought:
            self.saw_thought = True
            yield ThoughtDelta(text, self.choice)
        else:
            self.saw_visible = True
            yield TextDelta(text, self.choice)

    def _other(self, part: Json) -> Iterator[Event]:
        data = _field(part, "inlineData")
        code, result = _field(part, "executableCode"), _field(part, "codeExecutionResult")
        if isinstance(data, dict):
            mime = _field(data, "mimeType") or "application/octet-stream"
            event: Event = InlineData(str(mime), str(data.get("data", "")), self.choice)
        elif isinstance(code, dict):
            language = str(code.get("language", "")).lower()
            event = Code(str(code.get("code", "")), language, self.choice)
        elif isinstance(result, dict):
            event = Code(str(result.get("output", "")), None, self.choice)
        else:
            return
        self.saw_visible = True
        yield event


def _field(holder: Mapping[str, object], name: str) -> Any:
    """The wire's field ``name``, which some back ends spell in snake_case."""
    value = holder.get(name)
    return holder.get(_snake(name)) if value is None else value


@cache
def _snake(name: str) -> str:
    return re.sub(r"[A-Z]", lambda letter: "_" + letter[0].lower(), name)


def _dicts(value: object) -> list[Json]:
    return [item for item in value if isinstance(item, dict)] if isinstance(value, list) else []
