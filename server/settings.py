"""Settings: one frozen object from four sources.

Command line > environment > ``settings.toml`` in the data folder > default. The only place that
reads ``os.environ``. Every value is checked here; a malformed one is a ``SettingsError`` that names
the setting, the value and what is allowed, never a silent default.
"""

import ipaddress
import os
import re
import socket
import tomllib
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any, Literal
from urllib.parse import urlsplit

import platformdirs

from server.files import write_private

APP = "gemini-api-proxy"
LOOPBACK_HOSTS = ("127.0.0.1", "::1")
ALL_HOSTS = ("0.0.0.0", "::")  # noqa: S104  # an explicit --headless is Docker or systemd

Source = Literal["command line", "environment", "settings.toml", "default"]
UPSTREAM_NAMES = ("auto", "code-assist", "gemini-api", "vertex", "demo")


class SettingsError(Exception):
    """A setting with a value that cannot be used."""

    def __init__(self, name: str, value: object, allowed: str, source: Source) -> None:
        super().__init__(f"{name}: {value!r} (from {source}) cannot be used; allowed: {allowed}.")
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
    code_assist_endpoint: str = "https://cloudcode-pa.googleapis.com"
    google_gemini_base_url: str = "https://generativelanguage.googleapis.com"
    google_vertex_base_url: str | None = None
    api_keys: tuple[str, ...] = field(default=(), repr=False)
    allowed_hosts: tuple[str, ...] = ()
    allowed_origins: tuple[str, ...] = ()
    trusted_networks: tuple[str, ...] = ()
    embeddings: str = "auto"
    response_store: str = "memory"
    unknown_model: str | None = None
    log_level: str = "info"
    aliases: Mapping[str, str] = field(default_factory=dict)
    models: Mapping[str, str] = field(default_factory=dict)
    """Gemini ids for the tiers ``best``, ``main`` and ``fast``."""
    use_gemini_cli_client: bool = False
    """The user said yes to using the OAuth client of the Gemini CLI on this computer."""
    sources: Mapping[str, Source] = field(default_factory=dict)
    """Where each value came from that is not a default."""

    def source(self, name: str) -> Source:
        return self.sources.get(name, "default")

    def pinned(self, name: str) -> bool:
        """Whether command line or environment set this: a change returns at the next start."""
        return self.source(name) in ("command line", "environment")

    def with_value(self, name: str, value: object) -> "Settings":
        """A copy with one setting changed, checked as if it stood in ``settings.toml``."""
        option = ALL_OPTIONS[name]
        return replace(
            self,
            **{option.field: _parse(option, value, "settings.toml", self.data_dir)},
            sources={**self.sources, name: "settings.toml"},
        )


@dataclass(frozen=True, slots=True)
class Option:
    """One row of the settings table."""

    name: str
    field: str
    parse: Callable[[object], Any]
    """Raises ValueError when the value cannot be used."""
    allowed: str
    meaning: str
    live: bool = False
    """Takes effect without a restart."""
    secret: bool = False
    also: tuple[str, ...] = ()
    """Other environment names with the same meaning."""


def _text(value: object) -> str:
    if not isinstance(value, str):
        raise ValueError  # noqa: TRY004  # one exception means "not allowed" for every parser
    return value.strip()


def _optional(value: object) -> str | None:
    return _text(value) or None


def _boolean(value: object) -> bool:
    if isinstance(value, bool):
        return value
    word = str(value).strip().lower()
    if word in ("true", "1", "yes", "on"):
        return True
    if word in ("false", "0", "no", "off"):
        return False
    raise ValueError


def _whole(low: int, high: int) -> Callable[[object], int]:
    def parse(value: object) -> int:
        if isinstance(value, bool) or not re.fullmatch(r"\d+", str(value).strip()):
            raise ValueError
        number = int(str(value))
        if not low <= number <= high:
            raise ValueError
        return number

    return parse


def _seconds(value: object) -> float:
    if isinstance(value, bool):
        raise ValueError  # noqa: TRY004
    number = float(str(value))
    if not 0 <= number <= 86_400:  # also refuses nan
        raise ValueError
    return number


def _choice(*words: str) -> Callable[[object], str]:
    def parse(value: object) -> str:
        word = _text(value).lower()
        if word not in words:
            raise ValueError
        return word

    return parse


def _words(value: object) -> tuple[str, ...]:
    items = value if isinstance(value, list) else _text(value).split(",")
    return tuple(word for item in items if (word := _text(item)))


