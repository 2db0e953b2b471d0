"""Keeping, renewing and beginning a sign-in. The authorization server is a scripted double."""

import asyncio
import json
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest

from server.auth.grants import SCOPES, GoogleGrants, Grant, GrantRefusedError
from server.auth.oauth_client import OAuthClient, make_client
from server.auth.sign_in import EARLY_S, STATE_LIFETIME_S, SignIn, Tokens
from server.auth.token_files import Credential
from server.errors import AuthenticationError, BadRequestError, ProxyError, UpstreamError

CLIENT = make_client({"client_id": "id-1", "client_secret": "shh"})
REDIRECT = "http://127.0.0.1:8081/oauth2callback"
LIFETIME_S = 3600.0


class FakeGrants(GoogleGrants):
    """Answers at once; notes what it was asked."""

    def __init__(self) -> None:
        self.asked: list[tuple[str, ...]] = []
        self.clients: list[OAuthClient] = []
        self.late_refusal: Exception | None = None
        self.fails: Exception | None = None
        self.no_refresh_token = False
        self.scopes: tuple[str, ...] = SCOPES
        self.hold = asyncio.Event()
        self.hold.set()

    def _count(self, *asked: str) -> int:
        self.asked.append(asked)
        if self.fails is not None:
            raise self.fails
        return len(self.asked)

    async def _held(self) -> None:
        await asyncio.wait_for(self.hold.wait(), 5)

    def authorization_url(
        self, client: OAuthClient, redirect_uri: str, state: str, verifier: str
    ) -> str:
        return f"https://google.test/?state={state}"

    async def exchange(
        self, client: OAuthClient, redirect_uri: str, verifier: str, code: str
    ) -> Grant:
        number = self._count("exchange", code)
        refresh = None if self.no_refresh_token else "r-new"
        return Grant(
            access_token=f"a-{number}",
            refresh_token=refresh,
            lifetime_s=LIFETIME_S,
            scopes=self.scopes,
        )

    async def refresh(self, client: OAuthClient, refresh_token: str) -> Grant:
        self.clients.append(client)
        number = self._count("refresh", client.client_id, refresh_token)
        await self._held()
        if self.late_refusal is not None:
            raise self.late_refusal
        return Grant(access_token=f"a-{number}", refresh_token=None, lifetime_s=LIFETIME_S)

    async def revoke(self, client: OAuthClient, token: str) -> None:
        self.clients.append(client)
        self._count("revoke", token)

    async def email(self, client: OAuthClient, access_token: str) -> str | None:
        return "ada@example.com"

    def count(self, what: str) -> int:
        return sum(asked[0] == what for asked in self.asked)


class World:
    """Tokens in a temporary folder, with a clock the test moves."""

    def __init__(self, root: Path) -> None:
        self.root = root
        self.time = 10_000.0
        self.grants = FakeGrants()
        self.client: OAuthClient | None = CLIENT
        self.file = root / "google_token.json"

    def tokens(self, token_file: Path | None = None) -> Tokens:
        async def sleep(delay_s: float) -> None:
            self.time += delay_s
            await asyncio.sleep(0)

        return Tokens(
            token_file=token_file or self.file,
            data_dir=self.root,
            client=lambda: self.client,
            setup_address="http://127.0.0.1:8081/setup",
            original_file=self.root / "none" / "google_token.json",
            grants=self.grants,
            now=lambda: self.time,
            sleep=sleep,
        )

    async def signed_in(self, *, lifetime_s: float = LIFETIME_S) -> Tokens:
        tokens = self.tokens()
        await tokens.keep(
            Credential(
                access_token="a-0",
                refresh_token="r-0",
                expires_at=self.time + LIFETIME_S,
                client=CLIENT,
            )
        )
        self.time += LIFETIME_S - lifetime_s
        return tokens


@pytest.fixture
def world(tmp_path: Path) -> World:
    return World(tmp_path)


# ── renewing ──


async def test_a_fresh_token_is_used_as_it_is(world: World) -> None:
    tokens = await world.signed_in()
    assert await tokens.access_token() == "a-0"
    assert world.grants.asked == []


async def test_a_token_is_renewed_early_and_saved(world: World) -> None:
    tokens = await world.signed_in()
    world.time += LIFETIME_S - EARLY_S
    assert await tokens.access_token() == "a-1"
    assert json.loads(world.file.read_text())["token"] == "a-1"
    assert json.loads(world.file.read_text())["refresh_token"] == "r-0"
    assert await world.tokens().access_token() == "a-1"
    assert world.grants.count("refresh") == 1


