"""Labels, icon and notices are pure functions of the status: tables."""

from collections.abc import Iterator
from dataclasses import replace
from datetime import datetime
from typing import Any

import pytest

from server.auth.eligibility import Problem
from server.host.control import Status, Trouble
from server.upstreams.quota import FamilyQuota
from tray.menu import (
    Action,
    Item,
    Notice,
    Shape,
    clamp,
    headline,
    interval_label,
    menu,
    notice,
    shape,
    tooltip,
)

REFUSED = Problem(
    code="UNSUPPORTED_CLIENT", message="Google refuses this account.", remedy="Use an API key."
)
UP = Status(
    phase="running",
    upstream="code-assist",
    authenticated=True,
    signed_in=True,
    email="you_too@example.com",
    tier="Standard",
    upstreams=(("code-assist", "Code Assist"), ("demo", "Demo")),
)
TAKEN = Status(trouble=Trouble("Port 8081 on 127.0.0.1 is in use.", 8082))
BROKEN = Status(trouble=Trouble("WAIT_MODE: 'maybe' cannot be used."))


def every(items: tuple[Item | None, ...]) -> Iterator[Item]:
    for item in items:
        if item is not None:
            yield item
            yield from every(item.children)


def item(status: Status, start: str) -> Item:
    return next(i for i in every(menu(status, autostart=False)) if i.text.startswith(start))


@pytest.mark.parametrize(
    ("status", "line", "icon"),
    [
        (UP, "Running on 127.0.0.1:8081", "running"),
        (replace(UP, queued=2), "Running on 127.0.0.1:8081", "busy"),
        (replace(UP, limited=True), "Running on 127.0.0.1:8081", "busy"),
        (replace(UP, quota=(FamilyQuota("Pro", 0, None),)), "Running on 127.0.0.1:8081", "busy"),
        (replace(UP, host="[::1]"), "Running on [::1]:8081", "running"),
        (replace(UP, authenticated=False), "Needs sign-in", "attention"),
        (replace(UP, problem=REFUSED), "Needs attention", "attention"),
        (Status(), "Stopped", "stopped"),
        (Status(phase="starting"), "Starting…", "stopped"),
        (replace(UP, phase="stopping"), "Stopping…", "stopped"),
        (TAKEN, "Port 8081 in use", "problem"),
        (BROKEN, "Not started", "problem"),
    ],
)
def test_the_headline_and_the_icon_tell_the_state(status: Status, line: str, icon: Shape) -> None:
    assert headline(status) == f"Gemini API Proxy — {line}"
    assert menu(status, autostart=None)[0] == Item(headline(status), enabled=False)
    assert shape(status) == icon


def test_who_answers_stands_below_the_headline_and_what_is_going_on_in_the_tooltip() -> None:
    busy = replace(UP, running=3, queued=2)
    lines = [i.text for i in menu(busy, autostart=None)[:2] if i]
    assert lines[1:] == ["you_too@example.com · Standard · Code Assist"]
    assert tooltip(busy).endswith("1 running · 2 queued")


@pytest.mark.parametrize(
    "change",
    [{"running": 1}, {"running": 7, "queued": 3}, {"limited": True}, {"limited_until": 2e9}],
)
def test_a_request_changes_nothing_in_the_menu(change: dict[str, Any]) -> None:
    assert menu(replace(UP, **change), autostart=True) == menu(UP, autostart=True)


def test_a_line_is_the_same_one_while_its_text_mark_or_value_changes() -> None:
    changed = replace(UP, wait_mode=True, port=9, email="x", pinned=frozenset({"UPSTREAM"}))
    before = [i.identity for i in every(menu(UP, autostart=False))]
    assert [i.identity for i in every(menu(changed, autostart=True))] == before
    told = ("text", "sign out ")
    assert not [name for name in before if before.count(name) > 1 and not name.startswith(told)]


