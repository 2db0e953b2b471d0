"""Attempts to get in, to get at a secret, and to hold the server up. None succeeds."""

import asyncio
import contextlib
import io
import itertools
import json
import logging
import socket
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest

from server.demo.errors import GoogleError
from server.dialects import DIALECTS
from server.edge import connections
from server.edge.guesses import Guesses
from server.logs import configure_logging
from tests.faults import (
    BODIES,
    ask,
    connection,
    http_request,
    last_entry,
    raw,
    request_of,
    requests,
    signed_in,
    status_of,
    until,
)
from tests.google import failures
from tests.google.model import Answer
from tests.rig import Rig, running

HERE = "Host: 127.0.0.1"
JSON = "Content-Type: application/json"
CHAT = json.dumps(BODIES["openai"][1]).encode()
PAGES = (
    *("/", "/setup", "/connect", "/settings", "/help", "/about", "/log", "/inspect", "/login"),
    *("/usage", "/metrics", "/events", "/openapi.json", "/auth"),
)


def addresses() -> Iterator[tuple[str, str]]:
    """Method and path of everything there is."""
    for dialect in DIALECTS:
        for route in dialect.routes:
            yield route.method, route.path.replace("{id}", "gemini-2.5-pro")
    yield from (("GET", path) for path in PAGES)


# ── from a web page ──────────────────────────────────────────────────────────────────────────────


@pytest.mark.parametrize(
    ("host", "status"),
    [
        ("evil.example", 421),
        ("evil.example:8081", 421),
        ("localhost.evil.example", 421),
        ("127.0.0.1.evil.example", 421),
        ("127.0.0.1@evil.example", 400),
        ("evil.example#127.0.0.1", 400),
        ("localhost, evil.example", 400),
        ("", 400),
        ("[::1", 400),
    ],
)
async def test_a_rebound_name_reaches_nothing(tmp_path: Path, host: str, status: int) -> None:
    async with running(tmp_path) as rig:
        for method, path in addresses():
            answer = await raw(rig, http_request(method, path, f"Host: {host}"))
            assert status_of(answer) == status, (method, path, answer[:200])
        assert rig.sent == []


@pytest.mark.parametrize(
    "content_type",
    ["text/plain", "application/x-www-form-urlencoded", "multipart/form-data; boundary=x", ""],
)
async def test_a_form_on_another_site_changes_nothing(tmp_path: Path, content_type: str) -> None:
    headers = {"content-type": content_type} if content_type else {}
    async with running(tmp_path) as rig:
        for origin in (
            *("https://evil.example", "null", "http://localhost.evil.example"),
            *("http://[::1", "http://localhost@evil.example", "file://", ""),
        ):
            for path in ("/v1/chat/completions", "/v1/messages", "/setup", "/settings", "/login"):
                answer = await rig.http.post(
                    path, content=CHAT, headers={**headers, "origin": origin}
                )
                assert answer.status_code == 403, (path, origin)
                assert "access-control-allow-origin" not in answer.headers
        silent = await rig.http.post(
            "/v1/chat/completions",
            content=CHAT,
            headers={**headers, "sec-fetch-site": "cross-site"},
        )
        assert silent.status_code == 403
        plain = await rig.http.post("/v1/chat/completions", content=CHAT, headers=headers)
        assert plain.status_code == 415
        for path in ("/setup", "/settings"):
            form = {"token": "guessed", "action": "sign-out", "WAIT_MODE": "true"}
            assert (await rig.http.post(path, data=form)).status_code == 403
        assert rig.sent == []
        assert rig.gateway.settings.wait_mode is False


async def test_a_foreign_page_cannot_read_embed_or_preflight(tmp_path: Path) -> None:
    async with running(tmp_path) as rig:
        foreign = {"origin": "https://evil.example"}
        asked = {**foreign, "access-control-request-method": "POST"}
        for _, path in addresses():
            answer = await rig.http.options(path, headers=asked)
            assert answer.status_code == 403
            assert not [name for name in answer.headers if name.startswith("access-control")]
        for path in ("/", "/setup"):
            page = await rig.http.get(path)
            assert "frame-ancestors 'none'" in page.headers["content-security-policy"]
            assert "default-src 'none'" in page.headers["content-security-policy"]


