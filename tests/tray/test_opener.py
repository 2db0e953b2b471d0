"""At most one window; the browser where there can be none."""

import sys
import threading
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from queue import SimpleQueue

from tests.support import HANGS_S
from tray.instance import Desk
from tray.opener import Opener

WINDOW = """
import os, sys
sys.path.insert(0, sys.argv[1])
from tray.instance import connect
peer = connect(os.environ["GEMINI_PROXY_WINDOW"], "window")
for message in peer.messages():
    if "close" in message:
        break
    if "focus" in message:
        peer.send({"shown": True})
    elif "evaluate" in message:
        peer.send({"answer": 42})
    else:
        peer.send({"loaded": message.get("url", "focus")})
"""
ONCE = """
import os, pathlib, sys
sys.path.insert(0, sys.argv[1])
from tray.instance import connect
first = pathlib.Path(sys.argv[2], "second")
again = first.exists()
first.touch()
peer = connect(os.environ["GEMINI_PROXY_WINDOW"], "window")
for message in peer.messages():
    if "close" in message or ("focus" in message and not again):
        break
    peer.send({"loaded": "x"})
"""
BREAKS = """
import os, sys
sys.path.insert(0, sys.argv[1])
from tray.instance import connect
peer = connect(os.environ["GEMINI_PROXY_WINDOW"], "window")
messages = peer.messages()
next(messages)
peer.send({"loaded": "x"})
next(messages)
raise SystemExit(1)
"""
ROOT = str(Path(__file__).parents[2])


@contextmanager
def opener(folder: Path, command: Sequence[str]) -> Iterator[tuple[Opener, SimpleQueue[str]]]:
    browsed: SimpleQueue[str] = SimpleQueue()
    desk = Desk(folder)
    made = Opener(command, desk.address, browse=browsed.put)
    desk.open(on_show=lambda: None, on_window=made.attend)
    try:
        yield made, browsed
    finally:
        made.close()
        desk.close()


def test_a_window_is_opened_asked_and_closed(tmp_path: Path) -> None:
    with opener(tmp_path, [sys.executable, "-c", WINDOW, ROOT]) as (made, browsed):
        assert made.evaluate("1", timeout_s=0) is None
        made.open("http://127.0.0.1/a")
        assert made.loaded.wait(HANGS_S)
        made.open("http://127.0.0.1/b")
        made.open("http://127.0.0.1/b")
        assert made.evaluate("6 * 7", timeout_s=HANGS_S) == 42
        made.close()
        assert browsed.empty()


def test_a_window_that_cannot_be_shown_becomes_the_browser(tmp_path: Path) -> None:
    with opener(tmp_path, [sys.executable, "-c", "raise SystemExit(4)"]) as (made, browsed):
        made.open("http://127.0.0.1/")
        assert browsed.get(timeout=HANGS_S) == "http://127.0.0.1/"


def test_a_window_that_breaks_after_it_was_seen_opens_no_browser(tmp_path: Path) -> None:
    with opener(tmp_path, [sys.executable, "-c", BREAKS, ROOT]) as (made, browsed):
        made.open("http://127.0.0.1/")
        assert made.loaded.wait(HANGS_S)
        (waiting,) = [one for one in threading.enumerate() if "_await_end" in one.name]
        made.turn("http://127.0.0.1/b")
        waiting.join(HANGS_S)
        assert not made.is_open
        assert browsed.empty()


def test_a_program_that_cannot_be_started_becomes_the_browser(tmp_path: Path) -> None:
    with opener(tmp_path, [str(tmp_path / "missing")]) as (made, browsed):
        made.open("http://127.0.0.1/")
        assert browsed.get(timeout=HANGS_S) == "http://127.0.0.1/"


def test_a_window_that_ends_as_it_is_asked_for_is_opened_anew(tmp_path: Path) -> None:
    with opener(tmp_path, [sys.executable, "-c", ONCE, ROOT, str(tmp_path)]) as (made, browsed):
        made.open("http://127.0.0.1/")
        assert made.loaded.wait(HANGS_S)
        made.loaded.clear()
        made.open("http://127.0.0.1/")
        assert made.loaded.wait(HANGS_S)
        assert browsed.empty()


def test_two_requests_at_once_start_one_window(tmp_path: Path) -> None:
    with opener(tmp_path, [sys.executable, "-c", WINDOW, ROOT]) as (made, _):
        threads = [threading.Thread(target=made.open, args=("http://a/",)) for _ in range(5)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        assert made.loaded.wait(HANGS_S)
