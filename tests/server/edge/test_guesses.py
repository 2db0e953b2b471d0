"""Guessing keys is slow, per address; nobody else waits."""

import logging

import pytest

from server.edge.guesses import BURST_S, FREE, MOST_WAIT_S, Guesses


class Clock:
    """Time that passes when it is told to."""

    time = 0.0

    def __call__(self) -> float:
        return self.time


def test_after_a_few_wrong_keys_each_waits_longer_and_behind_the_others() -> None:
    guesses = Guesses(now=Clock())
    waits = [guesses.wrong("192.0.2.1") for _ in range(FREE + 20)]
    assert waits[:FREE] == [0.0] * FREE
    assert waits[FREE:] == sorted(waits[FREE:])
    assert waits[FREE] > 0
    assert max(waits) == MOST_WAIT_S


def test_a_thousand_guesses_one_after_the_other_take_hours() -> None:
    clock = Clock()
    guesses = Guesses(now=clock)
    for _ in range(1000):
        clock.time += guesses.wrong("192.0.2.1")
    assert clock.time > 7000


def test_addresses_do_not_pay_for_each_other_but_a_64_is_one() -> None:
    guesses = Guesses(now=Clock())
    for number in range(FREE + 3):
        guesses.wrong(f"2001:db8:1:2::{number}")
    assert guesses.wrong("2001:db8:1:2:ffff::1") > 0
    assert guesses.wrong("2001:db8:1:3::1") == 0
    assert guesses.wrong("192.0.2.9") == 0
    assert guesses.wrong("") == guesses.wrong("no address") == 0


def test_silence_is_a_new_beginning() -> None:
    clock = Clock()
    guesses = Guesses(now=clock)
    for _ in range(FREE + 3):
        guesses.wrong("192.0.2.1")
    clock.time += BURST_S + MOST_WAIT_S
    assert guesses.wrong("192.0.2.1") == 0


def test_the_table_is_bounded() -> None:
    guesses = Guesses(now=Clock(), most=10)
    for number in range(100):
        guesses.wrong(f"10.0.0.{number}")
    assert len(guesses._bursts) == 10


def test_the_address_is_logged_once_a_burst(caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.WARNING)
    clock = Clock()
    guesses = Guesses(now=clock)
    for _ in range(FREE + 3):
        guesses.wrong("192.0.2.1")
    assert [record.getMessage() for record in caplog.records] == ["wrong key from 192.0.2.1"]
    clock.time += 10 * BURST_S
    guesses.wrong("192.0.2.1")
    assert len(caplog.records) == 2
