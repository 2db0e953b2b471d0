"""Slows whoever guesses keys: wrong keys from one address are answered later and later.

Only the refusal waits. A right key is answered at once, from the same address too, so nobody can
lock anybody out.
"""

import ipaddress
import logging
import time
from collections import OrderedDict
from collections.abc import Callable
from dataclasses import dataclass

log = logging.getLogger(__name__)

FREE = 5
"""Wrong keys that are answered at once: a mistyped one, and a tool that tries again."""
FIRST_S, LONGEST_S = 0.5, 8.0
"""The pause after the first that is not, and the longest; it doubles."""
MOST_WAIT_S = 30.0
"""How long one answer is held, however many were asked for at once."""
BURST_S = 60.0
"""Without a wrong key for this long, an address begins anew."""
MOST_ADDRESSES = 4096


@dataclass(slots=True)
class _Burst:
    """The wrong keys of one address."""

    count: int = 0
    last: float = 0.0
    free_at: float = 0.0
    """When the next answer may leave."""


class Guesses:
    """The wrong keys of late, by address (IPv6 by its /64, which one caller has for itself)."""

    def __init__(
        self, *, now: Callable[[], float] = time.monotonic, most: int = MOST_ADDRESSES
    ) -> None:
        self._now = now
        self._most = most
        self._bursts: OrderedDict[str, _Burst] = OrderedDict()

    def wrong(self, address: str) -> float:
        """A wrong key came from ``address``: the seconds to wait before saying so."""
        name, now = _name_of(address), self._now()
        burst = self._bursts.pop(name, None)
        if burst is None or now - max(burst.last, burst.free_at) > BURST_S:
            burst = _Burst()
            log.warning("wrong key from %s", address)
        self._bursts[name] = burst
        while len(self._bursts) > self._most:
            self._bursts.popitem(last=False)
        burst.count, burst.last = burst.count + 1, now
        if burst.count <= FREE:
            return 0.0
        pause = min(LONGEST_S, FIRST_S * 2.0 ** min(10, burst.count - FREE - 1))
        burst.free_at = max(now, burst.free_at) + pause
        burst.free_at = min(burst.free_at, now + MOST_WAIT_S)
        return burst.free_at - now


def _name_of(address: str) -> str:
    try:
        found = ipaddress.ip_address(address.partition("%")[0])
    except ValueError:
        return "unknown"
    if isinstance(found, ipaddress.IPv6Address):
        mapped = found.ipv4_mapped
        return str(mapped) if mapped else str(ipaddress.ip_network((found, 64), strict=False))
    return str(found)
