"""The pages: complete without scripts, honest before sign-in, closed to strangers."""

import json
import re
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from html import unescape
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs, urlsplit

import httpx
import pytest

from server.settings.load import load
from tests.google import account, failures
from tests.google.google import API_KEY, FakeGoogle
from tests.rig import Rig, running
from tests.support import serve

BROWSER = {"accept": "text/html,application/xhtml+xml,*/*;q=0.8"}
CHAT = {"model": "gpt-4o", "messages": [{"role": "user", "content": "Hello"}]}


@asynccontextmanager
async def before_sign_in(tmp_path: Path, google: FakeGoogle) -> AsyncIterator[Rig]:
    """A server whose sign-in leads to the fake Google on a socket."""
    async with serve(google) as base_url:
        client_file = tmp_path / "client.json"
        client_file.write_text(json.dumps(google.oauth.client_config(base_url)), "utf-8")
        async with running(
            tmp_path,
            google=google,
            in_process=False,
            gemini_api_key=None,
            code_assist_endpoint=base_url,
            google_oauth_client_file=client_file,
        ) as rig:
            yield rig


def field(html: str, name: str) -> str:
    found = re.search(rf'name="{name}" value="([^"]*)"', html)
    assert found, name
    return unescape(found[1])


def sign_in_link(html: str) -> str:
    found = re.search(r'id="google-sign-in" href="([^"]*)"', html)
    assert found
    return unescape(found[1])


async def page(rig: Rig, path: str = "/setup") -> str:
    answer = await rig.http.get(path)
    assert answer.status_code == 200
    return answer.text


async def agree(link: str) -> str:
    """Follow the link to Google, agree there; the address Google sends the browser back to."""
    async with httpx.AsyncClient(trust_env=False) as browser:
        answer = await browser.get(link)
    assert answer.status_code == 302, answer.text
    return answer.headers["location"]


async def test_the_link_is_googles_own_address_and_stands_under_the_rules(tmp_path: Path) -> None:
    async with before_sign_in(tmp_path, FakeGoogle()) as rig:
        html = await page(rig)
    link = sign_in_link(html)
    query = parse_qs(urlsplit(link).query)
    assert query["client_id"]
    assert query["state"]
    assert query["code_challenge_method"] == ["S256"]
    assert query["redirect_uri"] == [f"{rig.url}/oauth2callback"]
    rules = html.index("Standard and")
    assert rules < html.index("third-party") < html.index('id="google-sign-in"')
    assert "I have read this" in html


async def test_sign_in_by_the_browser_and_then_an_answer(tmp_path: Path) -> None:
    async with before_sign_in(tmp_path, FakeGoogle()) as rig:
        back = await agree(sign_in_link(await page(rig)))
        answer = await rig.http.get(back)
        assert answer.status_code == 200
        assert "Signed in" in answer.text
        assert (await rig.http.get("/health")).json()["upstream"] == "code-assist"
        said = await rig.http.post("/v1/chat/completions", json=CHAT)
        assert said.status_code == 200
        again = await rig.http.get(back)
        assert again.status_code == 400
        assert "Not signed in" in again.text


@pytest.mark.parametrize("form", ["bare", "spaces", "address"])
async def test_sign_in_by_pasting_the_code(tmp_path: Path, form: str) -> None:
    async with before_sign_in(tmp_path, FakeGoogle()) as rig:
        html = await page(rig)
        back = await agree(sign_in_link(html))
        code = parse_qs(urlsplit(back).query)["code"][0]
        pasted = {"bare": code, "spaces": f"  {code} \n", "address": back}[form]
        data = {
            "token": field(html, "token"),
            "action": "code",
            "state": field(html, "state"),
            "code": pasted,
        }
        answer = await rig.http.post("/setup", data=data)
        assert answer.status_code == 200
        assert "Signed in" in answer.text
        assert rig.gateway.tokens.signed_in


async def test_signing_out_revokes_and_forgets(tmp_path: Path) -> None:
    google = FakeGoogle()
    async with before_sign_in(tmp_path, google) as rig:
        await rig.http.get(await agree(sign_in_link(await page(rig))))
        html = await page(rig)
        data = {"token": field(html, "token"), "action": "sign-out", "sure": "yes"}
        answer = await rig.http.post("/setup", data=data)
        assert "Signed out" in answer.text
        assert google.calls("revoke")
        assert not (tmp_path / "google_token.json").exists()
        assert (await rig.http.post("/v1/chat/completions", json=CHAT)).status_code == 401


