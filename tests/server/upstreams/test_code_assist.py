"""The Code Assist upstream against the strict fake Google."""

import asyncio
import json
from collections.abc import AsyncIterator
from contextlib import aclosing
from pathlib import Path
from typing import Any, cast

import httpx
import pytest

from server.auth.eligibility import EligibilityError
from server.auth.grants import GoogleGrants
from server.auth.oauth_client import parse_client
from server.auth.sign_in import SignIn, Tokens
from server.auth.token_files import Credential
from server.errors import (
    AuthenticationError,
    OverloadedError,
    PermissionDeniedError,
    ProxyError,
    RateLimitError,
)
from server.gemini.models import living_models
from server.gemini.types import EmbedCall, GenerateRequest
from server.network.transport import Client
from server.upstreams.base import Outgoing
from server.upstreams.code_assist import CodeAssist, available_models, countable, read_quota
from tests.google import account, failures
from tests.google.account import PROJECT
from tests.google.google import FakeGoogle
from tests.google.transport import InProcessTransport
from tests.support import serve

Json = dict[str, Any]
BASE = "http://google.test"
HELLO: GenerateRequest = {"contents": [{"role": "user", "parts": [{"text": "hello"}]}]}


class World:
    """A fake Google, a sign-in to it, and the upstream between them."""

    def __init__(self, root: Path) -> None:
        self.root = root
        self.google = FakeGoogle()
        self.time = self.google.now()
        self.slept_s = 0.0
        self.http = Client(InProcessTransport(self.google))
        self.client = parse_client(json.dumps(self.google.oauth.client_config("https://x.example")))
        self.tokens = Tokens(
            token_file=root / "google_token.json",
            data_dir=root,
            client=lambda: self.client,
            original_file=root / "none",
            grants=GoogleGrants(self.http),
            now=lambda: self.time,
        )
        self.upstream = self.new()

    def new(self, project: str | None = None) -> CodeAssist:
        async def sleep(delay_s: float) -> None:
            self.slept_s += delay_s

        return CodeAssist(
            self.http, BASE + "/", self.tokens, project, now=lambda: self.time, sleep=sleep
        )

    async def sign_in(self) -> None:
        answer = self.google.oauth.sign_in()
        await self.tokens.keep(
            Credential(
                access_token=answer["access_token"],
                refresh_token=answer["refresh_token"],
                expires_at=self.time + 3599,
                client=self.client,
            )
        )

    async def text(self, request: GenerateRequest = HELLO, model: str = "gemini-2.5-flash") -> str:
        out = Outgoing(model=model, request=request, session="s-1", prompt_id="p-1")
        parts: list[Json] = []
        async with aclosing(self.upstream.generate(out)) as batches:
            async for batch in batches:
                for chunk in batch:
                    for candidate in chunk.get("candidates", []):
                        parts += candidate["content"].get("parts", [])
        return "".join(part.get("text", "") for part in parts if not part.get("thought"))

    async def refused(self) -> ProxyError:
        with pytest.raises(ProxyError) as caught:
            await self.text()
        return caught.value

    def count(self, call: str) -> int:
        return len(self.google.calls(call))


@pytest.fixture
async def world(tmp_path: Path) -> AsyncIterator[World]:
    world = World(tmp_path)
    await world.sign_in()
    async with world.http:
        yield world


# ── generate ──


async def test_an_answer_comes_out_of_its_envelope(world: World) -> None:
    assert await world.text() == "You said: hello"
    sent = world.google.calls("streamGenerateContent")[0]
    assert sent.query == {"alt": "sse"}
    assert sent.json == {
        "model": "gemini-2.5-flash",
        "project": PROJECT,
        "user_prompt_id": "p-1",
        "request": {**HELLO, "session_id": "s-1"},
    }
    assert sent.headers["user-agent"].startswith("gemini-api-proxy/")
    assert sent.headers["via"] == "1.1 gemini-api-proxy"
    assert "x-goog-user-project" not in sent.headers


