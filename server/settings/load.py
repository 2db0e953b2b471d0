"""Settings: one frozen object from four sources.

Command line > environment > ``settings.toml`` in the data folder > default. The only place that
reads ``os.environ``. Every value is checked here; a malformed one is a ``SettingsError`` that names
the setting, the value and what is allowed, never a silent default.
"""

import ipaddress
import os
import socket
import sys
import tomllib
from collections.abc import Mapping, MutableMapping
from dataclasses import MISSING, dataclass, field, replace
from functools import lru_cache
from pathlib import Path
from typing import Any, Literal
from urllib.parse import urlsplit

import platformdirs

from server.files import write_private
from server.redaction import learn
from server.settings.named_keys import NamedKey
from server.settings.options import ALL_OPTIONS, OPTIONS, Option

APP = "gemini-api-proxy"
MODELS, _TIERS = "MODELS", ("best", "main", "fast")
"""A table of ``settings.toml``: another way to write MODEL_BEST, MODEL_MAIN and MODEL_FAST."""
CODE_ASSIST = "https://cloudcode-pa.googleapis.com"
OWN_FILES = frozenset(
    {"settings.toml", "api_key", "client_secret.json", "signed_out", "log.txt", "crash.txt"}
)
"""Files of the data folder that hold something else than a sign-in."""
LOOPBACK_HOSTS = ("127.0.0.1", "::1")
ALL_HOSTS = ("0.0.0.0", "::")  # noqa: S104  # an explicit --headless is Docker or systemd

Source = Literal["command line", "environment", "settings.toml", "default"]


class SettingsError(Exception):
    """A setting with a value that cannot be used."""

    def __init__(self, name: str, value: object, allowed: str, source: Source) -> None:
        super().__init__(f"{name}: {value!r} (from {source}) cannot be used; allowed: {allowed}.")
        self.sentence = f"{name}: {value!r} cannot be used; allowed: {allowed}."
        """The same for who has just typed it."""
        self.name = name
        self.source = source


