"""The fault matrix of docs/reliability.md: what a client sees, what is sent again and recorded.

Whole program: real HTTP in front, in every dialect; behind it the fake Google, or a socket that
misbehaves.
"""

import asyncio
import json
import re
import time
from pathlib import Path

import pytest

from server import limits
from server.core import throttle
from server.demo.errors import GoogleError
from server.edge import connections
from server.host import runtime
from server.upstreams import wire
from tests.faults import (
    ENDS,
    ask,
    at_once,
    connection,
    error_of,
    http_request,
    last_entry,
    raw_server,
    request_of,
    requests,
    signed_in,
    until,
)
from tests.google import account, failures
from tests.google.failures import Failure
from tests.google.wire import Framing
from tests.rig import GEMINI_KEY, Rig, running
from tests.support import old_google, serve

ROOT = Path(__file__).parents[1]
OVERLOADED = {"anthropic": 529}
ONCE, THRICE = 1, 3


async def ask_everything(rig: Rig, status: int, kind: str, sent: int, words: str) -> None:
    """Every dialect, unary and streamed, gets this refusal after so many requests to Google."""
    for dialect, stream in requests():
        rig.gateway.throttle._holds.clear()
        await rig.gateway.learned.forget(rig.gateway.doors.chosen().credential)
        before = len(rig.sent) + len(rig.google.calls("generateContent"))
        answer = await ask(rig, dialect, stream=stream)
        wanted = OVERLOADED.get(dialect, status) if kind == "overloaded" else status
        assert answer.status_code == wanted, (dialect, stream, answer.text)
        _, message = error_of(answer)
        assert re.search(words, message), message
        after = len(rig.sent) + len(rig.google.calls("generateContent"))
        assert after - before == sent, (dialect, stream)
        entry = await last_entry(rig)
        assert (entry["outcome"], entry["success"]) == (kind, False)
        assert entry["error"] == message or kind == "context_length"  # Anthropic has its own words
        assert entry["attempts"] == sent


REFUSALS: dict[str, tuple[Failure, int, str, int, str]] = {
    "500": (failures.internal(), 502, "upstream", THRICE, "Internal error"),
    "503": (failures.unavailable(), 503, "overloaded", THRICE, "overloaded"),
    "504": (failures.deadline(), 502, "upstream", THRICE, "timed out"),
    "499": (failures.cancelled(), 503, "overloaded", THRICE, "cancel"),
    "html-502": (failures.html(502), 502, "upstream", THRICE, "502"),
    "nested": (failures.nested_message(), 503, "overloaded", THRICE, "unavailable"),
    "429-delay": (failures.rate_limited(2.1), 429, "rate_limit", ONCE, "rate limit"),
    "429-text-only": (failures.rate_limited_without_delay(), 429, "rate_limit", ONCE, "39s"),
    "429-hours": (failures.quota_exhausted(), 429, "rate_limit", ONCE, "quota.*used up"),
    "429-day": (
        failures.quota_failure("GenerateRequestsPerDayPerProject"),
        *(429, "rate_limit", ONCE, "daily quota"),
    ),
    "429-minute": (
        failures.quota_failure("GenerateRequestsPerMinute", "7s"),
        *(429, "rate_limit", ONCE, "rate limit"),
    ),
    "429-plan": (failures.not_in_plan(), 429, "rate_limit", ONCE, "no quota for this model"),
    "429-credits": (failures.no_credits(), 429, "rate_limit", ONCE, "credits"),
    "429-shared": (failures.shared_capacity(), 429, "rate_limit", THRICE, "exhausted"),
    "429-stray-commas": (failures.stray_commas(), 429, "rate_limit", ONCE, "5s"),
    "capacity": (failures.capacity(), 503, "overloaded", THRICE, "not your quota"),
    "401-always": (failures.unauthenticated(), 401, "authentication", 2, "sign-in"),
    "403-validation": (
        failures.validation_required(),
        *(403, "permission_denied", ONCE, re.escape(failures.VALIDATION_URL)),
    ),
    "403-tos": (failures.tos_violation(), 403, "permission_denied", ONCE, "appeal"),
    "403-service": (failures.service_disabled(), 403, "permission_denied", ONCE, "disabled"),
    "403-licence": (failures.missing_licence(), 403, "permission_denied", ONCE, "licen[cs]e"),
    "403-perimeter": (failures.security_policy(), 403, "permission_denied", ONCE, "prohibited"),
    "400": (
        failures.refuse(GoogleError(400, "Request contains an invalid argument.")),
        *(400, "bad_request", ONCE, "invalid argument"),
    ),
    "400-too-long": (failures.input_too_long(), 400, "context_length", ONCE, "too long|exceeds"),
}