async def test_a_unary_answer_is_one_chunk_out_of_its_envelope(world: World) -> None:
    out = Outgoing(
        model="gemini-2.5-flash", request=HELLO, session="s-1", prompt_id="p-1", unary=True
    )
    await world.tokens.access_token()
    world.google.fail(failures.unauthenticated())
    async with aclosing(world.upstream.generate(out)) as batches:
        answer = [chunk async for batch in batches for chunk in batch]
    assert [chunk["candidates"][0]["finishReason"] for chunk in answer] == ["STOP"]
    first, second = world.google.calls("generateContent")
    assert first.json == second.json
    assert first.json["request"] == {**HELLO, "session_id": "s-1"}
    assert first.headers["authorization"] != second.headers["authorization"]


async def test_nulls_are_not_sent(world: World) -> None:
    request = cast(GenerateRequest, {**HELLO, "cachedContent": None, "tools": None})
    assert await world.text(request)
    assert set(world.google.calls("streamGenerateContent")[0].json["request"]) == {
        "contents",
        "session_id",
    }


async def test_an_event_without_an_answer_is_skipped(world: World) -> None:
    world.google.fail(failures.missing_response())
    assert await world.text() == "You said: hello"


async def test_the_account_is_loaded_once_for_everybody(world: World) -> None:
    await asyncio.gather(*(world.text() for _ in range(4)))
    assert world.count("loadCodeAssist") == 1
    await world.sign_in()
    await world.text()
    assert world.count("loadCodeAssist") == 2


async def test_a_refused_token_costs_one_refresh_and_one_more_try(world: World) -> None:
    await world.text()
    world.google.oauth.expire_access()
    assert await world.text() == "You said: hello"
    assert world.count("streamGenerateContent") == 3


async def test_tokens_that_are_never_accepted_end_in_a_sign_in_error(world: World) -> None:
    await world.text()
    world.google.fail(failures.unauthenticated(), times=None)
    error = await world.refused()
    assert isinstance(error, AuthenticationError)
    assert error.code == "google_sign_in_required"
    assert world.count("streamGenerateContent") == 3


async def test_a_bare_403_has_the_account_looked_at_once_more(world: World) -> None:
    await world.text()
    world.google.account = account.onboarded("moved-project")
    assert await world.text() == "You said: hello"
    assert world.count("loadCodeAssist") == 2
    assert world.upstream.account().project == "moved-project"
    assert world.upstream.account().problem is None


async def test_a_bare_403_that_stays_is_a_permission_error(world: World) -> None:
    world.google.fail(failures.no_permission(), times=None)
    error = await world.refused()
    assert isinstance(error, PermissionDeniedError)
    assert world.count("streamGenerateContent") == 2
    assert world.upstream.account().problem is not None


@pytest.mark.parametrize(
    ("made", "code"),
    [
        (account.unsupported_client, "UNSUPPORTED_CLIENT"),
        (account.validation_required, "VALIDATION_REQUIRED"),
        (account.tos_violation, "TOS_VIOLATION"),
        (account.missing_licence, "NO_LICENSE"),
        (account.service_disabled, "SERVICE_DISABLED"),
        (lambda: account.ineligible("RESTRICTED_AGE"), "RESTRICTED_AGE"),
        (lambda: account.ineligible("INELIGIBLE_ACCOUNT"), "INELIGIBLE_ACCOUNT"),
        (lambda: account.ineligible("UNSUPPORTED_LOCATION"), "UNSUPPORTED_LOCATION"),
        (account.own_project, "PROJECT_REQUIRED"),
        (account.never_finishing, "ONBOARDING_TIMEOUT"),
    ],
)
async def test_every_ineligibility_reaches_client_and_page(
    world: World, made: Any, code: str
) -> None:
    world.google.account = made()
    error = await world.refused()
    assert isinstance(error, EligibilityError)
    assert (error.code, error.should_retry) == (code, False)
    shown = world.upstream.account()
    assert shown.authenticated
    assert shown.problem == error.problem


async def test_a_refused_account_is_not_asked_about_for_every_request(world: World) -> None:
    world.google.account = account.unsupported_client()
    for _ in range(3):
        assert (await world.refused()).code == "UNSUPPORTED_CLIENT"
    assert world.count("loadCodeAssist") == 1
    world.time += 30
    await world.refused()
    assert world.count("loadCodeAssist") == 2


async def test_checking_again_after_a_verification_opens_the_door(world: World) -> None:
    world.google.account = account.validation_required(loads=1)
    assert (await world.refused()).code == "VALIDATION_REQUIRED"
    checked = await world.upstream.check()
    assert checked.problem is None
    assert checked.project == PROJECT
    assert await world.text() == "You said: hello"