@dataclass(frozen=True, slots=True, kw_only=True)
class Settings:
    """Everything a user can choose. Paths are absolute."""

    data_dir: Path
    port: int = 8081
    host: tuple[str, ...] = LOOPBACK_HOSTS
    token_file: Path = field(default=Path("google_token.json"))
    rate_limit_s: float = 0.0
    wait_mode: bool = False
    queue_limit: int = 100
    show_token: bool = False
    upstream: str = "auto"
    google_oauth_client_file: Path | None = None
    gemini_api_key: str | None = field(default=None, repr=False)
    google_cloud_project: str | None = None
    google_cloud_location: str = "global"
    code_assist_endpoint: str = CODE_ASSIST
    google_gemini_base_url: str = "https://generativelanguage.googleapis.com"
    google_vertex_base_url: str | None = None
    google_application_credentials: Path | None = None
    """The file that GOOGLE_APPLICATION_CREDENTIALS names: Google's own setting, read as it is."""
    gcloud_credentials: Path | None = None
    """Where ``gcloud auth application-default login`` keeps its file, if there is one."""
    gemini_api_key_for: str | None = None
    """The host that ``gemini_api_key`` was entered for; None where nobody changed either."""
    sign_in_for: str | None = None
    """The host that a sign-in of unknown origin belongs to; None until the address was changed."""
    oauth_hosts: tuple[str, ...] = ()
    """Hosts outside Google that the owner lets an OAuth client sign in at."""
    api_keys: tuple[str, ...] = field(default=(), repr=False)
    admin_key: str | None = field(default=None, repr=False)
    named_keys: Mapping[str, NamedKey] = field(default_factory=dict)
    allowed_hosts: tuple[str, ...] = ()
    allowed_origins: tuple[str, ...] = ()
    trusted_networks: tuple[str, ...] = ()
    embeddings: str = "auto"
    response_store: str = "memory"
    unknown_model: str | None = None
    store_at_google: bool = False
    update_check: bool = False
    update_feed: str | None = None
    log_level: str = "info"
    aliases: Mapping[str, str] = field(default_factory=dict)
    model_best: str = "auto"
    """The Gemini id of a tier; ``auto``: the catalogue's choice for the upstream in use."""
    model_main: str = "auto"
    model_fast: str = "auto"
    use_gemini_cli_client: bool = False
    """The user said yes to using the OAuth client of the Gemini CLI on this computer."""
    sources: Mapping[str, Source] = field(default_factory=dict)
    """Where each value came from that is not a default."""

    def __post_init__(self) -> None:
        learn(self.gemini_api_key, self.admin_key, *self.api_keys, stay="configured")

    @property
    def gemini_key(self) -> str | None:
        """GEMINI_API_KEY, for the host it was entered for; None for any other."""
        bound = self.gemini_api_key_for
        return self.gemini_api_key if bound in (None, self.gemini_host) else None

    @property
    def key_elsewhere(self) -> str:
        """Why the saved key is not used, for who looks for it."""
        return (
            f"The Gemini API key belongs to {self.gemini_api_key_for} and is not sent to "
            f"{self.gemini_host}, which GOOGLE_GEMINI_BASE_URL names: enter the key for it."
        )

    @property
    def code_assist_host(self) -> tuple[str, bool]:
        """Where Code Assist is asked, and whether a sign-in may go there of which nothing says what
        host it was made for."""
        host = host_of(self.code_assist_endpoint)
        return host, self.sign_in_for in (None, host)

    @property
    def vertex_may_have_tokens(self) -> bool:
        """Whether the credentials of this computer, which nobody entered for an address, may go to
        GOOGLE_VERTEX_BASE_URL: one outside Google has to be given by who starts the program."""
        name, address = "GOOGLE_VERTEX_BASE_URL", self.google_vertex_base_url
        host = urlsplit(address or "").hostname or ""
        return not address or host.endswith(".googleapis.com") or not self.changed_here(name)

    @property
    def gemini_host(self) -> str:
        """Where the Gemini API is asked."""
        return host_of(self.google_gemini_base_url)

    @property
    def own_host(self) -> str:
        """Where programs on this machine reach the server, as it stands in an address."""
        if {"127.0.0.1", "0.0.0.0", "localhost"}.intersection(self.host):  # noqa: S104  # compared
            return "127.0.0.1"
        first = next(iter(self.host), "127.0.0.1")
        return f"[{'::1' if first == '::' else first}]" if ":" in first else first

    @property
    def own_url(self) -> str:
        """The same as a whole address, without a path."""
        return f"http://{self.own_host}:{self.port}"

    def source(self, name: str) -> Source:
        return self.sources.get(name, "default")

    def changed_here(self, name: str) -> bool:
        """Whether a page, or the file, has set this."""
        return self.source(name) == "settings.toml"

    def pinned(self, name: str) -> bool:
        """Whether command line or environment set this: a change returns at the next start."""
        return self.source(name) in ("command line", "environment")

    def with_value(self, name: str, value: object) -> "Settings":
        """A copy with one setting changed, checked as if it stood in ``settings.toml``.

        None or an empty text takes it back to its default.
        """
        option = ALL_OPTIONS[name]
        if any("\ud800" <= letter <= "\udfff" for letter in str(value)):
            shown = "(hidden)" if option.secret else ascii(value)
            raise SettingsError(name, shown, f"{option.allowed}, in UTF-8", "settings.toml")
        if value is None or value == "":
            others = {key: source for key, source in self.sources.items() if key != name}
            plain = replace(self, **{option.field: self.default(name)}, sources=others)
            return plain._bound(self, name)
        changed = replace(
            self,
            **{option.field: _parse(option, value, "settings.toml", self.data_dir)},
            sources={**self.sources, name: "settings.toml"},
        )
        return _checked(_without_own_address(changed)[0])._bound(self, name)

    def _bound(self, before: "Settings", name: str) -> "Settings":
        """The saved key stays with its host: a key entered now belongs to the address of now; an
        address changed now does not get the key of the one before."""
        if name == "GEMINI_API_KEY":
            return replace(
                self, gemini_api_key_for=self.gemini_host if self.gemini_api_key else None
            )
        if name == "CODE_ASSIST_ENDPOINT" and self.sign_in_for is None:
            return replace(self, sign_in_for=host_of(before.code_assist_endpoint))
        if name == "GOOGLE_GEMINI_BASE_URL" and self.gemini_api_key and not self.gemini_api_key_for:
            return replace(self, gemini_api_key_for=before.gemini_host)
        return self

    def keeping(self, last: "Settings") -> "Settings":
        """What was changed within this run wins, until it ends, over command line and environment.

        ``self``: read anew for a restart; ``last``: what the server had when it stopped.
        """
        kept = self
        for name in self.sources:
            if self.pinned(name) and not last.pinned(name):
                field_name = ALL_OPTIONS[name].field
                sources = {**kept.sources, name: last.source(name)}
                kept = replace(kept, **{field_name: getattr(last, field_name)}, sources=sources)
        return kept

    def default(self, name: str) -> Any:
        """What a setting is when nobody sets it."""
        if name == "TOKEN_FILE":
            return self.data_dir / "google_token.json"
        row = type(self).__dataclass_fields__[ALL_OPTIONS[name].field]
        return {} if row.default is MISSING else row.default


@dataclass(frozen=True, slots=True)
class Loaded:
    """Settings, and what the user should be told about them."""

    settings: Settings
    warnings: tuple[str, ...] = ()