@pytest.mark.parametrize(
    "query", ["", "?code=4/x", "?code=4/x&state=wrong", "?error=access_denied"]
)
@pytest.mark.parametrize("path", ["/auth", "/oauth2callback"])
async def test_a_code_without_our_state_is_refused(tmp_path: Path, path: str, query: str) -> None:
    async with before_sign_in(tmp_path, FakeGoogle()) as rig:
        answer = await rig.http.get(path + query)
        assert answer.status_code == 400
        assert "Not signed in" in answer.text
        assert not rig.gateway.tokens.signed_in


@pytest.mark.parametrize(
    ("who", "words"),
    [
        (account.unsupported_client(), "no longer serves"),
        (account.validation_required(), "verified"),
        (account.tos_violation(), "suspended"),
        (account.missing_licence(), "licence"),
        (account.service_disabled(), "enable"),
        (account.ineligible("RESTRICTED_AGE"), "age"),
        (account.ineligible("UNSUPPORTED_LOCATION"), "country"),
        (account.ineligible("INELIGIBLE_ACCOUNT"), "eligible"),
        (account.own_project("theirs"), "project"),
    ],
)
async def test_every_refusal_has_its_sentence_on_the_page_and_in_the_error(
    tmp_path: Path, who: account.Account, words: str
) -> None:
    async with before_sign_in(tmp_path, FakeGoogle(account=who)) as rig:
        back = await rig.http.get(await agree(sign_in_link(await page(rig))))
        assert words.lower() in back.text.lower()
        answer = await rig.http.post("/v1/chat/completions", json=CHAT)
        assert answer.status_code == 403
        assert words.lower() in answer.json()["error"]["message"].lower()
        assert answer.headers["x-should-retry"] == "false"
        for path in ("/", "/setup"):
            assert words.lower() in (await page(rig, path)).lower()


async def test_without_a_client_the_page_says_so_and_offers_other_roads(tmp_path: Path) -> None:
    async with running(tmp_path, gemini_api_key=None) as rig:
        html = await page(rig)
        assert "ships none of its own" in html
        assert 'id="google-sign-in"' not in html
        assert "Gemini API key" in html
        assert "demo" in html.lower()


async def test_a_key_saved_on_the_page_is_used_at_once_and_never_shown(tmp_path: Path) -> None:
    async with running(tmp_path, gemini_api_key=None) as rig:
        token = field(await page(rig), "token")
        data = {"token": token, "action": "key", "key": "fake-gemini-api-key"}
        answer = await rig.http.post("/setup", data=data)
        assert answer.status_code == 200
        assert (await rig.http.post("/v1/chat/completions", json=CHAT)).status_code == 200
        for path in ("/", "/setup", "/usage", "/health", "/metrics"):
            assert "fake-gemini-api-key" not in (await rig.http.get(path)).text
    assert "fake-gemini-api-key" in (tmp_path / "settings.toml").read_text("utf-8")


@pytest.mark.parametrize("key", ["  ", "\u201cAIza\u201d", "two words"])
async def test_what_is_no_key_is_refused_and_the_saved_one_kept(tmp_path: Path, key: str) -> None:
    async with running(tmp_path) as rig:
        before = rig.gateway.settings.gemini_api_key
        data = {"token": field(await page(rig), "token"), "action": "key", "key": key}
        answer = await rig.http.post("/setup", data=data)
        assert answer.status_code == 400
        assert 'role="alert"' in answer.text
        assert rig.gateway.settings.gemini_api_key == before
        assert (await rig.http.post("/v1/chat/completions", json=CHAT)).status_code == 200


async def test_a_refused_key_is_not_announced_as_a_success(tmp_path: Path) -> None:
    async with running(tmp_path, gemini_api_key=None) as rig:
        data = {"token": field(await page(rig), "token"), "action": "key", "key": "wrong"}
        answer = (await rig.http.post("/setup", data=data)).text
        assert "Google does not accept this API key" in answer
        assert "notice good" not in answer


async def test_an_uploaded_client_is_checked_and_kept_private(tmp_path: Path) -> None:
    async with running(tmp_path, gemini_api_key=None) as rig:
        token = field(await page(rig), "token")
        data = {"token": token, "action": "client"}
        bad = await rig.http.post("/setup", data=data, files={"file": b"{}"})
        assert bad.status_code == 400
        config = FakeGoogle().oauth.client_config("http://127.0.0.1:1")
        good = await rig.http.post("/setup", data=data, files={"file": json.dumps(config).encode()})
        assert 'id="google-sign-in"' in good.text
    assert (tmp_path / "client_secret.json").stat().st_mode & 0o777 == 0o600


