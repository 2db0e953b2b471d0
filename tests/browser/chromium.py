"""Headless Chromium for tests and screenshots: one process, asked over its standard input.

The browser comes from the system (``tests/system.py`` installs it), the driver from npm.
"""

import asyncio
import json
import shutil
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from tests.support import HANGS_S

HERE = Path(__file__).parent
NAMES = ("chromium", "chromium-browser", "google-chrome", "google-chrome-stable")


class BrowserError(AssertionError):
    """The page did not do what it was asked to do."""


class Browser:
    """A browser with one page open at a time, and more tabs on request."""

    def __init__(self, process: "subprocess.Popen[str]") -> None:
        self._process = process

    async def __call__(self, act: str, **details: Any) -> Any:
        """Do one thing (see ``drive.mjs``); its answer. Raises ``BrowserError``."""
        return await asyncio.to_thread(self.ask, act, **details)

    def ask(self, act: str, **details: Any) -> Any:
        """The same, for those who may wait."""
        assert self._process.stdin
        self._process.stdin.write(json.dumps({"act": act, **details}) + "\n")
        self._process.stdin.flush()
        answer = self._read()
        if "error" in answer:
            raise BrowserError(answer["error"])
        return answer.get("value")

    def _read(self) -> dict[str, Any]:
        assert self._process.stdout
        line = self._process.stdout.readline()
        if not line:
            raise BrowserError("the browser has ended")
        answer: dict[str, Any] = json.loads(line)
        return answer


@contextmanager
def chromium() -> Iterator[Browser]:
    """Start it, and end it afterwards."""
    found = next(filter(None, map(shutil.which, NAMES)), None)
    if found is None or not (HERE / "node_modules").exists():
        raise BrowserError("Chromium or its driver is missing: run `make test`, which installs it.")
    process = subprocess.Popen(
        ["node", str(HERE / "drive.mjs"), found],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
        encoding="utf-8",
    )
    try:
        browser = Browser(process)
        browser._read()  # it says when it is ready
        yield browser
    finally:
        process.communicate(timeout=HANGS_S)