def data_folder(arguments: Mapping[str, str], environ: Mapping[str, str] | None = None) -> Path:
    """Where everything of this user is kept; known even when ``settings.toml`` is unreadable."""
    environ = os.environ if environ is None else environ
    given = arguments.get("DATA_DIR") or environ.get("DATA_DIR", "").strip()
    return _data_dir((given, "command line") if given else None)


def load(
    arguments: Mapping[str, str],
    environ: Mapping[str, str] | None = None,
    *,
    listen_everywhere: bool = False,
) -> Loaded:
    """Read all four sources.

    ``arguments``: setting name -> value from the command line. ``listen_everywhere``: what HOST is
    when nobody set it (an explicit ``--headless``). Raises ``SettingsError``.
    """
    environ = os.environ if environ is None else environ
    given: dict[str, tuple[object, Source]] = {}
    for option in OPTIONS.values():
        for name in (option.name, *option.also):
            if option.name not in given and environ.get(name, "").strip():
                given[option.name] = (environ[name], "environment")
        if option.name in arguments:
            given[option.name] = (arguments[option.name], "command line")
    data_dir = _data_dir(given.get("DATA_DIR"))
    content = _content_of(data_dir)
    warnings = _add_file(given, content)
    settings = Settings(
        data_dir=data_dir,
        token_file=data_dir / "google_token.json",
        host=ALL_HOSTS if listen_everywhere else LOOPBACK_HOSTS,
        google_application_credentials=_path(environ, "GOOGLE_APPLICATION_CREDENTIALS"),
        gcloud_credentials=_gcloud_credentials(environ),
        sources={name: source for name, (_, source) in given.items()},
    )
    values: dict[str, Any] = {}
    for name, (value, source) in given.items():
        if name != "DATA_DIR":
            values[ALL_OPTIONS[name].field] = _parse(ALL_OPTIONS[name], value, source, data_dir)
    settings = replace(settings, **values)
    settings, own = _without_own_address(settings)
    in_file = {_name_of(key): value for key, value in content.items()}
    settings = _checked(_with_key_bound(settings, in_file.get("GOOGLE_GEMINI_BASE_URL")))
    return Loaded(settings, (*warnings, *own, *_key_of_another_host(settings)))


@lru_cache(maxsize=32)  # every request asks, for the same few
def host_of(address: str) -> str:
    """The host of a URL, with its port where that is not the scheme's own."""
    parts = urlsplit(address)
    host = (parts.hostname or "").lower()
    usual = {"https": 443, "http": 80}.get(parts.scheme)
    return host if parts.port in (None, usual) else f"{host}:{parts.port}"


def _with_key_bound(settings: Settings, written: object) -> Settings:
    """Which host the Gemini key is for. One of the environment or command line belongs to the
    address given there, one of the file to the host noted beside it, else to the address in the
    file (``written``); either to Google's own where no address is given."""
    pinned, name = settings.pinned("GEMINI_API_KEY"), "GOOGLE_GEMINI_BASE_URL"
    if settings.gemini_api_key is None or (settings.gemini_api_key_for and not pinned):
        return settings
    address = settings.google_gemini_base_url if settings.pinned(name) else None
    address = address if pinned else str(written) if written else None
    host = host_of(address or str(settings.default(name)))
    return replace(settings, gemini_api_key_for=host)


def _key_of_another_host(settings: Settings) -> tuple[str, ...]:
    if settings.gemini_api_key is None or settings.gemini_key is not None:
        return ()
    return (settings.key_elsewhere,)


def _checked(settings: Settings) -> Settings:
    """Settings that only make sense together. Raises ``SettingsError``."""
    if settings.admin_key is not None and settings.admin_key in settings.api_keys:
        option = OPTIONS["ADMIN_KEY"]
        source = settings.source(option.name)
        raise SettingsError(option.name, "(hidden)", option.allowed, source)
    return settings


def _data_dir(given: tuple[object, Source] | None) -> Path:
    if given is None:
        return Path(platformdirs.user_data_dir(APP, appauthor=False))
    return _expanded(str(given[0])).absolute()


def _expanded(path: str) -> Path:
    """``~`` as the shell has it: a user nobody knows stays as written."""
    try:
        return Path(path).expanduser()
    except RuntimeError:
        return Path(path)


def _path(environ: Mapping[str, str], name: str) -> Path | None:
    value = environ.get(name, "").strip()
    return _expanded(value).absolute() if value else None


def _gcloud_credentials(environ: Mapping[str, str]) -> Path | None:
    """gcloud's well-known file (google-auth ``_cloud_sdk.get_config_path``)."""
    folder = _path(environ, "CLOUDSDK_CONFIG")
    if folder is None and sys.platform == "win32":
        roaming = _path(environ, "APPDATA")
        folder = roaming / "gcloud" if roaming else None
    elif folder is None:
        home = _path(environ, "HOME")
        folder = home / ".config" / "gcloud" if home else None
    return folder / "application_default_credentials.json" if folder else None


