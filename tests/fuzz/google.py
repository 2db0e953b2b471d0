"""What Google sends: answers, streams, refusals, accounts, tokens."""

import asyncio
import json
import math
from collections.abc import Callable, Sequence
from dataclasses import replace

import httpx

from server.auth.adc import Adc, Minted
from server.auth.eligibility import problem_for
from server.auth.grants import GoogleGrants, Grant, GrantRefusedError
from server.auth.oauth_client import parse_client
from server.errors import ProxyError, UpstreamError
from server.network.connection import Answer, AnswerError
from server.sse import SSEReader
from server.upstreams.google_errors import error_from_payload, error_from_response
from tests.faults import BODIES
from tests.fuzz import seeds
from tests.fuzz.mutate import broken, dump, encoded, mutated, pieces
from tests.fuzz.server import Json, Pieces, Server, check_answer, refused
from tests.fuzz.source import Source

UPSTREAMS = ("gemini-api", "code-assist", "vertex")
ASKED: tuple[tuple[str, str, Json], ...] = (
    ("openai", *BODIES["openai"]),
    ("anthropic", *BODIES["anthropic"]),
    ("openai", *BODIES["responses"]),
    ("gemini", f"{BODIES['gemini'][0]}generateContent", BODIES["gemini"][1]),
    ("gemini", f"{BODIES['gemini'][0]}streamGenerateContent", BODIES["gemini"][1]),
    ("openai", "/v1/completions", {"model": "gpt-3.5-turbo-instruct", "prompt": "Hi"}),
    ("openai", "/v1/embeddings", {"model": "text-embedding-3-small", "input": ["a", "b"]}),
    ("openai", "/v1/embeddings", {"model": "gemini-embedding-2", "input": "a"}),
    (
        "gemini",
        "/v1beta/models/gemini-embedding-001:embedContent",
        {"content": {"parts": [{"text": "a"}]}},
    ),
    ("anthropic", "/v1/messages/count_tokens", BODIES["anthropic"][1]),
    ("gemini", f"{BODIES['gemini'][0]}countTokens", BODIES["gemini"][1]),
)
LISTS = (("openai", "/v1/models"), ("gemini", "/v1beta/models"), ("openai", "/v1/models/x"))


def prepare(server: Server, name: str) -> None:
    """Whatever upstream ``name`` needs to have a credential."""
    if name == "code-assist":
        token = server.google.oauth.sign_in()["access_token"]
        content = {"access_token": token, "refresh_token": "r", "expiry_date": 4_000_000_000_000}
        (server.folder / "google_token.json").write_text(json.dumps(content))
    if name == "vertex":
        file = server.folder / "adc.json"
        file.write_text(json.dumps({"type": "authorized_user", "project_id": "p-1"}))
        adc = Adc(file, mint=lambda _: Minted(token="an-adc-token", lifetime_s=3600))
        doors = server.gateway.doors
        doors._parts = replace(doors._parts, adc=adc)


def answer(server: Server, source: Source) -> None:
    """One request of a client's, answered by a Google that is not quite itself."""
    server.gateway.doors.use(server.gateway.settings)  # what it remembers of the last one goes
    server.transport.script = lambda request: _scripted(request, source)
    try:
        if source.below(8) == 0:
            account = server.run(server.gateway.check_account())
            assert account.problem is None or account.problem.sentence
            dialect, path = LISTS[source.below(len(LISTS))]
            check_answer(dialect, server.ask("GET", path))
            return
        dialect, path, body = ASKED[source.below(len(ASKED))]
        if dialect != "gemini" and source.below(2):
            body = {**body, "stream": True}
        sent = [("content-type", "application/json")]
        got = server.ask("POST", path, [json.dumps(body).encode()], sent, query="alt=sse")
        assert got.status != 500, got
        check_answer(dialect, got)
    finally:
        server.transport.script = lambda request: None


def _scripted(request: httpx.Request, source: Source) -> httpx.Response | None:
    """What this Google says to ``request``; None: what the fake says."""
    method = request.url.path.rpartition(":")[2]
    wrap = "v1internal" in request.url.path
    if "enerateContent" in method:
        if source.below(4) == 0:
            return _refusal(source)
        return _generated(method, source, wrap=wrap)
    known = {
        "loadCodeAssist": seeds.LOAD,
        "onboardUser": seeds.ONBOARD,
        "retrieveUserQuota": seeds.QUOTA,
        "countTokens": seeds.COUNTED,
        "batchEmbedContents": seeds.EMBEDDED,
        "embedContent": {"embedding": seeds.EMBEDDED["embeddings"][0]},
        "predict": seeds.PREDICTED,
    }
    seed = known.get(method) or (seeds.MODELS if request.url.path.endswith("/models") else None)
    match source.below(6):
        case 0:
            return None
        case 1 if seed is not None:
            return _refusal(source)
        case _ if seed is not None:
            return _response(200, broken(dump(mutated(seed, source)), source), source)
    return None


def _generated(method: str, source: Source, *, wrap: bool) -> httpx.Response:
    """An answer: its chunks changed, framed, then cut or broken."""
    chunks = mutated(list(seeds.CHUNKS[source.below(3) :]), source)
    values = chunks if isinstance(chunks, list) else [chunks]
    if wrap:
        values = [{"response": value, "traceId": "t"} for value in values]
    if method == "generateContent":
        data = dump(values[0] if values else {})
    else:
        ends = (b"\n\n", b"\r\n\r\n", b"\r\r")
        end = ends[source.below(3)]
        data = b"".join(b"data: " + dump(value) + end for value in values)
        if source.below(8) == 0:
            data += b"data: " + dump(mutated(seeds.REFUSAL, source)) + end
    return _response(200, broken(data, source), source)