@pytest.mark.parametrize("name", REFUSALS)
async def test_a_refusal_keeps_its_class_and_message(tmp_path: Path, name: str) -> None:
    failure, status, kind, sent, words = REFUSALS[name]
    async with signed_in(tmp_path) as rig:
        rig.google.fail(failure, times=None)
        await ask_everything(rig, status, kind, sent, words)


async def test_a_refusal_without_end_claims_no_retry_after(tmp_path: Path) -> None:
    async with signed_in(tmp_path) as rig:
        rig.google.fail(failures.not_in_plan(), failures.no_credits())
        for _ in range(2):
            answer = await ask(rig, "openai")
            assert answer.status_code == 429
            assert "retry-after" not in answer.headers
            assert answer.headers["x-should-retry"] == "false"


BLIPS: dict[str, Failure] = {
    "500": failures.internal(),
    "503": failures.unavailable(),
    "499": failures.cancelled(),
    "html": failures.html(),
    "capacity": failures.capacity(),
    "401-once": failures.unauthenticated(),
    "error-event-first": failures.error_event(0),
    "cut-first": failures.connection_cut(0),
    "malformed-call": failures.malformed_function_call(),
    "empty-candidates": failures.empty_candidates(),
    "no-response": failures.no_response_at_all(),
    "other-without-content": failures.only_finishes("OTHER"),
}


@pytest.mark.parametrize("name", BLIPS)
async def test_a_blip_is_bridged_unseen(tmp_path: Path, name: str) -> None:
    async with signed_in(tmp_path) as rig:
        for dialect in ENDS:
            rig.google.fail(BLIPS[name])
            answer = await ask(rig, dialect, stream=True)
            assert answer.status_code == 200, answer.text
            assert ENDS[dialect] in answer.text
            entry = await last_entry(rig)
            assert (entry["outcome"], entry["estimated"]) == ("ok", False)
            assert len(rig.sent) == 2
            rig.google.requests.clear()


ENDLESS: dict[str, Failure] = {
    "malformed-call": failures.malformed_function_call(),
    "empty-candidates": failures.empty_candidates(),
    "no-response": failures.no_response_at_all(),
    "other-without-content": failures.only_finishes("OTHER"),
    "cut-before-content": failures.connection_cut(0),
}


@pytest.mark.parametrize("name", ENDLESS)
async def test_a_broken_answer_is_an_error_after_two_retries(tmp_path: Path, name: str) -> None:
    async with signed_in(tmp_path) as rig:
        rig.google.fail(ENDLESS[name], times=None)
        for dialect in ENDS:
            rig.google.requests.clear()
            answer = await ask(rig, dialect, stream=True)
            assert answer.status_code == 502
            assert len(rig.sent) == 3
            assert (await last_entry(rig))["outcome"] == "broken_answer"


MID_STREAM: dict[str, Failure] = {
    "error-event": failures.error_event(1),
    "raw-json": failures.raw_error(1),
    "cut": failures.connection_cut(1),
    "half-an-event": Failure(tear=lambda items: [items[0], b'data: {"candidates": [{"cont']),
    "half-a-character": Failure(tear=lambda items: [items[0], b'data: {"x": "\xe2\x82']),
    "end-of-file": Failure(tear=lambda items: items[:1]),
}


@pytest.mark.parametrize("name", MID_STREAM)
async def test_a_stream_that_breaks_ends_with_the_dialects_error(tmp_path: Path, name: str) -> None:
    async with signed_in(tmp_path) as rig:
        for dialect in ENDS:
            rig.google.requests.clear()
            rig.google.fail(MID_STREAM[name])
            answer = await ask(rig, dialect, stream=True)
            assert answer.status_code == 200
            assert "error" in answer.text
            assert ENDS[dialect] not in answer.text
            assert len(rig.sent) == 1  # the client has seen text: nothing may be sent twice
            entry = await last_entry(rig)
            assert entry["outcome"] in ("overloaded", "broken_answer")
            assert entry["success"] is False


