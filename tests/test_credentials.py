"""Credentials stay where they belong: bound to their host, asked about once when they end."""

import json
import re
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from html import unescape
from pathlib import Path
from typing import Any

import httpx
import pytest

from server.auth import token_store
from server.settings.load import SettingsError, load
from tests.faults import ask, signed_in
from tests.google.google import FakeGoogle
from tests.rig import Rig, running
from tests.support import old_google, serve

FIRST, SECOND = "the-first-gemini-key", "the-second-gemini-key"
OPENAI = {"model": "gemini-3.8-flash", "messages": [{"role": "user", "content": "Hello"}]}


async def post(rig: Rig, path: str, **values: str) -> httpx.Response:
    html = (await rig.http.get(path)).text
    found = re.search(r'name="token" value="([^"]*)"', html)
    assert found
    return await rig.http.post(path, data={"token": unescape(found[1]), **values})


@asynccontextmanager
async def two_googles(
    folder: Path, **chosen: Any
) -> AsyncIterator[tuple[Rig, FakeGoogle, str, FakeGoogle, str]]:
    """A server whose upstream is the first of two fakes on sockets; both know both keys."""
    here, there = (old_google(api_keys={FIRST, SECOND}) for _ in range(2))
    async with serve(here) as at_here, serve(there) as at_there:
        addresses = {"google_gemini_base_url": at_here, "code_assist_endpoint": at_here}
        async with running(folder, in_process=False, **{**addresses, **chosen}) as rig:
            yield rig, here, at_here, there, at_there


def keys_seen(google: FakeGoogle) -> set[str]:
    return {entry.headers.get("x-goog-api-key", "") for entry in google.requests} - {""}


async def test_a_saved_key_is_sent_only_to_the_host_it_was_entered_for(tmp_path: Path) -> None:
    async with two_googles(tmp_path, gemini_api_key=None, upstream="gemini-api") as parts:
        rig, here, at_here, there, at_there = parts
        await post(rig, "/setup", action="key", key=FIRST)
        assert (await ask(rig, "openai")).status_code == 200
        assert keys_seen(here) == {FIRST}
        saved = await post(rig, "/settings", GOOGLE_GEMINI_BASE_URL=at_there)
        assert saved.status_code == 303
        refused = await ask(rig, "openai")
        assert refused.status_code == 401
        assert "/setup" in refused.text
        assert "enter the key for it" in (await rig.http.get("/setup")).text
        await post(rig, "/setup", action="check", upstream="gemini-api")
        assert there.requests == []
        await post(rig, "/setup", action="key", key=SECOND)
        assert (await ask(rig, "openai")).status_code == 200
        assert keys_seen(there) == {SECOND}
        # ``auto`` and a restart keep to it.
        loaded = load({"DATA_DIR": str(tmp_path)}, {})
        assert (loaded.settings.gemini_key, loaded.warnings) == (SECOND, ())
        moved = load({"DATA_DIR": str(tmp_path)}, {"GOOGLE_GEMINI_BASE_URL": at_here})
        assert moved.settings.gemini_key is None
        assert "enter the key for it" in moved.warnings[0]


@pytest.mark.parametrize(
    ("file", "environ", "used"),
    [
        ({"GEMINI_API_KEY": "key"}, {}, True),
        ({"GEMINI_API_KEY": "key", "GOOGLE_GEMINI_BASE_URL": "https://a.example"}, {}, True),
        ({"GEMINI_API_KEY": "key"}, {"GOOGLE_GEMINI_BASE_URL": "https://a.example"}, False),
        ({}, {"GEMINI_API_KEY": "key", "GOOGLE_GEMINI_BASE_URL": "https://a.example"}, True),
        ({"GOOGLE_GEMINI_BASE_URL": "https://a.example"}, {"GEMINI_API_KEY": "key"}, False),
        ({"GEMINI_API_KEY": "key", "GEMINI_API_KEY_FOR": "a.example"}, {}, False),
        (
            {"GEMINI_API_KEY": "key", "GEMINI_API_KEY_FOR": "a.example:8443"},
            {"GOOGLE_GEMINI_BASE_URL": "https://A.example:8443/path"},
            True,
        ),
        (
            {"GEMINI_API_KEY": "key", "GEMINI_API_KEY_FOR": "a.example"},
            {"GOOGLE_GEMINI_BASE_URL": "https://a.example:8443"},
            False,
        ),
        ({"GEMINI_API_KEY": "key"}, {"GOOGLE_GEMINI_BASE_URL": "http://127.0.0.1:8081"}, True),
    ],
)
def test_whose_address_a_key_belongs_to(
    tmp_path: Path, file: dict[str, str], environ: dict[str, str], used: bool
) -> None:
    lines = [f"{name} = {json.dumps(value)}" for name, value in file.items()]
    (tmp_path / "settings.toml").write_text("\n".join(lines), "utf-8")
    loaded = load({"DATA_DIR": str(tmp_path)}, environ)
    assert (loaded.settings.gemini_key is not None) is used
    assert any("enter the key" in warning for warning in loaded.warnings) is not used


