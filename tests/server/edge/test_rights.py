"""Who may do what: every address and every setting, tried with every kind of caller.

A caller from elsewhere is one whose request a proxy has passed on; ``tests/test_elsewhere.py``
tries the same from another host.
"""

import re
from collections.abc import Mapping
from html import unescape
from pathlib import Path
from typing import Any, get_args

import httpx
import pytest

from server.dialects import DIALECTS
from server.edge import openapi
from server.edge.keys import digest_of
from server.edge.rights import (
    ACTIONS,
    ENDPOINTS,
    PAGES,
    Kind,
    Matter,
    matter_of,
    matter_of_setting,
    may,
)
from server.settings.named_keys import NamedKey
from server.settings.options import ALL_OPTIONS, RECORDED
from tests.rig import Rig, running

API, ADMIN, NAMED = "the-api-key-of-all", "the-admin-key-of-one", "gp-the-key-of-bob"
ELSEWHERE = {"x-forwarded-for": "192.0.2.7"}
CALLERS: Mapping[Kind, dict[str, str]] = {
    "this machine": {"x-api-key": API},
    "admin key": {**ELSEWHERE, "x-api-key": ADMIN},
    "api key": {**ELSEWHERE, "x-api-key": API},
    "named key": {**ELSEWHERE, "x-api-key": NAMED},
    "no key": ELSEWHERE,
}
KEYS: Mapping[str, Any] = {"api_keys": (API,), "named_keys": {"bob": NamedKey(digest_of(NAMED))}}
OWNERS: Mapping[str, Any] = {
    "google_gemini_base_url": "https://gemini.owners-own.example",
    "code_assist_endpoint": "https://assist.owners-own.example/path",
    "google_vertex_base_url": "https://vertex.owners-own.example:8443",
    "google_oauth_client_file": Path("/somewhere/of-the-owner/client.json"),
    "trusted_networks": ("198.51.100.0/24",),
    "allowed_hosts": ("host.owners-own.example",),
    "allowed_origins": ("https://origin.owners-own.example",),
    "update_feed": "https://feed.owners-own.example/releases",
    "token_file": Path("/somewhere/of-the-owner/token.json"),
}
MODEL = "gemini-2.5-pro"


def refused(answer: httpx.Response) -> bool:
    """Whether the access rules refused it; a form without its token is refused elsewhere, and the
    login form is a 401 itself."""
    if answer.status_code == 401 and answer.request.url.path != "/login":
        return True
    told = ("opens the model endpoints only", "belongs to the owner", "Not with this key")
    return answer.status_code == 403 and any(words in answer.text for words in told)


async def addresses(rig: Rig) -> list[tuple[str, str]]:
    """Every method and path there is."""
    found: list[tuple[str, str]] = [
        (route.method, route.path.replace("{id}", MODEL))
        for dialect in DIALECTS
        for route in dialect.routes
    ]
    found += [(method, path) for method, path in await rig.edge._behind.routes()]
    found += [("GET", openapi.PATH), ("HEAD", "/"), ("POST", "/api/event_logging/batch")]
    names = ("style.css", "icon.svg", "forms.js", "live.js", "connect.css")
    static = [("GET", f"/static/{name}") for name in names]
    return [*(one for one in dict.fromkeys(found) if "{" not in one[1]), *static]


@pytest.mark.parametrize("admin", [False, True])
@pytest.mark.parametrize("kind", get_args(Kind))
async def test_every_address_with_every_kind_of_caller(
    tmp_path: Path, kind: Kind, admin: bool
) -> None:
    if kind == "admin key" and not admin:
        pytest.skip("there is no such key")
    chosen: dict[str, Any] = {**KEYS, "admin_key": ADMIN if admin else None, "upstream": "demo"}
    async with running(tmp_path, **chosen) as rig:
        for method, path in await addresses(rig):
            if (method, path) == ("GET", "/events"):
                async with rig.http.stream(method, path, headers=CALLERS[kind]) as feed:
                    allowed = feed.status_code == 200
            else:
                answer = await rig.http.request(method, path, headers=CALLERS[kind])
                allowed = not refused(answer)
            expected = may(kind, matter_of(method, path), admin_key=admin)
            assert allowed == expected, (kind, method, path)


