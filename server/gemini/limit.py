"""The client's own output limit, where room for thoughts was sent on top of it.

Gemini counts thoughts inside ``maxOutputTokens``; ``fit`` adds room for those a client did not ask
for. The text that is seen must not use that room: it is cut by Google's own count.
"""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass, replace

from server.gemini.events import (
    Code,
    Event,
    Finish,
    FunctionCall,
    InlineData,
    TextDelta,
    UsageSeen,
)
from server.json_codec import dumps


@dataclass(slots=True)
class LimitCutter:
    """Cuts one answer where its visible tokens pass ``most_tokens``.

    What came since the last count is cut in proportion to its characters; without a count nothing
    is. A tool call is whole or absent.
    """

    most_tokens: int
    done: bool = False
    """The limit was passed: nothing more of this answer is wanted."""
    _counted_tokens: int = 0
    _passed_chars: int = 0
    """Characters passed on since that count."""

    def feed(self, events: Iterable[Event]) -> list[Event]:
        """The events to pass on of those of one chunk."""
        of_chunk = list(events)
        if self.done:
            return [*self._rest(of_chunk)]
        count, chars = 0, self._passed_chars
        for event in of_chunk:
            if type(event) is TextDelta:  # most by far
                chars += len(event.text)
            elif isinstance(event, UsageSeen):
                count = event.usage.candidates_tokens
            else:
                chars += _chars(event)
        if count > self.most_tokens:
            left_tokens = self.most_tokens - self._counted_tokens
            span_tokens = count - self._counted_tokens
            room = -(-chars * left_tokens // span_tokens) - self._passed_chars
            return [*self._cut(of_chunk, room)]
        self._passed_chars = 0 if count else chars
        self._counted_tokens = count or self._counted_tokens
        return of_chunk

    def _cut(self, events: Iterable[Event], room_chars: int) -> Iterator[Event]:
        """What fits into ``room_chars``, and nothing behind it that says something."""
        self.done = True
        for event in events:
            if not _chars(event):
                yield from self._rest([event])
            elif isinstance(event, TextDelta) and room_chars > 0:
                yield replace(event, text=event.text[:room_chars])
            elif room_chars > 0:
                yield event
            room_chars -= _chars(event)

    def _rest(self, events: Iterable[Event]) -> Iterator[Event]:
        for event in events:
            if isinstance(event, Finish):
                yield replace(event, reason="MAX_TOKENS", detail=None)
            elif isinstance(event, UsageSeen):
                yield event


def _chars(event: Event) -> int:
    """Characters that Google counts as the answer."""
    match event:
        case TextDelta() | Code():
            return len(event.text)
        case FunctionCall():
            return len(event.name) + len(dumps(event.args))
        case InlineData():
            return 1
        case _:
            return 0