@pytest.mark.parametrize(
    "name", ["GOOGLE_GEMINI_BASE_URL", "CODE_ASSIST_ENDPOINT", "GOOGLE_VERTEX_BASE_URL"]
)
def test_base_urls_outside_this_computer_need_https(tmp_path: Path, name: str) -> None:
    for good in (
        *("https://a.example", "http://127.0.0.1:1", "http://localhost:1", "http://[::1]:1"),
        *("http://a.localhost", "http://127.9.9.9"),
    ):
        load({"DATA_DIR": str(tmp_path)}, {name: good})
    for bad in (
        *("http://a.example", "http://10.0.0.1", "http://127.0.0.1.nip.io", "http://[fe80::1]"),
        *("http://localhost@a.example", "http://0.0.0.0", "ftp://127.0.0.1"),
    ):
        with pytest.raises(SettingsError, match=name):
            load({"DATA_DIR": str(tmp_path)}, {name: bad})


async def test_http_to_a_foreign_host_is_refused_on_the_page(tmp_path: Path) -> None:
    async with running(tmp_path) as rig:
        answer = await post(rig, "/settings", GOOGLE_GEMINI_BASE_URL="http://a.example")
        assert answer.status_code == 400
        assert "https://" in answer.text


async def test_a_sign_in_is_asked_for_anew_when_the_address_changes(tmp_path: Path) -> None:
    async with two_googles(tmp_path, gemini_api_key=None, upstream="code-assist") as parts:
        rig, here, at_here, there, at_there = parts
        token = here.oauth.credentials(at_here)
        (tmp_path / "google_token.json").write_text(json.dumps(token))
        assert (await ask(rig, "openai")).status_code == 200
        await post(rig, "/settings", CODE_ASSIST_ENDPOINT=at_there)
        refused = await ask(rig, "openai")
        assert refused.status_code == 401
        assert "another host" in refused.text
        assert (await rig.http.get("/health")).json()["authenticated"] is False
        assert there.requests == []
        loaded = load({"DATA_DIR": str(tmp_path)}, {}).settings
        assert loaded.code_assist_host[1] is False
        await post(rig, "/settings", CODE_ASSIST_ENDPOINT=at_here)
        assert (await ask(rig, "openai")).status_code == 200


async def test_this_computers_credentials_do_not_follow_a_page_elsewhere(tmp_path: Path) -> None:
    adc = tmp_path / "adc.json"
    adc.write_text(json.dumps(FakeGoogle().oauth.credentials("http://127.0.0.1:1")))
    chosen: dict[str, Any] = {
        "gemini_api_key": None,
        "google_application_credentials": adc,
        "google_cloud_project": "a-project",
        "upstream": "vertex",
    }
    async with running(tmp_path, **chosen) as rig:
        assert "vertex" in [door.name for door in rig.gateway.doors.configured()]
        await post(rig, "/settings", GOOGLE_VERTEX_BASE_URL="https://evil.example")
        assert rig.gateway.doors.configured() == []
        answer = await ask(rig, "openai")
        assert answer.status_code == 401
        assert "from the environment or command line" in answer.text
        await post(rig, "/settings", GOOGLE_VERTEX_BASE_URL="https://x-aiplatform.googleapis.com")
        assert "vertex" in [door.name for door in rig.gateway.doors.configured()]


# ── an OAuth client of somebody else's ──

GOOGLES = {
    "client_id": "id-1",
    "client_secret": "shh",
    "auth_uri": "https://accounts.google.com/o/oauth2/auth",
    "token_uri": "https://oauth2.googleapis.com/token",
}