def _refusal(source: Source) -> httpx.Response:
    status = seeds.STATUSES[source.below(len(seeds.STATUSES))]
    return _response(status, refusal_body(source), source)


def refusal_body(source: Source) -> bytes:
    """An error of Google's, nearly as it should be."""
    error = json.loads(json.dumps(seeds.REFUSAL))
    error["error"]["code"] = seeds.STATUSES[source.below(len(seeds.STATUSES))]
    info = error["error"]["details"][0]
    info["reason"] = seeds.REASONS[source.below(len(seeds.REASONS))]
    for name in list(info["metadata"]):
        if source.below(3) == 0:
            del info["metadata"][name]
    if source.below(4) == 0:  # as some front ends wrap it
        error = {"error": {"message": dump(mutated(error, source)).decode()}}
    if source.below(4) == 0:
        error = [error]
    return broken(dump(mutated(error, source)), source)


TYPES = ("application/json; charset=UTF-8", "text/event-stream", "text/html", "", "x/\xff")


def _response(status: int, data: bytes, source: Source) -> httpx.Response:
    headers = [(b"content-type", TYPES[source.below(len(TYPES))].encode("latin-1"))]
    if source.below(5) == 0:
        coding, data = encoded(data, source)
        headers.append((b"content-encoding", coding.encode("latin-1")))
    if source.below(5) == 0:
        headers.append((b"retry-after", RETRY[source.below(len(RETRY))].encode("utf-8")))
    return httpx.Response(status, headers=headers, stream=Pieces(pieces(data, source)))


RETRY = ("5", "0", "-1", "1.5", "²", "9" * 400, "Wed, 21 Oct 2026 07:28:00 GMT", "", "٣")


def refusals(source: Source) -> None:
    """Any refusal is one ``ProxyError`` whose every field can be shown."""
    body = refusal_body(source)
    status = seeds.STATUSES[source.below(len(seeds.STATUSES))]
    headers = {"retry-after": RETRY[source.below(len(RETRY))]} if source.below(2) else {}
    credential = ("sign-in", "key", "adc")[source.below(3)]
    _shown(error_from_response(status, headers, body, credential=credential))  # type: ignore[arg-type]
    seen = error_from_payload(mutated(seeds.REFUSAL, source))
    if seen is not None:
        _shown(seen)


def _shown(error: ProxyError) -> None:
    assert error.message.strip()
    delay = error.retry_after_s
    assert delay is None or (math.isfinite(delay) and delay >= 0), delay
    assert error.code is None or problem_for(error.code).sentence


REDIRECT = "http://127.0.0.1:8081/oauth2callback"


def grants(source: Source) -> None:
    """What the token endpoint answers: a grant, or one of two errors."""
    client = parse_client(json.dumps(seeds.CLIENT))

    def respond() -> tuple[int, bytes]:
        seed = (seeds.GRANT, seeds.NO_GRANT)[source.below(2)]
        status = (200, 200, 200, 400, 401, 403, 404, 418)[source.below(8)]
        return status, broken(dump(mutated(seed, source)), source)

    transport = httpx.MockTransport(lambda _: _response(*respond(), source))
    asked = GoogleGrants(httpx.AsyncClient(transport=transport))
    steps: tuple[Callable[[], object], ...] = (
        lambda: asyncio.run(asked.refresh(client, "a-refresh-token-value")),
        lambda: asyncio.run(asked.exchange(client, REDIRECT, "v" * 43, "code")),
        lambda: asyncio.run(asked.email(client, "an-access-token-value")),
        lambda: asyncio.run(asked.revoke(client, "an-access-token-value")),
    )
    got: list[object] = []
    step = steps[source.below(len(steps))]
    refused(lambda: got.append(step()), GrantRefusedError, UpstreamError)
    for grant in got:
        if isinstance(grant, Grant):
            assert isinstance(grant.access_token, str)
            assert isinstance(grant.refresh_token, str | None)
            assert math.isfinite(grant.lifetime_s)


def http(source: Source) -> None:
    """However the bytes of an HTTP answer are cut, it is the same, or refused."""
    data = b"".join(HTTP[source.below(len(HTTP))] for _ in range(1 + source.below(3)))
    data = broken(broken(data, source), source)
    closed = bool(source.below(2))
    whole = _told([data], closed=closed)
    assert _told(pieces(data, source), closed=closed) == whole
    assert _told([bytes([byte]) for byte in data], closed=closed) == whole


def _told(parts: Sequence[bytes], *, closed: bool) -> object:
    answer, body = Answer("POST"), b""
    try:
        for part in filter(None, parts):
            answer.feed(part)
            body += answer.take()
    except AnswerError:
        return None
    if closed:
        answer.end()
    # Not whether the connection serves again: bytes of the next answer may be on their way.
    return answer.begun, answer.complete, answer.complete and (answer.status, answer.headers, body)


HTTP = (
    b"HTTP/1.1 100 Continue\r\n\r\n",
    b"HTTP/1.1 200 OK\r\nContent-Length: 5\r\nX-A:  b \r\n\r\nhello",
    b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5;a=b\r\nhello\r\n0\r\nX-B: c\r\n\r\n",
    b"HTTP/1.0 503 No\r\nConnection: close\r\n\r\nuntil the end",
    b"HTTP/1.1 204 No Content\r\n\r\n",
)


def events(source: Source) -> None:
    """However the bytes of a stream are cut, the events are the same."""
    data = b"".join(b"data: " + dump(chunk) + b"\r\n\r\n" for chunk in seeds.CHUNKS)
    data = broken(broken(data, source), source)
    assert _read(pieces(data, source)) == _read([data])


def _read(parts: Sequence[bytes]) -> list[bytes]:
    reader = SSEReader()
    found = [event for part in parts for event in reader.feed(part)]
    return found + reader.close()
