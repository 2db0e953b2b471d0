"""Every phase of a request has its limit, and nothing that gets anywhere is cut.

Behind the server stands a socket that does what a real Google, or what is between, may do.
"""

import asyncio
import json
import socket
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import ExitStack, asynccontextmanager
from functools import partial
from pathlib import Path
from typing import Any

import httpx
import pytest

from server.upstreams import wire
from tests.clock import FakeClock
from tests.faults import (
    ENDS,
    Talk,
    ask,
    at_once,
    clocked,
    error_of,
    last_entry,
    raw_server,
    requests,
    signed_in,
    until,
)
from tests.google import failures
from tests.rig import Rig, running
from tests.support import HANGS_S

Answer = Callable[[asyncio.StreamWriter], Awaitable[None]]
FOREVER_S = 600.0
WORD = b'{"candidates": [{"content": {"parts": [{"text": "word "}]}}]}'
LAST = b'{"candidates": [{"content": {"parts": [{"text": "end"}]}, "finishReason": "STOP"}]}'
STREAM = "text/event-stream"


def event(data: bytes) -> bytes:
    return b"data: " + data + b"\n\n"


async def begin(writer: asyncio.StreamWriter, content_type: str = STREAM) -> None:
    """The head of an answer whose body ends with the connection."""
    writer.write(b"HTTP/1.1 200 OK\r\nContent-Type: " + content_type.encode() + b"\r\n\r\n")
    await writer.drain()


async def say(writer: asyncio.StreamWriter, *pieces: bytes, every_s: float = 0.0) -> None:
    for piece in pieces:
        writer.write(piece)
        await writer.drain()
        await asyncio.sleep(every_s)