async def test_every_address_stands_in_the_table(tmp_path: Path) -> None:
    async with running(tmp_path, upstream="demo") as rig:
        told = {
            path for _, path in await rig.edge._behind.routes() if not path.startswith("/static")
        }
    assert told | {openapi.PATH} == {
        path for path in {**PAGES, **ENDPOINTS} if not path.startswith("/static")
    }


DECISIONS: Mapping[Matter, tuple[set[Kind], set[Kind]]] = {
    # Who may: without ADMIN_KEY, with it.
    "open": (set(get_args(Kind)), set(get_args(Kind))),
    "door": (set(get_args(Kind)) - {"named key"},) * 2,
    "model": (set(get_args(Kind)) - {"no key"},) * 2,
    "page": ({"this machine", "admin key", "api key"}, {"this machine", "admin key"}),
    "owner": ({"this machine", "admin key"}, {"this machine", "admin key"}),
}


@pytest.mark.parametrize("matter", get_args(Matter))
def test_the_decision(matter: Matter) -> None:
    for admin, expected in zip((False, True), DECISIONS[matter], strict=True):
        assert {k for k in get_args(Kind) if may(k, matter, admin_key=admin)} == expected


def test_what_the_contract_gives_to_the_owner() -> None:
    assert {name for name in ALL_OPTIONS if matter_of_setting(name) == "owner"} == {
        *("CODE_ASSIST_ENDPOINT", "GOOGLE_GEMINI_BASE_URL", "GOOGLE_VERTEX_BASE_URL"),
        *("TOKEN_FILE", "DATA_DIR", "GOOGLE_OAUTH_CLIENT_FILE", "USE_GEMINI_CLI_CLIENT"),
        *("OAUTH_HOSTS", "API_KEY", "ADMIN_KEY", "TRUSTED_NETWORKS", "ALLOWED_HOSTS"),
        *("ALLOWED_ORIGINS", "KEYS", "GEMINI_API_KEY_FOR", "UPDATE_FEED", "SHOW_TOKEN"),
        "SIGN_IN_FOR",
        "LOG_LEVEL",  # at ``debug`` the log holds bodies
    }
    assert PAGES["/inspect"] == "owner"


def test_the_table_of_the_document_names_every_page_and_setting() -> None:
    text = (Path(__file__).parents[3] / "docs" / "security.md").read_text("utf-8")
    table = text.split("## Who may do what")[1].split("**Named keys**")[0]
    rows = {line.split("|")[1]: line.split("|")[2:] for line in table.splitlines() if "| " in line}
    owners = " ".join(row for row, cells in rows.items() if cells[2].strip() == "no")
    others = " ".join(row for row in rows if row not in owners)
    for name in set(ALL_OPTIONS) - RECORDED:
        here, there = (owners, others) if matter_of_setting(name) == "owner" else (others, owners)
        assert f"`{name}`" in here, name
        assert f"`{name}`" not in there, name
    for path in {**PAGES, **ENDPOINTS}:
        assert f"`{path.removeprefix('/static/')}`" in table or f"`{path}`" in table, path


async def form(rig: Rig, kind: Kind, **values: str) -> dict[str, str]:
    html = (await rig.http.get("/settings", headers=CALLERS[kind])).text
    found = re.search(r'name="token" value="([^"]*)"', html)
    assert found
    return {"token": unescape(found[1]), **values}


TYPED = {
    "RATE_LIMIT": "7",
    "WAIT_MODE": "true",
    "QUEUE_LIMIT": "7",
    "SHOW_TOKEN": "true",
    "UPSTREAM": "gemini-api",
    "PORT": "9999",
    "HOST": "127.0.0.1",
    "TRUSTED_NETWORKS": "0.0.0.0/0",
    "EMBEDDINGS": "off",
    "RESPONSE_STORE": "off",
    "UPDATE_CHECK": "true",
    "STORE_AT_GOOGLE": "true",
    "MODEL_VARIANTS": "high",
    "LOG_LEVEL": "debug",
    "ALIASES": "mine = gemini-2.5-pro",
    "GOOGLE_CLOUD_LOCATION": "europe-west4",
    "ALLOWED_ORIGINS": "https://evil.example",
}
"""What a form says for a setting; an address or a word for the others."""


