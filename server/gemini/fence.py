"""The Markdown fence that models like to put around an answer that is to be JSON."""

import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, replace

from server.gemini.events import Code, Event, Finish, FunctionCall, InlineData, TextDelta

_MAYBE_FENCE = re.compile(r"\s*(`{0,2}|```[A-Za-z]*\s*)")
_FENCE = re.compile(r"\s*```[A-Za-z]*\s*(?=[^\sA-Za-z`])")
_FENCE_END = "` \t\r\n"


@dataclass(slots=True)
class FenceFilter:
    """Takes the fence off a text that comes in pieces; other text passes unchanged.

    Held back are only a beginning that may still become a fence, and an end that may be one; both
    go, or are dropped, before whatever is no text.
    """

    _held: str = ""
    _fenced: bool | None = None

    def feed(self, events: Iterable[Event]) -> list[Event]:
        """The events to pass on."""
        return [passed for event in events for passed in self._passed(event)]

    def _passed(self, event: Event) -> Iterator[Event]:
        match event:
            case TextDelta():
                if text := self._certain(event.text):
                    yield replace(event, text=text)
            case FunctionCall() | InlineData() | Code() | Finish():
                if self._held and not self._fenced:
                    yield TextDelta(self._held, event.choice)
                self._held, self._fenced = "", None
                yield event
            case _:
                yield event

    def _certain(self, text: str) -> str:
        """What of the text so far is certain and was not given out yet."""
        text = self._held + text
        if self._fenced is None:
            if _MAYBE_FENCE.fullmatch(text):
                self._held = text
                return ""
            opening = _FENCE.match(text)
            self._fenced = opening is not None
            text = text[opening.end() :] if opening else text
        if not self._fenced:
            self._held = ""
            return text
        certain = len(text.rstrip(_FENCE_END))
        self._held = text[certain:]
        return text[:certain]