# ── from another machine ─────────────────────────────────────────────────────────────────────────


@pytest.mark.parametrize(
    "forged",
    [
        "X-Forwarded-For: 127.0.0.1",
        "X-Forwarded-Host: localhost",
        "X-Forwarded-Proto: https",
        "x-forwarded-anything: 1",
        "Forwarded: for=127.0.0.1",
        "X-Real-IP: 127.0.0.1",
        "Via: 1.1 somebody",
        "via:",
        "X-Forwarded: 1",
        "X_Forwarded_For: 127.0.0.1",
        "X-Original-Forwarded-For: 127.0.0.1",
        "CF-Connecting-IP: 127.0.0.1",
        "True-Client-Ip: 127.0.0.1",
    ],
)
async def test_a_forged_forwarding_header_never_makes_a_stranger_local(
    tmp_path: Path, forged: str
) -> None:
    async with running(tmp_path) as rig:
        for method, path in addresses():
            answer = await raw(rig, http_request(method, path, HERE, forged))
            if path == "/auth":
                assert status_of(answer) in (400, 401)
            else:
                assert status_of(answer) in (401, 405), (method, path)
        assert rig.sent == []


@pytest.mark.parametrize(
    "key",
    ["Bearer", "Bearer x", "any", "gp-", "0" * 4096, "\u00e9", "' OR 1=1 --"],
)
async def test_a_guessed_key_opens_nothing(tmp_path: Path, key: str) -> None:
    async with running(tmp_path, api_keys=("the-right-key-of-this-server",)) as rig:
        seldom = itertools.count(0.0, 1e6).__next__  # nobody is slowed down
        rig.edge.access.guesses = Guesses(now=seldom)
        given = key.encode("latin-1")
        for name in (b"x-api-key", b"x-goog-api-key", b"authorization", b"cookie"):
            cookie = f"{rig.edge.access.cookie_name}=".encode() + given
            value = {b"authorization": b"Bearer " + given, b"cookie": cookie}
            headers = [(name, value.get(name, given))]
            answer = await rig.http.get("/v1/models", headers=headers)
            assert answer.status_code == 401
            assert (await rig.http.get("/usage", headers=headers)).status_code == 401


# ── by the shape of the request ──────────────────────────────────────────────────────────────────


@pytest.mark.parametrize(
    "target",
    [
        "//v1/chat/completions",
        "/v1/../setup",
        "/v1/..%2fsetup",
        "/setup/../v1/chat/completions",
        "/%2e%2e/setup",
        "/static/../pages.py",
        "/static/..%2f..%2fmain.py",
        "/static//etc/passwd",
        "/auth/../usage",
        "/auth%2f..%2fusage",
        "/health/../usage",
        "/health%00/usage",
        "/usage;/health",
        "/v1%2fmodels",
        "/V1/models",
        "?x",
        "usage",
        "x:/usage",
        "evil.example:80",
    ],
)
async def test_a_crooked_path_is_never_a_way_around_the_key(tmp_path: Path, target: str) -> None:
    async with running(tmp_path, api_keys=("the-right-key-of-this-server",)) as rig:
        for method in ("GET", "POST"):
            answer = await raw(rig, http_request(method, target, HERE, JSON, body=CHAT))
            assert status_of(answer) in (401, 404, 308, 400), answer[:300]
            assert b"total_requests" not in answer
        with_key = "x-api-key: the-right-key-of-this-server"
        open_ = await raw(rig, http_request("GET", target, HERE, with_key))
        assert status_of(open_) < 500
        assert b"create_pages" not in open_
        assert b"root:" not in open_