async def test_limits_change_live_and_are_saved(tmp_path: Path) -> None:
    async with running(tmp_path) as rig:
        token = field(await page(rig, "/"), "token")
        data = {"token": token, "RATE_LIMIT": "2.5", "WAIT_MODE": "true"}
        assert (await rig.http.post("/settings", data=data)).status_code == 303
        health = (await rig.http.get("/health")).json()
        assert (health["rate_limit"], health["wait_mode"]) == (2.5, True)
        bad = await rig.http.post("/settings", data={**data, "RATE_LIMIT": "often"})
        assert bad.status_code == 400
        assert "RATE_LIMIT" in bad.text
    text = (tmp_path / "settings.toml").read_text("utf-8")
    assert "2.5" in text


async def test_aliases_change_live_and_are_saved(tmp_path: Path) -> None:
    async with running(tmp_path) as rig:
        body = {**CHAT, "model": "my-model"}
        assert (await rig.http.post("/v1/chat/completions", json=body)).status_code == 404
        token = field(await page(rig, "/"), "token")
        data = {"token": token, "ALIASES": "my-model = gemini-2.5-flash\n\n x=gemini-2.5-pro "}
        assert (await rig.http.post("/settings", data=data)).status_code == 303
        answer = await rig.http.post("/v1/chat/completions", json=body)
        assert answer.headers["x-gemini-model"] == "gemini-2.5-flash"
        assert "my-model = gemini-2.5-flash" in await page(rig, "/")
        bad = await rig.http.post("/settings", data={**data, "ALIASES": "no equals sign"})
        assert bad.status_code == 400
    saved = load({"DATA_DIR": str(tmp_path)}, {}).settings.aliases
    assert saved == {"my-model": "gemini-2.5-flash", "x": "gemini-2.5-pro"}


async def test_a_change_without_the_page_token_is_refused(tmp_path: Path) -> None:
    async with running(tmp_path) as rig:
        for path, data in (
            ("/settings", {"RATE_LIMIT": "9"}),
            ("/setup", {"action": "sign-out", "token": "guess"}),
        ):
            assert (await rig.http.post(path, data=data)).status_code == 403
        assert (await rig.http.get("/health")).json()["rate_limit"] == 0


async def test_pages_are_hardened(tmp_path: Path) -> None:
    async with running(tmp_path) as rig:
        for path in (
            "/",
            "/setup",
            "/connect",
            "/settings",
            "/inspect",
            "/log",
            "/help",
            "/about",
            "/no",
        ):
            headers = (await rig.http.get(path, headers=BROWSER)).headers
            policy = headers["content-security-policy"]
            assert "default-src 'none'" in policy
            assert "frame-ancestors 'none'" in policy
            assert "unsafe" not in policy
            assert headers["referrer-policy"] == "same-origin"
            html = (await rig.http.get(path)).text
            assert not re.search(r"<script(?![^>]*src=)", html)
            assert " style=" not in html
        assert (await rig.http.get("/nowhere")).status_code == 404
        assert (await rig.http.get("/static/style.css")).status_code == 200


async def test_what_leads_outside_leaves_the_window_where_it_is(tmp_path: Path) -> None:
    """The window has no way back; such links open in the system's browser."""
    async with before_sign_in(tmp_path, FakeGoogle(account=account.tos_violation())) as rig:
        await rig.http.get(await agree(sign_in_link(await page(rig))))
        for path in ("/", "/setup", "/settings", "/inspect", "/log", "/help", "/about"):
            links = re.findall(r'<a [^>]*href="https?:[^>]*>', await page(rig, path))
            assert all('target="_blank"' in link for link in links), path


async def test_logging_out_forgets_the_browser(tmp_path: Path) -> None:
    async with running(tmp_path, api_keys=("right",)) as rig:
        assert 'value="/settings"' in (await rig.http.get("/settings")).text
        entered = await rig.http.post("/login", data={"key": "right", "then": "/settings"})
        assert entered.headers["location"] == "/settings"
        html = (await rig.http.get("/settings")).text
        assert "Log out" in html
        assert (await rig.http.post("/logout", data={"token": "guess"})).status_code == 403
        await rig.http.post("/logout", data={"token": field(html, "token")})
        assert (await rig.http.get("/")).status_code == 401


async def test_who_needs_no_login_is_offered_no_logout(tmp_path: Path) -> None:
    async with running(tmp_path) as rig:
        assert "Log out" not in await page(rig, "/")