@pytest.mark.parametrize("admin", [False, True])
@pytest.mark.parametrize("kind", ["this machine", "admin key", "api key"])
async def test_every_setting_with_every_kind_of_caller(
    tmp_path: Path, kind: Kind, admin: bool
) -> None:
    if (kind == "admin key") != admin:
        pytest.skip("no such key, or no page for it")
    chosen: dict[str, Any] = {**KEYS, "admin_key": ADMIN if admin else None, "upstream": "demo"}
    for name, option in ALL_OPTIONS.items():
        if name in {"DATA_DIR", *RECORDED} and kind != "api key":
            continue
        address = "https://evil.example" if name.endswith(("URL", "ENDPOINT", "FEED")) else "evil"
        async with running(tmp_path, **chosen) as rig:
            before = rig.gateway.settings
            data = await form(rig, kind, **{name: TYPED.get(name, address)})
            answer = await rig.http.post("/settings", data=data, headers=CALLERS[kind])
            expected = may(kind, matter_of_setting(name), admin_key=admin)
            assert (answer.status_code == 303) == expected, (name, answer.status_code)
            changed = rig.gateway.pending.get(name) or getattr(rig.gateway.settings, option.field)
            assert (changed != getattr(before, option.field)) == expected, name
            if not expected:
                assert "own computer" in answer.text
                assert "ADMIN_KEY" in answer.text
                assert rig.gateway.settings == before
                removed = await form(rig, "this machine", **{f"remove-{name}": "yes"})
                answer = await rig.http.post("/settings", data=removed, headers=CALLERS[kind])
                assert answer.status_code == 403
        (tmp_path / "settings.toml").unlink(missing_ok=True)


async def test_nothing_of_the_owners_shows_elsewhere(tmp_path: Path) -> None:
    """Not in fields, and not where a message or a log line names it."""
    chosen: dict[str, Any] = {**KEYS, **OWNERS, "upstream": "gemini-api"}
    async with running(tmp_path, in_process=False, **chosen) as rig:
        values = [str(tmp_path), "owners-own", "of-the-owner", "198.51.100", API, NAMED]
        body = {"model": MODEL, "messages": [{"role": "user", "content": "Hello"}]}
        failed = await rig.http.post("/v1/chat/completions", json=body, headers=CALLERS["api key"])
        assert failed.status_code >= 400
        seen = {"chat": failed.text}
        token = await form(rig, "api key")
        for path in {**PAGES, **ENDPOINTS}:
            if path not in ("/events", "/auth", "/oauth2callback"):
                answer = await rig.http.get(path, headers=CALLERS["api key"])
                seen[path] = answer.text
        for path, action in (("/help", ""), ("/setup", "check"), ("/settings", "restart")):
            data = {**token, "action": action, "upstream": "gemini-api"}
            answer = await rig.http.post(path, data=data, headers=CALLERS["api key"])
            assert answer.status_code == 200, path
            seen[f"POST {path}"] = answer.text
        for where, text in seen.items():
            assert not [value for value in values if value in unescape(text)], where
        mine = (await rig.http.get("/settings", headers=CALLERS["this machine"])).text
        assert "gemini.owners-own.example" in mine


@pytest.mark.parametrize("action", sorted(ACTIONS))
async def test_the_oauth_client_is_the_owners_to_choose(tmp_path: Path, action: str) -> None:
    async with running(tmp_path, **KEYS, upstream="demo") as rig:
        data = await form(rig, "api key", action=action)
        answer = await rig.http.post("/setup", data=data, headers=CALLERS["api key"])
        assert answer.status_code == 403
        assert "own computer" in answer.text
        assert not rig.gateway.settings.use_gemini_cli_client