def answering(answer: Answer) -> Talk:
    """A Google that has no list of models and gives this answer to everything else."""

    async def talk(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        head = await reader.readuntil(b"\r\n\r\n")
        if head.startswith(b"GET "):
            writer.write(b"HTTP/1.1 404 Not Found\r\nContent-Length: 0\r\n\r\n")
            return
        await answer(writer)

    return talk


@asynccontextmanager
async def before(talk: Talk, folder: Path, scheme: str = "http") -> AsyncIterator[Rig]:
    """A server whose Google is ``talk``; pauses take no time."""
    async with raw_server(talk) as port:
        address = f"{scheme}://127.0.0.1:{port}"
        async with running(folder, in_process=False, google_gemini_base_url=address) as rig:
            rig.gateway.pipeline.sleep = at_once
            yield rig


async def fails(rig: Rig, status: int, words: str, outcome: str) -> None:
    """Every dialect, unary and streamed, gets this error before anything else."""
    for dialect, stream in requests():
        answer = await ask(rig, dialect, stream=stream)
        assert answer.status_code == status, (dialect, stream, answer.text)
        assert words in error_of(answer)[1], answer.text
        assert (await last_entry(rig))["outcome"] == outcome


# ── connecting ──


async def test_a_connection_nobody_takes_up_has_its_own_limit(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A listener with a full backlog does not even answer the SYN."""
    monkeypatch.setattr(wire, "CONNECT_S", 0.3)
    with ExitStack() as open_, socket.socket() as deaf:
        deaf.bind(("127.0.0.1", 0))
        deaf.listen(0)
        for _ in range(8):
            waiting = open_.enter_context(socket.socket())
            waiting.setblocking(False)
            waiting.connect_ex(deaf.getsockname())
        address = f"http://127.0.0.1:{deaf.getsockname()[1]}"
        async with running(tmp_path, in_process=False, google_gemini_base_url=address) as rig:
            for dialect in ENDS:
                answer = await ask(rig, dialect, stream=True)
                assert answer.status_code == 504
                assert "Could not connect" in error_of(answer)[1]
                assert (await last_entry(rig))["attempts"] == 1


async def test_a_handshake_nobody_answers_counts_as_connecting(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def mute(reader: asyncio.StreamReader, _writer: asyncio.StreamWriter) -> None:
        await reader.read()

    monkeypatch.setattr(wire, "CONNECT_S", 0.3)
    async with before(mute, tmp_path, "https") as rig:
        answer = await ask(rig, "anthropic", stream=True)
        assert answer.status_code == 504
        assert "Could not connect" in error_of(answer)[1]


# ── an answer on its way ──


async def test_silence_inside_an_answer_in_one_piece_has_the_streams_limit(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def stalls(writer: asyncio.StreamWriter) -> None:
        await begin(writer, "application/json")
        await say(writer, LAST[:20], every_s=FOREVER_S)

    monkeypatch.setattr(wire, "IDLE_S", 0.1)
    async with before(answering(stalls), tmp_path) as rig:
        answer = await ask(rig, "gemini")
        assert answer.status_code == 504
        assert "stayed silent" in error_of(answer)[1]


@pytest.mark.parametrize("nothing", [b": ping\n\n", b"\n", b"data: {}\n\n", event(b'{"a": []}')])
async def test_signs_of_life_alone_are_no_progress(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, nothing: bytes
) -> None:
    async def pings(writer: asyncio.StreamWriter) -> None:
        await begin(writer)
        await say(writer, *[nothing] * 2000, every_s=0.01)

    monkeypatch.setattr(wire, "PROGRESS_S", 0.1)
    async with before(answering(pings), tmp_path) as rig:
        answer = await ask(rig, "openai", stream=True)
        assert answer.status_code == 504
        assert "sent nothing of it" in error_of(answer)[1]


async def test_an_event_that_trickles_is_progress(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def trickles(writer: asyncio.StreamWriter) -> None:
        await begin(writer)
        await say(writer, *(bytes([byte]) for byte in event(LAST)), every_s=0.005)

    monkeypatch.setattr(wire, "PROGRESS_S", 0.2)
    async with before(answering(trickles), tmp_path) as rig:
        for dialect in ("openai", "gemini"):
            assert ENDS[dialect] in (await ask(rig, dialect, stream=True)).text


@pytest.mark.parametrize("after", ["silence", "a cut", "garbage"])
async def test_what_comes_after_the_end_of_an_answer_no_longer_matters(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, after: str
) -> None:
    async def ends(writer: asyncio.StreamWriter) -> None:
        body = event(WORD) + event(LAST)
        writer.write(b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n")
        writer.write(b"%x\r\n%s\r\n" % (len(body), body))
        await writer.drain()
        if after == "silence":
            await asyncio.sleep(FOREVER_S)
        elif after == "garbage":
            writer.write(b"9\r\ndata: {x\n\r\n0\r\n\r\n")

    monkeypatch.setattr(wire, "AFTER_END_S", 0.05)
    async with before(answering(ends), tmp_path) as rig:
        for dialect in ENDS:
            answer = await ask(rig, dialect, stream=True)
            assert ENDS[dialect] in answer.text
            assert "error" not in answer.text.replace('"error":null', "")
            assert (await last_entry(rig))["outcome"] == "ok"


async def test_a_short_question_may_not_trickle(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Everybody waits for the list of models, so it is bounded as a whole."""

    async def talk(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        head = await reader.readuntil(b"\r\n\r\n")
        await begin(writer)
        if head.startswith(b"GET "):
            await say(writer, *[b" "] * 5000, every_s=0.02)
        await say(writer, event(LAST))

    monkeypatch.setattr(wire, "CONNECT_S", 0.2)
    monkeypatch.setattr("server.upstreams.gemini_api.MODELS_WITHIN_S", 0.1)
    async with before(talk, tmp_path) as rig:
        async with asyncio.timeout(HANGS_S):
            assert ENDS["openai"] in (await ask(rig, "openai", stream=True)).text


# ── an answer that is none ──


async def whole(writer: asyncio.StreamWriter, body: bytes, content_type: str = STREAM) -> None:
    await begin(writer, content_type)
    await say(writer, body)


async def test_an_answer_without_end_is_given_up(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def endless(writer: asyncio.StreamWriter) -> None:
        await begin(writer)
        await say(writer, b'data: {"a": "', *[b"a" * 60_000] * 1000)

    monkeypatch.setattr(wire, "MOST_BYTES", 1024 * 1024)
    async with before(answering(endless), tmp_path) as rig:
        await fails(rig, 502, "larger than 1 MiB", "broken_answer")


async def test_a_refusal_without_end_is_told_by_what_has_come(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def refuses(writer: asyncio.StreamWriter) -> None:
        writer.write(b"HTTP/1.1 403 Forbidden\r\nContent-Type: application/json\r\n\r\n")
        await say(writer, b'{"error": ', *[b" "] * 5000, every_s=0.01)

    monkeypatch.setattr(wire, "REFUSAL_S", 0.1)
    async with before(answering(refuses), tmp_path) as rig:
        async with asyncio.timeout(20):
            await fails(rig, 403, "error", "permission_denied")


async def test_an_answer_nested_without_end_is_no_answer(tmp_path: Path) -> None:
    for levels in (300, 100_000):
        body = b'{"candidates": ' + b"[" * levels + b"]" * levels + b"}"
        talk = answering(lambda writer, body=body: whole(writer, event(body)))  # type: ignore[misc]
        async with before(talk, tmp_path) as rig:
            answer = await ask(rig, "openai", stream=True)
            assert answer.status_code == 502
            assert (await last_entry(rig))["outcome"] == "broken_answer"


async def test_a_page_in_place_of_an_answer_says_what_may_be_in_the_way(tmp_path: Path) -> None:
    talk = answering(lambda writer: whole(writer, b"<html>Log in", "text/html; charset=utf-8"))
    async with before(talk, tmp_path) as rig:
        await fails(rig, 502, "login page", "upstream")


async def test_impossible_figures_and_texts_cost_no_row(tmp_path: Path) -> None:
    """What no database can hold must not end the saving of everything after it."""
    count = json.dumps({"promptTokenCount": 10**30, "candidatesTokenCount": 10**30}).encode()
    body = LAST[:-1] + b', "usageMetadata": ' + count + b"}"
    refusal = b'{"error": {"code": 400, "status": "X", "message": "half \\ud800"}}'
    for answer in (body, refusal, body):
        talk = answering(lambda writer, answer=answer: whole(writer, event(answer)))  # type: ignore[misc]
        async with before(talk, tmp_path) as rig:
            for dialect in ENDS:
                await ask(rig, dialect, stream=True)
    async with running(tmp_path) as rig:
        usage = await rig.usage()
        assert usage["total_requests"] == 3 * len(ENDS) == len(usage["recent_requests"])


# ── waiting for a turn ──


async def test_waiting_ends_after_ten_minutes_with_the_time_left(tmp_path: Path) -> None:
    async with running(tmp_path, rate_limit_s=900.0, wait_mode=True) as rig:
        clock, throttle = clocked(rig), rig.gateway.throttle
        assert (await ask(rig, "openai")).status_code == 200
        asking = [asyncio.create_task(ask(rig, dialect, stream=True)) for dialect in ENDS]
        await until(lambda: throttle.state().waiting == len(ENDS))
        await clock.advance(599)
        assert throttle.state().waiting == len(ENDS)
        await clock.advance(1)
        for answer in await asyncio.gather(*asking):
            assert answer.status_code == 429
            assert float(answer.headers["retry-after"]) >= 300
        assert throttle.state().waiting == 0


async def spaced(
    rig: Rig, clock: FakeClock, asking: Awaitable[httpx.Response], method: str, times: int
) -> httpx.Response:
    """What is answered to one that sends so many requests, each of them no sooner than it may."""
    answering = asyncio.ensure_future(asking)
    throttle, sent = rig.gateway.throttle, partial(rig.google.calls, method)
    for number in range(1, times):
        await until(lambda: len(sent()) == number and throttle.state().waiting > 0)  # noqa: B023
        await clock.advance(throttle.rate_limit_s - 1)
        assert len(sent()) == number
        await clock.advance(1)
    answer = await answering
    assert len(sent()) == times
    return answer


@pytest.mark.parametrize("wait_mode", [False, True])
async def test_what_is_sent_again_with_a_new_token_counts_and_is_spaced(
    tmp_path: Path, wait_mode: bool
) -> None:
    async with signed_in(tmp_path, rate_limit_s=30.0, wait_mode=wait_mode) as rig:
        rig.google.fail(failures.unauthenticated())
        asking = ask(rig, "openai", stream=True)
        answer = await spaced(rig, clocked(rig), asking, "streamGenerateContent", 2)
        assert answer.status_code == 200
        entry = await last_entry(rig)
        assert (entry["attempts"], entry["outcome"]) == (2, "ok")


@pytest.mark.parametrize("wait_mode", [False, True])
async def test_every_part_of_one_request_counts_and_is_spaced(
    tmp_path: Path, wait_mode: bool
) -> None:
    """Choices, and texts beyond one batch: refused, the client could never succeed."""
    texts: dict[str, Any] = {"model": "text-embedding-3-small", "input": ["x"] * 250}
    choices = {
        "model": "gemini-2.5-pro",
        "n": 3,
        "messages": [{"role": "user", "content": "Hello"}],
    }
    async with running(tmp_path, rate_limit_s=30.0, wait_mode=wait_mode) as rig:
        clock = clocked(rig)
        for path, body, method in (
            ("/v1/embeddings", texts, "batchEmbedContents"),
            ("/v1/chat/completions", choices, "streamGenerateContent"),
        ):
            await clock.advance(30)
            answer = await spaced(rig, clock, rig.http.post(path, json=body), method, 3)
            assert answer.status_code == 200, answer.text
            assert (await last_entry(rig))["attempts"] == 3


async def test_a_stop_tells_those_who_wait_for_something_short(tmp_path: Path) -> None:
    async with running(tmp_path) as rig:
        rig.google.fail(failures.slow_first_byte(60), times=None, methods={"*"})
        body = {"model": "text-embedding-3-small", "input": "x"}
        asking = [
            asyncio.create_task(rig.http.post("/v1/embeddings", json=body)),
            asyncio.create_task(rig.http.get("/v1/models")),
        ]
        await until(lambda: len(rig.edge._running) == 2 and bool(rig.google.requests))
        rig.edge.stop()
        for answer in await asyncio.gather(*asking):
            assert answer.status_code == 503
            assert "stopped" in answer.text
