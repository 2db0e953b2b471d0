"""A caller on another host, with a valid key, tries everything: nothing of the owner's is read or
changed.

The other host is a network namespace with a cable to this one. Where the system has none (no root,
another system) the test says so and is skipped.
"""

import contextlib
import json
import os
import re
import shutil
import subprocess
import sys
import time
import urllib.request
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from html import unescape
from pathlib import Path
from typing import Any
from urllib.parse import urlencode

import pytest

from server.edge.keys import digest_of
from server.edge.rights import ENDPOINTS, PAGES, matter_of_setting
from server.settings.options import ALL_OPTIONS
from tests.support import HANGS_S, free_port
from tests.test_main import MAIN, NOTHING

API, NAMED, GEMINI = "the-api-key-of-all", "gp-the-key-of-bob", "the-gemini-key-of-the-owner"
ADMIN = "the-admin-key-of-the-owner"
HERE, THERE = "198.18.77.1", "198.18.77.2"
METHODS = ("GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS")
OWNERS: Mapping[str, str] = {
    "ALLOWED_HOSTS": "host.owners-own.example",
    "ALLOWED_ORIGINS": "https://origin.owners-own.example",
    "TRUSTED_NETWORKS": "203.0.113.0/24",
    "UPDATE_FEED": "https://feed.owners-own.example/releases",
    "GOOGLE_OAUTH_CLIENT_FILE": "/somewhere/of-the-owner/client.json",
    "TOKEN_FILE": "/somewhere/of-the-owner/token.json",
    "CODE_ASSIST_ENDPOINT": "https://assist.owners-own.example",
    "GOOGLE_VERTEX_BASE_URL": "https://vertex.owners-own.example",
}
"""What the owner has chosen, by the environment; the Gemini API is a closed port here."""
SHOWN = ("owners-own", "of-the-owner", "203.0.113", API, NAMED, GEMINI, ADMIN)
"""What no answer to another host may hold."""

ASK = r"""
import http.client, json, sys
address, port, asked = json.load(sys.stdin)
answers = []
for method, path, headers, body in asked:
    link = http.client.HTTPConnection(address, port, timeout=60)
    link.request(method, path, body=body, headers=headers)
    answer = link.getresponse()
    if path == "/events" and answer.status == 200:
        text = ""
    else:
        text = answer.read().decode("utf-8", "replace")
    answers.append([answer.status, dict(answer.getheaders()), text])
    link.close()
json.dump(answers, sys.stdout)
"""

Asked = tuple[str, str, dict[str, str], str | None]


@dataclass(frozen=True, slots=True)
class Answer:
    """What came back to the other host."""

    asked: Asked
    status: int
    headers: Mapping[str, str]
    text: str


@dataclass(frozen=True, slots=True)
class OtherHost:
    """A network namespace that reaches this host by its cable only."""

    name: str
    port: int

    def ask(self, asked: Sequence[Asked]) -> list[Answer]:
        """Send the requests, one after the other."""
        done = subprocess.run(
            ["ip", "netns", "exec", self.name, sys.executable, "-c", ASK],
            input=json.dumps([HERE, self.port, asked]),
            capture_output=True,
            text=True,
            check=True,
        )
        return [Answer(a, *got) for a, got in zip(asked, json.loads(done.stdout), strict=True)]


def ip(*words: str) -> None:
    subprocess.run(["ip", *words], check=True, capture_output=True)


@contextmanager
def other_host(port: int) -> Iterator[OtherHost]:
    """Skips the test, saying why, where there can be none."""
    name, ours, theirs = f"gp{os.getpid()}", f"gpa{os.getpid()}"[:15], f"gpb{os.getpid()}"[:15]
    if sys.platform != "linux" or shutil.which("ip") is None:
        pytest.skip("network namespaces are unavailable: there is no `ip` (iproute2)")
    try:
        ip("netns", "add", name)
        ip("link", "add", ours, "type", "veth", "peer", "name", theirs)
        ip("link", "set", theirs, "netns", name)
        ip("address", "add", f"{HERE}/30", "dev", ours)
        ip("link", "set", ours, "up")
        ip("-n", name, "address", "add", f"{THERE}/30", "dev", theirs)
        ip("-n", name, "link", "set", theirs, "up")
    except subprocess.CalledProcessError as error:
        remove(name, ours)
        pytest.skip(f"network namespaces are unavailable: {error.stderr.decode().strip()}")
    try:
        yield OtherHost(name, port)
    finally:
        remove(name, ours)


