"""Whether a newer release is out: asked once a day at most, and only when the user wants it.

Reads a release feed (GitHub *REST API*, ``releases/latest`` or ``releases``) and tells; nothing is
downloaded or installed. What was found is kept in ``update.json``, so that restarts ask no more.
"""

import asyncio
import contextlib
import json
import logging
import re
import time
from collections.abc import Callable
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import httpx

from server import __version__
from server.errors import ProxyError
from server.files import write_private
from server.network.proxies import from_surroundings
from server.network.transport import Transport
from server.settings.load import Settings

log = logging.getLogger(__name__)

EVERY_S = 24 * 3600.0
TIMEOUT_S = 15.0
MOST_BYTES = 1024 * 1024
BUILT_IN = Path(__file__).parents[2] / "release_feed"
"""In a package: the address of the releases it came from, written by the release workflow."""


@dataclass(frozen=True, slots=True)
class UpdateState:
    """What is known about newer releases."""

    checked_at: float = 0.0
    """When the feed was last asked, in seconds since 1970; 0: never."""
    version: str | None = None
    """The newest release, when it is newer than this program."""
    link: str | None = None
    """Where to read about it."""
    error: str | None = None
    """Why the feed could not be read, in a sentence."""


class Updates:
    """Asks the feed when it is due, and remembers the answer."""

    def __init__(
        self,
        settings: Settings,
        tell: Callable[[], None],
        *,
        now: Callable[[], float] = time.time,
        version: str = __version__,
    ) -> None:
        """``tell`` is called when there is something new to show."""
        self._settings = settings
        self._tell = tell
        self._now = now
        self._version = version
        self._changed = asyncio.Event()
        self._file = settings.data_dir / "update.json"
        self.state = self._remembered()

    @property
    def feed(self) -> str | None:
        """Where releases are announced; None when nobody has said."""
        return self._settings.update_feed or built_in_feed()

    def use(self, settings: Settings) -> None:
        """Take changed settings into account."""
        self._settings = settings
        self._changed.set()

    async def daily(self) -> None:
        """Ask whenever a day has passed; sleeps without waking while the user has it off."""
        while True:
            self._changed.clear()
            wait = None
            if self._settings.update_check and self.feed:
                wait = self.state.checked_at + EVERY_S - self._now()
                if not 0 < wait <= EVERY_S:  # due, or the clock was set back
                    await self.check()
                    wait = EVERY_S
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(wait):
                    await self._changed.wait()

    async def check(self) -> None:
        """Ask now. What goes wrong stands in ``state.error``."""
        state = UpdateState(checked_at=self._now())
        try:
            found = newest(await self._read())
        except (httpx.HTTPError, httpx.InvalidURL, ProxyError, OSError, ValueError) as error:
            reason = str(error) or type(error).__name__
            log.warning("The release feed could not be read: %s", reason)
            before = self.state
            self.state = replace(before, checked_at=state.checked_at, error=reason)
        else:
            if found is not None and is_newer(found[0], self._version):
                state = replace(state, version=found[0], link=found[1])
            self.state = state
        await asyncio.to_thread(self._remember)
        self._tell()

    async def _read(self) -> Any:
        if self.feed is None:
            raise ValueError("no feed is known: set UPDATE_FEED")
        headers = {
            "Accept": "application/vnd.github+json, application/json",
            "User-Agent": f"gemini-api-proxy/{self._version}",
        }
        async with (
            asyncio.timeout(TIMEOUT_S),
            httpx.AsyncClient(
                transport=Transport(proxies=from_surroundings()),
                timeout=TIMEOUT_S,
                follow_redirects=True,
            ) as http,
            http.stream("GET", self.feed, headers=headers) as response,
        ):
            if response.status_code != 200:
                raise ValueError(f"{response.url.host} answered {response.status_code}")
            body = bytearray()
            async for piece in response.aiter_bytes():
                body += piece
                if len(body) > MOST_BYTES:
                    raise ValueError("its answer is larger than 1 MiB")
        try:
            return json.loads(bytes(body))
        except ValueError as error:
            raise ValueError("its answer is no JSON") from error

    def _remembered(self) -> UpdateState:
        try:
            kept = UpdateState(**json.loads(self._file.read_text("utf-8")))
            still_newer = kept.version is not None and is_newer(kept.version, self._version)
        except (OSError, ValueError, TypeError):  # none yet, or written by another version
            return UpdateState()
        return kept if still_newer else replace(kept, version=None, link=None)

    def _remember(self) -> None:
        try:
            write_private(self._file, json.dumps(asdict(self.state)))
        except OSError as error:
            log.warning("update.json could not be written: %s", error)


def newest(feed: object) -> tuple[str, str | None] | None:
    """(version, address) of the newest release in a feed. Raises ``ValueError`` for another shape.

    Drafts and pre-releases do not count.
    """
    listed = feed if isinstance(feed, list) else [feed]
    found: list[tuple[str, str | None]] = []
    for release in listed:
        if not isinstance(release, dict) or not isinstance(release.get("tag_name"), str):
            raise ValueError("its answer lists no releases")  # noqa: TRY004  # one way to fail
        if release.get("draft") or release.get("prerelease"):
            continue
        version = release["tag_name"].removeprefix("v")
        if _numbers(version):
            found.append((version, _link(release.get("html_url"))))
    return max(found, key=lambda release: _order(release[0]), default=None)


def is_newer(version: str, than: str) -> bool:
    return _order(version) > _order(than)


def _order(version: str) -> tuple[tuple[int, ...], bool]:
    """1.2 < 1.2.1rc1 < 1.2.1"""
    numbers = _numbers(version)
    while numbers and numbers[-1] == 0:
        numbers = numbers[:-1]
    return numbers, bool(re.fullmatch(r"[\d.]+", version))


def _numbers(version: str) -> tuple[int, ...]:
    match = re.match(r"\d{1,6}(\.\d{1,6})*", version)
    return tuple(map(int, match[0].split("."))) if match else ()


def _link(value: object) -> str | None:
    """Only an address that a page may link to."""
    return value if isinstance(value, str) and urlsplit(value).scheme == "https" else None


def built_in_feed() -> str | None:
    try:
        return BUILT_IN.read_text("utf-8").strip() or None
    except OSError:
        return None
