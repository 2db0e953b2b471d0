"""The set-up page as it grows old: its sign-in link, and what was chosen on it once."""

import json
import re
from pathlib import Path

import pytest

from server.auth.oauth_client import CLIENT_FILE
from tests.google.google import FakeGoogle
from tests.rig import Rig, running
from tests.webui.test_pages import (
    BROWSER,
    agree,
    before_sign_in,
    field,
    page,
    sign_in_link,
)

MINUTE = 60.0


async def post(rig: Rig, action: str, **more: str) -> str:
    html = await page(rig)
    data = {"token": field(html, "token"), "action": action, **more}
    answer = await rig.http.post("/setup", data=data)
    assert answer.status_code == 200
    return answer.text


def page_id(html: str) -> str:
    found = re.search(r'<main[^>]* data-page="([^"]+)"', html)
    assert found
    return found[1]


def age(rig: Rig, monkeypatch: pytest.MonkeyPatch, by_s: float) -> None:
    """Let a while pass for the sign-ins that were begun."""
    before = rig.gateway.sign_in._now
    monkeypatch.setattr(rig.gateway.sign_in, "_now", lambda: before() + by_s)


async def test_the_link_of_an_open_page_lives_as_long_as_the_page(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A program works (each of its requests refreshes both pages), for half an hour."""
    async with before_sign_in(tmp_path, FakeGoogle()) as rig:
        mine, other = await page(rig), await page(rig)
        link = sign_in_link(mine)
        for _ in range(100):
            age(rig, monkeypatch, MINUTE / 3)
            for shown in (mine, other):
                again = await page(rig, f"/setup?page={page_id(shown)}")
                assert sign_in_link(again) == sign_in_link(shown)
        assert len(rig.gateway.sign_in._pending) == 2
        assert "Signed in" in (await rig.http.get(await agree(link))).text
        assert rig.gateway.tokens.signed_in


async def test_a_page_whose_link_is_over_gets_a_new_one_in_place(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    async with before_sign_in(tmp_path, FakeGoogle()) as rig:
        old = await page(rig)
        age(rig, monkeypatch, 11 * MINUTE)
        new = await page(rig, f"/setup?page={page_id(old)}")
        assert sign_in_link(new) != sign_in_link(old)
        assert page_id(new) != page_id(old)
        assert "Signed in" in (await rig.http.get(await agree(sign_in_link(new)))).text


async def test_without_scripts_a_quiet_page_asks_anew_after_nine_minutes(tmp_path: Path) -> None:
    async with before_sign_in(tmp_path, FakeGoogle()) as rig:
        html = await page(rig)
    wanted = f'content="540; url=/setup?page={page_id(html)}"'
    assert f'<noscript><meta http-equiv="refresh" {wanted}></noscript>' in html
    assert 'data-renew="540"' in html


async def test_a_code_that_comes_back_too_late_meets_a_fresh_link(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    async with before_sign_in(tmp_path, FakeGoogle()) as rig:
        back = await agree(sign_in_link(await page(rig)))
        age(rig, monkeypatch, 11 * MINUTE)
        late = await rig.http.get(back)
        assert late.status_code == 400
        assert "older than ten minutes" in late.text
        rules, link = late.text.index('class="rules"'), late.text.index('id="google-sign-in"')
        assert rules < link  # no road leads around them
        assert "Signed in" in (await rig.http.get(await agree(sign_in_link(late.text)))).text


async def test_an_uploaded_client_is_replaced_and_removed(tmp_path: Path) -> None:
    google = FakeGoogle()
    async with running(tmp_path, google=google, gemini_api_key=None) as rig:
        for name in ("first", "second"):
            config = google.oauth.client_config("https://oauth2.googleapis.com")
            fields = next(iter(config.values()))
            fields |= {"client_id": f"{name}.apps.googleusercontent.com"}
            await rig.gateway.trust("")
            html = await page(rig)
            answer = await rig.http.post(
                "/setup",
                data={"token": field(html, "token"), "action": "client"},
                files={"file": ("client_secret.json", json.dumps(config))},
            )
            assert "The OAuth client is saved." in answer.text
            assert f"{name}." in (tmp_path / CLIENT_FILE).read_text("utf-8")
            assert "Remove the uploaded client" in answer.text
        html = await post(rig, "remove-client")
        assert not (tmp_path / CLIENT_FILE).exists()
        assert "Remove the uploaded client" not in html
        assert "No OAuth client is there yet" in html


async def test_the_choice_of_the_gemini_clis_client_can_be_taken_back(tmp_path: Path) -> None:
    async with running(tmp_path, gemini_api_key=None) as rig:
        assert "Do not use the Gemini CLI" in await post(rig, "gemini-cli")
        assert rig.gateway.settings.use_gemini_cli_client
        assert "Do not use the Gemini CLI" not in await post(rig, "no-gemini-cli")
        assert not rig.gateway.settings.use_gemini_cli_client


async def test_a_key_is_replaced_and_removed(tmp_path: Path) -> None:
    async with running(tmp_path) as rig:
        html = await page(rig)
        assert "Replace it: save key and check it" in html
        assert "Remove the key…" in html
        html = await post(rig, "remove-key", sure="yes")
        assert rig.gateway.settings.gemini_api_key is None
        assert "Remove the key…" not in html


async def test_signing_out_asks(tmp_path: Path) -> None:
    async with before_sign_in(tmp_path, FakeGoogle()) as rig:
        await rig.http.get(await agree(sign_in_link(await page(rig))))
        html = await page(rig)
    asked = re.search(r'<details id="sign-out" ><summary>Sign out…(.*?)</details>', html, re.S)
    assert asked
    assert "Yes, sign out" in asked[1]
    assert html.count('value="sign-out"') == 1


async def test_a_stale_tab_undoes_no_project(tmp_path: Path) -> None:
    async with running(tmp_path) as rig:
        html = await page(rig)
        was = dict.fromkeys(("was-GOOGLE_CLOUD_PROJECT",), "")
        await rig.gateway.change("GOOGLE_CLOUD_LOCATION", "europe-west4")
        old = {"GOOGLE_CLOUD_LOCATION": "global", "was-GOOGLE_CLOUD_LOCATION": "global"}
        data = {"token": field(html, "token"), "action": "vertex", "GOOGLE_CLOUD_PROJECT": "mine"}
        await rig.http.post("/setup", data=data | was | old)
        assert rig.gateway.settings.google_cloud_project == "mine"
        assert rig.gateway.settings.google_cloud_location == "europe-west4"


@pytest.mark.parametrize("action", ["", "fly", "Sign-Out", "sign-out "])
async def test_an_unknown_button_is_refused_with_a_sentence(tmp_path: Path, action: str) -> None:
    async with running(tmp_path) as rig:
        for path in ("/setup", "/connect"):
            token = field(await page(rig, path), "token")
            data = {"token": token, "action": action, "sure": "yes", "tool": "codex"}
            answer = await rig.http.post(path, data=data, headers=BROWSER)
            assert answer.status_code == 400, path
            assert "which no button here does" in answer.text
            told = await rig.http.post(path, data=data)
            assert (told.status_code, list(told.json())) == (400, ["error"])


@pytest.mark.parametrize("path", ["/settings", "/inspect", "/help", "/about", "/logout"])
async def test_pages_with_few_buttons_refuse_others(tmp_path: Path, path: str) -> None:
    async with running(tmp_path) as rig:
        token = field(await page(rig, "/settings"), "token")
        answer = await rig.http.post(path, data={"token": token, "action": "fly", "on": "yes"})
        assert answer.status_code == 400
        assert "fly" in answer.json()["error"]["message"]
        assert not rig.gateway.pipeline.inspector.on


@pytest.mark.parametrize("sure", [{}, {"sure": ""}, {"sure": "no"}])
async def test_signing_out_needs_the_button_that_confirms(
    tmp_path: Path, sure: dict[str, str]
) -> None:
    google = FakeGoogle()
    async with before_sign_in(tmp_path, google) as rig:
        await rig.http.get(await agree(sign_in_link(await page(rig))))
        asked = await post(rig, "sign-out", **sure)
        assert "<h1>Sign out?</h1>" in asked
        assert rig.gateway.tokens.signed_in
        assert not google.calls("revoke")
        assert re.search(r'<button[^>]* name="sure" value="yes"', asked)
        await post(rig, "sign-out", sure="yes")
        assert not rig.gateway.tokens.signed_in


async def test_removing_the_key_needs_the_button_that_confirms(tmp_path: Path) -> None:
    async with running(tmp_path, gemini_api_key=None) as rig:
        await rig.gateway.change("GEMINI_API_KEY", "a-key-of-mine")
        assert "Remove the saved key?" in await post(rig, "remove-key")
        assert rig.gateway.settings.gemini_key
        await post(rig, "remove-key", sure="yes")
        assert not rig.gateway.settings.gemini_key


async def test_the_tray_opens_the_question_about_signing_out(tmp_path: Path) -> None:
    async with before_sign_in(tmp_path, FakeGoogle()) as rig:
        await rig.http.get(await agree(sign_in_link(await page(rig))))
        assert '<details id="sign-out" open>' in await page(rig, "/setup?ask=sign-out")
        assert '<details id="sign-out" open>' not in await page(rig)
