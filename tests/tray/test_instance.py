"""One tray per data folder: the lock, the state file and the control socket."""

import json
import socket
import stat
import threading
import time
from pathlib import Path

import pytest

from server.limits import DESK_SILENT
from tests.support import HANGS_S
from tray.instance import Desk, Lock, Message, Peer, ask_first, connect


def test_only_one_holds_the_lock_until_it_lets_go(tmp_path: Path) -> None:
    first, second = Lock(tmp_path), Lock(tmp_path)
    assert first.take()
    assert not second.take()
    first.release()
    assert second.take()
    second.release()


def test_a_second_launch_is_heard(tmp_path: Path) -> None:
    desk, heard = Desk(tmp_path), threading.Event()
    desk.open(on_show=heard.set, on_window=lambda _: None)
    try:
        file = tmp_path / "instance.json"
        assert stat.S_IMODE(file.stat().st_mode) == 0o600
        assert ask_first(tmp_path)
        assert heard.wait(HANGS_S)
    finally:
        desk.close()
    assert not file.exists()


def test_nobody_answers_without_a_first_process(tmp_path: Path) -> None:
    assert not ask_first(tmp_path, patience_s=0)


def test_a_stale_file_is_no_answer(tmp_path: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as listener:
        port = listener.getsockname()[1]
    where = {"pid": 1, "port": port, "token": "old"}
    (tmp_path / "instance.json").write_text(json.dumps(where))
    assert not ask_first(tmp_path, patience_s=0)


@pytest.mark.parametrize("ask", ["show", "window"])
def test_a_wrong_token_is_turned_away_without_a_word(tmp_path: Path, ask: str) -> None:
    desk, called = Desk(tmp_path), threading.Event()
    desk.open(on_show=called.set, on_window=lambda _: called.set())
    try:
        peer = connect(desk.address.partition(":")[0] + ":wrong", ask)
        assert list(peer.messages()) == []
        peer.close()
        assert not called.is_set()
    finally:
        desk.close()


def test_the_window_keeps_its_connection_and_both_sides_speak(tmp_path: Path) -> None:
    desk = Desk(tmp_path)
    said: list[Message] = []
    over = threading.Event()

    def attend(peer: Peer) -> None:
        peer.send({"url": "http://127.0.0.1/"})
        said.extend(peer.messages())
        over.set()

    desk.open(on_show=lambda: None, on_window=attend)
    try:
        window = connect(desk.address, "window")
        assert next(window.messages()) == {"url": "http://127.0.0.1/"}
        window.send({"loaded": "x"})
        window.close()
        assert over.wait(HANGS_S)
        assert said == [{"loaded": "x"}]
    finally:
        desk.close()


def test_what_is_no_message_ends_the_conversation() -> None:
    ours, theirs = socket.socketpair()
    peer = Peer(ours)
    theirs.sendall(b'{"a": 1}\n[]\n{"b": 2}\n')
    assert list(peer.messages()) == [{"a": 1}]
    theirs.close()
    peer.close()
    assert not peer.send({})


@pytest.mark.parametrize(
    "token", ["t\u00f6ken", "\ud800", "\U0001f511" * 3, "", None, [], {"a": 1}, 7]
)
def test_any_token_but_ours_is_turned_away_quietly(tmp_path: Path, token: object) -> None:
    failed: list[object] = []
    before, threading.excepthook = threading.excepthook, failed.append
    desk, called = Desk(tmp_path), threading.Event()
    desk.open(on_show=called.set, on_window=lambda _: called.set())
    try:
        with socket.create_connection(("127.0.0.1", desk._port), timeout=HANGS_S) as asking:
            asking.sendall(json.dumps({"token": token, "ask": "show"}).encode() + b"\n")
            assert asking.recv(1) == b""
        assert ask_first(tmp_path)
        assert called.wait(HANGS_S)
    finally:
        desk.close()
        threading.excepthook = before
    assert failed == []


def test_silent_connections_are_few_threads_and_keep_nobody_out(tmp_path: Path) -> None:
    desk, heard = Desk(tmp_path), threading.Event()
    before = threading.active_count()
    desk.open(on_show=heard.set, on_window=lambda _: None)
    silent = [socket.create_connection(("127.0.0.1", desk._port)) for _ in range(300)]
    try:
        assert ask_first(tmp_path)
        assert heard.wait(HANGS_S)
        until = time.monotonic() + HANGS_S
        while threading.active_count() > before + 1 + DESK_SILENT:
            assert time.monotonic() < until
            time.sleep(0.01)
    finally:
        for connection in silent:
            connection.close()
        desk.close()
    until = time.monotonic() + HANGS_S
    while threading.active_count() > before:
        assert time.monotonic() < until
        time.sleep(0.01)


@pytest.mark.parametrize("said", [b'{"a": "' + b"x" * 70_000 + b'"}\n', b"[" * 60_000 + b"\n"])
def test_a_message_that_never_ends_is_cut(said: bytes) -> None:
    ours, theirs = socket.socketpair()
    peer = Peer(ours)
    sending = threading.Thread(target=theirs.sendall, args=(said,))
    sending.start()
    assert list(peer.messages()) == []
    peer.close()
    theirs.close()
    sending.join()
