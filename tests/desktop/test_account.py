"""The account in the real menu: who, what is left, what is wrong, and signing out."""

import re
from typing import TYPE_CHECKING

from tests.desktop.conftest import Program, Starter, chat
from tests.desktop.google import google_at, signed_in
from tests.desktop.test_tray import JSON, ready, shown, wait
from tests.google import account
from tests.google.google import FakeGoogle

if TYPE_CHECKING:
    from tests.desktop.panel import Panel


def ask(program: Program, model: str) -> int:
    url = program.url + "/v1/chat/completions"
    body = chat("hi").replace(b"gpt-4o", model.encode())
    return program.http.post(url, content=body, headers=JSON).status_code


def confirm(program: Program) -> None:
    """Press the button of the page that asks."""
    found = re.search(
        r'name="token" value="([^"]*)"', program.http.get(program.url + "/setup").text
    )
    assert found
    data = {"token": found[1], "action": "sign-out", "sure": "yes"}
    assert program.http.post(program.url + "/setup", data=data).status_code == 200


def test_account_plan_upstream_and_quota_are_told_and_follow_requests(
    panel: "Panel", start: Starter
) -> None:
    google = FakeGoogle()
    google.quota["gemini-2.5-pro"] = 0.62
    with (
        google_at(google) as base_url,
        start("--hidden", **signed_in(google, base_url, start.data)) as program,
    ):
        ready(panel, program)
        wait(lambda: panel.says("Pro: 62 % left · resets "))
        (line,) = [label for label in panel.labels() if "@" in label]
        assert line.count(" · ") == 2
        assert line.endswith("Google sign-in (Code Assist)")
        assert panel.says("Flash: 100 % left")
        asked = len(google.calls("retrieveUserQuota"))
        google.quota["gemini-2.5-pro"] = 0.0
        icon = panel.icon()["IconName"]
        assert ask(program, "gemini-2.5-pro") == 200
        wait(lambda: panel.says("Pro: 0 % left"))
        assert panel.icon()["IconName"] != icon
        assert len(google.calls("retrieveUserQuota")) == asked + 1
        assert panel.notes == []


def test_a_refused_account_is_told_once_with_its_remedy_and_link(
    panel: "Panel", start: Starter
) -> None:
    google = FakeGoogle(account=account.validation_required(loads=1))
    with (
        google_at(google) as base_url,
        start("--hidden", **signed_in(google, base_url, start.data)) as program,
    ):
        wait(lambda: program.answers() and panel.says("Needs attention"))
        wait(lambda: panel.notes)
        assert "verified" in panel.notes[0][0]
        assert panel.says("complete the check, then check again here")
        links = [label for label in panel.labels() if label.endswith("…")]
        assert any("erif" in label for label in links), links
        panel.click("Check again")
        wait(lambda: panel.says("Running on 127.0.0.1:"))
        assert panel.says("Check again")
        assert len(panel.notes) == 1


def test_signing_out_in_the_menu_and_where_to_sign_in_again(panel: "Panel", start: Starter) -> None:
    google = FakeGoogle()
    with (
        google_at(google) as base_url,
        start("--hidden", **signed_in(google, base_url, start.data)) as program,
    ):
        ready(panel, program)
        panel.click("Sign out…")
        wait(lambda: shown(program, 1))
        assert (program.folder / "google_token.json").exists()
        confirm(program)
        wait(lambda: panel.says("Needs sign-in"))
        assert not (program.folder / "google_token.json").exists()
        assert not panel.says("% left")
        panel.click("Sign in or add a key…")
        wait(lambda: shown(program, 2))
        panel.click("Demo")
        wait(lambda: ask(program, "gemini-2.5-pro") == 200)
        wait(lambda: panel.says("Running on 127.0.0.1:"))
        assert panel.notes == []