def remove(name: str, ours: str) -> None:
    for words in (("link", "delete", ours), ("netns", "delete", name)):
        with contextlib.suppress(subprocess.CalledProcessError):
            ip(*words)


@contextmanager
def program(folder: Path, port: int, **environ: str) -> Iterator[None]:
    """The server as an owner runs it in a cupboard, listening everywhere."""
    process = subprocess.Popen(
        [sys.executable, str(MAIN), "--headless", "--data-dir", str(folder)],
        env={
            **NOTHING,
            **OWNERS,
            "PORT": str(port),
            "HOST": "0.0.0.0",  # noqa: S104  # the other host has to reach it
            "GEMINI_API_KEY": GEMINI,
            "GOOGLE_GEMINI_BASE_URL": "http://127.0.0.1:9",
            "LOG_LEVEL": "debug",
            **environ,
        },
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    )
    try:
        until = time.monotonic() + HANGS_S
        while time.monotonic() < until:
            with contextlib.suppress(OSError):
                urllib.request.urlopen(f"http://127.0.0.1:{port}/health", timeout=5).close()
                break
            assert process.poll() is None
            time.sleep(0.05)
        yield
    finally:
        process.terminate()
        process.wait(HANGS_S)


def at_home(port: int, path: str, key: str = API) -> str:
    """What the owner sees."""
    request = urllib.request.Request(f"http://127.0.0.1:{port}{path}", headers={"x-api-key": key})
    with urllib.request.urlopen(request, timeout=HANGS_S) as answer:  # noqa: S310  # http
        return unescape(answer.read().decode())


def every_route(document: Mapping[str, Any]) -> list[str]:
    """Every path the server describes, and every page."""
    described = [re.sub(r"\{\w+\}", "gemini-2.5-pro", path) for path in document["paths"]]
    static = [f"/static/{name}" for name in ("live.js", "connect.css", "../pages.py")]
    return sorted({*described, *PAGES, *ENDPOINTS, *static, "/api/event_logging", "/nowhere"})


def logged_in(host: OtherHost, key: str) -> dict[str, str]:
    """The headers of a browser on the other host after logging in; empty where it cannot."""
    form = urlencode({"key": key, "then": "/"})
    kind = {"content-type": "application/x-www-form-urlencoded"}
    (answer,) = host.ask([("POST", "/login", kind, form)])
    cookie = answer.headers.get("set-cookie", "")
    if answer.status != 303:
        return {}
    assert "HttpOnly" in cookie
    assert "SameSite=Lax" in cookie
    assert "Max-Age" in cookie
    return {"cookie": cookie.partition(";")[0]}


def forms(token: str) -> Iterator[tuple[str, dict[str, str]]]:
    """Every setting and every button, with the values of somebody who wants in."""
    yield from (("/inspect", {"on": word}) for word in ("yes", "no"))
    for name in ALL_OPTIONS:
        address = name.endswith(("URL", "ENDPOINT", "FEED"))
        value = "https://evil.example" if address else "0.0.0.0/0" if "NET" in name else "evil"
        yield "/settings", {name: value}
        yield "/settings", {f"remove-{name}": "yes"}
        yield "/settings", {"QUEUE_LIMIT": "77", name: value, "from": "dashboard"}
    for action in ("client", "gemini-cli", "trust", "check", "upstream", "vertex", "project"):
        yield "/setup", {"action": action, "upstream": "gemini-api", "hosts": "evil.example"}
    for action in ("apply", "undo", "verify"):
        yield "/connect", {"action": action, "tool": "claude-code"}
    yield "/help", {}
    yield "/about", {}


def settings_file(folder: Path) -> str:
    path = folder / "settings.toml"
    return path.read_text("utf-8") if path.exists() else ""


def check_nothing_shows(answers: Sequence[Answer], folder: Path) -> None:
    secret = [*SHOWN, str(folder)]
    for answer in answers:
        told = unescape(answer.text) + str(answer.headers)
        assert [word for word in secret if word in told] == [], answer.asked


