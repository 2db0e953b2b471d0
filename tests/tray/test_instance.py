"""One tray per data folder: the lock, the state file and the control socket."""

import json
import socket
import stat
import threading
from pathlib import Path

import pytest

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
