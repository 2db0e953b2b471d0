"""The fake Google on a thread of its own, for a program in a process of its own."""

import asyncio
import json
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from server.google_fake.google import FakeGoogle
from server.google_fake.serving import serving


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
    assert ready.wait(10)
    try:
        yield address
    finally:
        loop.call_soon_threadsafe(stop.set)
        thread.join(10)


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
