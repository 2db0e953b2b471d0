"""The controller: intents in, snapshots out, whatever goes wrong."""

import asyncio
import json
import socket
import time
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path

import httpx
import pytest

from server.host.control import Controller, Status
from server.host.gateway import Gateway
from server.host.runtime import Server
from server.settings.load import Loaded, Settings, SettingsError, load
from tests.google.google import FakeGoogle
from tests.google.transport import InProcessTransport
from tests.support import HANGS_S
from webui.pages import create_pages


class Bench:
    """A controller on the demo upstream, and what it has shown."""

    def __init__(self, folder: Path) -> None:
        with socket.create_server(("127.0.0.1", 0)) as listener:
            self.port = listener.getsockname()[1]
        self.folder = folder
        self.more: dict[str, str] = {}
        self.seen: list[Status] = []
        self.servers: list[Server] = []
        self.make_gateway: Callable[[Settings], Gateway] = Gateway
        self.control = Controller(self._load, self._make)
        self.control.watch(self.seen.append)

    def _load(self) -> Loaded:
        given = {"DATA_DIR": str(self.folder), "PORT": str(self.port), "UPSTREAM": "demo"}
        return load({**given, "HOST": "127.0.0.1", **self.more}, {})

    def _make(self, settings: Settings) -> Server:
        self.servers.append(Server(settings, create_pages, make_gateway=self.make_gateway))
        return self.servers[-1]

    def sign_in(self, google: FakeGoogle, transport: httpx.AsyncBaseTransport) -> None:
        """From the next start on a Google account is signed in, and ``transport`` leads there."""
        inside = "https://google.test"
        client = self.folder / "client.json"
        client.write_text(json.dumps(google.oauth.client_config(inside)))
        token = json.dumps(google.oauth.credentials(inside))
        (self.folder / "google_token.json").write_text(token)
        self.more = {"UPSTREAM": "code-assist", "GOOGLE_OAUTH_CLIENT_FILE": str(client)}
        self.make_gateway = lambda settings: Gateway(
            settings, http=httpx.AsyncClient(transport=transport)
        )

    def until(self, look: Callable[[Status], object]) -> Status:
        """The first snapshot of which ``look`` is true."""
        end = time.monotonic() + HANGS_S
        while time.monotonic() < end:
            if look(self.control.status):
                return self.control.status
            time.sleep(0.01)
        pytest.fail(f"last seen: {self.control.status}")

    def reached(self, phase: str) -> Status:
        return self.until(lambda status: status.phase == phase)


@pytest.fixture
def bench(tmp_path: Path) -> Iterator[Bench]:
    made = Bench(tmp_path)
    yield made
    made.control.quit()
    made.control.join()
    assert not any(server.running for server in made.servers)


def test_it_starts_stops_and_restarts(bench: Bench) -> None:
    bench.control.start()
    status = bench.reached("running")
    assert (status.upstream, status.port, status.authenticated) == ("demo", bench.port, True)
    assert httpx.get(status.base_url + "/health", trust_env=False).status_code == 200
    bench.control.stop()
    bench.control.stop()
    bench.reached("stopped")
    bench.control.start()
    bench.control.start()
    bench.reached("running")
    bench.control.restart()
    bench.until(lambda status: len(bench.servers) == 3 and status.phase == "running")
    phases = [status.phase for status in bench.seen]
    assert phases[:3] == ["stopped", "starting", "starting"]
    assert "stopping" in phases


def test_a_change_is_saved_shown_and_outlives_a_restart(bench: Bench) -> None:
    bench.more = {"WAIT_MODE": "false"}
    bench.control.start()
    assert "WAIT_MODE" in bench.reached("running").pinned
    bench.control.change("WAIT_MODE", value=True)
    bench.control.change("RATE_LIMIT", 2.0)
    bench.until(lambda status: status.wait_mode and status.rate_limit_s == 2)
    assert "WAIT_MODE = true" in (bench.folder / "settings.toml").read_text()
    bench.control.restart()
    bench.until(lambda status: len(bench.servers) == 2 and status.phase == "running")
    assert bench.control.status.wait_mode


def test_a_change_that_cannot_be_is_refused_without_harm(bench: Bench) -> None:
    bench.control.start()
    bench.reached("running")
    bench.control.change("RATE_LIMIT", "never")
    bench.control.change("RATE_LIMIT", 1)
    assert bench.until(lambda status: status.rate_limit_s == 1).trouble is None