@pytest.mark.parametrize("field", ["auth_uri", "token_uri", "revoke_uri", "userinfo_uri"])
@pytest.mark.parametrize("way", ["page", "setting"])
async def test_a_client_outside_google_needs_a_yes_that_names_the_host(
    tmp_path: Path, field: str, way: str
) -> None:
    text = json.dumps({"installed": {**GOOGLES, field: "https://evil.example/x"}})
    async with running(tmp_path, gemini_api_key=None) as rig:
        if way == "page":
            html = (await rig.http.get("/setup")).text
            token = unescape(re.findall(r'name="token" value="([^"]*)"', html)[0])
            await rig.http.post(
                "/setup",
                data={"token": token, "action": "client"},
                files={"file": ("client_secret.json", text)},
            )
        else:
            file = tmp_path / "elsewhere.json"
            file.write_text(text)
            await post(rig, "/settings", GOOGLE_OAUTH_CLIENT_FILE=str(file))
        html = (await rig.http.get("/setup")).text
        assert "evil.example" in html
        assert 'id="google-sign-in"' not in html
        wrong = await post(rig, "/setup", action="trust", hosts="other.example")
        assert wrong.status_code == 400
        assert 'id="google-sign-in"' not in (await rig.http.get("/setup")).text
        await post(rig, "/setup", action="trust", hosts="evil.example")
        assert 'id="google-sign-in"' in (await rig.http.get("/setup")).text
        assert load({"DATA_DIR": str(tmp_path)}, {}).settings.oauth_hosts == ("evil.example",)


async def test_a_hostile_client_does_not_get_the_refresh_token_that_is_there(
    tmp_path: Path,
) -> None:
    evil = FakeGoogle()
    async with serve(evil) as at_evil, signed_in(tmp_path) as rig:
        secret = evil.oauth.client_config(at_evil)
        (tmp_path / "client.json").write_text(json.dumps(secret))
        rig.google.oauth.expire_access()
        assert (await ask(rig, "openai")).status_code == 200
        assert len(rig.google.calls("token")) == 1
        assert evil.requests == []


# ── places that cannot be written ──


@pytest.mark.parametrize("mounted", [False, True])
async def test_an_ended_sign_in_that_cannot_be_set_aside_is_asked_about_once(
    tmp_path: Path, mounted: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A read-only folder, or a single file mounted into a container."""
    folder = tmp_path / "data"
    folder.mkdir()

    def refuse(*_: object, **__: object) -> None:
        raise OSError(30, "Read-only file system")

    chosen: dict[str, Any] = {}
    if mounted:
        chosen["token_file"] = tmp_path / "token.json"
    async with signed_in(folder, **chosen) as rig:
        if mounted:
            (folder / "google_token.json").rename(tmp_path / "token.json")
        assert (await ask(rig, "openai")).status_code == 200
        monkeypatch.setattr(token_store, "write_private", refuse)
        monkeypatch.setattr(Path, "unlink", refuse)
        monkeypatch.setattr(Path, "replace", refuse)
        rig.google.oauth.expire_access()
        rig.google.oauth.revoke_all()
        for _ in range(3):
            answer = await ask(rig, "openai")
            assert answer.status_code == 401, answer.text
            assert "/setup" in answer.text
        assert len(rig.google.calls("token")) == 1
        assert (await rig.http.get("/health")).json()["authenticated"] is False
        out = await post(rig, "/setup", action="sign-out", sure="yes")
        assert out.status_code == 200
        assert "Signed out" in out.text
        assert (await ask(rig, "openai")).status_code == 401


async def test_signing_out_of_a_read_only_folder_signs_out(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(*_: object, **__: object) -> None:
        raise OSError(30, "Read-only file system")

    async with signed_in(tmp_path) as rig:
        assert (await ask(rig, "openai")).status_code == 200
        monkeypatch.setattr(token_store, "write_private", refuse)
        monkeypatch.setattr(Path, "unlink", refuse)
        out = await post(rig, "/setup", action="sign-out", sure="yes")
        assert out.status_code == 200
        assert (await ask(rig, "openai")).status_code == 401
        assert (await rig.http.get("/health")).json()["authenticated"] is False


async def test_a_client_that_cannot_be_kept_is_a_sentence(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(*_: object, **__: object) -> None:
        raise OSError(30, "Read-only file system")

    monkeypatch.setattr("server.auth.oauth_client.write_private", refuse)
    async with running(tmp_path, gemini_api_key=None) as rig:
        html = (await rig.http.get("/setup")).text
        token = unescape(re.findall(r'name="token" value="([^"]*)"', html)[0])
        file = {"file": ("client_secret.json", json.dumps({"installed": GOOGLES}))}
        data = {"token": token, "action": "client"}
        answer = await rig.http.post("/setup", data=data, files=file)
    assert answer.status_code == 400
    assert "GOOGLE_OAUTH_CLIENT_FILE" in answer.text
