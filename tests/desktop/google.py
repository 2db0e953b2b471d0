"""The fake Google on a thread of its own, for a program in a process of its own."""

import asyncio
import json
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from tests.google import failures
from tests.google.google import API_KEY, FakeGoogle
from tests.google.serving import serving
from tests.support import HANGS_S


@contextmanager
def google_at(google: FakeGoogle) -> Iterator[str]:
    """Serve it; its base URL."""
    ready, address = threading.Event(), ""
    stop: asyncio.Event
    loop: asyncio.AbstractEventLoop

    async def serve() -> None:
        nonlocal address, stop, loop
        stop, loop = asyncio.Event(), asyncio.get_running_loop()
        async with serving(google.handle) as address:
            ready.set()
            await stop.wait()

    thread = threading.Thread(target=lambda: asyncio.run(serve()))
    thread.start()
    assert ready.wait(HANGS_S)
    try:
        yield address
    finally:
        loop.call_soon_threadsafe(stop.set)
        thread.join(HANGS_S)


@contextmanager
def endless() -> Iterator[dict[str, Any]]:
    """The environment of a program whose answers begin, and then never end by themselves."""
    google = FakeGoogle()
    google.fail(failures.stalled(3600), times=None)
    with google_at(google) as base_url:
        yield {
            "UPSTREAM": "gemini-api",
            "GEMINI_API_KEY": API_KEY,
            "GOOGLE_GEMINI_BASE_URL": base_url,
        }


def client_file(google: FakeGoogle, base_url: str, folder: Path) -> Path:
    """An OAuth client that leads there."""
    folder.mkdir(parents=True, exist_ok=True)
    file = folder / "client.json"
    file.write_text(json.dumps(google.oauth.client_config(base_url)), "utf-8")
    return file


def signed_in(google: FakeGoogle, base_url: str, folder: Path) -> dict[str, Any]:
    """The environment of a program that starts with a Google account signed in."""
    file = client_file(google, base_url, folder)
    (folder / "google_token.json").write_text(json.dumps(google.oauth.credentials(base_url)))
    return environment(base_url, file)


def environment(base_url: str, file: Path) -> dict[str, Any]:
    return {
        "UPSTREAM": "code-assist",
        "CODE_ASSIST_ENDPOINT": base_url,
        "GOOGLE_OAUTH_CLIENT_FILE": str(file),
    }
