"""A clock that stands still until a test moves it."""

import asyncio
import heapq
import itertools


class FakeClock:
    """``now`` and ``sleep`` to pass in where code takes time as an argument."""

    def __init__(self) -> None:
        self._now = 1000.0
        self._sleepers: list[tuple[float, int, asyncio.Future[None]]] = []
        self._order = itertools.count()

    def now(self) -> float:
        return self._now

    async def sleep(self, delay_s: float) -> None:
        woken: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        heapq.heappush(self._sleepers, (self._now + max(0.0, delay_s), next(self._order), woken))
        await woken

    async def advance(self, delay_s: float) -> None:
        """Let ``delay_s`` pass; everything due on the way happens at its own moment."""
        await settle()
        end = self._now + delay_s
        while self._sleepers and self._sleepers[0][0] <= end:
            due, _, woken = heapq.heappop(self._sleepers)
            if not woken.done():
                self._now = max(self._now, due)
                woken.set_result(None)
                await settle()
        self._now = end
        await settle()


async def settle() -> None:
    """Run every task until it waits for something."""
    for _ in range(20):
        await asyncio.sleep(0)
