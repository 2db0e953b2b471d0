"""Throttle: spacing, a fair queue, pauses asked by Google; no wall clock."""

import asyncio
from collections.abc import Iterator

import pytest

from server.core.throttle import AFTER_HOLD_GAP_S, Throttle, Ticket
from server.errors import OverloadedError, RateLimitError
from tests.clock import FakeClock, settle

PRO, FLASH = ("code-assist", "gemini-2.5-pro"), ("code-assist", "gemini-2.5-flash")


@pytest.fixture
def clock() -> FakeClock:
    return FakeClock()


class Line:
    """Requests that note when they left."""

    def __init__(self, throttle: Throttle, clock: FakeClock) -> None:
        self.throttle, self.clock = throttle, clock
        self.start = clock.now()
        self.left: list[tuple[str, float]] = []
        self.tasks: dict[str, asyncio.Task[None]] = {}

    async def join(self, name: str, lane: tuple[str, str] = PRO) -> Ticket:
        ticket = self.throttle.ticket(lane)

        async def go() -> None:
            await ticket.turn()
            self.left.append((name, round(self.clock.now() - self.start, 3)))

        self.tasks[name] = asyncio.create_task(go())
        await settle()
        return ticket


@pytest.fixture
def line(clock: FakeClock) -> Iterator[Line]:
    throttle = Throttle(wait_mode=True, rate_limit_s=2.0, now=clock.now, sleep=clock.sleep)
    yield Line(throttle, clock)
    throttle.close()


async def test_without_limits_everybody_leaves_at_once(clock: FakeClock) -> None:
    line = Line(Throttle(now=clock.now, sleep=clock.sleep), clock)
    for name in "abc":
        await line.join(name)
    assert line.left == [("a", 0), ("b", 0), ("c", 0)]


async def test_waiting_requests_leave_one_interval_apart_in_order(
    line: Line, clock: FakeClock
) -> None:
    """The original program deadlocked with three waiting requests."""
    for name in "abcd":
        await line.join(name)
    await clock.advance(10)
    assert line.left == [("a", 0), ("b", 2), ("c", 4), ("d", 6)]


async def test_without_wait_mode_the_second_is_refused_with_the_true_wait(
    line: Line, clock: FakeClock
) -> None:
    line.throttle.configure(rate_limit_s=2.0, wait_mode=False, queue_limit=100)
    await line.join("a")
    await clock.advance(0.5)
    with pytest.raises(RateLimitError) as caught:
        await line.throttle.ticket(PRO).turn()
    assert caught.value.retry_after_s == pytest.approx(1.5)
    assert caught.value.source == "throttle"


async def test_a_cancelled_waiter_costs_no_turn(line: Line, clock: FakeClock) -> None:
    for name in "abc":
        await line.join(name)
    line.tasks["b"].cancel()
    await clock.advance(10)
    assert line.left == [("a", 0), ("c", 2)]
    assert line.throttle.state().waiting == 0


async def test_a_full_queue_is_refused_with_the_wait_behind_everybody(
    line: Line, clock: FakeClock
) -> None:
    line.throttle.configure(rate_limit_s=2.0, wait_mode=True, queue_limit=2)
    for name in "abc":
        await line.join(name)
    with pytest.raises(RateLimitError) as caught:
        await line.throttle.ticket(PRO).turn()
    assert caught.value.source == "queue"
    assert caught.value.retry_after_s == pytest.approx(6)


async def test_a_further_part_of_a_request_waits_in_any_mode(clock: FakeClock) -> None:
    """Others are still refused, and whoever is refused hears of the part that waits."""
    throttle = Throttle(rate_limit_s=2.0, now=clock.now, sleep=clock.sleep)
    ticket = throttle.ticket(PRO)
    await ticket.turn()
    parts = [asyncio.create_task(ticket.turn(further=True)) for _ in range(2)]
    await settle()
    with pytest.raises(RateLimitError):
        await throttle.ticket(PRO).turn()
    await clock.advance(2)
    assert [part.done() for part in parts] == [True, False]
    await clock.advance(2)
    assert all(part.done() for part in parts)
    throttle.hold(PRO, 30)
    with pytest.raises(RateLimitError):
        await ticket.turn(further=True)
    assert throttle.state().waiting == 0


async def test_a_pause_asked_by_google_holds_only_its_own_lane(clock: FakeClock) -> None:
    throttle = Throttle(wait_mode=True, now=clock.now, sleep=clock.sleep)
    line = Line(throttle, clock)
    throttle.hold(PRO, 7.3)
    await line.join("pro")
    await line.join("flash", FLASH)
    await clock.advance(10)
    assert line.left == [("flash", 0), ("pro", 7.3)]


async def test_those_who_waited_for_a_pause_do_not_leave_at_the_same_instant(
    clock: FakeClock,
) -> None:
    throttle = Throttle(wait_mode=True, now=clock.now, sleep=clock.sleep)
    line = Line(throttle, clock)
    throttle.hold(PRO, 5)
    for name in "abc":
        await line.join(name)
    await clock.advance(10)
    gap = AFTER_HOLD_GAP_S
    assert line.left == [("a", 5), ("b", 5 + gap), ("c", 5 + 2 * gap)]
    await line.join("later")
    assert line.left[-1] == ("later", 10)


