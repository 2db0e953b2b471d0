"""Every target by name. One takes a ``Source``, and fails where a promise is broken.

The promise is always the same: what was not expected ends in the documented error, in the caller's
dialect; no other exception, no traceback, nothing that is not JSON, and no stream without its end.
"""

from collections.abc import Callable, Iterator, Mapping
from contextlib import AbstractContextManager, contextmanager
from functools import partial
from pathlib import Path
from typing import Any

from tests.fuzz import files, google, requests
from tests.fuzz.server import Server
from tests.fuzz.source import Source

Target = Callable[[Source], None]
Opened = Callable[[], AbstractContextManager[Target]]


def plain(run: Target) -> Opened:
    """A target that needs nothing around it."""

    @contextmanager
    def opened() -> Iterator[Target]:
        yield run

    return opened


def in_folder(run: Callable[[Source, Path], None]) -> Opened:
    """A target that needs a data folder."""

    @contextmanager
    def opened() -> Iterator[Target]:
        with files.folder() as place:
            yield lambda source: run(source, place)

    return opened


def on_server(
    run: Callable[[Server, Source], None],
    prepare: Callable[[Server], None] = lambda server: None,
    **chosen: Any,
) -> Opened:
    """A target that asks a whole server."""

    @contextmanager
    def opened() -> Iterator[Target]:
        with Server(**chosen) as server:
            prepare(server)
            yield lambda source: run(server, source)

    return opened


TARGETS: Mapping[str, Opened] = {
    "client-bodies": on_server(requests.client_body),
    "client-bodies-demo": on_server(requests.client_body, upstream="demo"),
    "heads": on_server(requests.head, api_keys=("correct-horse-battery",)),
    "heads-open": on_server(requests.head),
    "forms": on_server(requests.form),
    "json": plain(requests.raw_json),
    **{
        f"answers-{name}": on_server(
            google.answer, partial(google.prepare, name=name), upstream=name
        )
        for name in google.UPSTREAMS
    },
    "refusals": plain(google.refusals),
    "grants": plain(google.grants),
    "events": plain(google.events),
    "http": plain(google.http),
    "token-file": plain(files.token_file),
    "token-store": in_folder(files.token_store),
    "client-file": plain(files.client_file),
    "adc-file": in_folder(files.adc_file),
    "settings": in_folder(files.settings_toml),
    "environment": in_folder(files.environment),
    "saved-value": in_folder(files.saved_value),
    "signatures": in_folder(files.signatures),
    "responses": in_folder(files.responses),
    "usage": in_folder(files.usage),
}