def _content_of(data_dir: Path) -> Mapping[str, Any]:
    """What ``settings.toml`` says."""
    path = data_dir / "settings.toml"
    try:
        content = tomllib.loads(path.read_text("utf-8"))
    except FileNotFoundError:
        return {}
    except (OSError, UnicodeDecodeError, tomllib.TOMLDecodeError, RecursionError) as error:
        raise SettingsError(path.name, str(error), "readable TOML", "settings.toml") from error
    return content


def _name_of(key: str) -> str:
    """The setting that a key of the file means."""
    return key.upper().replace("-", "_")


def _add_file(
    given: dict[str, tuple[object, Source]], content: Mapping[str, Any]
) -> tuple[str, ...]:
    """Add the values of ``settings.toml`` that nothing above it set; warn of unknown names."""
    unknown = []
    for key, value in _without_tier_table(content).items():
        name = _name_of(key)
        if name == "DATA_DIR" or name not in ALL_OPTIONS:
            unknown.append(f"settings.toml: unknown setting {key!r} is ignored")
        elif value != "":
            given.setdefault(name, (value, "settings.toml"))
    return tuple(unknown)


def _without_tier_table(content: Mapping[str, Any]) -> dict[str, Any]:
    """``[models]`` with best, main and fast as the settings that it stands for."""
    flat = {key: value for key, value in content.items() if key.upper() != MODELS}
    for key in set(content) - set(flat):
        table = content[key]
        if not isinstance(table, dict) or not set(table) <= set(_TIERS):
            raise SettingsError(MODELS, table, "a table with best, main, fast", "settings.toml")
        named = {f"MODEL_{tier.upper()}": value for tier, value in table.items()}
        given = {name.upper().replace("-", "_") for name in flat}
        flat |= {name: value for name, value in named.items() if name not in given}
    return flat


def _parse(option: Option, value: object, source: Source, data_dir: Path) -> Any:
    try:
        parsed = option.parse(value)
    except (ValueError, TypeError) as error:
        shown = "(hidden)" if option.secret else value
        raise SettingsError(option.name, shown, option.allowed, source) from error
    if option.name == "TOKEN_FILE":
        path = data_dir / _expanded(str(parsed))
        if path.parent == data_dir and (path.name in OWN_FILES or ".sqlite3" in path.name):
            raise SettingsError(option.name, value, "a file that is not used already", source)
        return path
    if option.name == "GOOGLE_OAUTH_CLIENT_FILE" and parsed:
        return _expanded(str(parsed)).absolute()
    return parsed


def _without_own_address(settings: Settings) -> tuple[Settings, tuple[str, ...]]:
    """Refuse an upstream address that is this very server.

    Users export these names so that *Gemini CLI* talks to us; from the environment the value is
    therefore ignored with a warning.
    """
    warnings = []
    for name in ("CODE_ASSIST_ENDPOINT", "GOOGLE_GEMINI_BASE_URL", "GOOGLE_VERTEX_BASE_URL"):
        option = OPTIONS[name]
        address = getattr(settings, option.field)
        if not address or not _is_own(address, settings.port):
            continue
        if settings.source(name) != "environment":
            raise SettingsError(
                name, address, "Google's address, not this proxy's own", settings.source(name)
            )
        default: Any = Settings.__dataclass_fields__[option.field].default
        settings = replace(settings, **{option.field: default})
        warnings.append(f"{name} names this proxy itself and is ignored ({address})")
    return settings, tuple(warnings)


def _is_own(address: str, port: int) -> bool:
    parts = urlsplit(address)
    host = (parts.hostname or "").lower()
    default_port = 443 if parts.scheme == "https" else 80
    if (parts.port or default_port) != port:
        return False
    if host in ("localhost", "0.0.0.0", "::", socket.gethostname().lower()):  # noqa: S104
        return True
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return False


def save(data_dir: Path, changes: Mapping[str, object | None]) -> None:
    """Write changed values to ``settings.toml``, keeping everything else in it; None removes.

    The file may hold a key, so it is created 0600 and replaced atomically.
    """
    import tomlkit  # noqa: PLC0415  # 40 ms that only a change needs

    path = data_dir / "settings.toml"
    document = tomlkit.parse(path.read_text("utf-8") if path.exists() else "")
    for name, value in changes.items():
        for key in [k for k in document if k.upper().replace("-", "_") == name]:
            del document[key]
        _forget_tier(document, name)
        if value is not None:
            document[name] = value
    write_private(path, tomlkit.dumps(document))


def _forget_tier(document: MutableMapping[str, Any], name: str) -> None:
    """Take MODEL_BEST and its like out of ``[models]`` as well."""
    for key in [k for k in document if k.upper() == MODELS]:
        document[key].pop(name.removeprefix("MODEL_").lower(), None)
        if not document[key]:
            del document[key]
