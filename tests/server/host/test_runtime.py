"""The server thread: immediate, typed errors at start; a stop that never hangs."""

import json
import os
import socket
import sys
import threading
import time
import urllib.request
from collections.abc import Iterator
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any

import httpx
import pytest
from hypercorn.config import Config

from server.host.gateway import Gateway
from server.host.runtime import (
    PortInUseError,
    PortLostError,
    Server,
    bind,
    hypercorn_config,
    next_free_port,
)
from server.settings.load import Settings, SettingsError
from tests.google import failures
from tests.google.google import API_KEY, FakeGoogle
from tests.google.transport import InProcessTransport
from tests.support import HANGS_S
from webui.pages import create_pages

CHAT = {"model": "gpt-4o", "stream": True, "messages": [{"role": "user", "content": "hi"}]}


@pytest.fixture
def settings(tmp_path: Path) -> Settings:
    with socket.create_server(("127.0.0.1", 0)) as listener:
        port = listener.getsockname()[1]
    return Settings(data_dir=tmp_path, port=port, upstream="demo", host=("127.0.0.1",))


@pytest.fixture
def server(settings: Settings) -> Iterator[Server]:
    made = Server(settings, create_pages)
    yield made
    made.stop()


def health(settings: Settings) -> Any:
    address = f"http://127.0.0.1:{settings.port}/health"
    with urllib.request.urlopen(address, timeout=HANGS_S) as answer:
        return json.load(answer)


def test_it_answers_when_start_returns_and_starts_again_after_a_stop(
    server: Server, settings: Settings
) -> None:
    threads = threading.active_count()
    for _ in range(3):
        server.start()
        assert health(settings)["status"] == "ok"
        server.stop()
        assert not server.running
    assert threading.active_count() == threads


@pytest.mark.skipif(sys.platform == "win32", reason="a socket is shut down in the POSIX way")
def test_a_listener_taken_away_ends_the_server_with_a_reason(
    settings: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    listeners: list[socket.socket] = []

    def remembering(sockets: list[socket.socket]) -> Config:
        listeners.extend(socket.socket(fileno=os.dup(one.fileno())) for one in sockets)
        return hypercorn_config(sockets)

    monkeypatch.setattr("server.host.runtime.hypercorn_config", remembering)
    ended = threading.Event()
    server = Server(settings, create_pages, on_end=ended.set)
    server.start()
    assert health(settings)["status"] == "ok"
    for listener in listeners:
        listener.shutdown(socket.SHUT_RDWR)
        listener.close()
    assert ended.wait(HANGS_S)
    server.join()
    failure = server.failure
    assert isinstance(failure, PortLostError)
    assert str(settings.port) in str(failure)
    server.start()
    assert health(settings)["status"] == "ok"
    server.stop()
    for listener in listeners:
        listener.close()


def test_a_port_in_use_is_told_at_once(settings: Settings) -> None:
    with socket.create_server(("127.0.0.1", settings.port)):
        with pytest.raises(PortInUseError) as caught:
            bind(settings)
        free = next_free_port("127.0.0.1", settings.port)
    assert caught.value.port == settings.port
    assert free is not None
    assert free > settings.port


def test_an_address_of_another_machine_is_a_wrong_setting(settings: Settings) -> None:
    asked = replace(settings, host=("203.0.113.1",), sources={"HOST": "environment"})
    with pytest.raises(SettingsError, match=r"203\.0\.113\.1"):
        bind(asked)


def test_a_default_address_that_is_missing_is_no_error(settings: Settings) -> None:
    sockets = bind(replace(settings, host=("127.0.0.1", "203.0.113.1")))
    assert len(sockets) == 1
    sockets[0].close()


def test_a_stop_with_open_streams_and_idle_connections_is_quick_and_tells_them(
    settings: Settings,
) -> None:
    """From Python 3.12.1 on asyncio waits for every open connection by itself."""
    google = FakeGoogle()
    google.fail(failures.stalled(3600), times=None)
    upstream = httpx.AsyncClient(transport=InProcessTransport(google))
    asked = replace(settings, upstream="gemini-api", gemini_api_key=API_KEY)
    server = Server(asked, create_pages, make_gateway=partial(Gateway, http=upstream))
    server.start()
    base = f"http://127.0.0.1:{settings.port}"
    received: list[bytes] = []

    def read() -> None:
        with httpx.stream(
            "POST", f"{base}/v1/chat/completions", json=CHAT, timeout=HANGS_S
        ) as answer:
            received.append(b"".join(answer.iter_bytes()))

    with (
        httpx.Client(base_url=base) as idle,
        httpx.stream("GET", f"{base}/events", timeout=HANGS_S),
    ):
        idle.get("/health")
        readers = [threading.Thread(target=read) for _ in range(3)]
        for reader in readers:
            reader.start()
        wait_until(lambda: server.gateway is not None and len(server.gateway.pipeline.live) == 3)
        server.stop()
        for reader in readers:
            reader.join(HANGS_S)
    assert len(received) == 3
    for body in received:
        assert b'"error"' in body


def wait_until(done: Any) -> None:
    end = time.monotonic() + HANGS_S
    while time.monotonic() < end:
        if done():
            return
        time.sleep(0.01)
    pytest.fail("it did not happen")


def test_limits_of_connections_are_set_on_purpose() -> None:
    """Hypercorn's own: 5 s of idleness, 1,000 requests, 16 kB of head; Quart's bodies end at 16 MiB
    and its streams after a minute, which is why neither carries the API (``server.edge.body``)."""
    listener = socket.create_server(("127.0.0.1", 0))
    config = hypercorn_config([listener])
    assert config.keep_alive_timeout >= 75
    assert config.keep_alive_max_requests >= 100_000
    assert config.backlog >= 1024
    assert config.h11_max_incomplete_size == 64 * 1024
    assert config.read_timeout is None
    assert config.accesslog is None
    assert not config.include_server_header
    socket.socket(fileno=int(config.bind[0].removeprefix("fd://"))).close()