@pytest.mark.parametrize(
    "framing",
    [
        Framing(newline="\r\n"),
        Framing(split_bytes=1),
        Framing(split_bytes=7, newline="\r\n", comments=True),
        Framing(gzip=True),
        Framing(gzip=True, split_bytes=3),
        Framing(multiline=True),
    ],
    ids=["crlf", "split-utf8", "split-crlf", "gzip", "gzip-split", "multiline"],
)
async def test_any_framing_is_read_to_the_same_answer(tmp_path: Path, framing: Framing) -> None:
    async with running(tmp_path) as rig:
        rig.google.flavour = "Grüße €🙂 "
        plain = (await ask(rig, "openai")).json()["choices"][0]["message"]["content"]
        rig.google.fail(failures.framed(framing), times=None)
        framed = (await ask(rig, "openai")).json()["choices"][0]["message"]["content"]
        assert framed == plain
        assert "€🙂" in framed


@pytest.mark.parametrize(
    "failure",
    [
        failures.finishes("BRAND_NEW"),
        failures.only_finishes("BRAND_NEW"),
        failures.unknown_part(),
        failures.thinking_only(),
        failures.prompt_blocked(),
        failures.only_finishes("SAFETY"),
        failures.missing_response(),
    ],
    ids=["finish", "bare-finish", "part", "thoughts-only", "blocked", "safety", "envelope"],
)
async def test_what_nobody_knows_yet_still_ends_properly(tmp_path: Path, failure: Failure) -> None:
    async with signed_in(tmp_path) as rig:
        rig.google.fail(failure, times=None)
        for dialect, stream in requests():
            answer = await ask(rig, dialect, stream=stream)
            assert answer.status_code == 200
            assert '"error":{' not in answer.text
            assert (await last_entry(rig))["outcome"] == "ok"


async def test_missing_usage_is_estimated_and_marked(tmp_path: Path) -> None:
    async with running(tmp_path) as rig:
        rig.google.fail(failures.no_usage())
        await ask(rig, "openai")
        entry = await last_entry(rig)
        assert entry["estimated"] is True
        assert entry["output_tokens"] > 0


# ── below HTTP ───────────────────────────────────────────────────────────────────────────────────


async def fails_below_http(folder: Path, address: str, words: str, status: int = 502) -> None:
    async with running(folder, in_process=False, google_gemini_base_url=address) as rig:
        rig.gateway.pipeline.sleep = at_once
        for dialect in ENDS:
            answer = await ask(rig, dialect, stream=True)
            assert answer.status_code == status, answer.text
            assert re.search(words, error_of(answer)[1]), answer.text
            entry = await last_entry(rig)
            assert entry["attempts"] == (THRICE if status == 502 else ONCE)
            assert entry["outcome"] == ("upstream" if status == 502 else "timeout")


async def test_connect_refused_says_where(tmp_path: Path) -> None:
    async with raw_server(lambda _r, _w: asyncio.sleep(0)) as port:
        pass
    await fails_below_http(tmp_path, f"http://127.0.0.1:{port}", "Could not connect to 127.0.0.1")


async def test_a_name_that_does_not_resolve_says_so(tmp_path: Path) -> None:
    await fails_below_http(tmp_path, "http://nowhere.invalid", "could not be resolved|not connect")