async def test_a_new_user_is_onboarded_on_the_way(world: World) -> None:
    world.google.account = account.new_user()
    assert await world.text() == "You said: hello"
    assert world.upstream.account().tier == "Gemini Code Assist for individuals"
    assert world.slept_s == 10


async def test_behind_a_perimeter_the_users_project_works(world: World) -> None:
    world.google.account = account.behind_perimeter()
    world.upstream = world.new(PROJECT)
    assert await world.text() == "You said: hello"


@pytest.mark.parametrize(
    ("failure", "kind"),
    [
        (failures.rate_limited(), RateLimitError),
        (failures.quota_exhausted(), RateLimitError),
        (failures.capacity(), OverloadedError),
        (failures.error_event(), OverloadedError),
        (failures.raw_error(), OverloadedError),
    ],
)
async def test_failures_are_told_never_retried(
    world: World, failure: failures.Failure, kind: type[ProxyError]
) -> None:
    world.google.fail(failure)
    assert isinstance(await world.refused(), kind)
    assert world.count("streamGenerateContent") == 1


async def test_leaving_cancels_the_request_upstream(world: World) -> None:
    out = Outgoing(model="gemini-2.5-flash", request=HELLO, session="s", prompt_id="p")
    async with aclosing(world.upstream.generate(out)) as batches:
        await anext(batches)
    assert world.google.calls("streamGenerateContent")[0].cancelled


async def test_nobody_signed_in_asks_google_nothing(world: World) -> None:
    await world.tokens.sign_out()
    world.google.requests.clear()
    error = await world.refused()
    assert isinstance(error, AuthenticationError)
    assert await world.upstream.models() == living_models("code-assist")
    assert world.google.requests == []
    shown = world.upstream.account()
    assert not shown.authenticated
    assert shown.problem is not None
    assert shown.problem.code == "google_sign_in_required"


# ── counting, models, quota, embeddings ──


async def test_tokens_are_counted_with_system_and_tools(world: World) -> None:
    plain = Outgoing(model="gemini-2.5-flash", request=HELLO, session="s", prompt_id="p")
    tools = [{"functionDeclarations": [{"name": "f", "description": "does things " * 20}]}]
    request: GenerateRequest = {
        **HELLO,
        "systemInstruction": {"parts": [{"text": "Be terse. " * 20}]},
        "tools": tools,
    }
    full = Outgoing(model="gemini-2.5-flash", request=request, session="s", prompt_id="p")
    assert (await world.upstream.count_tokens(full)).tokens > (
        await world.upstream.count_tokens(plain)
    ).tokens + 80
    sent = world.google.calls("countTokens")[-1].json
    assert set(sent) == {"request"}
    assert sent["request"]["model"] == "models/gemini-2.5-flash"


def test_what_is_counted_stays_a_legal_conversation() -> None:
    system: GenerateRequest = {"systemInstruction": {"parts": [{"text": "S"}]}}
    first_user = countable({**HELLO, **system})
    only_system = countable(system)
    first_model = countable({"contents": [{"role": "model", "parts": [{"text": "m"}]}], **system})
    assert first_user == [{"role": "user", "parts": [{"text": "S"}, {"text": "hello"}]}]
    assert only_system == [{"role": "user", "parts": [{"text": "S"}]}]
    assert [content.get("role") for content in first_model] == ["user", "model"]
    assert countable(HELLO) == HELLO["contents"]


async def test_models_and_quota_come_from_the_accounts_buckets(world: World) -> None:
    world.google.quota = {"gemini-2.5-pro": 0.25}
    models = await world.upstream.models()
    await world.upstream.models()
    assert "gemini-2.5-pro" in {model.id for model in models}
    assert world.count("retrieveUserQuota") == 1
    quota = {bucket.model: bucket for bucket in world.upstream.quota()}
    assert quota["gemini-2.5-pro"].remaining_fraction == 0.25
    assert quota["gemini-2.5-pro"].reset_at is not None
    world.time += 301
    await world.upstream.models()
    assert world.count("retrieveUserQuota") == 2


async def test_a_quota_that_cannot_be_asked_is_no_failure(world: World) -> None:
    world.google.fail(failures.no_permission(), methods={"retrieveUserQuota"}, times=None)
    assert await world.upstream.models() == living_models("code-assist")
    await world.upstream.models()
    assert world.count("retrieveUserQuota") == 1
    assert world.upstream.account().problem is None


