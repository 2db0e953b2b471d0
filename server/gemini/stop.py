"""Stop sequences matched by us, because Gemini does not say which one it hit."""

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, replace

from server.gemini.events import Event, Finish, TextDelta, UsageSeen


@dataclass(slots=True)
class StopMatcher:
    """Cuts the text of one answer before the first stop sequence in it.

    The sequence that is complete first wins, the longer one when two end together: just where a
    model that knew them would have stopped. However the text is split, the result is the same.
    """

    sequences: Sequence[str]
    hit: str | None = None
    """The sequence that was found."""
    _held: str = ""
    """Text that may turn out to be the beginning of a sequence."""
    _beginnings: frozenset[str] = frozenset()
    """Everything a sequence may begin with; as many as its characters (``limits.STOP_CHARS``)."""
    _longest: int = 0

    def __post_init__(self) -> None:
        self._beginnings = frozenset(s[:n] for s in self.sequences for n in range(1, len(s)))
        self._longest = max(map(len, self._beginnings), default=0)

    @property
    def done(self) -> bool:
        """Nothing more of this answer is wanted."""
        return self.hit is not None

    def feed(self, events: Iterable[Event]) -> list[Event]:
        """The events to pass on; after a hit only usage and the end."""
        if not self.sequences:
            return [e for e in events if not isinstance(e, TextDelta) or e.text]
        return [passed for event in events for passed in self._passed(event)]

    def _passed(self, event: Event) -> Iterator[Event]:
        match event:
            case UsageSeen():
                yield event
            case Finish() if self.done:
                yield replace(event, reason="STOP_SEQUENCE", detail=self.hit)
            case _ if self.done:
                return
            case TextDelta():
                text = self._cut(event.text)
                if text:
                    yield replace(event, text=text)
            case _:
                if self._held:
                    yield TextDelta(self._held, event.choice)
                    self._held = ""
                yield event

    def _cut(self, text: str) -> str:
        """What can be passed on now that ``text`` has come."""
        text = self._held + text
        found = [(at + len(s), at, s) for s in self.sequences if s and (at := text.find(s)) >= 0]
        if found:
            _, end, self.hit = min(found)
            self._held = ""
        else:
            end = len(text) - self._undecided(text)
            self._held = text[end:]
        return text[:end]

    def _undecided(self, text: str) -> int:
        """Length of the longest end of ``text`` with which a sequence begins."""
        lengths = range(min(self._longest, len(text)), 0, -1)
        return next((n for n in lengths if text[-n:] in self._beginnings), 0)
