"""``--self-test``: the whole desktop app once through, by itself, with a report.

The same run is the smoke test of a packaged program and what a user attaches to a bug report.
"""

import json
import sys
import threading
import time
import urllib.request
from collections.abc import Callable
from dataclasses import asdict, dataclass, field
from pathlib import Path
from platform import platform as platform_name
from platform import python_version

from server import __version__
from server.gemini.catalogue_file import CatalogueError, read_table
from server.host.control import Controller, Phase
from tray.opener import Opener

STEP_TIMEOUT_S = 30.0


@dataclass(slots=True)
class Step:
    """One thing that was tried."""

    name: str
    ok: bool
    seconds: float
    detail: str = ""


@dataclass(slots=True)
class Report:
    """What happened; ``ok`` only when every step was."""

    version: str = __version__
    platform: str = field(default_factory=platform_name)
    python: str = field(default_factory=python_version)
    frozen: bool = field(default_factory=lambda: bool(getattr(sys, "frozen", False)))
    ok: bool = False
    steps: list[Step] = field(default_factory=list)

    def write(self, file: Path | None) -> None:
        """As JSON to ``file``: a windowed program has no standard output."""
        if file is not None:
            file.write_text(json.dumps(asdict(self), indent=2) + "\n", "utf-8")


class SelfTest:
    """Drives the app from a thread of its own and ends it."""

    def __init__(self, controller: Controller, opener: Opener, end: Callable[[], None]) -> None:
        self.report = Report()
        self._controller = controller
        self._opener = opener
        self._end = end

    def begin(self) -> None:
        threading.Thread(target=self._run, name="self-test", daemon=True).start()

    def _run(self) -> None:
        try:
            self.report.ok = (
                self._step("the table of models is read", self._models)
                and self._step("the server answers", lambda: self._reached("running"))
                and self._step("health is 200", self._health)
                and self._step("the window shows the page", self._window)
                and self._step("the page runs scripts for the app", self._evaluate)
                and self._step("the window closes", self._close)
                and self._step("the server stops", self._stop)
                and self._step("the server starts again", self._start)
            )
        finally:
            self._end()

    def _step(self, name: str, work: Callable[[], str]) -> bool:
        started = time.monotonic()
        try:
            detail, ok = work(), True
        except (OSError, RuntimeError) as error:
            detail, ok = str(error), False
        seconds = round(time.monotonic() - started, 3)
        self.report.steps.append(Step(name, ok, seconds, detail))
        return ok

    def _reached(self, phase: Phase) -> str:
        until = time.monotonic() + STEP_TIMEOUT_S
        while self._controller.status.phase != phase:
            trouble = self._controller.status.trouble
            if trouble is not None:
                raise RuntimeError(trouble.message)
            if time.monotonic() > until:
                raise RuntimeError(f"not {phase} after {STEP_TIMEOUT_S:g} s")
            time.sleep(0.02)
        return self._controller.status.base_url

    def _models(self) -> str:
        try:
            table = read_table()
        except CatalogueError as error:
            raise RuntimeError(str(error)) from error
        return f"{len(table.models)} models, as known on {table.checked}"

    def _health(self) -> str:
        address = f"http://127.0.0.1:{self._controller.status.port}/health"
        with urllib.request.urlopen(address, timeout=5) as got:
            return f"{got.status}"

    def _window(self) -> str:
        self._opener.open(self._controller.status.base_url + "/")
        if not self._opener.loaded.wait(STEP_TIMEOUT_S):
            raise RuntimeError("no page was shown")
        return ""

    def _evaluate(self) -> str:
        title = self._opener.evaluate("document.title", timeout_s=STEP_TIMEOUT_S)
        if not title:
            raise RuntimeError("the page did not answer")
        return str(title)

    def _close(self) -> str:
        self._opener.close()
        return ""

    def _stop(self) -> str:
        self._controller.stop()
        return self._reached("stopped")

    def _start(self) -> str:
        self._controller.start()
        self._reached("running")
        return self._health()
