"""Who holds a port, in words."""

import socket
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest

from server.host.ports import conflict, obstacle
from server.host.runtime import PortInUseError
from server.settings.load import Settings


@pytest.fixture
def holder() -> Iterator[socket.socket]:
    with socket.create_server(("127.0.0.1", 0)) as listener:
        yield listener


@pytest.mark.parametrize(
    ("answer", "said"),
    [
        (b'HTTP/1.0 200 OK\r\n\r\n{"wait_mode": false}', "Gemini API Proxy is already running"),
        (b"HTTP/1.0 200 OK\r\n\r\nhello", "Another program"),
        (b"220 mail.example ESMTP\r\n", "Another program"),
        (b"", "Another program"),
    ],
)
def test_the_holder_is_told_by_its_answer(holder: socket.socket, answer: bytes, said: str) -> None:
    def serve() -> None:
        connection, _ = holder.accept()
        connection.recv(4096)
        connection.sendall(answer)
        connection.close()

    thread = threading.Thread(target=serve)
    thread.start()
    port = holder.getsockname()[1]
    found = conflict(PortInUseError("127.0.0.1", port))
    thread.join()
    assert f"Port {port}" in found.message
    assert said in found.message
    assert found.free is not None
    assert found.free > port


def test_a_listener_is_tried_before_it_moves(holder: socket.socket, tmp_path: Path) -> None:
    taken = holder.getsockname()[1]
    wanted = Settings(data_dir=tmp_path, host=("127.0.0.1",), port=taken)
    assert f"Port {taken}" in (obstacle(wanted, port_now=1) or "")
    assert obstacle(wanted, port_now=taken) is None
    elsewhere = Settings(
        data_dir=tmp_path, host=("203.0.113.7",), port=taken, sources={"HOST": "settings.toml"}
    )
    assert "203.0.113.7" in (obstacle(elsewhere, port_now=taken) or "")
