"""What a chunk says: text, thought, function call, finish.

``EventReader`` turns the chunks of one upstream answer into events. It is the only place that reads
candidates, so every dialect sees the same answer the same way.
"""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass

from server.gemini.names import ToolNames
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


Event = (
    TextDelta
    | ThoughtDelta
    | FunctionCall
    | TextSignature
    | InlineData
    | Code
    | Grounding
    | UsageSeen
    | Finish
)

VISIBLE = (TextDelta, FunctionCall, InlineData, Code)
"""Events that are an answer; thoughts and bookkeeping are not."""


def read_usage(metadata: Json) -> Usage:
    """``usageMetadata`` as ``Usage``; absent counts are 0."""

    def count(name: str) -> int:
        value = metadata.get(name)
        return value if isinstance(value, int) and value > 0 else 0

    prompt = count("promptTokenCount") + count("toolUsePromptTokenCount")
    candidates, thoughts = count("candidatesTokenCount"), count("thoughtsTokenCount")
    if not candidates and "candidatesTokenCount" not in metadata:
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
    choice: int = 0
    finish_reason: str | None = None
    saw_call: bool = False
    saw_visible: bool = False
    saw_thought: bool = False
    saw_usage: bool = False
    _detail: str | None = None
    _version: str | None = None
    _pending_signature: str | None = None

    def read(self, chunks: Iterable[Chunk]) -> list[Event]:
        """The events of ``chunks``, in order; unknown parts are skipped, never an error."""
        events: list[Event] = []
        for chunk in chunks:
            self._version = chunk.get("modelVersion", self._version)
            for candidate in _dicts(chunk.get("candidates")):
                events.extend(self._candidate(candidate))
            feedback = chunk.get("promptFeedback")
            if isinstance(feedback, dict) and feedback.get("blockReason"):
                self.finish_reason = "BLOCKED"
                self._detail = str(feedback["blockReason"])
            usage = chunk.get("usageMetadata") or chunk.get("usage_metadata")
            if isinstance(usage, dict):
                self.saw_usage = True
                events.append(UsageSeen(read_usage(usage), self.choice))
        return events

    def finish(self) -> list[Event]:
        """The last events of the answer: a signature still owed to the text, and ``Finish``."""
        events: list[Event] = []
        if self._pending_signature is not None and not self.saw_call:
            events.append(TextSignature(self._pending_signature, self.choice))
        reason = self.finish_reason or "STOP"
        events.append(Finish(reason, self._detail, self._version, self.choice))
        return events

    def _candidate(self, candidate: Json) -> Iterator[Event]:
        content = candidate.get("content")
        for part in _dicts(content.get("parts") if isinstance(content, dict) else None):
            yield from self._part(part)
        grounding = candidate.get("groundingMetadata")
        if isinstance(grounding, dict) and grounding:
            yield Grounding(grounding, self.choice)
        reason = candidate.get("finishReason")
        if isinstance(reason, str) and reason and reason != "FINISH_REASON_UNSPECIFIED":
            self.finish_reason = reason
            message = candidate.get("finishMessage")
            self._detail = message if isinstance(message, str) else None

    def _part(self, part: Json) -> Iterator[Event]:
        signature = part.get("thoughtSignature") or part.get("thought_signature")
        call = part.get("functionCall") or part.get("function_call")
        if isinstance(call, dict):
            yield self._call(call, signature if isinstance(signature, str) else None)
            return
        if isinstance(signature, str):
            self._pending_signature = signature
        text = part.get("text")
        if isinstance(text, str):
            yield from self._text(text, thought=part.get("thought") is True)
            return
        yield from self._other(part)

    def _call(self, call: Json, signature: str | None) -> FunctionCall:
        # Code Assist may put a step's signature on an empty thought part before the call.
        if signature is None and not self.saw_call:
            signature = self._pending_signature
        self._pending_signature = None
        self.saw_call = self.saw_visible = True
        args, upstream_id = call.get("args"), call.get("id")
        return FunctionCall(
            id=new_id(self.id_prefix),
            name=self.tool_names.client(str(call.get("name", ""))),
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
        data = part.get("inlineData") or part.get("inline_data")
        code, result = part.get("executableCode"), part.get("codeExecutionResult")
        if isinstance(data, dict):
            mime = data.get("mimeType") or data.get("mime_type") or "application/octet-stream"
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


def _dicts(value: object) -> list[Json]:
    return [item for item in value if isinstance(item, dict)] if isinstance(value, list) else []