def test_a_long_limit_is_told_with_its_end() -> None:
    moment = datetime(2026, 11, 24, 14, 20).astimezone().timestamp()
    assert "limited until Tue 14:20" in tooltip(replace(UP, limited=True, limited_until=moment))
    assert "rate limit reached" in tooltip(replace(UP, limited=True))


@pytest.mark.parametrize(
    ("status", "text"),
    [
        (replace(UP, authenticated=False, upstream=None), "Choose how to reach Gemini…"),
        (replace(UP, problem=REFUSED), "Open set-up…"),
        (UP, None),
        (TAKEN, None),
    ],
)
def test_what_has_to_be_mended_leads_to_the_set_up(status: Status, text: str | None) -> None:
    top = [
        i.text for i in menu(status, autostart=None) if i and i.action == Action("open", "/setup")
    ]
    assert top == ([text] if text else [])


def test_what_is_left_is_told_by_family_with_its_reset_in_local_time() -> None:
    moment = datetime(2026, 11, 24, 14, 20).astimezone()
    quota = (FamilyQuota("Pro", 62, moment.timestamp()), FamilyQuota("Flash", 100, None))
    lines = [i.text for i in menu(replace(UP, quota=quota), autostart=None) if i]
    assert lines[2:4] == ["Pro: 62 % left · resets Tue 14:20", "Flash: 100 % left"]
    assert not [
        i
        for i in menu(replace(UP, phase="stopped", quota=quota), autostart=None)
        if i and "left" in i.text
    ]


@pytest.mark.parametrize(
    ("status", "text", "enabled"),
    [
        (UP, "Stop server", True),
        (replace(UP, phase="stopping"), "Stop server", False),
        (Status(), "Start server", True),
        (Status(phase="starting"), "Start server", False),
        (TAKEN, "Start server", True),
    ],
)
def test_one_item_starts_or_stops(status: Status, text: str, *, enabled: bool) -> None:
    assert item(status, text).enabled is enabled


def test_a_taken_port_offers_the_free_one() -> None:
    assert item(TAKEN, "Use port").action == Action("accept port", value=8082)


@pytest.mark.parametrize(("status", "offered"), [(BROKEN, True), (TAKEN, False), (UP, False)])
def test_a_mistake_in_the_settings_leads_to_their_folder(status: Status, *, offered: bool) -> None:
    assert (item(status, "Open data folder") in menu(status, autostart=None)) is offered


def test_what_only_a_running_server_can_do_is_disabled_without_one() -> None:
    for start in (
        "Connect an app",
        "Settings",
        "Restart",
        "Queue when",
        "Minimum interval",
        "Upstream",
        "Account",
    ):
        assert item(UP, start).enabled
        assert not item(Status(), start).enabled


def test_switches_show_the_state_and_mean_its_opposite() -> None:
    on = replace(UP, wait_mode=True, rate_limit_s=3.5, chosen="demo")
    queue = item(on, "Queue when")
    assert (queue.checked, queue.action) == (True, Action("change", "WAIT_MODE", value=False))
    chosen = [i.text for i in every(menu(on, autostart=True)) if i.radio and i.checked]
    assert chosen == ["3.5 s", "Demo"]
    login = next(i for i in every(menu(on, autostart=True)) if i.text == "Start at login")
    assert (login.checked, login.action) == (True, Action("autostart", value=False))
    assert all(i.text != "Start at login" for i in every(menu(on, autostart=None)))


def test_a_pinned_setting_says_that_it_returns() -> None:
    assert "next start" in item(replace(UP, pinned=frozenset({"WAIT_MODE"})), "Queue when").text


def test_a_long_sentence_takes_more_lines_not_a_wider_menu() -> None:
    long = replace(REFUSED, message="This is a sentence. " * 12)
    for status in (replace(UP, problem=long), Status(trouble=Trouble("In the way: " * 12))):
        texts = [i.text for i in every(menu(status, autostart=None))]
        assert max(map(len, texts)) <= 80
        said = " ".join(texts)
        assert 12 in (said.count("sentence."), said.count("way:"))


