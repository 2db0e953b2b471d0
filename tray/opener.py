"""The tray's half of the window: starts its process on demand, and falls back to the browser."""

import logging
import os
import subprocess
import threading
import webbrowser
from collections.abc import Callable, Sequence
from queue import Empty, SimpleQueue
from urllib.parse import urlsplit

from tray.instance import Peer
from tray.window import CHANNEL

log = logging.getLogger(__name__)

CLOSE_TIMEOUT_S = 1.0

Spawn = Callable[[Sequence[str], dict[str, str]], "subprocess.Popen[bytes]"]


class Opener:
    """At most one window. ``open`` returns at once."""

    def __init__(
        self,
        command: Sequence[str],
        channel: str,
        *,
        admit: Callable[[str], str] = str,
        spawn: Spawn | None = None,
        browse: Callable[[str], object] = webbrowser.open,
    ) -> None:
        """``command`` starts the window process, ``channel`` is the address it calls back.

        ``admit`` turns the address of a page into one that lets the window in, when it is told.
        """
        self._command = command
        self._channel = channel
        self._admit = admit
        self._spawn = spawn or _spawn
        self._browse = browse
        self._lock = threading.Lock()
        self._process: subprocess.Popen[bytes] | None = None
        self._peer: Peer | None = None
        self._url = ""
        self._showed = False  # the window has shown a page since it was started
        self._revived = False  # its page has died and was loaded once more
        self._asked = False  # the window was asked to come forward, and has not answered yet
        self._answers: SimpleQueue[object] = SimpleQueue()
        self.loaded = threading.Event()
        """Set while the window shows a page."""
        self.shown = ""
        """The address of the last page shown."""

    def open(self, url: str) -> None:
        """Show ``url``: in the window that is there, else in a new one, else in the browser."""
        with self._lock:
            same, self._url = url == self._url, url
            if self._process is not None and self._process.poll() is None:
                if self._peer is not None:  # else it is starting, and will be told the address
                    if not same:
                        self._peer.send({"url": self._admit(url)})
                    self._peer.send({"focus": True})
                    self._asked = True
                return
            try:
                self._showed = self._revived = False
                self.shown = ""
                self._process = self._spawn(self._command, {**os.environ, CHANNEL: self._channel})
            except OSError as error:
                log.warning("The window process could not be started: %s", error)
                self._browse(self._admit(url))
                return
            threading.Thread(target=self._await_end, args=(self._process,), daemon=True).start()

    @property
    def is_open(self) -> bool:
        """Whether there is a window, or one is on its way."""
        return self._process is not None

    def turn(self, url: str) -> None:
        """Let the window that is there show ``url``, without bringing it forward."""
        with self._lock:
            if self._process is not None:
                self._url = url
                if self._peer is not None:
                    self._peer.send({"url": self._admit(url)})

    def close(self) -> None:
        """Close the window and wait a moment for its process."""
        with self._lock:
            process, peer = self._process, self._peer
        if process is None:
            return
        if peer is not None:
            peer.send({"close": True})
        else:
            process.terminate()
        try:
            process.wait(CLOSE_TIMEOUT_S)
        except subprocess.TimeoutExpired:
            process.kill()

    def evaluate(self, script: str, *, timeout_s: float) -> object:
        """What ``script`` gives in the page shown; None when no window answers in time."""
        with self._lock:
            if self._peer is None:
                return None
            self._peer.send({"evaluate": script})
        try:
            return self._answers.get(timeout=timeout_s)
        except Empty:
            return None

    def attend(self, peer: Peer) -> None:
        """The window process has called: tell it what to show, and listen until it goes."""
        with self._lock:
            self._peer = peer
            peer.send({"url": self._admit(self._url)})
        for message in peer.messages():
            if "loaded" in message:
                self.shown, self._showed = str(message["loaded"]), True
                # Not the path: that of a stopped server's page is a secret.
                log.info("The window shows %s", urlsplit(self.shown).netloc)
                self.loaded.set()
            if "shown" in message:
                self._asked = False
            if "died" in message:
                self._revive(peer)
            if "answer" in message:
                self._answers.put(message["answer"])
            if "failed" in message:
                log.warning("No window here: %s", message["failed"])
        with self._lock:
            if self._peer is peer:
                self._peer = None
                self.loaded.clear()

    def _revive(self, peer: Peer) -> None:
        """The window's page has lost its process: shown once more, then in the browser."""
        address = self._admit(self.shown or self._url)
        if not self._revived:
            self._revived = True
            log.warning("The window's page has died; it is loaded once more")
            peer.send({"url": address})
            return
        log.warning("The window's page has died again; the default browser opens instead")
        peer.send({"close": True})
        self._browse(address)

    def _await_end(self, process: "subprocess.Popen[bytes]") -> None:
        code = process.wait()
        with self._lock:
            if self._process is not process:
                return  # another window has been opened meanwhile
            self._process = None
            url, self._url = self._url, ""
            asked, self._asked = self._asked, False
        if asked:  # it was already ending when the user wanted to see it
            self.open(url)
        elif code > 0 and not self._showed:
            log.info("The window could not be shown; the default browser opens instead")
            self._browse(self._admit(url))


def _spawn(command: Sequence[str], environ: dict[str, str]) -> "subprocess.Popen[bytes]":
    return subprocess.Popen(command, env=environ, stdin=subprocess.DEVNULL)  # noqa: S603
