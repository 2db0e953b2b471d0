"""Application Default Credentials: kept fresh, asked for once, taken from where Google says."""

import asyncio
import json
import os
import subprocess
import sys
import threading
from collections.abc import AsyncIterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest

from server.auth.adc import (
    EARLY_S,
    REFUSAL_REMEMBERED_S,
    Adc,
    AdcError,
    Minted,
    mint_token,
)
from server.errors import UpstreamError
from tests.google import failures
from tests.google.account import PROJECT
from tests.google.google import FakeGoogle
from tests.google.http import FakeRequest, FakeResponse, RawError, once
from tests.google.oauth import CLOUD_SCOPE
from tests.support import serve

Json = dict[str, Any]


@dataclass
class Mint:
    """Counts what is asked of it; numbers its tokens."""

    error: Exception | None = None
    asked: list[Path | None] = field(default_factory=list)
    wait: threading.Event | None = None

    def __call__(self, file: Path | None) -> Minted:
        self.asked.append(file)
        if self.wait is not None:
            self.wait.wait(10)
        if self.error is not None:
            raise self.error
        return Minted(token=f"t-{len(self.asked)}", lifetime_s=3600, email="sa@example.com")


@dataclass
class World:
    file: Path
    mint: Mint = field(default_factory=Mint)
    time: float = 1000.0

    def adc(self, named: Path | None = None) -> Adc:
        return Adc(named, self.file, mint=self.mint, now=lambda: self.time)


@pytest.fixture
def world(tmp_path: Path) -> World:
    file = tmp_path / "application_default_credentials.json"
    file.write_text("{}", "utf-8")
    return World(file)


# ── keeping ──


async def test_a_token_is_kept_until_shortly_before_its_end(world: World) -> None:
    adc = world.adc()
    assert await adc.access_token() == await adc.access_token() == "t-1"
    world.time += 3600 - EARLY_S
    assert await adc.access_token() == "t-2"
    assert world.mint.asked == [world.file, world.file]


async def test_everybody_who_waits_shares_one_request(world: World) -> None:
    world.mint.wait = threading.Event()
    adc = world.adc()
    asking = [asyncio.create_task(adc.access_token()) for _ in range(20)]
    await asyncio.sleep(0)
    world.mint.wait.set()
    assert await asyncio.gather(*asking) == ["t-1"] * 20
    assert len(world.mint.asked) == 1


async def test_a_refused_token_is_replaced_once(world: World) -> None:
    adc = world.adc()
    await adc.access_token()
    fresh = await asyncio.gather(*(adc.access_token(stale="t-1") for _ in range(5)))
    assert fresh == ["t-2"] * 5


async def test_another_file_is_another_account(world: World) -> None:
    adc = world.adc()
    await adc.access_token()
    world.file.write_text('{"type": "other"}', "utf-8")
    assert adc.email is None
    assert await adc.access_token() == "t-2"


async def test_a_google_that_is_away_costs_nothing_while_the_token_lives(world: World) -> None:
    adc = world.adc()
    await adc.access_token()
    world.mint.error = UpstreamError("away")
    world.time += 3600 - EARLY_S
    assert await adc.access_token() == "t-1"
    world.time += EARLY_S
    with pytest.raises(UpstreamError):
        await adc.access_token()


async def test_a_refusal_is_remembered_for_a_while(world: World) -> None:
    adc = world.adc()
    world.mint.error = AdcError("ADC_REFUSED")
    for _ in range(3):
        with pytest.raises(AdcError, match="gcloud auth application-default login"):
            await adc.access_token()
    assert len(world.mint.asked) == 1
    assert adc.problem is not None
    world.mint.error = None
    world.time += REFUSAL_REMEMBERED_S
    assert await adc.access_token() == "t-2"
    assert adc.problem is None


async def test_a_new_file_ends_a_refusal_at_once(world: World) -> None:
    adc = world.adc()
    world.mint.error = AdcError("ADC_REFUSED")
    with pytest.raises(AdcError):
        await adc.access_token()
    world.mint.error = None
    world.file.write_text('{"type": "other"}', "utf-8")
    assert adc.problem is None
    assert await adc.access_token() == "t-2"


# ── where they are ──


async def test_a_named_file_wins_and_is_never_replaced_by_another(world: World) -> None:
    named = world.file.with_name("key.json")
    adc = world.adc(named)
    assert not adc.present
    with pytest.raises(AdcError) as caught:
        await adc.access_token()
    assert caught.value.problem.code == "ADC_MISSING"
    assert world.mint.asked == []
    named.write_text("{}", "utf-8")
    await adc.access_token()
    assert world.mint.asked == [named]


async def test_without_any_file_the_machine_itself_is_asked(world: World) -> None:
    world.file.unlink()
    adc = world.adc()
    assert (adc.present, adc.known) == (False, False)
    await adc.access_token()
    assert world.mint.asked == [None]
    assert (adc.present, adc.known, adc.email) == (False, True, "sa@example.com")


def test_a_service_account_file_names_its_project(world: World) -> None:
    adc = world.adc()
    found = [adc.project]
    for text in ('{"project_id": "its-own"}', "[not json", '{"project_id": "another"}'):
        world.file.write_text(text, "utf-8")
        found.append(adc.project)
    world.file.unlink()
    assert [*found, adc.project] == [None, "its-own", None, "another", None]


def test_a_token_is_in_no_repr() -> None:
    assert "secret" not in repr(Minted(token="secret", lifetime_s=1))


# ── what google-auth makes of them ──


@dataclass
class Server:
    google: FakeGoogle
    base: str
    file: Path

    async def mint(self, content: Json) -> Minted:
        self.file.write_text(json.dumps(content), "utf-8")
        return await asyncio.to_thread(mint_token, self.file)


