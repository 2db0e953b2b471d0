"""One request sent upstream: its chunks read, filtered and, at the end, judged."""

import asyncio
from collections.abc import AsyncGenerator, Iterable, Sequence
from contextlib import aclosing
from dataclasses import dataclass, field
from itertools import chain

from server.core.request_record import Exchange
from server.errors import BrokenAnswerError
from server.gemini.estimate import estimate_tokens
from server.gemini.events import (
    VISIBLE,
    Event,
    EventReader,
    FunctionCall,
    RawChunk,
    TextDelta,
    TextSignature,
    ThoughtDelta,
    UsageSeen,
)
from server.gemini.fence import FenceFilter
from server.gemini.limit import LimitCutter
from server.gemini.served import ModelStatus
from server.gemini.signatures import StoredSignature, text_digest
from server.gemini.stop import StopMatcher
from server.gemini.types import Call, Chunk, GenerateRequest, Json, Usage
from server.storage.signatures import SignatureStore
from server.upstreams.base import Outgoing, Upstream

BROKEN_FINISHES = frozenset(
    {
        "MALFORMED_FUNCTION_CALL",
        "UNEXPECTED_TOOL_CALL",
        "TOO_MANY_TOOL_CALLS",
        "MALFORMED_RESPONSE",
        "MISSING_THOUGHT_SIGNATURE",
    }
)
"""Ends that are no answer (contract section 4, *How streams end*)."""

_CONTENT = (*VISIBLE, ThoughtDelta)