def test_without_a_server_there_is_nothing_to_change(bench: Bench) -> None:
    bench.control.change("RATE_LIMIT", 1)
    bench.control.check_account()
    bench.control.accept_port(1)
    bench.control.stop()
    bench.control.start()
    assert bench.reached("running").rate_limit_s == 0


def test_a_page_that_changes_something_is_seen(bench: Bench) -> None:
    bench.control.start()
    bench.reached("running")
    gateway = bench.servers[0].gateway
    assert gateway is not None
    bench.servers[0].submit(gateway.change("RATE_LIMIT", 5)).result(HANGS_S)
    bench.until(lambda status: status.rate_limit_s == 5)


def test_a_taken_port_is_trouble_with_a_way_out(bench: Bench) -> None:
    with socket.create_server(("127.0.0.1", bench.port)):
        bench.control.start()
        trouble = bench.until(lambda status: status.trouble).trouble
        assert trouble is not None
        assert "Another program listens there." in trouble.message
        assert trouble.free_port is not None
        assert not trouble.in_given
        bench.control.accept_port(trouble.free_port)
        assert bench.reached("running").port == trouble.free_port
    assert bench.control.status.trouble is None
    bench.control.restart()
    bench.until(lambda status: len(bench.servers) == 3 and status.phase == "running")
    assert bench.control.status.port == trouble.free_port


def test_a_port_saved_on_the_page_is_taken_by_a_restart_of_the_pages(bench: Bench) -> None:
    """Even where the command line names another: that one returns when the program starts anew."""
    bench.control.start()
    bench.reached("running")
    gateway = bench.servers[0].gateway
    assert gateway is not None
    with socket.create_server(("127.0.0.1", 0)) as listener:
        port = listener.getsockname()[1]

    async def save_and_restart() -> None:
        await gateway.change("PORT", port)
        gateway.restart()

    bench.servers[0].submit(save_and_restart()).result(HANGS_S)
    assert bench.until(lambda status: status.port == port and status.phase == "running")
    assert f"PORT = {port}" in (bench.folder / "settings.toml").read_text()


def test_our_own_window_gets_a_ticket_only_where_a_key_is_asked_for(bench: Bench) -> None:
    page = f"http://127.0.0.1:{bench.port}/settings"
    assert bench.control.admit(page) == page
    bench.control.start()
    bench.reached("running")
    assert bench.control.admit(page) == page
    (bench.folder / "settings.toml").write_text('API_KEY = "right"\n')
    bench.control.restart()
    bench.until(lambda status: len(bench.servers) == 2 and status.phase == "running")
    admitted = bench.control.admit(page)
    assert "ticket=" in admitted
    assert bench.control.admit("http://127.0.0.1:1/") == "http://127.0.0.1:1/"
    with httpx.Client(trust_env=False, follow_redirects=True) as http:
        assert str(http.get(admitted).url) == page
        assert http.get(page).status_code == 200


def test_a_bad_file_can_be_mended_a_bad_command_line_cannot(bench: Bench) -> None:
    file = bench.folder / "settings.toml"
    file.write_text('RATE_LIMIT = "soon"\n')
    bench.control.start()
    trouble = bench.until(lambda status: status.trouble).trouble
    assert trouble is not None
    assert "RATE_LIMIT" in trouble.message
    assert not trouble.in_given
    file.unlink()
    bench.more = {"HOST": "203.0.113.7"}
    bench.control.start()
    bench.until(lambda status: status.trouble and status.trouble.in_given)


def test_a_server_that_ends_by_itself_is_noticed(bench: Bench) -> None:
    bench.control.start()
    bench.reached("running")
    bench.servers[0].stop()
    trouble = bench.until(lambda status: status.phase == "stopped").trouble
    assert trouble is not None
    assert "unexpectedly" in trouble.message
    bench.control.start()
    bench.reached("running")


def test_what_cannot_be_started_at_all_leaves_the_controller_alive(tmp_path: Path) -> None:
    loaded = Loaded(Settings(data_dir=tmp_path))
    failures: list[Exception] = [ValueError("odd"), SettingsError("A", 1, "b", "default")]

    def make(_: Settings) -> Server:
        raise failures.pop(0)

    control = Controller(lambda: loaded, make)
    for word in ("odd", "A: 1"):
        control.start()
        end = time.monotonic() + HANGS_S
        while not (control.status.trouble and word in control.status.trouble.message):
            assert time.monotonic() < end
            time.sleep(0.01)
    control.quit()
    control.join()


