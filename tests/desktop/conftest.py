"""A screen and a session bus of our own, and the program under test on them."""

import json
import os
import re
import shutil
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import httpx
import pytest

from tests.support import HANGS_S, free_port

if TYPE_CHECKING:
    from tests.desktop.panel import Panel

MAIN = Path(__file__).parents[2] / "main.py"
HERE = Path(__file__).parent


def missing() -> list[str]:
    """What this machine lacks for the desktop tests."""
    found = [name for name in ("Xvfb", "dbus-daemon") if shutil.which(name) is None]
    try:
        import gi  # noqa: PLC0415  # optional: the system's, made visible by `make setup`
    except ImportError:
        return [*found, "gi"]
    wanted = (("Gtk", "3.0"), ("WebKit2", "4.1"), ("AyatanaAppIndicator3", "0.1"))
    for name, version in wanted:
        try:
            gi.require_version(name, version)
        except ValueError:
            found.append(f"gir1.2 {name} {version}")
    return found


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Not applicable off Linux; skipped where something is missing, but never in CI."""
    lacking = missing() if sys.platform == "linux" else []
    if sys.platform != "linux":
        mark = pytest.mark.skip(reason="not applicable: the Linux desktop tier")
    elif lacking and not os.environ.get("CI"):
        mark = pytest.mark.skip(reason=f"missing: {', '.join(lacking)} (make test installs them)")
    else:
        return
    for item in items:
        if HERE in item.path.parents:
            item.add_marker(mark)


@contextmanager
def private_screen() -> Iterator[str]:
    """A private X server; its DISPLAY."""
    reader, writer = os.pipe()
    process = subprocess.Popen(
        ["Xvfb", "-displayfd", str(writer), "-screen", "0", "1024x768x24", "-nolisten", "tcp"],
        pass_fds=(writer,),
        stderr=subprocess.DEVNULL,
    )
    os.close(writer)
    with os.fdopen(reader) as told:
        number = told.readline().strip()
    assert number, "Xvfb did not start"
    yield f":{number}"
    process.terminate()
    process.wait(HANGS_S)


@contextmanager
def private_bus() -> Iterator[str]:
    """A private session bus; its address."""
    process = subprocess.Popen(
        ["dbus-daemon", "--session", "--nofork", "--print-address=1"],
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
        text=True,
    )
    assert process.stdout is not None
    address = process.stdout.readline().strip()
    yield address
    process.terminate()
    process.wait(HANGS_S)
    process.stdout.close()


@pytest.fixture(scope="session")
def screen() -> Iterator[str]:
    with private_screen() as display:
        yield display


@pytest.fixture(scope="session")
def bus() -> Iterator[str]:
    with private_bus() as address:
        yield address


@pytest.fixture(scope="session")
def panel(bus: str) -> "Panel":
    """The desktop panel that the tests play."""
    os.environ["DBUS_SESSION_BUS_ADDRESS"] = bus
    from tests.desktop.panel import Panel  # noqa: PLC0415  # needs gi, and the bus above

    return Panel()


@dataclass(slots=True)
class Program:
    """A started tray app."""

    process: "subprocess.Popen[str]"
    port: int
    folder: Path
    command: list[str]
    environ: dict[str, str]
    http: httpx.Client

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    def answers(self, port: int | None = None) -> bool:
        """Whether the server does."""
        try:
            got = self.http.get(f"http://127.0.0.1:{port or self.port}/health")
        except httpx.TransportError:
            return False
        return got.status_code == 200

    def again(self) -> "subprocess.CompletedProcess[str]":
        """A second launch."""
        return subprocess.run(
            self.command,
            env=self.environ,
            cwd="/",
            capture_output=True,
            text=True,
            timeout=2 * HANGS_S,
            check=False,
        )

    def windows(self) -> list[int]:
        """Process ids of its window."""
        found = []
        for status in Path("/proc").glob("[0-9]*/stat"):
            with suppress(OSError):
                fields = status.read_text().rpartition(")")[2].split()
                line = (status.parent / "cmdline").read_bytes()
                if int(fields[1]) == self.process.pid and b"--window" in line:
                    found.append(int(status.parent.name))
        return found

    def log(self) -> str:
        """What it has printed so far."""
        return (self.folder.parent / "log.txt").read_text()


class Starter:
    """Starts the program on the private desktop, and ends what a test leaves."""

    def __init__(self, folder: Path, screen: str, bus: str) -> None:
        self._folder = folder
        self.environ = {
            "PATH": os.environ["PATH"],
            "HOME": str(folder / "home"),
            "XDG_RUNTIME_DIR": str(folder),
            "DISPLAY": screen,
            "DBUS_SESSION_BUS_ADDRESS": bus,
            "PYSTRAY_BACKEND": "appindicator",
            "NO_AT_BRIDGE": "1",
            "BROWSER": "true",
            "PYTHONDONTWRITEBYTECODE": "1",
            "WEBKIT_DISABLE_SANDBOX_THIS_IS_DANGEROUS": "1",  # containers forbid its namespaces
        }

    @property
    def data(self) -> Path:
        """The data folder of what is started."""
        return self._folder / "data"

    @contextmanager
    def __call__(
        self, *arguments: str, port: int | None = None, **environ: str
    ) -> Iterator[Program]:
        folder = self.data
        (self._folder / "home").mkdir(exist_ok=True)
        port = port or free_port()
        # tests/package runs these tests on the built program.
        built = os.environ.get("GAP_TEST_PROGRAM")
        program_words = [built] if built else [sys.executable, str(MAIN)]
        command = [*program_words, "--data-dir", str(folder), *arguments]
        more = {**self.environ, "PORT": str(port), "UPSTREAM": "demo", **environ}
        more = {name: value for name, value in more.items() if value}
        log = (self._folder / "log.txt").open("a+")
        process = subprocess.Popen(command, env=more, cwd="/", stdout=log, stderr=log, text=True)
        with httpx.Client(trust_env=False, timeout=HANGS_S) as http:
            program = Program(process, port, folder, command, more, http)
            try:
                yield program
            finally:
                for window in program.windows():
                    with suppress(ProcessLookupError):
                        os.kill(window, 9)
                process.kill()
                process.wait()
                log.seek(0)
                text = log.read()
                print(text)  # noqa: T201  # shown by pytest when the test fails
                log.close()
        assert not re.search(r"Traceback", text)


@pytest.fixture
def start(tmp_path: Path, screen: str, bus: str, panel: "Panel") -> Starter:
    panel.items.clear()
    panel.notes.clear()
    return Starter(tmp_path, screen, bus)


def chat(text: str, *, stream: bool = False) -> bytes:
    """A request body."""
    message = {"role": "user", "content": text}
    return json.dumps({"model": "gpt-4o", "stream": stream, "messages": [message]}).encode()
