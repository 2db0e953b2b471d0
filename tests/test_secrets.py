"""The whole program with every secret it can have, then a search for each in all that came out.

As users start it, with a umask that hides nothing and DEBUG in the log: both ways to sign in,
renewals, refusals in which Google repeats what it was sent, keys saved on a page, the inspector,
the doctor, SHOW_TOKEN. Searched: both streams, every page and endpoint, the usage database, the
log, every file of the data folder but the secrets' own.
"""

import asyncio
import base64
import json
import os
import signal
import subprocess
import sys
import threading
from collections.abc import Iterator
from pathlib import Path
from urllib.parse import parse_qs, quote, urlsplit

import httpx
import pytest

from server.demo.errors import GoogleError
from tests.faults import BODIES, request_of, requests
from tests.google import failures
from tests.google.google import FakeGoogle
from tests.support import HANGS_S, free_port, serve
from tests.test_main import MAIN, NOTHING, run
from tests.webui.test_pages import agree, field, sign_in_link

OWN_FILES = {"google_token.json", "settings.toml", "api_key", "client_secret.json"}
"""Where secrets are meant to be, each of mode 0600."""
MINE, GEMINI = "correct horse/battery+staple", "plain-words-gemini-key"
HEADERS = {"x-api-key": MINE}


def forms_of(secret: str) -> Iterator[str]:
    """``secret`` as it is, percent-encoded, inside JSON, and in base64 at any offset."""
    yield secret
    yield quote(secret, safe="")
    yield json.dumps(secret)[1:-1]
    for offset in range(3):
        data = base64.b64encode(b"\0" * offset + secret.encode()).decode()
        middle = data[-(-offset * 8 // 6) : (offset + len(secret.encode())) * 8 // 6]
        yield middle
        yield middle.translate(str.maketrans("+/", "-_"))


def found_in(text: str, secrets: set[str]) -> list[str]:
    return [secret for secret in secrets if any(form in text for form in forms_of(secret))]


class Program:
    """The program in a process of its own, and everything it says."""

    def __init__(self, folder: Path, google: str, **environ: str) -> None:
        self.port = free_port()
        self.said: list[str] = []
        self.secrets: set[str] = {MINE}
        self.open_files: set[str] = set()
        self._folder = folder
        self._process = subprocess.Popen(
            [sys.executable, str(MAIN), "--headless", "--data-dir", str(folder)],
            env={
                **NOTHING,
                "PORT": str(self.port),
                "HOST": "127.0.0.1",
                "API_KEY": MINE,
                "SHOW_TOKEN": "true",
                "LOG_LEVEL": "debug",
                "CODE_ASSIST_ENDPOINT": google,
                "GOOGLE_GEMINI_BASE_URL": google,
                **environ,
            },
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
            umask=0,
        )
        self._done = threading.Event()
        self._watch = threading.Thread(target=self._look_at_modes, daemon=True)
        self._watch.start()
        self.http = httpx.AsyncClient(
            base_url=f"http://127.0.0.1:{self.port}",
            headers=HEADERS,
            timeout=HANGS_S,
            trust_env=False,
        )

    async def ready(self) -> None:
        async with asyncio.timeout(HANGS_S):
            while True:
                try:
                    await self.http.get("/health")
                except httpx.HTTPError:
                    await asyncio.sleep(0.05)
                else:
                    return

    def _look_at_modes(self) -> None:
        """Nothing in the folder may be open to others, not even for a moment."""
        while not self._done.wait(0.002):
            for path in self._folder.rglob("*"):
                try:
                    if path.is_file() and path.stat().st_mode & 0o077:
                        self.open_files.add(path.name)
                except OSError:
                    continue

    async def get(self, path: str, **more: object) -> httpx.Response:
        return self.note(await self.http.get(path, **more))  # type: ignore[arg-type]

    async def post(self, path: str, **more: object) -> httpx.Response:
        return self.note(await self.http.post(path, **more))  # type: ignore[arg-type]

    def note(self, answer: httpx.Response) -> httpx.Response:
        self.said.append(f"{answer.url.path}\n{answer.headers}\n{answer.text}")
        return answer

    def remember(self) -> None:
        """Whatever the sign-in on disk holds now is a secret."""
        saved = json.loads((self._folder / "google_token.json").read_text())
        self.secrets |= {saved["token"], saved["refresh_token"]}

    async def finish(self) -> None:
        await self.http.aclose()
        self._process.send_signal(signal.SIGTERM)
        out, err = await asyncio.to_thread(self._process.communicate, timeout=HANGS_S)
        self._done.set()
        self._watch.join()
        lines = out.splitlines()
        shown = [n for n, line in enumerate(lines) if "SHOW_TOKEN is on" in line]
        # The one line that the contract excepts.
        self.said.append("\n".join(line for n, line in enumerate(lines) if n - 1 not in shown))
        self.said.append(err)


def echoing(secrets: set[str]) -> failures.Failure:
    """A Google that repeats what it was sent, in every spelling."""
    words = [form for secret in sorted(secrets) for form in forms_of(secret)]
    return failures.refuse(GoogleError(400, f"You sent: {' and '.join(words)}"))


async def sign_in_twice(program: Program) -> None:
    """By the browser, then by pasting the code."""
    back = await agree(sign_in_link((await program.get("/setup")).text))
    program.secrets.add(parse_qs(urlsplit(back).query)["code"][0])
    assert (await program.get(back)).status_code == 200
    program.remember()
    page = (await program.get("/setup")).text
    assert (
        await program.post(
            "/setup", data={"token": field(page, "token"), "action": "sign-out", "sure": "yes"}
        )
    ).status_code in (200, 303)
    page = (await program.get("/setup")).text
    code = parse_qs(urlsplit(await agree(sign_in_link(page))).query)["code"][0]
    program.secrets.add(code)
    form = {"token": field(page, "token"), "action": "code", "state": field(page, "state")}
    assert (await program.post("/setup", data={**form, "code": code})).status_code == 200
    program.remember()


async def use(program: Program, google: FakeGoogle) -> None:
    """Answers, renewals and refusals over both upstreams."""
    google.oauth.expire_access()
    for dialect, stream in requests():
        path, body = request_of(dialect, stream=stream)
        assert (await program.post(path, json=body)).status_code == 200
    program.remember()
    google.fail(echoing(program.secrets), times=None)
    for dialect in BODIES:
        path, body = request_of(dialect, stream=False)
        assert (await program.post(path, json=body)).status_code == 400
    google._plans.clear()


async def look_around(program: Program) -> None:
    """Every page and endpoint, the doctor and the inspector; foreign keys and headers as well."""
    document = (await program.get("/openapi.json")).json()
    for path, item in document["paths"].items():
        if path == "/events":
            continue
        for method in item:
            if method in ("get", "post") and path not in ("/logout", "/setup"):
                answer = await program.http.request(
                    method, path, json={} if method == "post" else None
                )
                program.note(answer)
    token = field((await program.get("/help")).text, "token")
    assert "served by this program" in (await program.post("/help", data={"token": token})).text
    program.note(await program.http.get("/usage", headers={"x-api-key": "wrong"}))


async def test_no_secret_comes_out_anywhere(tmp_path: Path) -> None:
    google = FakeGoogle(api_keys={GEMINI})
    folder = tmp_path / "data"
    async with serve(google) as base:
        client = tmp_path / "client.json"
        client.write_text(json.dumps(google.oauth.client_config(base)))
        program = Program(folder, base, GOOGLE_OAUTH_CLIENT_FILE=str(client))
        program.secrets.add(google.oauth.client_config(base)["installed"]["client_secret"])
        try:
            await program.ready()
            page = (await program.get("/inspect")).text
            await program.post("/inspect", data={"token": field(page, "token"), "on": "yes"})
            await sign_in_twice(program)
            await use(program, google)
            token = field((await program.get("/settings")).text, "token")
            saved = {"token": token, "GEMINI_API_KEY": GEMINI, "UPSTREAM": "gemini-api"}
            assert (await program.post("/settings", data=saved)).status_code == 303
            program.secrets.add(GEMINI)
            google.fail(echoing(program.secrets), times=None, methods={"*"})
            await program.post("/v1/chat/completions", json=BODIES["openai"][1])
            await look_around(program)
        finally:
            await program.finish()
    given = {"API_KEY": MINE, "CODE_ASSIST_ENDPOINT": "http://127.0.0.1:9"}
    doctor = run(folder, "--doctor", **given, GOOGLE_GEMINI_BASE_URL="http://127.0.0.1:9")
    assert "last refusal" in doctor.stdout, doctor.stderr
    program.said += [doctor.stdout, doctor.stderr]
    searched(program, folder)


def searched(program: Program, folder: Path) -> None:
    """No secret in anything that was said, nor in a file that is not its own."""
    assert len(program.secrets) >= 8
    for text in program.said:
        assert found_in(text, program.secrets) == [], text[:300]
    files = [path for path in folder.rglob("*") if path.is_file()]
    assert {"usage.sqlite3", "settings.toml", "google_token.json"} <= {path.name for path in files}
    for path in files:
        if os.name == "posix":
            assert path.stat().st_mode & 0o077 == 0, path
        if path.name not in OWN_FILES:
            assert found_in(path.read_bytes().decode("latin-1"), program.secrets) == [], path
    assert program.open_files == set()


@pytest.mark.parametrize("secret", [MINE, "abc", "a/b+c=d~e"])
def test_the_search_finds_every_spelling(secret: str) -> None:
    """The test above is worth as much as this one."""
    long = secret * 3
    for offset in range(3):
        told = base64.b64encode(b"x" * offset + long.encode() + b"tail").decode()
        assert found_in(told, {long}) == [long], offset
        assert found_in(told.translate(str.maketrans("+/", "-_")), {long}) == [long]
    assert found_in(f"?key={quote(long, safe='')}&b", {long}) == [long]
    assert found_in("nothing here", {long}) == []
