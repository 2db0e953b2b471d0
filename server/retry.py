"""When a failed request is sent again, and with what.

Only while nothing has reached the client. Three reasons, each with its own small budget: a repair
(upstream could not read a schema or a signature), a blip (5xx, no capacity, a broken answer), and a
delay Google asked for, which only WAIT_MODE waits out.
"""

from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field, replace

from server.errors import (
    BrokenAnswerError,
    ProxyError,
    RateLimitError,
    SchemaRejectedError,
    SignatureRejectedError,
)
from server.gemini.schema import simplify_request
from server.gemini.signatures import bypass_all
from server.throttle import LONGEST_HOLD_S, Ticket
from server.upstreams.base import Outgoing

BLIP_PAUSES_S = (0.5, 1.5)
"""Pauses before the two quick retries."""

MOST_REFUSALS = 3
"""Refusals by Google after which a waiting request gives up."""


@dataclass(slots=True)
class Retries:
    """The budget of one client request, which holds ``ticket``."""

    ticket: Ticket
    sleep: Callable[[float], Awaitable[None]]
    verbatim: bool = False
    """The request is the client's own and may not be repaired."""
    blips: int = 0
    refusals: int = 0
    _repaired: set[type[ProxyError]] = field(default_factory=set)

    async def again(self, error: ProxyError, out: Outgoing) -> Outgoing:
        """What to send next, once its turn has come; re-raises ``error`` when it is final."""
        match error:
            case SchemaRejectedError() | SignatureRejectedError():
                out = self._repair(error, out)
            case RateLimitError(source="quota", retry_after_s=float() | int()):
                self._hold_lane(error)
            case RateLimitError(source="quota", exhausted=False) | ProxyError(transient=True):
                await self._bridge(error)
            case _:
                raise error
        await self._next_turn(error)
        return out

    async def _next_turn(self, error: ProxyError) -> None:
        """Wait until RATE_LIMIT lets this call send once more, in any mode.

        Raises ``error`` when another request has met a pause asked by Google meanwhile, and
        WAIT_MODE is off: the reason of this one says more.
        """
        try:
            await self.ticket.turn(further=True)
        except RateLimitError:
            if self.ticket.throttle.wait_mode:
                raise
            raise error from None

    def _repair(self, error: ProxyError, out: Outgoing) -> Outgoing:
        if self.verbatim or type(error) in self._repaired:
            raise error
        self._repaired.add(type(error))
        mend = simplify_request if isinstance(error, SchemaRejectedError) else bypass_all
        mended = mend(out.request)
        if mended == out.request:
            raise error
        return replace(out, request=mended)

    def _hold_lane(self, error: RateLimitError) -> None:
        """Put Google's delay on the lane, so that the next turn waits it out."""
        delay = error.retry_after_s or 0.0
        throttle = self.ticket.throttle
        self.refusals += 1
        if error.exhausted or delay > LONGEST_HOLD_S:
            raise error
        throttle.hold(self.ticket.lane, delay)
        if not throttle.wait_mode or self.refusals >= MOST_REFUSALS:
            raise error

    async def _bridge(self, error: ProxyError) -> None:
        if self.blips >= len(BLIP_PAUSES_S):
            raise error
        self.blips += 1
        # A broken answer is the model's doing: asking again at once is as good as later.
        if not isinstance(error, BrokenAnswerError):
            await self.sleep(BLIP_PAUSES_S[self.blips - 1])
