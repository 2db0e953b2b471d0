"""When a request may leave: RATE_LIMIT spacing and the WAIT_MODE queue.

One first-in-first-out queue for the whole server. Two things can hold a request back: the spacing
between any two requests sent (RATE_LIMIT), and a delay Google asked for, which holds only that
upstream and model. A request whose own lane is free may therefore pass one whose lane is held, but
never one of its own lane.

Theory of operation. Each client request holds one ``Ticket`` and asks it for a ``turn()`` before
every request it sends, retries included; tickets keep their place by age, so a retry does not go to
the end. While anybody waits, one pump task sleeps until the earliest moment a ticket may leave and
releases exactly that one. No lock is held across a sleep, a cancelled waiter costs no turn, and
with an empty queue nothing runs at all.
"""

import asyncio
import itertools
import math
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field
from time import monotonic

from server.errors import RateLimitError, StoppedError

LONGEST_WAIT_S = 600.0
"""How long one request may wait in all."""

LONGEST_HOLD_S = 60.0
"""Longer delays asked by Google are answered at once, not waited for."""

AFTER_HOLD_GAP_S = 0.25
"""Requests that waited for the same hold leave this far apart: released together, they would be
refused together."""

Lane = tuple[str, str]
"""(upstream name, model id)"""


@dataclass(frozen=True, slots=True)
class ThrottleState:
    """What a page or the tray shows of the queue."""

    waiting: int
    rate_limit_s: float
    wait_mode: bool
    next_free_in_s: float


@dataclass(frozen=True, slots=True)
class Release:
    """One turn given to a waiting ticket."""

    at: float
    sent_before: float
    """The last request sent before it; -inf: none."""


@dataclass(eq=False, slots=True)
class Ticket:
    """One client request's place in the queue."""

    throttle: "Throttle"
    lane: Lane
    number: int
    waited_s: float = 0.0
    released: "asyncio.Future[None] | None" = field(default=None, repr=False)
    took: "Release | None" = field(default=None, repr=False)
    """What its release changed, so that a waiter cancelled in that instant can pass it on."""
    _one_by_one: asyncio.Lock = field(default_factory=asyncio.Lock, repr=False)

    async def turn(self, *, further: bool = False) -> None:
        """Return when the next request may be sent; the turn is then taken.

        ``further``: the client request has had its turn, and this is another part of it (a second
        choice, the next texts, a repair, a retry, the same with a renewed token). It waits for
        RATE_LIMIT in any mode and is never refused by the queue: the client could only ask for the
        whole once more, and be refused again.

        Raises ``RateLimitError`` at once when WAIT_MODE is off or the queue is full, or later when
        the request has waited ten minutes in all; ``OverloadedError`` on shutdown.
        """
        async with self._one_by_one:
            await self.throttle._turn(self, further=further)  # the two classes are one mechanism

    @property
    def position(self) -> int | None:
        """1 for the next to leave; None when not waiting."""
        return self.throttle.position(self)