async def test_failed_tls_asks_who_is_intercepting(tmp_path: Path) -> None:
    async def not_tls(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.read(10)
        writer.write(b"HTTP/1.1 400 Bad Request\r\n\r\n")
        await writer.drain()

    async with raw_server(not_tls) as port:
        await fails_below_http(tmp_path, f"https://127.0.0.1:{port}", "No secure connection")


async def test_a_connection_cut_before_the_answer_is_tried_again(tmp_path: Path) -> None:
    async def hang_up(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.readuntil(b"\r\n\r\n")

    async with raw_server(hang_up) as port:
        await fails_below_http(tmp_path, f"http://127.0.0.1:{port}", "broke before it answered")


# ── sign-in ──────────────────────────────────────────────────────────────────────────────────────


async def test_an_expired_token_is_renewed_once_for_many_requests(tmp_path: Path) -> None:
    async with signed_in(tmp_path) as rig:
        rig.google.oauth.expire_access()
        answers = await asyncio.gather(*(ask(rig, "openai") for _ in range(8)))
        assert {answer.status_code for answer in answers} == {200}
        assert len(rig.google.calls("token")) == 1


async def test_an_ended_sign_in_says_so_and_is_not_asked_again(tmp_path: Path) -> None:
    async with signed_in(tmp_path) as rig:
        rig.google.oauth.expire_access()
        rig.google.oauth.revoke_all()
        for dialect, stream in requests():
            answer = await ask(rig, dialect, stream=stream)
            assert answer.status_code == 401
            assert "/setup" in error_of(answer)[1]
            assert answer.headers["x-should-retry"] == "false"
        assert len(rig.google.calls("token")) == 1
        assert list(tmp_path.glob("google_token.json.rejected-*"))


@pytest.mark.parametrize("skew_s", [-7200, 7200])
async def test_a_wrong_clock_costs_one_renewal_at_most(tmp_path: Path, skew_s: int) -> None:
    """Google's clock is two hours off ours: its word about a token counts, not our arithmetic."""
    async with signed_in(tmp_path) as rig:
        rig.google.now = lambda: time.time() + skew_s
        for _ in range(3):
            assert (await ask(rig, "openai")).status_code == 200
        assert len(rig.google.calls("token")) <= 1


async def test_an_account_google_refuses_gets_the_remedy_in_every_dialect(tmp_path: Path) -> None:
    async with signed_in(tmp_path) as rig:
        rig.google.account = account.unsupported_client()
        for dialect, stream in requests():
            answer = await ask(rig, dialect, stream=stream)
            assert answer.status_code == 403
            assert "API key" in error_of(answer)[1]
        assert rig.sent == []


# ── time limits ──────────────────────────────────────────────────────────────────────────────────


async def test_a_slow_first_byte_has_its_own_limit_and_message(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("server.upstreams.gemini_api.FIRST_BYTE_S", 0.05)
    async with running(tmp_path) as rig:
        rig.google.fail(failures.slow_first_byte(60), times=None)
        for dialect, stream in requests():
            answer = await ask(rig, dialect, stream=stream)
            assert answer.status_code == 504
            assert "did not begin to answer in time" in error_of(answer)[1]
            assert (await last_entry(rig))["outcome"] == "timeout"
            assert (await last_entry(rig))["attempts"] == ONCE


async def test_a_stalled_stream_has_its_own_limit_and_message(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(wire, "IDLE_S", 0.05)
    google = old_google(api_keys={GEMINI_KEY})
    async with (
        serve(google) as base,
        running(tmp_path, google=google, in_process=False, google_gemini_base_url=base) as rig,
    ):
        for dialect in ENDS:
            google.fail(failures.stalled(5))
            answer = await ask(rig, dialect, stream=True)
            assert "stayed silent" in answer.text
            assert ENDS[dialect] not in answer.text
            assert (await last_entry(rig))["outcome"] == "timeout"
        assert [entry.cancelled for entry in google.calls("streamGenerateContent")] == [True] * 4


async def test_a_stream_that_makes_progress_is_never_cut(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Longer than the idle limit in all, never silent for as long."""
    monkeypatch.setattr(wire, "IDLE_S", 1.5)
    async with running(tmp_path) as rig:
        rig.google.flavour = "word " * 40
        rig.google.chunk_delay_s = 0.04
        answer = await ask(rig, "openai", stream=True)
        assert ENDS["openai"] in answer.text


# ── the client leaves, the server stops ──────────────────────────────────────────────────────────


@pytest.mark.parametrize("moment", ["before", "while", "after"])
async def test_a_client_that_leaves_costs_nothing_more(tmp_path: Path, moment: str) -> None:
    async with running(tmp_path) as rig:
        rig.google.chunk_delay_s = {"before": 0.5, "while": 0.1, "after": 0.0}[moment]
        rig.google.flavour = "word " * 50
        path, body = request_of("openai", stream=True)
        sent = json.dumps(body).encode()
        head = ("Host: 127.0.0.1", "Content-Type: application/json")
        async with connection(rig) as (reader, writer):
            writer.write(http_request("POST", path, *head, body=sent))
            await until(lambda: len(rig.sent) == 1)
            if moment != "before":
                await reader.readuntil(b"data: ")
            if moment == "after":
                await reader.read()
        await until(lambda: not rig.gateway.pipeline.live)
        outcome = "ok" if moment == "after" else "cancelled"
        assert (await last_entry(rig))["outcome"] == outcome
        entry = rig.google.calls("streamGenerateContent")[0]
        await until(lambda: entry.cancelled is (moment != "after"))
        assert (await rig.usage())["total_requests"] == 1


async def test_a_client_that_leaves_in_the_middle_of_its_body_is_forgotten(tmp_path: Path) -> None:
    async with running(tmp_path) as rig:
        async with connection(rig) as (_, writer):
            head = b"POST /v1/messages HTTP/1.1\r\nHost: 127.0.0.1\r\nContent-Length: 99\r\n\r\n{"
            writer.write(head)
            await until(lambda: len(rig.gateway.pipeline.live) == 1)
        await until(lambda: not rig.gateway.pipeline.live)
        assert rig.sent == []
        assert (await last_entry(rig))["outcome"] == "cancelled"


async def test_a_stop_tells_every_open_stream_and_records_it(tmp_path: Path) -> None:
    async with running(tmp_path) as rig:
        rig.google.flavour = "word " * 50
        rig.google.chunk_delay_s = 0.05
        asking = [asyncio.create_task(ask(rig, dialect, stream=True)) for dialect in ENDS]
        live = rig.gateway.pipeline.live
        await until(lambda: [e.first_token_s is not None for e in live.values()] == [True] * 4)
        rig.edge.stop()
        for dialect, answer in zip(ENDS, await asyncio.gather(*asking), strict=True):
            assert "stopped" in answer.text
            assert ENDS[dialect] not in answer.text
        usage = await rig.usage()
        assert usage["total_requests"] == usage["failed_requests"] == 4
        late = await ask(rig, "openai")
        assert late.status_code == 503


# ── the table ────────────────────────────────────────────────────────────────────────────────────


def test_the_table_names_every_test_and_only_tests_that_exist() -> None:
    table = (ROOT / "docs" / "reliability.md").read_text("utf-8")
    names = (
        "reliability",
        "limits",
        "lasting",
        "attacks",
        "bodies",
        "upgrades",
        "crowds",
        "beside",
        "bounds",
    )
    files = {ROOT / "tests" / f"test_{name}.py" for name in names}
    named = set(re.findall(r"`(test_\w+)`", table))
    assert set().union(*map(names_in, files)) - named == set()
    assert named - set().union(*map(names_in, ROOT.glob("tests/**/test_*.py"))) == set()


def test_the_limits_in_the_table_are_those_of_the_program() -> None:
    table = (ROOT / "docs" / "reliability.md").read_text("utf-8").split("## Time")[1]
    phases = {
        "connecting to Google": wire.CONNECT_S,
        "first byte from Google": wire.FIRST_BYTE_S,
        "silence inside Google's stream": wire.IDLE_S,
        "signs of life with nothing in them": wire.PROGRESS_S,
        "what follows the end of an answer": wire.AFTER_END_S,
        "a short question": wire.CONNECT_S + wire.UNARY_S,
        "the body of a refusal": wire.REFUSAL_S,
        "waiting in the queue": throttle.LONGEST_WAIT_S,
        "a request head": runtime.IDLE_CONNECTION_S,
        "a request body": limits.BODY_SILENCE_S,
        "a client that does not read": connections.SLOW_READER_S,
    }
    for phase, limit_s in phases.items():
        assert re.search(rf"^\| {phase}[^|]*\| {limit_s:g} s", table, re.MULTILINE), phase
    assert f"{limits.BODY_S:g} s in all" in table


def names_in(file: Path) -> set[str]:
    source = file.read_text("utf-8")
    return set(re.findall(r"^(?:async )?def (test_\w+)", source, re.MULTILINE))