async def test_during_a_pause_without_wait_mode_the_refusal_says_who_asked(
    clock: FakeClock,
) -> None:
    throttle = Throttle(now=clock.now, sleep=clock.sleep)
    throttle.hold(PRO, 30)
    await clock.advance(12)
    with pytest.raises(RateLimitError) as caught:
        await throttle.ticket(PRO).turn()
    assert caught.value.source == "quota"
    assert caught.value.retry_after_s == pytest.approx(18)


async def test_a_pause_of_hours_holds_nobody(clock: FakeClock) -> None:
    throttle = Throttle(now=clock.now, sleep=clock.sleep)
    throttle.hold(PRO, 7200)
    await throttle.ticket(PRO).turn()


async def test_a_retry_keeps_its_place(line: Line, clock: FakeClock) -> None:
    first = await line.join("a")
    for name in "bc":
        await line.join(name)
    again = asyncio.create_task(first.turn())
    await settle()
    assert first.position == 1
    await clock.advance(2)
    assert again.done()
    assert line.left == [("a", 0)]
    await clock.advance(4)
    assert [name for name, _ in line.left] == ["a", "b", "c"]


async def test_positions_are_told_in_order_of_arrival(line: Line) -> None:
    tickets = [await line.join(name) for name in "abc"]
    assert [ticket.position for ticket in tickets] == [None, 1, 2]


async def test_waiting_ends_after_ten_minutes(clock: FakeClock) -> None:
    throttle = Throttle(wait_mode=True, rate_limit_s=1000, now=clock.now, sleep=clock.sleep)
    line = Line(throttle, clock)
    await line.join("a")
    await line.join("b")
    await clock.advance(601)
    with pytest.raises(RateLimitError) as caught:
        await line.tasks["b"]
    assert caught.value.retry_after_s == pytest.approx(400)


async def test_a_shorter_interval_takes_effect_on_those_who_wait(
    line: Line, clock: FakeClock
) -> None:
    for name in "abc":
        await line.join(name)
    line.throttle.configure(rate_limit_s=0.5, wait_mode=True, queue_limit=100)
    await clock.advance(3)
    assert line.left == [("a", 0), ("b", 0.5), ("c", 1.0)]


async def test_switching_wait_mode_off_leaves_those_in_the_queue_alone(
    line: Line, clock: FakeClock
) -> None:
    for name in "ab":
        await line.join(name)
    line.throttle.configure(rate_limit_s=2.0, wait_mode=False, queue_limit=100)
    await clock.advance(3)
    assert line.left == [("a", 0), ("b", 2)]


async def test_closing_turns_everybody_away(line: Line) -> None:
    for name in "ab":
        await line.join(name)
    line.throttle.close()
    with pytest.raises(OverloadedError):
        await line.tasks["b"]
    with pytest.raises(OverloadedError):
        await line.throttle.ticket(PRO).turn()


async def test_an_idle_throttle_runs_no_task(line: Line, clock: FakeClock) -> None:
    for name in "ab":
        await line.join(name)
    await clock.advance(5)
    names = {task.get_name() for task in asyncio.all_tasks()}
    assert "throttle" not in names


async def test_a_waiter_cancelled_as_it_is_released_passes_its_turn_on(
    line: Line, clock: FakeClock
) -> None:
    """The turn was consumed, and the next waited one interval more (reports A25)."""
    for name in "abc":
        await line.join(name)
    released = line.throttle._waiting[0].released
    assert released is not None
    released.add_done_callback(lambda _: line.tasks["b"].cancel())
    await clock.advance(10)
    assert line.left == [("a", 0), ("c", 2)]


async def test_a_turn_passed_on_frees_the_lane_for_a_newcomer(clock: FakeClock) -> None:
    throttle = Throttle(wait_mode=True, now=clock.now, sleep=clock.sleep)
    line = Line(throttle, clock)
    throttle.hold(PRO, 5)
    for name in "ab":
        await line.join(name)
    released = throttle._waiting[0].released
    assert released is not None
    released.add_done_callback(lambda _: line.tasks["a"].cancel())
    await clock.advance(6)
    assert line.left == [("b", 5)]


async def test_the_queue_never_refuses_a_further_part(clock: FakeClock) -> None:
    """A second choice was refused by QUEUE_LIMIT=0 after the first was sent (reports A25)."""
    throttle = Throttle(
        wait_mode=True, rate_limit_s=2, queue_limit=0, now=clock.now, sleep=clock.sleep
    )
    ticket = throttle.ticket(PRO)
    await ticket.turn()
    part = asyncio.create_task(ticket.turn(further=True))
    await clock.advance(2)
    assert part.done()
    await part
    with pytest.raises(RateLimitError):
        await throttle.ticket(PRO).turn()
    throttle.close()
