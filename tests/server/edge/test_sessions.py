"""Logins: random, bounded in time and number."""

from server.edge.sessions import MOST, VALID_S, Sessions


def test_a_login_is_random_and_ends() -> None:
    time = 0.0
    sessions = Sessions(now=lambda: time)
    first, second = sessions.begin("digest"), sessions.begin("digest")
    assert first != second
    assert len(first) > 40
    found = sessions.find(first)
    assert found is not None
    assert (found.key, found.here) == ("digest", False)
    sessions.end(first)
    assert sessions.find(first) is None
    time = VALID_S
    assert sessions.find(second) is not None
    time = VALID_S + 1
    assert sessions.find(second) is None


def test_logins_do_not_pile_up() -> None:
    sessions = Sessions()
    made = [sessions.begin("digest") for _ in range(MOST + 1)]
    assert sessions.find(made[0]) is None
    assert sessions.find(made[1]) is not None


def test_what_is_kept_is_no_cookie() -> None:
    sessions = Sessions()
    cookie = sessions.begin("digest", here=True)
    assert all(sessions.find(kept) is None for kept in [*sessions._held])
    assert cookie not in repr(sessions._held)