def test_a_snapshot_is_told_only_when_it_differs(bench: Bench) -> None:
    bench.control.start()
    bench.reached("running")
    bench.control.check_account()
    bench.control.stop()
    bench.reached("stopped")
    assert all(a != b for a, b in zip(bench.seen, bench.seen[1:], strict=False))
    assert replace(bench.seen[-1]) == bench.control.status


def test_what_is_left_is_asked_for_after_a_request_never_before(
    bench: Bench, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("server.host.control.QUOTA_SETTLE_S", 0.01)
    google = FakeGoogle()
    bench.sign_in(google, InProcessTransport(google))
    google.quota["gemini-2.5-pro"] = 0.5
    bench.control.start()
    assert bench.reached("running").quota == ()
    bench.control.check_account()
    assert bench.until(lambda status: status.quota).quota[0].percent == 50
    google.quota["gemini-2.5-pro"] = 0.25
    asked = len(google.calls("retrieveUserQuota"))
    body = {"model": "gemini-2.5-pro", "messages": [{"role": "user", "content": "hi"}]}
    url = f"http://127.0.0.1:{bench.port}/v1/chat/completions"
    for _ in range(3):
        assert httpx.post(url, json=body, trust_env=False, timeout=HANGS_S).status_code == 200
    bench.until(lambda status: status.quota[0].percent == 25)
    assert len(google.calls("retrieveUserQuota")) == asked + 1


def test_a_stop_does_not_wait_for_a_google_that_says_nothing(bench: Bench) -> None:
    async def silence(_: httpx.Request) -> httpx.Response:
        await asyncio.sleep(3600)
        raise AssertionError

    bench.sign_in(FakeGoogle(), httpx.MockTransport(silence))
    bench.control.start()
    bench.reached("running")
    bench.control.check_account()
    bench.until(lambda status: status.checking)
    bench.control.stop()
    assert not bench.reached("stopped").checking


def test_changes_at_once_are_all_saved(bench: Bench) -> None:
    bench.control.start()
    bench.reached("running")
    bench.control.change("RATE_LIMIT", 3)
    bench.control.change("WAIT_MODE", value=True)
    bench.control.change("QUEUE_LIMIT", 7)
    bench.until(lambda status: status.wait_mode and status.rate_limit_s == 3)
    gateway = bench.servers[0].gateway
    bench.until(lambda _: gateway and gateway.settings.queue_limit == 7)
    text = (bench.folder / "settings.toml").read_text()
    assert [name in text for name in ("RATE_LIMIT", "WAIT_MODE", "QUEUE_LIMIT")] == [True] * 3


def test_a_rate_limit_is_over_when_its_delay_is(bench: Bench) -> None:
    bench.more = {"RATE_LIMIT": "0.8"}
    bench.control.start()
    bench.reached("running")
    body = {"model": "gemini-2.5-pro", "messages": [{"role": "user", "content": "hi"}]}
    url = f"http://127.0.0.1:{bench.port}/v1/chat/completions"
    codes = [httpx.post(url, json=body, trust_env=False).status_code for _ in range(2)]
    assert codes == [200, 429]
    bench.until(lambda _: any(status.limited for status in bench.seen))
    bench.until(lambda status: not status.limited)
    assert all(status.limited_until is None for status in bench.seen)


def test_a_rate_limit_is_seen_until_its_cause_is_gone(bench: Bench) -> None:
    bench.more = {"RATE_LIMIT": "86400"}
    bench.control.start()
    bench.reached("running")
    body = {"model": "gemini-2.5-pro", "messages": [{"role": "user", "content": "hi"}]}
    url = f"http://127.0.0.1:{bench.port}/v1/chat/completions"
    codes = [
        httpx.post(url, json=body, trust_env=False, timeout=HANGS_S).status_code for _ in range(2)
    ]
    assert codes == [200, 429]
    until = bench.until(lambda status: status.limited).limited_until
    assert until is not None
    assert 86_000 < until - time.time() < 86_500
    bench.control.change("RATE_LIMIT", 0)
    bench.until(lambda status: status.rate_limit_s == 0)
    bench.until(lambda status: not status.limited)  # its cause is gone, without a request
    assert httpx.post(url, json=body, trust_env=False, timeout=HANGS_S).status_code == 200