async def test_the_address_inside_a_target_is_the_one_that_counts(tmp_path: Path) -> None:
    async with running(tmp_path) as rig:
        for path in ("/v1/models", "/usage"):
            foreign = await raw(rig, http_request("GET", f"http://evil.example{path}", HERE))
            assert status_of(foreign) == 421
            ours = await raw(rig, http_request("GET", f"http://127.0.0.1{path}", "Host: x.example"))
            assert status_of(ours) == 200
            for unreadable in ("http://[::1", "http://[x]", "http://", "http://127.0.0.1:x"):
                answer = await raw(rig, http_request("GET", unreadable + path, HERE))
                assert status_of(answer) == 400, answer


SMUGGLED = {
    "two-hosts": http_request("GET", "/usage", HERE, "Host: evil.example"),
    "two-origins": http_request(
        *("GET", "/usage", HERE, "Origin: https://evil.example", "Origin: http://localhost")
    ),
    "two-keys": http_request("GET", "/usage", HERE, "x-api-key: a", "x-api-key: b"),
    "two-lengths": b"POST /v1/messages HTTP/1.1\r\nHost: 127.0.0.1\r\nContent-Length: 1\r\n"
    b"Content-Length: 2\r\n\r\n{}",
    "length-and-chunks": b"POST /v1/messages HTTP/1.1\r\nHost: 127.0.0.1\r\nContent-Length: 4\r\n"
    b"Transfer-Encoding: chunked\r\n\r\n0\r\n\r\nGET /usage HTTP/1.1\r\nHost: 127.0.0.1\r\n\r\n",
    "odd-coding": b"POST /v1/messages HTTP/1.1\r\nHost: 127.0.0.1\r\n"
    b"Transfer-Encoding: xchunked\r\n\r\n",
    "no-host": b"GET /usage HTTP/1.1\r\n\r\n",
    "old-and-no-host": b"GET /usage HTTP/1.0\r\n\r\n",
    "space-in-a-name": b"GET /usage HTTP/1.1\r\nHost : 127.0.0.1\r\n\r\n",
    "folded": b"GET /usage HTTP/1.1\r\nHost: 127.0.0.1\r\nX: a\r\n Host: evil.example\r\n"
    b"Host: b\r\n\r\n",
    "negative-length": b"POST /v1/messages HTTP/1.1\r\nHost: 127.0.0.1\r\n"
    b"Content-Length: -1\r\n\r\n",
    "garbage": b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03",
}


@pytest.mark.parametrize("name", SMUGGLED)
async def test_a_head_with_two_meanings_is_refused(tmp_path: Path, name: str) -> None:
    async with running(tmp_path) as rig:
        answer = await raw(rig, SMUGGLED[name], within_s=2)
        assert status_of(answer) in (0, 400, 501), answer[:300]
        assert answer.count(b"HTTP/1.1 ") <= 1
        assert b"total_requests" not in answer
        assert (await rig.http.get("/health")).status_code == 200


async def test_a_request_that_has_passed_through_here_is_told_so(tmp_path: Path) -> None:
    async with running(tmp_path) as rig:
        for later in ("", "Via: 1.1 another"):
            lines = [line for line in (HERE, "Via: 1.1 gemini-api-proxy", later) if line]
            assert status_of(await raw(rig, http_request("GET", "/v1/models", *lines))) == 508


async def test_a_websocket_gets_no_further_than_anything_else(tmp_path: Path) -> None:
    asked = ("Connection: Upgrade", "Upgrade: websocket", "Sec-WebSocket-Version: 13")
    key = "Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ=="
    async with running(tmp_path) as rig:
        for path in ("/v1/responses", "/events", "/", "/nothing"):
            for lines, status in (
                ([HERE], 426),
                (["Host: evil.example"], 421),
                ([HERE, "Origin: https://evil.example"], 403),
                ([HERE, "X-Forwarded-For: 127.0.0.1"], 401),
            ):
                head = "\r\n".join([f"GET {path} HTTP/1.1", *lines, *asked, key, "", ""])
                assert status_of(await raw(rig, head.encode())) == status, (path, lines)