def test_buckets_are_read_as_google_writes_them() -> None:
    quota = read_quota(
        {
            "buckets": [
                {"modelId": "gemini-3-flash", "remainingFraction": 1},
                {
                    "modelId": "gemini-2.5-pro",
                    "remainingFraction": 0.412,
                    "remainingAmount": "412",
                    "resetTime": "2026-09-21T14:13:20Z",
                },
                {"modelId": "gemini-2.5-pro_vertex", "remainingFraction": 1},
                {"remainingFraction": 1},
                "nonsense",
            ]
        }
    )
    assert [(bucket.model, bucket.remaining) for bucket in quota] == [
        ("gemini-3.5-flash", None),
        ("gemini-2.5-pro", 412),
    ]
    assert quota[1].reset_at == 1_790_000_000.0
    assert read_quota({}) == ()


def test_only_models_with_a_bucket_are_listed_unknown_ones_too() -> None:
    quota = read_quota({"buckets": [{"modelId": "gemini-9-ultra"}, {"modelId": "gemini-2.5-pro"}]})
    ids = [model.id for model in available_models(quota)]
    assert ids == ["gemini-9-ultra", "gemini-2.5-pro"]
    assert available_models(()) == living_models("code-assist")


@pytest.mark.parametrize(
    ("buckets", "named"),
    [
        ({"gemini-3-flash"}, "gemini-3-flash"),
        ({"gemini-3-flash", "gemini-3.5-flash"}, "gemini-3.5-flash"),
        (set(), "gemini-3.5-flash"),
    ],
)
async def test_a_request_names_the_model_as_the_accounts_buckets_do(
    world: World, buckets: set[str], named: str
) -> None:
    google = world.google
    google.catalogue = tuple(m for m in google.catalogue if not buckets or m.id in buckets)
    if buckets:
        assert [model.id for model in await world.upstream.models()] == ["gemini-3.5-flash"]
    out = Outgoing(model="gemini-3.5-flash", request=HELLO, session="s", prompt_id="p")
    async for _ in world.upstream.generate(out):
        pass
    assert google.calls("streamGenerateContent")[0].json["model"] == named


async def test_embeddings_are_mock_ones_and_say_so(world: World) -> None:
    call = EmbedCall(dialect="openai", model="text-embedding-3-small", inputs=("a", (1, 2)))
    embedding = await world.upstream.embed(call, call.model)
    assert embedding.mock
    assert not world.upstream.embeds
    assert [len(vector) for vector in embedding.vectors] == [1536, 1536]


# ── the whole road, over a socket and with Google's own libraries ──


async def test_from_the_sign_in_link_to_an_answer(tmp_path: Path) -> None:
    google = FakeGoogle()
    async with serve(google) as base, httpx.AsyncClient() as http:
        client = parse_client(json.dumps(google.oauth.client_config(base)))
        tokens = Tokens(
            token_file=tmp_path / "google_token.json",
            data_dir=tmp_path,
            client=lambda: client,
            grants=GoogleGrants(http),
            original_file=tmp_path / "none",
        )
        sign_in = SignIn(tokens)
        url = await asyncio.to_thread(sign_in.begin, client, client.redirect_uri(8081))
        location = (await http.get(url)).headers["location"]
        await sign_in.finish(None, location)
        upstream = CodeAssist(http, base, tokens, None)
        shown = await upstream.check()
        assert shown.email == google.oauth.email
        assert (shown.project, shown.problem) == (PROJECT, None)
        out = Outgoing(model="gemini-2.5-flash", request=HELLO, session="s", prompt_id="p")
        async with aclosing(upstream.generate(out)) as batches:
            chunks = [chunk async for batch in batches for chunk in batch]
        assert chunks[-1]["usageMetadata"]["totalTokenCount"] > 0
        google.oauth.expire_access()
        async with aclosing(upstream.generate(out)) as batches:
            assert [chunk async for batch in batches for chunk in batch]
        google.oauth.revoke_all()
        with pytest.raises(AuthenticationError, match="expired or was revoked"):
            async with aclosing(upstream.generate(out)) as batches:
                await anext(batches)
        assert not tokens.signed_in