async def test_everybody_waits_for_one_renewal(world: World) -> None:
    tokens = await world.signed_in(lifetime_s=0)
    found = await asyncio.gather(*(tokens.access_token() for _ in range(5)))
    assert set(found) == {"a-1"}
    assert world.grants.count("refresh") == 1


async def test_a_waiter_who_leaves_does_not_stop_the_renewal(world: World) -> None:
    tokens = await world.signed_in(lifetime_s=0)
    world.grants.hold.clear()
    leaver = asyncio.create_task(tokens.access_token())
    stayer = asyncio.create_task(tokens.access_token())
    await asyncio.sleep(0)
    leaver.cancel()
    await asyncio.sleep(0)
    world.grants.hold.set()
    assert await stayer == "a-1"
    assert leaver.cancelled()
    assert world.grants.count("refresh") == 1


async def test_a_token_google_refused_is_replaced_once_for_all_who_held_it(world: World) -> None:
    tokens = await world.signed_in()
    assert await tokens.access_token(stale="a-0") == "a-1"
    assert await tokens.access_token(stale="a-0") == "a-1"
    assert world.grants.count("refresh") == 1


async def test_what_another_process_renewed_is_not_renewed_again(world: World) -> None:
    here = await world.signed_in()
    there = world.tokens()
    world.time += LIFETIME_S
    assert await there.access_token() == "a-1"
    assert await here.access_token() == "a-1"
    assert world.grants.count("refresh") == 1


async def test_an_early_renewal_that_fails_costs_nothing(world: World) -> None:
    tokens = await world.signed_in(lifetime_s=EARLY_S / 2)
    world.grants.fails = UpstreamError("offline")
    assert await tokens.access_token() == "a-0"
    with pytest.raises(UpstreamError, match="offline"):
        await tokens.access_token(stale="a-0")
    world.time += EARLY_S
    with pytest.raises(UpstreamError, match="offline"):
        await tokens.access_token()
    assert tokens.signed_in


# ── another sign-in meanwhile ──


@pytest.mark.parametrize("refused", [False, True])
async def test_who_waits_for_a_renewal_goes_on_with_a_sign_in_made_meanwhile(
    world: World, refused: bool
) -> None:
    tokens = await world.signed_in(lifetime_s=0)
    world.grants.hold.clear()
    waiter = asyncio.create_task(tokens.access_token())
    await asyncio.sleep(0.05)
    assert world.grants.count("refresh") == 1
    world.grants.late_refusal = GrantRefusedError("invalid_grant") if refused else None
    await tokens.keep(
        Credential(access_token="b-0", refresh_token="r-9", expires_at=world.time + LIFETIME_S)
    )
    world.grants.hold.set()
    assert await waiter == "b-0"
    assert tokens.problem is None
    assert json.loads(world.file.read_text())["refresh_token"] == "r-9"


@pytest.mark.parametrize("pauses", [1, 3])
async def test_what_another_process_got_is_used_when_ours_is_refused(
    world: World, pauses: int
) -> None:
    """The endpoint gives a new refresh token each time; the other process was first, and writes
    what it got a moment later."""
    here, there = await world.signed_in(lifetime_s=0), world.tokens()
    world.grants.fails = GrantRefusedError("invalid_grant")
    looked: list[float] = []

    async def sleep(delay_s: float) -> None:
        looked.append(delay_s)
        if len(looked) == pauses:
            there._store.scan()
            held = there._store.held
            assert held is not None
            fresh = replace(held, access_token="b-0", refresh_token="r-b", expires_at=9e9)
            there._store.write(fresh)

    here._sleep = sleep
    assert await here.access_token() == "b-0"
    assert json.loads(world.file.read_text())["refresh_token"] == "r-b"
    assert not list(world.root.glob("*.rejected-*"))
    assert world.grants.count("refresh") == 1


async def test_who_signs_out_while_others_wait_is_signed_out(world: World) -> None:
    tokens = await world.signed_in(lifetime_s=0)
    world.grants.hold.clear()
    waiter = asyncio.create_task(tokens.access_token())
    await asyncio.sleep(0.01)
    await tokens.sign_out()
    world.grants.hold.set()
    with pytest.raises(AuthenticationError):
        await waiter


# ── where credentials go ──