def _hosts(value: object) -> tuple[str, ...]:
    hosts = _words(value)
    if not hosts:
        raise ValueError
    return tuple(_host(host.strip("[]")) for host in hosts)


def _host(host: str) -> str:
    if host == "localhost" or re.fullmatch(r"[A-Za-z0-9.-]+", host) or ipaddress.ip_address(host):
        return host
    raise ValueError


def _networks(value: object) -> tuple[str, ...]:
    words = _words(value)
    for word in words:
        if word != "gateway":
            ipaddress.ip_network(word, strict=False)
    return words


def _address(value: object) -> str:
    text = _text(value).rstrip("/")
    parts = urlsplit(text)
    if parts.scheme not in ("http", "https") or not parts.hostname:
        raise ValueError
    _ = parts.port  # raises ValueError when it is not a number
    return text


def _project(value: object) -> str | None:
    text = _text(value)
    if text.isdigit():
        raise ValueError
    return text or None


def _table(value: object) -> Mapping[str, str]:
    if not isinstance(value, Mapping):
        raise ValueError  # noqa: TRY004
    return {str(name): _text(target) for name, target in value.items()}


def _tiers(value: object) -> Mapping[str, str]:
    table = _table(value)
    if set(table) - {"best", "main", "fast"}:
        raise ValueError
    return table


_ON_OFF = "true/false, 1/0, yes/no, on/off"
_URL = "an http:// or https:// address"

_ROWS = (
    Option("PORT", "port", _whole(1, 65_535), "a port number, 1 to 65535", "server port"),
    Option("HOST", "host", _hosts, "addresses, comma separated", "listening addresses"),
    Option("TOKEN_FILE", "token_file", _text, "a file path", "Google sign-in token"),
    Option(
        "RATE_LIMIT",
        "rate_limit_s",
        _seconds,
        "seconds, 0 to 86400, fractions allowed",
        "seconds between requests sent upstream; 0 = off",
        live=True,
    ),
    Option(
        "WAIT_MODE", "wait_mode", _boolean, _ON_OFF, "queue instead of answering 429", live=True
    ),
    Option(
        "QUEUE_LIMIT", "queue_limit", _whole(0, 100_000), "0 to 100000", "how many may wait", True
    ),
    Option("SHOW_TOKEN", "show_token", _boolean, _ON_OFF, "print the access token once at start"),
    Option(
        "UPSTREAM",
        "upstream",
        _choice(*UPSTREAM_NAMES),
        ", ".join(UPSTREAM_NAMES),
        "which Google door answers; auto: the first that is configured",
        live=True,
    ),
    Option(
        "GOOGLE_OAUTH_CLIENT_FILE",
        "google_oauth_client_file",
        _optional,
        "a file path",
        "OAuth client-secrets JSON for Google sign-in",
    ),
    Option(
        "GEMINI_API_KEY",
        "gemini_api_key",
        _optional,
        "a Gemini API key",
        "key for the gemini-api upstream",
        live=True,
        secret=True,
        also=("GOOGLE_API_KEY",),
    ),
    Option(
        "GOOGLE_CLOUD_PROJECT",
        "google_cloud_project",
        _project,
        "a project ID (not the project number)",
        "project for Code Assist licences and for Vertex AI",
    ),
    Option(
        "GOOGLE_CLOUD_LOCATION",
        "google_cloud_location",
        _text,
        "a Vertex AI location",
        "location for Vertex AI",
    ),
    Option(
        "CODE_ASSIST_ENDPOINT", "code_assist_endpoint", _address, _URL, "base URL of Code Assist"
    ),
    Option(
        "GOOGLE_GEMINI_BASE_URL",
        "google_gemini_base_url",
        _address,
        _URL,
        "base URL of the Gemini API",
    ),
    Option(
        "GOOGLE_VERTEX_BASE_URL",
        "google_vertex_base_url",
        _address,
        _URL,
        "base URL of Vertex AI",
    ),
    Option(
        "API_KEY",
        "api_keys",
        _words,
        "keys, comma separated",
        "key(s) that clients must send",
        secret=True,
    ),
    Option(
        "ALLOWED_HOSTS",
        "allowed_hosts",
        _words,
        "host names, comma separated",
        "Host headers accepted besides the built-in ones",
    ),
    Option(
        "ALLOWED_ORIGINS",
        "allowed_origins",
        _words,
        "origins, comma separated",
        "web origins accepted besides the built-in ones",
    ),
    Option(
        "TRUSTED_NETWORKS",
        "trusted_networks",
        _networks,
        "CIDR networks or the word gateway, comma separated",
        "networks that need no key, besides loopback",
    ),
    Option(
        "EMBEDDINGS",
        "embeddings",
        _choice("auto", "off"),
        "auto, off",
        "off: 501 instead of mock vectors",
    ),
    Option(
        "RESPONSE_STORE",
        "response_store",
        _choice("memory", "disk", "off"),
        "memory, disk, off",
        "where the Responses API keeps its answers",
    ),
    Option(
        "UNKNOWN_MODEL",
        "unknown_model",
        _optional,
        "a Gemini model id",
        "model for names that no rule knows",
        live=True,
    ),
    Option("DATA_DIR", "data_dir", _text, "a folder path", "settings, tokens, usage, logs"),
    Option(
        "LOG_LEVEL",
        "log_level",
        _choice("debug", "info", "warning", "error"),
        "debug, info, warning, error",
        "how much is logged",
    ),
)
OPTIONS: Mapping[str, Option] = {row.name: row for row in _ROWS}
"""Every setting by name; the README table and the settings page are tested against it."""