class Throttle:
    """The queue. All times are seconds of ``now()``."""

    def __init__(
        self,
        *,
        rate_limit_s: float = 0.0,
        wait_mode: bool = False,
        queue_limit: int = 100,
        now: Callable[[], float] = monotonic,
        sleep: Callable[[float], Awaitable[None]] = asyncio.sleep,
    ) -> None:
        self.rate_limit_s = rate_limit_s
        self.wait_mode = wait_mode
        self.queue_limit = queue_limit
        self._now = now
        self._sleep = sleep
        self._numbers = itertools.count()
        self._waiting: list[Ticket] = []  # by number
        self._last_sent = -math.inf
        self._holds: dict[Lane, float] = {}
        self._changed = asyncio.Event()
        self._pump: asyncio.Task[None] | None = None
        self._closed = False

    def ticket(self, lane: Lane) -> Ticket:
        """A place for one client request."""
        return Ticket(self, lane, next(self._numbers))

    def configure(self, *, rate_limit_s: float, wait_mode: bool, queue_limit: int) -> None:
        """Change the settings live. Requests already waiting keep waiting."""
        self.rate_limit_s = rate_limit_s
        self.wait_mode = wait_mode
        self.queue_limit = queue_limit
        self._changed.set()

    def hold(self, lane: Lane, delay_s: float) -> None:
        """Google asked for a pause of ``delay_s`` on this lane."""
        if delay_s <= LONGEST_HOLD_S:
            until = self._now() + delay_s
            self._holds[lane] = max(until, self._holds.get(lane, -math.inf))
            self._changed.set()

    def state(self) -> ThrottleState:
        free_in = max(0.0, self._last_sent + self.rate_limit_s - self._now())
        return ThrottleState(len(self._waiting), self.rate_limit_s, self.wait_mode, free_in)

    def position(self, ticket: Ticket) -> int | None:
        return self._waiting.index(ticket) + 1 if ticket in self._waiting else None

    def close(self) -> None:
        """Turn everybody away: the server is shutting down."""
        self._closed = True
        for ticket in self._waiting:
            if ticket.released is not None and not ticket.released.done():
                ticket.released.set_exception(_shutting_down())
        self._waiting.clear()
        self._changed.set()

    async def _turn(self, ticket: Ticket, *, further: bool) -> None:
        if self._closed:
            raise _shutting_down()
        if self._take(ticket):
            return
        held = self._holds.get(ticket.lane, -math.inf) > self._now()
        if not self.wait_mode and (held or not further):
            raise self._refusal(ticket)
        if not further and len(self._waiting) >= self.queue_limit:
            raise RateLimitError(
                f"The queue is full: {len(self._waiting)} requests are waiting already.",
                source="queue",
                retry_after_s=self._expected_wait(ticket),
            )
        await self._wait(ticket)

    def _take(self, ticket: Ticket) -> bool:
        """Take a turn if nothing holds the ticket back and nobody older wants the same."""
        older = any(t.number < ticket.number and t.lane == ticket.lane for t in self._waiting)
        now = self._now()
        if older or self._ready_at(ticket.lane) > now or self._overtakes(ticket, now):
            return False
        self._last_sent = now
        return True

    def _overtakes(self, ticket: Ticket, now: float) -> bool:
        """Whether an older ticket of another lane is due: the spacing is shared by all lanes."""
        return self.rate_limit_s > 0 and any(
            t.number < ticket.number and self._holds.get(t.lane, now) <= now for t in self._waiting
        )

    async def _wait(self, ticket: Ticket) -> None:
        started = self._now()
        budget = LONGEST_WAIT_S - ticket.waited_s
        if budget <= 0:
            raise self._refusal(ticket)
        ticket.released = asyncio.get_running_loop().create_future()
        ticket.took = None
        self._waiting.append(ticket)
        self._waiting.sort(key=lambda t: t.number)
        self._wake()
        timer = asyncio.ensure_future(self._sleep(budget))
        try:
            await asyncio.wait({ticket.released, timer}, return_when=asyncio.FIRST_COMPLETED)
            if not ticket.released.done():
                raise self._refusal(ticket)
            ticket.released.result()
        except asyncio.CancelledError:
            self._give_back(ticket)
            raise
        finally:
            timer.cancel()
            ticket.released.cancel()
            ticket.waited_s += self._now() - started
            if ticket in self._waiting:
                self._waiting.remove(ticket)
            self._changed.set()

    def _give_back(self, ticket: Ticket) -> None:
        """The turn passes to the next: its holder left in the instant in which it was released."""
        took, ticket.took = ticket.took, None
        if took is None:
            return
        if self._last_sent == took.at:
            self._last_sent = took.sent_before
        if self._holds.get(ticket.lane) == took.at + AFTER_HOLD_GAP_S:
            self._holds[ticket.lane] = took.at

    def _wake(self) -> None:
        self._changed.set()
        if self._pump is None or self._pump.done():
            self._pump = asyncio.create_task(self._release_in_order(), name="throttle")

    async def _release_in_order(self) -> None:
        while self._waiting:
            self._changed.clear()
            ticket = min(self._waiting, key=lambda t: (self._ready_at(t.lane), t.number))
            delay = self._ready_at(ticket.lane) - self._now()
            if delay > 0:
                await self._sleep_unless_changed(delay)
                continue
            self._waiting.remove(ticket)
            now = self._now()
            ticket.took = Release(now, self._last_sent)
            self._last_sent = now
            if ticket.lane in self._holds:
                self._holds[ticket.lane] = now + AFTER_HOLD_GAP_S
                if all(t.lane != ticket.lane for t in self._waiting):
                    del self._holds[ticket.lane]
            if ticket.released is not None and not ticket.released.done():
                ticket.released.set_result(None)

    async def _sleep_unless_changed(self, delay: float) -> None:
        sleeping = asyncio.ensure_future(self._sleep(delay))
        changed = asyncio.ensure_future(self._changed.wait())
        try:
            await asyncio.wait({sleeping, changed}, return_when=asyncio.FIRST_COMPLETED)
        finally:
            sleeping.cancel()
            changed.cancel()

    def _ready_at(self, lane: Lane) -> float:
        """The earliest moment the next request of this lane may leave."""
        spaced = self._last_sent + self.rate_limit_s if self.rate_limit_s else -math.inf
        return max(spaced, self._holds.get(lane, -math.inf))

    def _expected_wait(self, ticket: Ticket) -> float:
        """Seconds until a request like this one would leave, everybody before it included."""
        before = sum(t.number < ticket.number for t in self._waiting)
        now = self._now()
        return max(0.0, self._ready_at(ticket.lane) - now) + before * self.rate_limit_s

    def _refusal(self, ticket: Ticket) -> RateLimitError:
        held = self._holds.get(ticket.lane, -math.inf) - self._now()
        if held > 0:
            message = f"Google asked for a pause; the next request may be sent in {held:.1f} s."
            source = "quota"
        else:
            message = f"RATE_LIMIT allows one request every {self.rate_limit_s:g} s."
            source = "throttle"
        return RateLimitError(
            message,
            source="quota" if source == "quota" else "throttle",
            retry_after_s=self._expected_wait(ticket),
        )


def _shutting_down() -> StoppedError:
    return StoppedError(
        "The proxy is shutting down. Try again in a moment.", code="queue_full", retry_after_s=5
    )
