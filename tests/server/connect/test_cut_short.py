"""A run that ends at any moment leaves what can be brought back, byte for byte, and no litter.

Every step that changes a file is a moment (``sys.addaudithook`` hears of each): connect, connect
anew and undo are ended before each in turn. Then the same by SIGKILL at moments of no choice.
"""

import os
import random
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import pytest

from server.connect.connector import Connector
from server.connect.files import ChangedMeanwhileError
from server.connect.places import Places
from server.connect.tool import Target, Tool
from server.connect.tools import named

HERE = Target("http://127.0.0.1:8081", "gemini-best", "gemini-fast")
ELSEWHERE = Target("http://127.0.0.1:9999", "gemini-best", "gemini-fast")
MINE = {
    "codex": {".codex/config.toml": '# mine\nmodel = "gpt-5"\napproval_policy = "never"\n'},
    "gemini-cli": {".gemini/.env": "A=1\nGEMINI_API_KEY=mine\n", ".gemini/settings.json": "{}\n"},
    "claude-code": {},
}
CHANGES = {"os.rename", "os.remove", "os.mkdir", "os.rmdir", "os.chmod", "os.chown"}
KILLS = 200


class Killed(BaseException):
    """Ends a run; nothing catches it."""


@dataclass(slots=True)
class Moments:
    """Counts the steps that change a file, and refuses all from one of them on: what is dead does
    not clear up."""

    listening: bool = False
    count: int = 0
    last: int = sys.maxsize

    def hear(self, event: str, args: tuple[object, ...]) -> None:
        if self.listening and (event in CHANGES or (event == "open" and _writes(args))):
            self.count += 1
            if self.count > self.last:
                raise Killed


def _writes(args: tuple[object, ...]) -> bool:
    flags = args[2]
    return isinstance(flags, int) and bool(flags & (os.O_WRONLY | os.O_RDWR | os.O_CREAT))


MOMENTS = Moments()
sys.addaudithook(MOMENTS.hear)  # for the life of the process: there is no way to take it back


@contextmanager
def dying(after: int) -> Iterator[None]:
    MOMENTS.count, MOMENTS.last, MOMENTS.listening = 0, after, True
    try:
        yield
    finally:
        MOMENTS.listening = False


def set_up(name: str, folder: Path) -> tuple[Tool, Connector, dict[str, tuple[bytes, int] | None]]:
    tool, home = named(name), folder / "home"
    assert tool
    home.mkdir(parents=True)
    for path, text in MINE[name].items():
        (home / path).parent.mkdir(exist_ok=True)
        (home / path).write_text(text)
        (home / path).chmod(0o640)
    connector = Connector(Places(home, {"PATH": ""}, "linux"), folder / "data")
    return tool, connector, tree(home)


def tree(folder: Path) -> dict[str, tuple[bytes, int] | None]:
    return {
        str(path.relative_to(folder)): (path.read_bytes(), path.stat().st_mode)
        if path.is_file()
        else None
        for path in folder.rglob("*")
    }


def connect(at: Connector, tool: Tool, target: Target = HERE) -> None:
    at.apply(at.plan(tool, target))


def undo(at: Connector, tool: Tool) -> None:
    at.undo(at.undo_plan(tool))


STEPS: dict[str, tuple[Callable[[Connector, Tool], None], ...]] = {
    "connect": (connect,),
    "reconnect": (connect, lambda at, tool: connect(at, tool, ELSEWHERE)),
    "undo": (connect, undo),
    "undo of two": (connect, lambda at, tool: connect(at, tool, ELSEWHERE), undo),
}


@pytest.mark.parametrize("steps", STEPS)
@pytest.mark.parametrize(
    ("name", "after"),
    [
        *((name, after) for name in MINE for after in ("undo", "edit")),
        ("gemini-cli", "connect"),
        ("gemini-cli", "undo cut short too"),
    ],
)
def test_whatever_moment_a_run_ends_at_undo_brings_everything_back(
    name: str, steps: str, after: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(os, "fsync", lambda _number: None)  # thousands of writes
    moment = 0
    while True:
        tool, at, before = set_up(name, tmp_path / str(moment))
        *first, last = STEPS[steps]
        for step in first:
            step(at, tool)
        try:
            with dying(moment):
                last(at, tool)
        except Killed:
            follow(after, at, tool, before)
            moment += 1
        else:
            break
    assert moment > 8, "the steps were not heard"


def follow(
    after: str, at: Connector, tool: Tool, before: dict[str, tuple[bytes, int] | None]
) -> None:
    """What the user does next; at the end all is as it was."""
    home, wanted = at.places.home, dict(before)
    match after:
        case "edit":
            for path in filter(lambda path: (home / path).is_file(), MINE[tool.id]):
                note = "// later\n" if path.endswith(".json") else "# later\n"
                with (home / path).open("a") as file:
                    file.write(note)
                kept = before[path]
                assert kept
                wanted[path] = (kept[0] + note.encode(), kept[1])
        case "connect":
            connect(at, tool)
            assert at.state(tool, HERE) == "connected"
        case "undo cut short too":
            try:
                with dying(3):
                    undo(at, tool)
            except Killed:
                pass
        case _:
            pass
    undo(at, tool)
    assert tree(home) == wanted
    assert not at.ledger.folder(tool.id).exists()


def test_a_second_connect_that_fails_keeps_the_record_of_the_first(tmp_path: Path) -> None:
    tool, at, _ = set_up("codex", tmp_path)
    connect(at, tool)
    path = at.places.home / ".codex" / "config.toml"
    plan = at.plan(tool, ELSEWHERE)
    path.write_text(path.read_text() + "# later\n")
    with pytest.raises(ChangedMeanwhileError):
        at.apply(plan)
    assert at.state(tool, HERE) == "connected"
    undo(at, tool)
    assert path.read_text() == MINE["codex"][".codex/config.toml"] + "# later\n"
    assert [one.name for one in path.parent.iterdir()] == ["config.toml"]


def storm(folder: Path, kills: int) -> None:
    """Kill a child of this process, which must have one thread only, again and again."""
    rng = random.Random(7)
    tool, at, before = set_up("gemini-cli", folder)
    for _ in range(kills):
        child = os.fork()
        if child == 0:
            while True:
                connect(at, tool)
                connect(at, tool, ELSEWHERE)
                undo(at, tool)
        time.sleep(rng.uniform(0.001, 0.03))
        os.kill(child, signal.SIGKILL)
        os.waitpid(child, 0)
        undo(at, tool)
        assert tree(at.places.home) == before
        assert not at.ledger.folder(tool.id).exists()


@pytest.mark.skipif(sys.platform == "win32", reason="fork and SIGKILL are POSIX")
def test_two_hundred_kills_at_random_leave_everything_restorable(tmp_path: Path) -> None:
    program = "import sys; from pathlib import Path; from tests.server.connect import "
    program += "test_cut_short as cut; cut.storm(Path(sys.argv[1]), int(sys.argv[2]))"
    ran = subprocess.run(
        [sys.executable, "-c", program, str(tmp_path), str(KILLS)],
        cwd=Path(__file__).parents[3],
        capture_output=True,
        text=True,
        timeout=300,
        check=False,
    )
    assert ran.returncode == 0, ran.stderr[-3000:]