async def test_bodies_of_others_show_to_the_owner_only(tmp_path: Path) -> None:
    async with running(tmp_path, **KEYS, upstream="demo", log_level="debug") as rig:
        data = await form(rig, "api key", on="yes")
        for _ in range(2):
            answer = await rig.http.post("/inspect", data=data, headers=CALLERS["api key"])
            assert answer.status_code == 403
            assert not rig.gateway.pipeline.inspector.on
        html = (await rig.http.get("/log?level=debug", headers=CALLERS["api key"])).text
        assert "level=debug" not in html
        assert "level=debug" in (await rig.http.get("/log", headers=CALLERS["this machine"])).text


async def test_a_kept_answer_is_read_with_the_key_that_made_it(tmp_path: Path) -> None:
    chosen: dict[str, Any] = {**KEYS, "api_keys": (API, "another-api-key"), "admin_key": ADMIN}
    async with running(tmp_path, **chosen, upstream="demo") as rig:
        mine = {**ELSEWHERE, "x-api-key": NAMED}
        others = [{**ELSEWHERE, "x-api-key": key} for key in (API, "another-api-key", ADMIN)]
        asked = {"model": MODEL, "input": "Hello"}
        made = await rig.http.post("/v1/responses", json=asked, headers=mine)
        name = made.json()["id"]
        for headers in others:
            for path in (f"/v1/responses/{name}", f"/v1/responses/{name}/input_items"):
                assert (await rig.http.get(path, headers=headers)).status_code == 404
            gone = await rig.http.delete(f"/v1/responses/{name}", headers=headers)
            assert gone.status_code == 404
            again = {**asked, "previous_response_id": name}
            answer = await rig.http.post("/v1/responses", json=again, headers=headers)
            assert answer.status_code == 400, answer.text
        assert (await rig.http.get(f"/v1/responses/{name}", headers=mine)).status_code == 200
        again = {**asked, "previous_response_id": name}
        assert (await rig.http.post("/v1/responses", json=again, headers=mine)).status_code == 200
        assert (await rig.http.delete(f"/v1/responses/{name}", headers=mine)).status_code == 200


async def test_a_changed_key_ends_the_logins_made_with_it_at_once(tmp_path: Path) -> None:
    async with running(tmp_path, **KEYS, upstream="demo") as rig:
        login = await rig.http.post("/login", data={"key": API}, headers=ELSEWHERE)
        cookie = {**ELSEWHERE, "cookie": login.headers["set-cookie"].partition(";")[0]}
        rig.http.cookies.clear()
        assert (await rig.http.get("/settings", headers=cookie)).status_code == 200
        data = await form(rig, "this machine", API_KEY="another-key")
        mine = CALLERS["this machine"]
        assert (await rig.http.post("/settings", data=data, headers=mine)).status_code == 303
        assert (await rig.http.get("/settings", headers=cookie)).status_code == 401
        for key, status in ((API, 401), ("another-key", 200)):
            headers = {**ELSEWHERE, "x-api-key": key}
            assert (await rig.http.get("/v1/models", headers=headers)).status_code == status
        data = {"token": data["token"], "remove-API_KEY": "yes"}
        new = {"x-api-key": "another-key"}
        assert (await rig.http.post("/settings", data=data, headers=new)).status_code == 303
        generated = rig.gateway.access.generated_key or ""
        assert (await rig.http.get("/settings")).status_code == 200
        for key, status in (("another-key", 401), (generated, 200)):
            headers = {**ELSEWHERE, "x-api-key": key}
            assert (await rig.http.get("/v1/models", headers=headers)).status_code == status


async def test_logging_out_ends_the_login_here(tmp_path: Path) -> None:
    async with running(tmp_path, **KEYS, upstream="demo") as rig:
        login = await rig.http.post("/login", data={"key": API}, headers=ELSEWHERE)
        stolen = {**ELSEWHERE, "cookie": login.headers["set-cookie"].partition(";")[0]}
        rig.http.cookies.clear()
        token = (await form(rig, "api key"))["token"]
        out = await rig.http.post("/logout", data={"token": token}, headers=stolen)
        assert out.status_code == 303
        assert (await rig.http.get("/", headers=stolen)).status_code == 401
