"""``python -m tests.google``: a Google on loopback, for trying sign-in and clients.

Start the proxy against it with ``CODE_ASSIST_ENDPOINT`` (or ``GOOGLE_GEMINI_BASE_URL`` and the key
``fake-api-key``) set to the printed address and ``GOOGLE_OAUTH_CLIENT_FILE`` to the written file.
"""

import argparse
import asyncio
import json
import signal
import sys
from pathlib import Path

from tests.google import keys
from tests.google.google import API_KEY, FakeGoogle
from tests.google.serving import serving

HISTORIES = {
    "new-free": keys.NEW_FREE,
    "new-paid": keys.NEW_PAID,
    "old-free": keys.OLD_FREE,
    "old-paid": keys.OLD_PAID,
    "leaked": keys.LEAKED,
    "expired": keys.EXPIRED,
    "blocked": keys.BLOCKED,
    "standard": keys.STANDARD,
    "location": keys.ABROAD,
}


async def _serve(google: FakeGoogle, port: int, client_file: Path | None) -> None:
    async with serving(google.handle, port=port) as base_url:
        if client_file is not None:
            config = json.dumps(google.oauth.client_config(base_url), indent=2)
            await asyncio.to_thread(client_file.write_text, config)
        sys.stdout.write(f"Fake Google at {base_url} (Gemini API key: {API_KEY})\n")
        sys.stdout.flush()
        await asyncio.Event().wait()


def main(arguments: list[str] | None = None) -> int:
    """Serve until Ctrl-C."""
    parser = argparse.ArgumentParser(prog="python -m tests.google", description=__doc__)
    parser.add_argument("--port", type=int, default=0, help="default: a free one")
    parser.add_argument("--write-client", type=Path, metavar="FILE", help="client-secrets JSON")
    parser.add_argument("--delay-ms", type=int, default=20, help="between two chunks")
    parser.add_argument("--history", choices=HISTORIES, default="new-free", help="of the key")
    parser.add_argument("--today", metavar="YYYY-MM-DD", help="the calendar of ends and re-routes")
    options = parser.parse_args(arguments)
    google = FakeGoogle(
        chunk_delay_s=options.delay_ms / 1000,
        history=HISTORIES[options.history],
        today=options.today,
    )
    # Started in the background by a script, a program begins with Ctrl-C ignored.
    signal.signal(signal.SIGINT, signal.default_int_handler)
    try:
        asyncio.run(_serve(google, options.port, options.write_client))
    except KeyboardInterrupt:
        return 130
    return 0


if __name__ == "__main__":
    sys.exit(main())