FOREIGN = {"client_id": "id-1", "client_secret": "shh", "token_uri": "https://evil.example/token"}


@pytest.mark.parametrize("client_id", ["id-1", "id-2"])
async def test_a_refresh_token_goes_only_where_it_came_from(world: World, client_id: str) -> None:
    tokens = await world.signed_in(lifetime_s=0)
    world.client = make_client({**FOREIGN, "client_id": client_id})
    assert await tokens.access_token() == "a-1"
    await tokens.sign_out()
    assert {client.token_uri for client in world.grants.clients} == {CLIENT.token_uri}


@pytest.mark.parametrize("file", ["gemini-cli", "original", "no client", "no endpoint"])
async def test_a_token_of_unknown_origin_is_googles(world: World, file: str) -> None:
    refresh = {"refresh_token": "r-1", "expiry": "1970-01-01T00:00:01Z", "expiry_date": 1}
    content = {
        "gemini-cli": {"access_token": "a", **refresh},
        "original": {"access_token": "a", "refresh_token": "r-1"},
        "no client": {"token": "a", **refresh, "token_uri": CLIENT.token_uri},
        "no endpoint": {"token": "a", **refresh},
    }
    world.file.write_text(json.dumps(content[file]))
    world.client = make_client(FOREIGN)
    tokens = world.tokens()
    with pytest.raises(AuthenticationError, match="another endpoint"):
        await tokens.access_token()
    assert tokens.problem is not None
    assert tokens.problem.code == "OAUTH_CLIENT_ELSEWHERE"
    await tokens.sign_out()
    assert world.grants.clients == []


async def test_a_sign_in_is_not_sent_to_another_host_than_it_was_made_for(world: World) -> None:
    tokens = world.tokens()
    where = ("code.example", True)
    tokens._where = lambda: where
    await tokens.keep(
        Credential(access_token="b-0", refresh_token="r-9", expires_at=world.time + LIFETIME_S)
    )
    assert json.loads(world.file.read_text())["host"] == "code.example"
    again = world.tokens()
    for other in (("evil.example", True), ("code.example:8443", True)):
        again._where = lambda other=other: other  # type: ignore[misc]
        assert not again.signed_in
        with pytest.raises(AuthenticationError, match="another host"):
            await again.access_token()
    again._where = lambda: where
    assert await again.access_token() == "b-0"


async def test_a_sign_in_of_unknown_origin_stays_where_it_was(world: World) -> None:
    world.file.write_text(json.dumps({"token": "a", "refresh_token": "r-1"}))
    tokens = world.tokens()
    tokens._where = lambda: ("evil.example", False)
    assert not tokens.signed_in
    with pytest.raises(AuthenticationError, match="another host"):
        await tokens.access_token()
    assert world.grants.asked == []


# ── ends ──


async def test_nobody_signed_in_names_the_page(world: World) -> None:
    tokens = world.tokens()
    assert not tokens.signed_in
    with pytest.raises(AuthenticationError, match=r"http://127\.0\.0\.1:8081/setup") as caught:
        await tokens.access_token()
    assert caught.value.code == "google_sign_in_required"
    assert caught.value.should_retry is False


async def test_a_revoked_sign_in_is_dropped_kept_aside_and_explained(world: World) -> None:
    tokens = await world.signed_in(lifetime_s=0)
    world.grants.fails = GrantRefusedError("invalid_grant", "Token has been expired or revoked.")
    for _ in range(2):
        with pytest.raises(AuthenticationError, match="Sign in again") as caught:
            await tokens.access_token()
        assert caught.value.code == "google_sign_in_required"
    assert world.grants.count("refresh") == 1
    assert not tokens.signed_in
    assert tokens.problem is not None
    assert tokens.problem.code == "invalid_grant"
    assert not world.file.exists()
    assert len(list(world.root.glob("google_token.json.rejected-*"))) == 1


async def test_a_new_sign_in_clears_the_old_problem(world: World) -> None:
    tokens = await world.signed_in(lifetime_s=0)
    world.grants.fails = GrantRefusedError("invalid_grant")
    with pytest.raises(AuthenticationError):
        await tokens.access_token()
    world.grants.fails = None
    await tokens.keep(
        Credential(access_token="b-0", refresh_token="r-9", expires_at=world.time + LIFETIME_S)
    )
    assert tokens.problem is None
    assert await tokens.access_token() == "b-0"