async def test_an_oversized_head_and_body_are_cut_short(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("server.edge.body.BODY_BYTES", 100_000)
    async with running(tmp_path) as rig:
        head = await raw(rig, http_request("GET", "/v1/models", HERE, "X: " + "a" * 200_000))
        assert status_of(head) in (0, 400, 431)
        target = await raw(rig, http_request("GET", "/" + "a" * 200_000, HERE))
        assert status_of(target) in (0, 400, 414, 431)
        for dialect in BODIES:
            path, _ = request_of(dialect, stream=False)
            body = b'{"model": "' + b"a" * 200_000
            answer = await rig.http.post(
                path, content=body, headers={"content-type": "application/json"}
            )
            assert answer.status_code == 413


# ── by holding on ────────────────────────────────────────────────────────────────────────────────


async def test_a_head_that_never_ends_is_cut(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("server.host.runtime.IDLE_CONNECTION_S", 0.3)
    async with running(tmp_path) as rig, connection(rig) as (reader, writer):
        writer.write(b"GET /health HTTP/1.1\r\n")
        with contextlib.suppress(ConnectionError):
            for _ in range(60):
                writer.write(b"X: 1\r\n")
                await writer.drain()
                if reader.at_eof():
                    break
                with contextlib.suppress(TimeoutError):
                    async with asyncio.timeout(0.05):
                        await reader.read(1)
        assert reader.at_eof() or reader.exception()  # closed, or cut while we were writing


async def test_a_body_that_stops_or_trickles_is_cut(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    head = b"POST /v1/messages HTTP/1.1\r\nHost: 127.0.0.1\r\nContent-Length: 9999\r\n\r\n{"
    monkeypatch.setattr("server.edge.body.LINGER_S", 0.1)
    async with running(tmp_path) as rig:
        monkeypatch.setattr("server.edge.body.BODY_SILENCE_S", 0.1)
        answer = await raw(rig, head)
        assert status_of(answer) == 400
        assert b"stopped arriving" in answer
        monkeypatch.setattr("server.edge.body.BODY_SILENCE_S", 5)
        monkeypatch.setattr("server.edge.body.BODY_S", 0.2)
        async with connection(rig) as (reader, writer):
            writer.write(head)
            answering = asyncio.create_task(reader.read())
            with contextlib.suppress(ConnectionError):
                while not answering.done():
                    writer.write(b" ")
                    await asyncio.wait({answering}, timeout=0.03)
            assert b"did not arrive within" in await answering
        await until(lambda: not rig.gateway.pipeline.live)


async def test_a_client_that_does_not_read_is_let_go(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(connections, "SLOW_READER_S", 0.3)
    monkeypatch.setattr(connections, "CLOSING_S", 0.1)
    async with running(tmp_path) as rig:
        rig.google.answers.append(Answer(parts=[{"text": "x" * 500_000}] * 40))
        path, body = request_of("openai", stream=True)
        sent = http_request("POST", path, HERE, JSON, body=json.dumps(body).encode())
        port = int(rig.url.rpartition(":")[2])
        with socket.socket() as deaf:
            deaf.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
            deaf.connect(("127.0.0.1", port))
            deaf.sendall(sent)
            await until(lambda: len(rig.sent) == 1)
            await until(lambda: not rig.gateway.pipeline.live)
        await until(lambda: rig.google.calls("streamGenerateContent")[0].cancelled)
        assert (await last_entry(rig))["outcome"] == "cancelled"
        assert (await rig.http.get("/health")).status_code == 200


async def test_a_thousand_idle_connections_keep_nobody_out(tmp_path: Path) -> None:
    connections.allow_many_files()
    async with running(tmp_path) as rig:
        port = int(rig.url.rpartition(":")[2])
        with contextlib.ExitStack() as open_:
            for _ in range(1000):
                idle = open_.enter_context(socket.socket())
                idle.setblocking(False)
                idle.connect_ex(("127.0.0.1", port))
            for dialect, stream in requests():
                assert (await ask(rig, dialect, stream=stream)).status_code == 200


# ── for a secret ─────────────────────────────────────────────────────────────────────────────────


def echoing(*secrets: str) -> failures.Failure:
    """A Google that repeats what it was sent, as real ones have."""
    return failures.refuse(GoogleError(400, f"This is what you sent: {' and '.join(secrets)}"))


@contextlib.contextmanager
def captured(settings: Any) -> Iterator[io.StringIO]:
    """Everything that is logged meanwhile, as the program itself would write it."""
    root = logging.getLogger()
    before, level = root.handlers[:], root.level
    configure_logging(settings)
    text = io.StringIO()
    handler = root.handlers[0]
    assert isinstance(handler, logging.StreamHandler)
    handler.setStream(text)
    try:
        yield text
    finally:
        root.handlers[:], root.level = before, level


async def everything(rig: Rig, headers: dict[str, str]) -> list[str]:
    """What every page and endpoint answers, heads included."""
    answers = []
    for method, path in addresses():
        if path == "/events":
            continue
        for body in (None, {"model": "gemini-2.5-pro", "messages": "wrong"}):
            try:
                answer = await rig.http.request(method, path, json=body, headers=headers)
            except httpx.HTTPError:
                continue
            answers.append(f"{method} {path}\n{answer.headers}\n{answer.text}")
    return answers


async def test_no_secret_leaves_by_any_door(tmp_path: Path) -> None:
    """A whole session with secrets that look like ordinary words, then a search for each."""
    mine, gemini = "correct-horse-battery", "plain-words-gemini-key"
    async with signed_in(tmp_path, api_keys=(mine,), log_level="debug") as rig:
        key = {"x-api-key": mine}
        rig.http.headers.update(key)
        with captured(rig.gateway.settings) as log:
            secrets = {mine}
            for _ in range(2):
                saved = json.loads((tmp_path / "google_token.json").read_text())
                secrets |= {saved["token"], saved["refresh_token"], saved["client_secret"]}
                rig.google.fail(echoing(*secrets), times=None)
                for dialect, stream in requests():
                    refused = await ask(rig, dialect, stream=stream)
                    assert refused.status_code == 400
                    assert not [secret for secret in secrets if secret in refused.text]
                rig.google._plans.clear()
                rig.google.oauth.expire_access()
                for dialect, stream in requests():
                    assert (await ask(rig, dialect, stream=stream)).status_code == 200
            await rig.gateway.change("GEMINI_API_KEY", gemini)
            await rig.gateway.change("UPSTREAM", "gemini-api")
            secrets.add(gemini)
            rig.google.fail(echoing(gemini, mine), times=None, methods={"*"})
            answers = [(await ask(rig, dialect)).text for dialect in BODIES]
            answers += await everything(rig, key)
            answers += await everything(rig, {"x-forwarded-for": "1.2.3.4"})
            answers.append(json.dumps(await rig.usage()))
            logging.getLogger("test").warning("%s", " ".join(secrets))
        answers.append(log.getvalue())
    kept = [path for path in tmp_path.iterdir() if path.suffix.startswith(".sqlite3")]
    assert kept
    answers += [path.read_bytes().decode("latin-1") for path in kept]
    for secret in secrets:
        found = [text[:200] for text in answers if secret in text]
        assert found == [], secret


async def test_secrets_are_kept_in_private_files_only(tmp_path: Path) -> None:
    async with signed_in(tmp_path) as rig:
        rig.google.oauth.expire_access()
        await ask(rig, "openai")
        await rig.gateway.change("GEMINI_API_KEY", "plain-words-gemini-key")
        for name in ("google_token.json", "settings.toml", "api_key", "usage.sqlite3"):
            assert (tmp_path / name).stat().st_mode & 0o077 == 0, name


async def test_a_log_line_cannot_be_forged(tmp_path: Path) -> None:
    async with running(tmp_path) as rig:
        with captured(rig.gateway.settings) as log:
            await rig.http.get("/v1/x%0aERROR%20forged%0d%1b[31m%00%08%C2%9b")
        assert "forged" in log.getvalue()
        assert not [line for line in log.getvalue().splitlines() if line.startswith("ERROR")]
        assert log.getvalue().replace("\n", "").isprintable()