@dataclass(slots=True)
class Attempt:
    """Reads one upstream answer for one choice of a call."""

    call: Call
    out: Outgoing
    exchange: Exchange
    choice: int
    signatures: SignatureStore
    accept_empty: bool = False
    """An answer without any part is asked for again once, then passed on as what it is."""
    _text: list[str] = field(default_factory=list)
    _output_chars: int = 0
    _spoke: bool = False
    """Whether the answer has said anything yet."""
    _limit: LimitCutter | None = field(init=False)
    _fence: FenceFilter | None = field(init=False)
    _number: int = field(init=False)
    """Of the request sent upstream; its usage is kept under it."""
    _calls: int = 0
    _reader: EventReader = field(init=False)

    def __post_init__(self) -> None:
        self._number = self.exchange.attempts
        names, prefix = self.call.tool_names, self.call.id_prefix
        self._reader = EventReader(names, prefix, self.out.model, self.choice)
        self._limit = self._fence = None
        if self.call.verbatim:
            return
        asked, sent = _config(self.call.request), _config(self.out.request)
        limit = asked.get("maxOutputTokens")
        if limit is not None and sent.get("maxOutputTokens", 0) > limit:
            self._limit = LimitCutter(limit)
        if asked.get("responseMimeType") == "application/json":
            self._fence = FenceFilter()

    @property
    def answered_by(self) -> str:
        """The model that answered, where it was another than the one asked; else empty."""
        model = self._reader.model or ""
        return "" if model == self.out.model else model

    @property
    def status(self) -> ModelStatus | None:
        """What Google said of the model's stage in life."""
        return self._reader.status

    async def events(self, upstream: Upstream) -> AsyncGenerator[Sequence[Event], None]:
        """Batches for the client, the last one with ``Finish``.

        Nothing is yielded before there is content or a proper end, so that an attempt which yields
        nothing can be repeated unseen. Raises ``ProxyError``.
        """
        reader, matcher = self._reader, StopMatcher(self.call.stop)
        held: list[Event] = []
        try:
            async with aclosing(upstream.generate(self.out)) as reads:
                async for chunks in reads:
                    held += matcher.feed(self._read(chunks))
                    if any(map(_has_content, held)) and not _ends_badly(reader):
                        yield held
                        held = []
                    if matcher.done or self._cut:
                        break
        except BaseException as reason:
            left = isinstance(reason, asyncio.CancelledError | GeneratorExit)
            if (left or self._spoke) and not reader.saw_usage:
                self._estimate()  # Google bills what it was asked and what it had said
            raise
        if not matcher.done and not self._cut:
            self._judge(reader)
        last = self._noted(self._filtered([reader.finish()]))
        if not reader.saw_usage:
            last.insert(-1, self._estimate())
        yield held + matcher.feed(last)

    def _read(self, chunks: Sequence[Chunk]) -> Sequence[Event]:
        """What the client gets of ``chunks``: their events, or themselves."""
        if self._limit is None and self._fence is None:
            events: Iterable[Event] = self._reader.read(chunks)
        else:
            apart = [chunks] if self._limit is None else [[chunk] for chunk in chunks]
            events = self._filtered(map(self._reader.read, apart))
        passed: Sequence[Event] = self._noted(events)
        if self._reader.model != self.out.model:
            self.exchange.served = self.answered_by or self.exchange.served
        if self.call.verbatim:
            passed = [RawChunk(chunk, self.choice) for chunk in chunks]
        self._spoke = self._spoke or any(map(_has_content, passed))
        return passed

    @property
    def _cut(self) -> bool:
        """The client's own limit was met inside the room that was sent on top."""
        return self._limit is not None and self._limit.done

    def _filtered(self, batches: Iterable[list[Event]]) -> Iterable[Event]:
        """The events without what is beyond the client's limit, and without a fence around JSON.
        With a limit, a batch is a chunk."""
        if self._limit is not None:
            batches = map(self._limit.feed, batches)
        events = chain.from_iterable(batches)
        return events if self._fence is None else self._fence.feed(events)

    def _noted(self, events: Iterable[Event]) -> list[Event]:
        """The events to pass on; usage, text and signatures are noted on the way."""
        passed: list[Event] = []
        for event in events:
            match event:
                case UsageSeen():
                    self.exchange.usage_by_request[self._number] = event.usage
                case TextDelta() | ThoughtDelta():
                    self._output_chars += len(event.text)
                    if isinstance(event, TextDelta):
                        self._text.append(event.text)
                case FunctionCall():
                    self._calls += 1
                    if self._calls > 1 and not self.call.parallel_tool_calls:
                        continue
                    self._keep_call(event)
                case TextSignature():
                    stored = StoredSignature(self._signer, event.signature, None)
                    self.signatures.keep_text(text_digest("".join(self._text)), stored)
            passed.append(event)
        return passed

    @property
    def _signer(self) -> str:
        """Whose signatures these are: the model's that answered, or is known to answer."""
        return self.answered_by or self.out.answering or self.out.model

    def _keep_call(self, event: FunctionCall) -> None:
        self._output_chars += len(event.name) + len(str(event.args))
        known_as = event.upstream_id if self.call.verbatim else event.id
        if known_as and (event.signature or event.upstream_id):
            stored = StoredSignature(self._signer, event.signature, event.upstream_id)
            self.signatures.keep_call(known_as, stored)

    def _judge(self, reader: EventReader) -> None:
        """Raise ``BrokenAnswerError`` unless this is an end a client may see as one."""
        reason = reader.finish_reason
        if reason is None:
            raise BrokenAnswerError(
                "The model's answer broke off before its end. Please send the request again.",
                code="stream_cut",
            )
        if _ends_badly(reader):
            raise BrokenAnswerError(
                f"The model ended its answer with {reason}. Please send the request again.",
                code=reason.lower(),
            )
        if reason == "STOP" and not self._spoke and not self.accept_empty:
            raise BrokenAnswerError("The model gave an empty answer.", code="empty_answer")

    def _estimate(self) -> UsageSeen:
        """Usage from counting characters, because upstream sent none."""
        usage = Usage(
            prompt_tokens=estimate_tokens(self.out.request),
            candidates_tokens=-(-self._output_chars // 4),
            estimated=True,
        )
        self.exchange.usage_by_request[self._number] = usage
        return UsageSeen(usage, self.choice)


def _config(request: GenerateRequest) -> Json:
    config: object = request.get("generationConfig")
    return config if isinstance(config, dict) else {}


def _has_content(event: Event) -> bool:
    return event.has_content if isinstance(event, RawChunk) else isinstance(event, _CONTENT)


def _ends_badly(reader: EventReader) -> bool:
    """Whether the answer has ended, as far as it was read, in a way that is no end. Of several
    candidates one good one is enough."""
    ends = reader.ends.values()
    broken = all(end in BROKEN_FINISHES or end == "OTHER" for end in ends)
    return bool(ends) and broken and not ("OTHER" in ends and reader.saw_visible)