async def test_without_the_client_a_sign_in_serves_until_its_token_expires(world: World) -> None:
    world.client = None
    cli = world.root / "oauth_creds.json"
    expiry = int((world.time + LIFETIME_S) * 1000)
    cli.write_text(
        json.dumps({"access_token": "a-cli", "refresh_token": "r-cli", "expiry_date": expiry})
    )
    tokens = world.tokens(cli)
    assert await tokens.access_token() == "a-cli"
    world.time += LIFETIME_S
    with pytest.raises(AuthenticationError, match="GOOGLE_OAUTH_CLIENT_FILE"):
        await tokens.access_token()
    assert tokens.problem is not None
    assert tokens.problem.code == "NO_OAUTH_CLIENT"
    world.client = CLIENT
    assert await tokens.access_token() == "a-1"
    assert tokens.problem is None


async def test_gemini_clis_sign_in_is_renewed_into_our_own_file(world: World) -> None:
    cli = world.root / "cli" / "oauth_creds.json"
    cli.parent.mkdir()
    cli.write_text(
        json.dumps({"access_token": "a-cli", "refresh_token": "r-cli", "expiry_date": 1})
    )
    before = cli.read_bytes()
    tokens = world.tokens(cli)
    assert await tokens.access_token() == "a-1"
    assert cli.read_bytes() == before
    assert json.loads(world.file.read_text())["copied"] is True
    await tokens.sign_out()
    assert not tokens.signed_in
    assert cli.read_bytes() == before
    assert world.grants.count("revoke") == 0


async def test_a_refresh_uses_the_client_the_sign_in_was_made_with(world: World) -> None:
    tokens = await world.signed_in(lifetime_s=0)
    world.client = make_client({"client_id": "another", "client_secret": "x"})
    await tokens.access_token()
    assert world.grants.asked[-1] == ("refresh", "id-1", "r-0")


async def test_an_unusable_client_file_is_no_crash(world: World) -> None:
    tokens = await world.signed_in(lifetime_s=0)

    def broken() -> OAuthClient | None:
        raise BadRequestError("the client file is not JSON")

    tokens._find_client = broken
    assert await tokens.access_token() == "a-1"


async def test_a_half_written_file_is_waited_for(world: World) -> None:
    await world.signed_in()
    whole = world.file.read_text()
    world.file.write_text(whole[:20])
    other = world.tokens()
    other._sleep = writes_then_sleeps(world.file, whole)
    world.time = world.file.stat().st_mtime
    token = await other.access_token()
    assert token.startswith("a-")
    assert not list(world.root.glob("*.corrupt-*"))


def writes_then_sleeps(path: Path, text: str) -> Callable[[float], "asyncio.Future[None]"]:
    async def sleep(delay_s: float) -> None:
        path.write_text(text)

    return lambda delay_s: asyncio.ensure_future(sleep(delay_s))


async def test_a_corrupt_file_is_set_aside_after_two_seconds(world: World) -> None:
    world.file.write_text("{")
    world.time = world.file.stat().st_mtime
    tokens = world.tokens()
    with pytest.raises(AuthenticationError, match="TOKEN_FILE"):
        await tokens.access_token()
    assert len(list(world.root.glob("google_token.json.corrupt-*"))) == 1


# ── signing out ──


async def test_signing_out_forgets_and_revokes(world: World) -> None:
    tokens = await world.signed_in()
    await tokens.sign_out()
    assert not tokens.signed_in
    assert not world.file.exists()
    assert world.grants.asked == [("revoke", "r-0")]
    await tokens.sign_out()


async def test_signing_out_works_offline(world: World) -> None:
    tokens = await world.signed_in()
    world.grants.fails = UpstreamError("offline")
    await tokens.sign_out()
    assert not tokens.signed_in


async def test_a_renewal_under_way_does_not_undo_signing_out(world: World) -> None:
    tokens = await world.signed_in(lifetime_s=0)
    world.grants.hold.clear()
    renewing = asyncio.create_task(tokens.access_token())
    await asyncio.sleep(0.01)
    tokens._store.remove()
    world.grants.hold.set()
    with pytest.raises(AuthenticationError):
        await renewing
    assert not world.file.exists()


async def test_the_account_is_learnt_and_remembered(world: World) -> None:
    tokens = await world.signed_in()
    assert tokens.email == "ada@example.com"
    again = world.tokens()
    assert again.signed_in
    assert again.email == "ada@example.com"


# ── signing in ──


