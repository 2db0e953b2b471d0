"""What stands on disk: settings, sign-ins, clients, credentials, databases."""

import json
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

from server.auth.adc import mint_token
from server.auth.oauth_client import parse_client
from server.auth.token_files import parse_token_file, render_token_file
from server.auth.token_store import TokenStore
from server.dialects.base import Record
from server.errors import BadRequestError, ProxyError
from server.gemini.signatures import StoredSignature
from server.gemini.types import Usage
from server.settings.load import SettingsError, load, save
from server.settings.options import OPTIONS
from server.storage.metrics import Metrics
from server.storage.responses import ResponseStore
from server.storage.signatures import SignatureStore
from server.storage.usage import Entry, UsageLog
from tests.fuzz import seeds
from tests.fuzz.mutate import ODD, broken, dump, mutated
from tests.fuzz.server import Json, refused
from tests.fuzz.source import Source


@contextmanager
def folder() -> Iterator[Path]:
    """An empty data folder."""
    with tempfile.TemporaryDirectory(prefix="fuzz-") as name:
        yield Path(name)


def _text(seed: Json, source: Source) -> str:
    return broken(dump(mutated(seed, source)), source).decode("utf-8", "replace")


def token_file(source: Source) -> None:
    """A sign-in of any of the three formats; what can be read can be written, and read again."""
    text = _text(seeds.TOKEN_FILES[source.below(3)], source)
    if refused(lambda: parse_token_file(text), ValueError):
        return
    held = parse_token_file(text)
    again = parse_token_file(render_token_file(held))
    assert (again.access_token, again.refresh_token) == (held.access_token, held.refresh_token)


def token_store(source: Source, place: Path) -> None:
    """The file as bytes on disk, looked at as the server does."""
    path = place / "google_token.json"
    path.write_bytes(broken(dump(mutated(seeds.TOKEN_FILES[source.below(3)], source)), source))
    store = TokenStore(path, place, now=time.time, original_file=place / "none")
    store.scan()
    assert store.held is None or store.held.access_token or store.held.refresh_token


def client_file(source: Source) -> None:
    """A client-secrets file."""
    text = _text(seeds.CLIENT, source)
    refused(lambda: parse_client(text), BadRequestError)


def adc_file(source: Source, place: Path) -> None:
    """Application Default Credentials; nobody can be asked, so every file is refused."""
    path = place / "adc.json"
    path.write_bytes(broken(dump(mutated(seeds.ADC_FILES[source.below(3)], source)), source))
    assert refused(lambda: mint_token(path), ProxyError)


def settings_toml(source: Source, place: Path) -> None:
    """The settings file: settings, or the error that names the setting."""
    (place / "settings.toml").write_bytes(broken(seeds.SETTINGS.encode(), source))
    refused(lambda: load({"DATA_DIR": str(place)}, {}), SettingsError)
    nested = "[" * source.below(3000)
    (place / "settings.toml").write_text(f"PORT = {nested}")
    assert not nested or refused(lambda: load({"DATA_DIR": str(place)}, {}), SettingsError)


def environment(source: Source, place: Path) -> None:
    """Variables and arguments."""
    names = [name for name in OPTIONS if name != "DATA_DIR"]
    given = {
        names[source.below(len(names))]: _odd(source).replace("\0", "") for _ in range(3)
    }  # no system lets a NUL into its environment
    refused(lambda: load({"DATA_DIR": str(place)}, given), SettingsError)
    refused(lambda: load({"DATA_DIR": str(place), **given}, {}), SettingsError)


def saved_value(source: Source, place: Path) -> None:
    """What may be saved can be read again, and means the same."""
    path = place / "settings.toml"
    path.unlink(missing_ok=True)
    settings = load({"DATA_DIR": str(place)}, {}).settings
    name = [name for name in OPTIONS if name != "DATA_DIR"][source.below(len(OPTIONS) - 1)]
    value = _odd(source)
    if refused(lambda: settings.with_value(name, value), SettingsError):
        return
    changed = settings.with_value(name, value)
    save(place, {name: value or None})
    again = load({"DATA_DIR": str(place)}, {}).settings
    field = OPTIONS[name].field
    assert getattr(again, field) == getattr(changed, field)


def _odd(source: Source) -> str:
    return str(ODD[source.below(len(ODD))]) if source.below(2) else source.text(12)


# ── databases ────────────────────────────────────────────────────────────────────────────────────


def _damaged(source: Source, path: Path, use: Callable[[], None]) -> None:
    """Use a file, damage it (the log beside it as well), and use it again."""
    use()
    data = path.read_bytes()
    path.write_bytes(broken(broken(data, source), source))
    for extra in ("-wal", "-shm"):
        if source.below(4) == 0:
            path.with_name(path.name + extra).write_bytes(source.raw(64))
    use()
    for file in path.parent.iterdir():
        file.unlink()


def signatures(source: Source, place: Path) -> None:
    """The signature store: a damaged file costs what was in it, not the service."""

    def use() -> None:
        store = SignatureStore(place)
        store.keep_call("call_1", StoredSignature("m", "s", None))
        store.call("call_1")
        store.call("call_2")
        store.wipe()
        store.keep_text("d", StoredSignature("m", "s", None))
        store.close()

    _damaged(source, place / "signatures.sqlite3", use)


def responses(source: Source, place: Path) -> None:
    """The store of the Responses API."""

    def use() -> None:
        store = ResponseStore("disk", place)
        store.get("resp_0")
        store.recall("msg_0")
        store.keep(Record("resp_1", {"id": "resp_1"}, ("msg_1",)))
        assert store.get("resp_1") == {"id": "resp_1"}
        store.close()

    _damaged(source, place / "responses.sqlite3", use)


def usage(source: Source, place: Path) -> None:
    """The usage log; its summary can always be shown."""

    entry = _entry(source)

    def use() -> None:
        log = UsageLog(place, Metrics())
        log.record(entry)
        json.dumps(log._summary())
        log._slices(1)
        log._slices(7)
        log.close()

    _damaged(source, place / "usage.sqlite3", use)


def _entry(source: Source) -> Entry:
    return Entry(
        id="req_1",
        started=1_795_000_000.0,
        dialect="anthropic",
        operation="generate",
        client=source.text(8),
        asked=source.text(8),
        model="gemini-2.5-pro",
        upstream="demo",
        outcome="ok",
        usage=Usage(1, 0, 2, 3),
        latency_ms=5,
        first_token_ms=None,
        queue_wait_ms=0,
        attempts=1,
        stream=True,
        mock=False,
        error=None,
    )