@pytest.fixture
async def server(tmp_path: Path) -> AsyncIterator[Server]:
    google = FakeGoogle()
    async with serve(google) as base:
        yield Server(google, base, tmp_path / "credentials.json")


async def test_a_service_account_signs_for_its_token(server: Server) -> None:
    key = server.google.oauth.service_account(server.base, PROJECT)
    minted = await server.mint(key)
    assert minted.email == key["client_email"]
    assert 3500 < minted.lifetime_s <= 3600
    assert server.google.oauth.access[minted.token].scopes == (CLOUD_SCOPE,)


async def test_gclouds_file_is_renewed_and_its_quota_project_ignored(server: Server) -> None:
    signed_in = server.google.oauth.credentials(server.base)
    content = {
        "type": "authorized_user",
        "account": "",
        "quota_project_id": "somebody-pays",
        **{name: signed_in[name] for name in ("client_id", "client_secret", "refresh_token")},
        "token_uri": signed_in["token_uri"],
    }
    minted = await server.mint(content)
    assert minted.token in server.google.oauth.access
    assert minted.email == server.google.oauth.email
    assert all("x-goog-user-project" not in entry.headers for entry in server.google.requests)


async def test_a_sign_in_that_ended_says_how_to_begin_a_new_one(server: Server) -> None:
    content = {"type": "authorized_user", **server.google.oauth.credentials(server.base)}
    server.google.oauth.revoke_all()
    with pytest.raises(AdcError, match="application-default login") as caught:
        await server.mint(content)
    assert caught.value.problem.code == "ADC_REFUSED"
    assert caught.value.should_retry is False


async def test_a_deleted_key_is_refused(server: Server) -> None:
    key = server.google.oauth.service_account(server.base, PROJECT)
    server.google.oauth.service_accounts.clear()
    with pytest.raises(AdcError) as caught:
        await server.mint(key)
    assert caught.value.problem.code == "ADC_REFUSED"


async def test_a_token_endpoint_that_fails_is_no_refusal(server: Server) -> None:
    content = {"type": "authorized_user", **server.google.oauth.credentials(server.base)}
    broken = RawError(400, b"<html>Bad gateway</html>")
    server.google.fail(failures.refuse(broken), methods={"token"}, times=None)
    with pytest.raises(UpstreamError, match="could not be asked"):
        await server.mint(content)


@pytest.mark.parametrize(
    "content",
    [
        {},
        {"type": "no_such_type"},
        {"type": "authorized_user", "refresh_token": "r"},
        {"type": "authorized_user", "client_id": "c", "client_secret": "s"},
        {"type": "service_account", "client_email": "a@example.com"},
        {
            "type": "service_account",
            "client_email": "a@example.com",
            "token_uri": "https://example.com/token",
            "private_key": "no key",
        },
    ],
)
async def test_a_file_of_no_known_kind_is_a_sentence(server: Server, content: Json) -> None:
    with pytest.raises(AdcError) as caught:
        await server.mint(content)
    assert caught.value.problem.code == "ADC_UNREADABLE"


@pytest.mark.parametrize("text", ["[", "[]", "\udcff"])
def test_a_broken_file_is_a_sentence(tmp_path: Path, text: str) -> None:
    file = tmp_path / "credentials.json"
    file.write_text(text, "utf-8", errors="surrogateescape")
    with pytest.raises(AdcError) as caught:
        mint_token(file)
    assert caught.value.problem.code == "ADC_UNREADABLE"


# ── the metadata server ──

ASK_THE_MACHINE = """
from server.auth.adc import AdcError, mint_token
try:
    minted = mint_token(None)
    print(minted.token, minted.email, round(minted.lifetime_s / 100))
except AdcError as error:
    print(error.problem.code)
"""


async def metadata(request: FakeRequest) -> FakeResponse:
    """A Google machine's metadata server, as much of it as google-auth asks."""
    headers = {"metadata-flavor": "Google", "content-type": "application/json"}
    if request.headers.get("metadata-flavor") != "Google":
        return FakeResponse(403, headers, once(b"{}"))
    body: Json = {}
    if request.path.endswith("/token"):
        body = {"access_token": "machine-token", "expires_in": 1800, "token_type": "Bearer"}
    elif "service-accounts" in request.path:
        body = {"email": "vm@example.com", "scopes": [CLOUD_SCOPE], "aliases": ["default"]}
    return FakeResponse(200, headers, once(json.dumps(body).encode()))


async def ask_the_machine(host: str) -> str:
    """In a process of its own: google-auth reads these names when it is imported."""
    environ = {**os.environ, "GCE_METADATA_HOST": host, "GCE_METADATA_IP": host}
    done = await asyncio.to_thread(
        subprocess.run,
        [sys.executable, "-c", ASK_THE_MACHINE],
        env=environ,
        capture_output=True,
        text=True,
        check=True,
    )
    return done.stdout.strip()


async def test_a_google_machine_has_a_token_of_its_own() -> None:
    async with serve(metadata) as base:
        assert await ask_the_machine(base.removeprefix("http://")) == (
            "machine-token vm@example.com 18"
        )


async def test_any_other_machine_has_none() -> None:
    assert await ask_the_machine("127.0.0.1:9") == "ADC_MISSING"


async def test_google_libraries_are_not_imported_before_they_are_needed() -> None:
    script = "import sys, server.auth.adc; print([m for m in sys.modules if 'google.' in m])"
    found = await asyncio.to_thread(
        subprocess.run, [sys.executable, "-c", script], capture_output=True, text=True, check=True
    )
    assert found.stdout.strip() == "[]"