def test_a_check_under_way_cannot_be_asked_for_again() -> None:
    assert item(UP, "Check again").enabled
    assert not item(replace(UP, checking=True), "Checking…").enabled


def test_googles_own_page_about_a_problem_is_one_click_away() -> None:
    link = "https://accounts.google.com/verify"
    wanted = replace(REFUSED, link=link, link_text="Verify the account")
    assert item(replace(UP, problem=wanted), "Verify the account…").action == Action("browse", link)
    assert len(menu(replace(UP, problem=REFUSED), autostart=None)) + 1 == len(
        menu(replace(UP, problem=wanted), autostart=None)
    )


def test_an_interval_that_is_not_listed_is_set_on_the_page() -> None:
    assert item(UP, "Other…").action == Action("open", "/settings#RATE_LIMIT")


def test_signing_in_or_out_follows_the_account() -> None:
    assert item(UP, "Sign out…").action == Action("open", "/setup?ask=sign-out#sign-out")
    assert item(replace(UP, signed_in=False), "Sign in").action == Action("open", "/setup")


def test_every_menu_has_one_default() -> None:
    for status in (UP, Status(), TAKEN, BROKEN):
        items = list(every(menu(status, autostart=True)))
        assert [i.text for i in items if i.default] == ["Open dashboard"]


@pytest.mark.parametrize(
    ("before", "after", "title"),
    [
        (Status(phase="starting"), TAKEN, "The server is not running"),
        (TAKEN, TAKEN, None),
        (TAKEN, replace(TAKEN, queued=1), None),
        (UP, replace(UP, problem=REFUSED), "Google refuses this account."),
        (replace(UP, problem=REFUSED), replace(UP, problem=REFUSED, running=1), None),
        (replace(UP, signed_in=False, email=None), UP, "Signed in"),
        (replace(UP, email=None), UP, None),
        (Status(signed_in=False), UP, None),
        (Status(), UP, None),
        (UP, Status(), None),
        (UP, replace(UP, running=3), None),
        (UP, replace(UP, refused=("x: gone.",)), "A model is left out"),
        (replace(UP, refused=("x: gone.",)), replace(UP, refused=("x: gone.",), running=1), None),
        (Status(phase="starting"), replace(UP, signed_in=False, refused=("x: gone.",)), None),
        (UP, replace(UP, ending=("x ends.",)), "A model ends soon"),
        (replace(UP, ending=("x ends.",)), replace(UP, ending=("x ends.",), queued=1), None),
    ],
)
def test_only_a_change_of_state_is_news(before: Status, after: Status, title: str | None) -> None:
    news = notice(before, after)
    assert (news.title if news else None) == title


def test_the_notice_of_a_conflict_names_the_way_out() -> None:
    news = notice(Status(), TAKEN)
    assert isinstance(news, Notice)
    assert "Use port 8082 instead" in news.message


def test_intervals() -> None:
    assert [interval_label(s) for s in (0.0, 1.0, 2.5)] == ["Off", "1 s", "2.5 s"]


def test_texts_are_cut_to_what_windows_takes() -> None:
    assert clamp("short", 63) == "short"
    assert clamp("é" * 200, 127) == "é" * 126 + "…"
    assert len(clamp("🙂" * 100, 63).encode("utf-16-le")) <= 126
    assert len(tooltip(replace(UP, phase="stopped", running=10**130))) <= 127


def test_a_newer_release_is_a_line_that_leads_to_it() -> None:
    newer = item(replace(UP, update="9.9.9"), "Version 9.9.9 is out")
    assert newer.action == Action("open", "/about")
    assert not [i for i in every(menu(UP, autostart=None)) if "is out" in i.text]
    stopped = replace(TAKEN, update="9.9.9")  # its page could not be shown
    assert not [i for i in every(menu(stopped, autostart=None)) if "is out" in i.text]
