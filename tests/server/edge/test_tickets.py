"""Tickets: once, soon, and for nobody else."""

import os
import socket
import sys
from pathlib import Path

import pytest

from server.edge.tickets import MOST, VALID_S, Tickets, owner_of

PEER = ("127.0.0.1", 50_000)


class Now:
    """A clock that is turned by hand."""

    moment = 100.0

    def __call__(self) -> float:
        return self.moment


def ours(_: object) -> int:
    return os.getuid()


def test_a_ticket_opens_once() -> None:
    tickets = Tickets(owner=ours)
    ticket = tickets.issue()
    assert not tickets.redeem(ticket + "x", PEER)
    assert not tickets.redeem("", PEER)
    assert tickets.redeem(ticket, PEER)
    assert not tickets.redeem(ticket, PEER)


def test_a_ticket_is_soon_worthless() -> None:
    now = Now()
    tickets = Tickets(now=now, owner=ours)
    early, late = tickets.issue(), tickets.issue()
    now.moment += VALID_S
    assert tickets.redeem(early, PEER)
    now.moment += 0.1
    assert not tickets.redeem(late, PEER)


def test_only_the_newest_few_are_kept() -> None:
    tickets = Tickets(owner=ours)
    issued = [tickets.issue() for _ in range(MOST + 1)]
    assert len(set(issued)) == MOST + 1
    assert not tickets.redeem(issued[0], PEER)
    assert tickets.redeem(issued[1], PEER)


@pytest.mark.parametrize("owner", [os.getuid() + 1 if sys.platform != "win32" else 1, None])
def test_another_user_of_the_computer_cannot_use_it_nor_use_it_up(owner: int | None) -> None:
    seen: list[int | None] = [owner, os.getuid()]
    tickets = Tickets(owner=lambda _: seen.pop(0))
    ticket = tickets.issue()
    assert not tickets.redeem(ticket, PEER)
    assert tickets.redeem(ticket, PEER)


@pytest.mark.skipif(sys.platform != "linux", reason="reads Linux's own tables")
@pytest.mark.parametrize("family", [socket.AF_INET, socket.AF_INET6])
def test_the_system_tells_whose_connection_it_is(family: socket.AddressFamily) -> None:
    with (
        socket.create_server(
            ("::1" if family == socket.AF_INET6 else "127.0.0.1", 0), family=family
        ) as listener,
        socket.create_connection(listener.getsockname()[:2]) as client,
    ):
        assert owner_of(client.getsockname()[:2]) == os.getuid()
    assert owner_of(("127.0.0.1", 1)) is None


def test_without_such_tables_nobody_is_known(tmp_path: Path) -> None:
    assert owner_of(PEER, tmp_path) is None