@pytest.mark.parametrize(
    "then", ["https://example.com/", "//example.com", "/\\example.com", "", "x"]
)
async def test_a_login_leads_only_to_our_own_pages(tmp_path: Path, then: str) -> None:
    async with running(tmp_path, api_keys=("right",)) as rig:
        answer = await rig.http.post("/login", data={"key": "right", "then": then})
        assert answer.headers["location"] == "/"


async def test_a_page_that_breaks_says_so_in_words(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    async with running(tmp_path) as rig:

        async def broken() -> dict[str, Any]:
            raise ZeroDivisionError

        monkeypatch.setattr(rig.gateway.usage, "summary", broken)
        told = (await rig.http.get("/")).json()["error"]["message"]
        assert "fault of this program" in told
        answer = await rig.http.get("/", headers=BROWSER)
        assert answer.status_code == 500
        assert "fault of this program" in answer.text
        assert "ZeroDivisionError" not in answer.text
        assert 'href="/log"' in answer.text


async def test_other_failures_are_pages_for_browsers_and_json_for_programs(tmp_path: Path) -> None:
    async with running(tmp_path) as rig:
        for method, path, status in (("GET", "/nowhere", 404), ("DELETE", "/settings", 405)):
            answer = await rig.http.request(method, path, headers=BROWSER)
            assert answer.status_code == status
            assert "Open the dashboard" in answer.text
            answer = await rig.http.request(method, path)
            assert answer.status_code == status
            assert answer.json()["error"]["message"]
        big = {"file": b"x" * 2_000_000}
        assert (await rig.http.post("/setup", files=big)).status_code == 413


async def test_a_key_takes_over_from_an_account_that_google_refuses(tmp_path: Path) -> None:
    google = FakeGoogle(account=account.unsupported_client())
    async with before_sign_in(tmp_path, google) as rig:
        await rig.http.get(await agree(sign_in_link(await page(rig))))
        assert (await rig.http.post("/v1/chat/completions", json=CHAT)).status_code == 403
        await rig.gateway.change(
            "GOOGLE_GEMINI_BASE_URL", rig.gateway.settings.code_assist_endpoint
        )
        data = {"token": field(await page(rig), "token"), "action": "key", "key": API_KEY}
        answer = await rig.http.post("/setup", data=data)
        assert "Gemini API key works" in answer.text
        assert "Connect an app" in answer.text
        assert (await rig.http.post("/v1/chat/completions", json=CHAT)).status_code == 200


async def test_a_refused_account_does_not_end_what_works(tmp_path: Path) -> None:
    google = FakeGoogle(account=account.unsupported_client())
    async with before_sign_in(tmp_path, google) as rig:
        await rig.gateway.change(
            "GOOGLE_GEMINI_BASE_URL", rig.gateway.settings.code_assist_endpoint
        )
        await rig.gateway.change("GEMINI_API_KEY", API_KEY)
        back = await rig.http.get(await agree(sign_in_link(await page(rig))))
        assert "Requests still go to gemini-api" in back.text
        assert "no longer serves" in back.text
        assert (await rig.http.post("/v1/chat/completions", json=CHAT)).status_code == 200


async def test_the_project_of_a_licence_is_given_where_it_is_missed(tmp_path: Path) -> None:
    google = FakeGoogle(account=account.own_project("licensed"))
    async with before_sign_in(tmp_path, google) as rig:
        await rig.http.get(await agree(sign_in_link(await page(rig))))
        html = await page(rig)
        assert 'data-code="PROJECT_REQUIRED"' in html
        data = {"token": field(html, "token"), "action": "project"}
        answer = await rig.http.post("/setup", data={**data, "GOOGLE_CLOUD_PROJECT": "licensed"})
        assert "Google sign-in works" in answer.text


async def test_a_sign_in_that_google_ended_is_said_on_every_page(tmp_path: Path) -> None:
    google = FakeGoogle()
    async with before_sign_in(tmp_path, google) as rig:
        await rig.http.get(await agree(sign_in_link(await page(rig))))
        google.oauth.revoke_all()
        await rig.http.post("/v1/chat/completions", json=CHAT)
        for path in ("/", "/setup"):
            html = await page(rig, path)
            assert 'data-code="invalid_grant"' in html
            assert "Sign in again" in html


async def test_strangers_get_a_login_form_and_the_key_opens_it(tmp_path: Path) -> None:
    async with running(tmp_path, api_keys=("right",)) as rig:
        locked = await rig.http.get("/")
        assert locked.status_code == 401
        assert "Log in" in locked.text
        assert "Recent requests" not in locked.text
        assert (await rig.http.get("/usage")).status_code == 401
        assert (await rig.http.get("/health")).status_code == 200
        wrong = await rig.http.post("/login", data={"key": "wrong"})
        assert wrong.status_code == 401
        right = await rig.http.post("/login", data={"key": "right"})
        assert right.status_code == 303
        cookie = right.headers["set-cookie"]
        assert "HttpOnly" in cookie
        assert "SameSite=Lax" in cookie
        assert "right" not in cookie
        opened = await rig.http.get("/")
        assert opened.status_code == 200
        assert "Recent requests" in opened.text


async def test_the_generated_key_is_shown_to_this_machine_only(tmp_path: Path) -> None:
    async with running(tmp_path) as rig:
        key = rig.gateway.access.generated_key
        assert key
        assert key in await page(rig, "/")
        elsewhere = {"x-forwarded-for": "10.0.0.1", "x-api-key": key}
        answer = await rig.http.get("/", headers=elsewhere)
        assert answer.status_code == 200
        assert key not in answer.text


async def test_metrics_and_the_feed_tell_of_a_request(tmp_path: Path) -> None:
    async with running(tmp_path) as rig, rig.http.stream("GET", "/events") as feed:
        lines = feed.aiter_lines()
        assert await anext(lines) == ": connected"
        await rig.http.post("/v1/chat/completions", json=CHAT)
        told: list[Any] = []
        async for line in lines:
            if line.startswith("data: "):
                told.append(json.loads(line[6:]))
            if len(told) == 2:
                break
        assert [change["type"] for change in told] == ["started", "finished"]
        assert told[1]["model"] == "gemini-4-hydrogen"
        metrics = await rig.http.get("/metrics")
        assert "gemini_proxy_requests_total" in metrics.text
        assert metrics.headers["content-type"].startswith("text/plain")


async def test_an_upstream_error_shows_its_words_on_the_dashboard(tmp_path: Path) -> None:
    async with running(tmp_path) as rig:
        rig.google.fail(failures.not_found())
        await rig.http.post("/v1/chat/completions", json=CHAT)
        assert "not_found" in await page(rig, "/")


async def test_the_trays_own_window_enters_with_a_ticket(tmp_path: Path) -> None:
    async with running(tmp_path, api_keys=("right",)) as rig:
        assert (await rig.http.get("/settings")).status_code == 401
        ticket = rig.gateway.tickets.issue()
        entered = await rig.http.get("/login", params={"ticket": ticket, "to": "/settings?a=b"})
        assert (entered.status_code, entered.headers["location"]) == (303, "/settings?a=b")
        cookie = entered.headers["set-cookie"]
        assert "HttpOnly" in cookie
        assert "SameSite=Lax" in cookie
        assert ticket not in entered.text + cookie
        assert (await rig.http.get("/settings")).status_code == 200
        rig.http.cookies.clear()
        again = await rig.http.get("/login", params={"ticket": ticket, "to": "/"})
        assert again.status_code == 401
        assert "set-cookie" not in again.headers


@pytest.mark.parametrize("to", ["//evil.example/", "https://evil.example/", "/\\evil.example", ""])
async def test_a_ticket_leads_to_our_own_pages_only(tmp_path: Path, to: str) -> None:
    async with running(tmp_path, api_keys=("right",)) as rig:
        ticket = rig.gateway.tickets.issue()
        answer = await rig.http.get("/login", params={"ticket": ticket, "to": to})
        assert answer.headers["location"] == "/"


async def test_who_is_in_needs_no_ticket(tmp_path: Path) -> None:
    async with running(tmp_path) as rig:
        assert (await rig.http.get("/login")).headers["location"] == "/"


async def test_the_help_page_looks_when_it_is_asked_to(tmp_path: Path) -> None:
    """Without scripts; what is found is told with what to do, and holds no secret."""
    async with running(tmp_path, upstream="demo", gemini_api_key="correct-horse-key") as rig:
        page = (await rig.http.get("/help")).text
        assert 'id="diagnostics"' not in page
        refused = await rig.http.post("/help", data={"token": "wrong"})
        assert refused.status_code == 403
        token = page.partition('name="token" value="')[2].partition('"')[0]
        rig.gateway.settings = rig.gateway.settings.with_value("HOST", "127.0.0.1")
        looked = await rig.http.post("/help", data={"token": token})
        assert looked.status_code == 200
        assert "served by this program" in looked.text
        assert "Copy diagnostics" in looked.text
        assert "correct-horse-key" not in looked.text
