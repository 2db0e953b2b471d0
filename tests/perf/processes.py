"""The processes of a run, and what the kernel says they cost (Linux: ``/proc``)."""

import json
import os
import re
import subprocess
import sys
import time
import urllib.error
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import asdict
from pathlib import Path

from tests.perf.load import Plan
from tests.support import HANGS_S, free_port

ROOT = Path(__file__).parents[2]
MEASURABLE = Path("/proc/self/schedstat").exists()

Summary = dict[str, float | int | str]


class Process:
    """One child process, with its meter."""

    def __init__(self, pid: int, port: int) -> None:
        self.pid, self.port = pid, port

    def cpu_s(self) -> float:
        """User and system time of all its threads, in nanosecond steps."""
        total = 0
        for task in Path(f"/proc/{self.pid}/task").iterdir():
            total += int((task / "schedstat").read_text("ascii").split()[0])
        return total / 1e9

    def rss_mb(self) -> float:
        pages = int(Path(f"/proc/{self.pid}/statm").read_text("ascii").split()[1])
        return pages * os.sysconf("SC_PAGE_SIZE") / 1e6

    def switches(self) -> int:
        """Context switches of all its threads so far."""
        texts = [
            (task / "status").read_text("ascii")
            for task in Path(f"/proc/{self.pid}/task").iterdir()
        ]
        return sum(int(n) for text in texts for n in re.findall(r"ctxt_switches:\s+(\d+)", text))

    def settle(self) -> None:
        """Wait until it uses less than 2 % of a core for a while (at most ten seconds)."""
        for _ in range(50):
            before = self.cpu_s()
            time.sleep(0.2)
            if self.cpu_s() - before < 0.004:
                return


@contextmanager
def helper(module: str, *arguments: str) -> Iterator[Process]:
    """``python -m module``, which prints its port and ends with its standard input."""
    child = subprocess.Popen(
        [sys.executable, "-m", module, *arguments],
        cwd=ROOT,
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    )
    assert child.stdout is not None
    assert child.stdin is not None
    try:
        yield Process(child.pid, int(child.stdout.readline()))
    finally:
        child.stdin.close()
        child.wait(HANGS_S)
        child.stdout.close()


@contextmanager
def proxy(upstream_port: int, data_dir: Path) -> Iterator[Process]:
    """The program as users start it, answering ``/health``."""
    process, child = spawn(upstream_port, data_dir)
    try:
        yield process
    finally:
        child.terminate()
        child.wait(HANGS_S)


def spawn(upstream_port: int, data_dir: Path) -> tuple[Process, "subprocess.Popen[bytes]"]:
    """Start the program and wait until it answers."""
    port = free_port()
    names = ("PATH", "SYSTEMROOT", "LANG", "PYTHONDONTWRITEBYTECODE")
    environment = {name: os.environ[name] for name in names if name in os.environ} | {
        "GOOGLE_GEMINI_BASE_URL": f"http://127.0.0.1:{upstream_port}",
        "GEMINI_API_KEY": "perf",
        "HOME": str(data_dir),
    }
    child = subprocess.Popen(
        [
            *(sys.executable, "main.py", "--headless", "--upstream", "gemini-api"),
            *("--host", "127.0.0.1", "--port", str(port), "--data-dir", str(data_dir)),
        ],
        cwd=ROOT,
        env=environment,
        stdout=subprocess.DEVNULL,
    )
    try:
        wait_for_health(port, child)
    except BaseException:
        child.kill()
        child.wait()
        raise
    return Process(child.pid, port), child


def wait_for_health(port: int, child: "subprocess.Popen[bytes]") -> None:
    """Return with the first 200; at most a minute."""
    until = time.monotonic() + HANGS_S
    while time.monotonic() < until:
        if child.poll() is not None:
            raise RuntimeError(f"the server ended with {child.returncode}")
        try:
            with urllib.request.urlopen(f"http://127.0.0.1:{port}/health", timeout=HANGS_S):
                return
        except OSError:
            time.sleep(0.005)
    raise RuntimeError("the server did not answer within a minute")


def load(plan: Plan) -> Summary:
    """Do one plan in a process of its own."""
    done = subprocess.run(
        [sys.executable, "-m", "tests.perf.load", json.dumps(asdict(plan))],
        cwd=ROOT,
        stdout=subprocess.PIPE,
        check=True,
        timeout=plan.seconds + 90,
    )
    result: Summary = json.loads(done.stdout)
    return result