class Door:
    """One sign-in page."""

    def __init__(self, world: World) -> None:
        self.world = world
        self.tokens = world.tokens()
        self.sign_in = SignIn(self.tokens, now=lambda: world.time)

    def begin(self) -> str:
        return self.sign_in.begin(CLIENT, REDIRECT).rpartition("state=")[2]


@pytest.fixture
def door(world: World) -> Door:
    return Door(world)


@pytest.mark.parametrize(
    "pasted",
    [
        "4/0Abc-d_e",
        "  4/0Abc-d_e \n",
        "4/0Abc\n-d_e",
        "4%2F0Abc-d_e",
        "4/0Abc-d_e&scope=email",
        "{redirect}?state={state}&code=4%2F0Abc-d_e&scope=email%20openid",
        " {redirect}?code=4/0Abc-d_e&state={state}#_ ",
        "127.0.0.1:8081/oauth2callback?code=4/0Abc-d_e&state={state}",
        "code=4/0Abc-d_e&state={state}",
    ],
)
async def test_a_code_is_taken_however_it_is_pasted(door: Door, pasted: str) -> None:
    state = door.begin()
    await door.sign_in.finish(state, pasted.format(redirect=REDIRECT, state=state))
    assert door.world.grants.asked[0] == ("exchange", "4/0Abc-d_e")
    assert await door.tokens.access_token() == "a-1"
    assert door.tokens.email == "ada@example.com"


async def refused(door: Door, state: str | None, pasted: str) -> ProxyError:
    with pytest.raises(ProxyError) as caught:
        await door.sign_in.finish(state, pasted)
    assert not door.tokens.signed_in
    return caught.value


async def test_the_state_in_a_pasted_address_is_the_one_that_counts(door: Door) -> None:
    state = door.begin()
    error = await refused(door, state, f"{REDIRECT}?code=c&state=forged")
    assert error.code == "sign_in_expired"
    await door.sign_in.finish("page-was-reloaded", f"{REDIRECT}?code=c&state={state}")
    assert door.tokens.signed_in


@pytest.mark.parametrize("state", [None, "", "unknown"])
async def test_a_state_we_did_not_give_out_is_refused(door: Door, state: str | None) -> None:
    door.begin()
    assert (await refused(door, state, "code")).code == "sign_in_expired"
    assert door.world.grants.asked == []


async def test_a_state_lives_ten_minutes(door: Door) -> None:
    state = door.begin()
    door.world.time += STATE_LIFETIME_S
    assert (await refused(door, state, "code")).code == "sign_in_expired"


async def test_a_state_works_once(door: Door) -> None:
    state = door.begin()
    await door.sign_in.finish(state, "code")
    with pytest.raises(BadRequestError) as caught:
        await door.sign_in.finish(state, "code")
    assert caught.value.code == "sign_in_already_used"
    assert door.world.grants.count("exchange") == 1
    assert door.tokens.signed_in


async def test_pressing_cancel_has_its_own_sentence(door: Door) -> None:
    state = door.begin()
    error = await refused(door, None, f"{REDIRECT}?error=access_denied&state={state}")
    assert error.code == "access_denied"
    assert "cancelled" in error.message


async def test_an_empty_code_is_asked_for(door: Door) -> None:
    error = await refused(door, door.begin(), "  ")
    assert (error.param, error.status) == ("code", 400)


@pytest.mark.parametrize(
    ("code", "words"),
    [
        ("invalid_grant", "used before"),
        ("redirect_uri_mismatch", "Desktop app"),
        ("invalid_client", "invalid_client: why"),
    ],
)
async def test_googles_refusals_of_a_code(door: Door, code: str, words: str) -> None:
    door.world.grants.fails = GrantRefusedError(code, "why")
    assert words in (await refused(door, door.begin(), "code")).message


async def test_a_missing_refresh_token_is_no_sign_in(door: Door) -> None:
    door.world.grants.no_refresh_token = True
    assert (await refused(door, door.begin(), "code")).code == "no_refresh_token"


async def test_a_scope_that_was_unticked_is_named(door: Door) -> None:
    door.world.grants.scopes = ("openid",)
    assert (await refused(door, door.begin(), "code")).code == "scope_missing"


async def test_begun_sign_ins_do_not_pile_up(door: Door) -> None:
    first = door.begin()
    for _ in range(200):
        door.begin()
    assert len(door.sign_in._pending) <= 64
    assert (await refused(door, first, "code")).code == "sign_in_expired"