# Only in settings.toml, because they are tables or a recorded answer.
FILE_OPTIONS: Mapping[str, Option] = {
    "ALIASES": Option("ALIASES", "aliases", _table, "a table of name = Gemini id", "own aliases"),
    "MODELS": Option(
        "MODELS", "models", _tiers, "a table with best, main, fast", "Gemini ids behind the tiers"
    ),
    "USE_GEMINI_CLI_CLIENT": Option(
        "USE_GEMINI_CLI_CLIENT",
        "use_gemini_cli_client",
        _boolean,
        _ON_OFF,
        "the answer given on the sign-in page",
    ),
}
ALL_OPTIONS: Mapping[str, Option] = {**OPTIONS, **FILE_OPTIONS}


@dataclass(frozen=True, slots=True)
class Loaded:
    """Settings, and what the user should be told about them."""

    settings: Settings
    warnings: tuple[str, ...] = ()


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
    warnings = _add_file(given, data_dir)
    settings = Settings(
        data_dir=data_dir,
        token_file=data_dir / "google_token.json",
        host=ALL_HOSTS if listen_everywhere else LOOPBACK_HOSTS,
        sources={name: source for name, (_, source) in given.items()},
    )
    values: dict[str, Any] = {}
    for name, (value, source) in given.items():
        if name != "DATA_DIR":
            values[ALL_OPTIONS[name].field] = _parse(ALL_OPTIONS[name], value, source, data_dir)
    settings = replace(settings, **values)
    settings, own = _without_own_address(settings)
    return Loaded(settings, (*warnings, *own))


def _data_dir(given: tuple[object, Source] | None) -> Path:
    if given is None:
        return Path(platformdirs.user_data_dir(APP, appauthor=False))
    return Path(str(given[0])).expanduser().absolute()


def _add_file(given: dict[str, tuple[object, Source]], data_dir: Path) -> tuple[str, ...]:
    """Add the values of ``settings.toml`` that nothing above it set; warn of unknown names."""
    path = data_dir / "settings.toml"
    try:
        content = tomllib.loads(path.read_text("utf-8"))
    except FileNotFoundError:
        return ()
    except (OSError, UnicodeDecodeError, tomllib.TOMLDecodeError) as error:
        raise SettingsError(path.name, str(error), "readable TOML", "settings.toml") from error
    unknown = []
    for key, value in content.items():
        name = key.upper().replace("-", "_")
        if name == "DATA_DIR" or name not in ALL_OPTIONS:
            unknown.append(f"settings.toml: unknown setting {key!r} is ignored")
        elif value != "":
            given.setdefault(name, (value, "settings.toml"))
    return tuple(unknown)


def _parse(option: Option, value: object, source: Source, data_dir: Path) -> Any:
    try:
        parsed = option.parse(value)
    except (ValueError, TypeError) as error:
        shown = "(hidden)" if option.secret else value
        raise SettingsError(option.name, shown, option.allowed, source) from error
    if option.name == "TOKEN_FILE":
        return data_dir / Path(str(parsed)).expanduser()
    if option.name == "GOOGLE_OAUTH_CLIENT_FILE" and parsed:
        return Path(str(parsed)).expanduser().absolute()
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
        if value is not None:
            document[name] = value
    write_private(path, tomlkit.dumps(document))