@pytest.mark.parametrize("admin", [False, True])
def test_a_valid_key_on_another_host_gets_at_nothing_of_the_owners(
    tmp_path: Path, admin: bool
) -> None:
    port = free_port()
    named = f'[keys.bob]\nsha256 = "{digest_of(NAMED)}"\n'
    (tmp_path / "settings.toml").write_text(named, "utf-8")
    environ = {"API_KEY": API, **({"ADMIN_KEY": ADMIN} if admin else {})}
    with other_host(port) as host, program(tmp_path, port, **environ):
        routes = every_route(json.loads(at_home(port, "/openapi.json")))
        before = at_home(port, "/settings")
        assert "owners-own" in before
        browser = logged_in(host, API)
        assert bool(browser) is not admin
        assert logged_in(host, NAMED) == {}
        answers: list[Answer] = []
        for headers in ({"x-api-key": API}, browser, {"x-api-key": NAMED}, {}):
            asked: list[Asked] = [
                (method, path, {**headers, "content-type": "application/json"}, None)
                for path in routes
                for method in METHODS
            ]
            answers += host.ask(asked)
        for answer in answers:
            method, path, headers, _ = answer.asked
            if path == "/inspect":
                assert answer.status in (401, 403), (method, path)
            if headers.get("x-api-key") == NAMED and path in {**PAGES, **ENDPOINTS}:
                probe = (method, path) == ("HEAD", "/")
                public = PAGES.get(path, ENDPOINTS.get(path)) == "open"
                assert probe or public or answer.status in (403, 405), (method, path)
        check_nothing_shows(answers, tmp_path)
        if not admin:
            (page,) = host.ask([("GET", "/settings", browser, None)])
            token = re.findall(r'name="token" value="([^"]*)"', page.text)[0]
            kind = {**browser, "content-type": "application/x-www-form-urlencoded"}
            posts: list[Asked] = [
                ("POST", path, kind, urlencode({"token": unescape(token), **values}))
                for path, values in forms(token)
            ]
            check_nothing_shows(host.ask(posts), tmp_path)
        # Nothing of the owner's has changed, and nothing waits for a restart.
        written = settings_file(tmp_path)
        assert named.strip() in written
        names = {name for name in ALL_OPTIONS if matter_of_setting(name) == "owner"}
        names -= {"GEMINI_API_KEY_FOR"}  # noted beside a key that may be entered from there
        assert [name for name in names if re.search(rf"(?m)^{name}\b", written)] == []
        after = at_home(port, "/settings")
        for name in OWNERS:
            value = re.compile(rf'id="{name}"[^>]*value="([^"]*)"')
            assert value.findall(after) == value.findall(before) != [], name
        assert "Switch on" in at_home(port, "/inspect")
        assert not (tmp_path / "client_secret.json").exists()


def test_the_admin_key_does_it_from_another_host(tmp_path: Path) -> None:
    port = free_port()
    environ = {"API_KEY": API, "ADMIN_KEY": ADMIN}
    with other_host(port) as host, program(tmp_path, port, **environ):
        browser = logged_in(host, ADMIN)
        (page,) = host.ask([("GET", "/settings", browser, None)])
        assert "owners-own" in page.text
        token = unescape(re.findall(r'name="token" value="([^"]*)"', page.text)[0])
        kind = {**browser, "content-type": "application/x-www-form-urlencoded"}
        form = urlencode({"token": token, "UPDATE_FEED": "https://new.example"})
        (saved,) = host.ask([("POST", "/settings", kind, form)])
        assert saved.status == 303
        assert "https://new.example" in settings_file(tmp_path)
        logout = urlencode({"token": token})
        out, again = host.ask([("POST", "/logout", kind, logout), ("GET", "/", browser, None)])
        assert (out.status, again.status) == (303, 401)


def test_guessing_from_another_host_is_slow_and_logged(tmp_path: Path) -> None:
    port = free_port()
    with other_host(port) as host, program(tmp_path, port, API_KEY=API):
        began = time.monotonic()
        guesses: list[Asked] = [
            ("GET", "/v1/models", {"x-api-key": f"guess-{number}"}, None) for number in range(8)
        ]
        assert [answer.status for answer in host.ask(guesses)] == [401] * 8
        assert time.monotonic() - began > 3
        asked = time.monotonic()
        (right,) = host.ask([("GET", "/settings", {"x-api-key": API}, None)])
        assert right.status == 200
        assert time.monotonic() - asked < 2
        assert f"wrong key from {THERE}" in at_home(port, "/log")
