"""When a failed request is sent again, and with what.

Only while nothing has reached the client. Three reasons, each with its own small budget: a repair
(upstream could not read a schema, a signature or an earlier picture, or thinks by other rules), a
blip (5xx, no capacity, a broken answer), and a delay Google asked for, which only WAIT_MODE waits
out.
"""

from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field, replace

from server.core.repairs import MEDIA_NAMED, THINKING_NAMED, Repairs
from server.core.throttle import LONGEST_HOLD_S, Ticket
from server.errors import (
    BadRequestError,
    BrokenAnswerError,
    MediaRejectedError,
    ProxyError,
    RateLimitError,
    SchemaRejectedError,
    SignatureRejectedError,
    ThinkingRejectedError,
)
from server.gemini.fit import without_media, without_thinking
from server.gemini.schema import plainer, repair
from server.gemini.signatures import bypassed, own_signatures
from server.gemini.types import GenerateRequest, Json
from server.upstreams.base import Outgoing

BLIP_PAUSES_S = (0.5, 1.5)
"""Pauses before the two quick retries."""

_OF_CONTENTS = (BadRequestError, MediaRejectedError)
"""Refusals that may concern what the conversation holds."""

MOST_REFUSALS = 3
"""Refusals by Google after which a waiting request gives up."""


@dataclass(slots=True)
class Retries:
    """The budget of one client request, which holds ``ticket``."""

    ticket: Ticket
    sleep: Callable[[float], Awaitable[None]]
    repairs: Repairs
    verbatim: bool = False
    """The request is the client's own and may not be repaired."""
    blips: int = 0
    refusals: int = 0
    dropped: tuple[str, ...] = ()
    """Gemini's fields that a repair has made say less."""
    _rebuilt: list[tuple[GenerateRequest, frozenset[int] | None]] = field(default_factory=list)
    """Requests whose schemas were refused, and which of these were made plainer (None: all)."""
    _bypassed: list[str] = field(default_factory=list)
    """Signatures in whose place the bypass value was sent."""
    _wish: Json | None = None
    """The wish for thoughts without which the request was sent."""
    _bared: tuple[Json, ...] = ()
    """Media of earlier turns without which the request was sent."""

    async def again(self, error: ProxyError, out: Outgoing) -> Outgoing:
        """What to send next, once its turn has come; re-raises ``error`` when it is final."""
        match error:
            case SchemaRejectedError() if not self.verbatim:
                out = replace(out, request=self._plainer(error, out))
            case SignatureRejectedError() if not self.verbatim:
                out = replace(out, request=self._bypass(error, out.request))
            case ThinkingRejectedError() if not self.verbatim:
                out = replace(out, request=self._own_thinking(error, out.request))
            case BadRequestError() if not self.verbatim and type(error) in _OF_CONTENTS:
                out = replace(out, request=self._bare(error, out))
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

    async def worked(self) -> None:
        """The request was taken: what had to be repaired in it is sent repaired from now on."""
        while self._rebuilt:
            await self.repairs.learn(self.ticket.lane, *self._rebuilt.pop(0))
        if self._bypassed:
            await self.repairs.learn_signatures(self.ticket.lane, self._bypassed)
            self._bypassed = []
        if self._wish is not None:
            await self.repairs.learn_thinking(self.ticket.lane, self._wish)
            self._wish = None
        if self._bared:
            await self.repairs.learn_media(self.ticket.lane, self._bared)
            self._bared = ()

    def _plainer(self, error: SchemaRejectedError, out: Outgoing) -> GenerateRequest:
        """Twice at most: first what Google named, then everything. A refusal that named nothing may
        have meant the media of earlier turns."""
        done, request = self._rebuilt, out.request
        aimed = bool(done) and done[0][1] is not None
        if len(done) > 1 or (done and not aimed) or self._bared:
            mended = None
        else:
            mended = plainer(request) if done else repair(request, error.where)
        if mended:
            done.append((request, mended.changed if mended.aimed else None))
            self.dropped += mended.dropped
            return mended.request
        if aimed:
            raise error
        bare = self._bare(error, replace(out, request=done[0][0]) if done else out)
        done.clear()  # the schemas were not at fault
        self.dropped = (MEDIA_NAMED,)
        return bare

    def _bypass(self, error: SignatureRejectedError, request: GenerateRequest) -> GenerateRequest:
        signatures = own_signatures(request)
        if self._bypassed or not signatures:
            raise error
        self._bypassed = signatures
        return bypassed(request)

    def _own_thinking(
        self, error: ThinkingRejectedError, request: GenerateRequest
    ) -> GenerateRequest:
        """Without a wish for thoughts: the answer will tell whose rules hold."""
        wish = (request.get("generationConfig") or {}).get("thinkingConfig")
        if wish is None:
            raise error
        self._wish = wish
        self.dropped += (THINKING_NAMED,)
        return without_thinking(request)

    def _bare(self, error: BadRequestError, out: Outgoing) -> GenerateRequest:
        """Without the media of earlier turns: what is wrong with them, only Google knows, and it
        has many words for it."""
        if self._bared or not out.past_media:
            raise error
        self._bared = out.past_media
        self.dropped += (MEDIA_NAMED,)
        return without_media(out.request, out.past_media)

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
