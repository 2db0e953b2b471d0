"""The table of settings: name, meaning, and how a value is read.

A parser takes what stands in the environment (text) or in ``settings.toml`` (any TOML type) and
raises ``ValueError`` when that cannot be used.
"""

import ipaddress
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any
from urllib.parse import urlsplit

from server.settings.named_keys import named_keys

UPSTREAM_NAMES = ("auto", "code-assist", "gemini-api", "vertex", "demo")


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
    owner: bool = False
    """Shown and changed on this machine or with ADMIN_KEY only (``server.edge.rights``)."""


def _text(value: object) -> str:
    if not isinstance(value, str):
        raise ValueError  # noqa: TRY004  # one exception means "not allowed" for every parser
    if "\0" in value:
        raise ValueError  # no path, address or key has it
    return value.strip()


def _optional(value: object) -> str | None:
    return _text(value) or None


def _sendable(value: object) -> str | None:
    """What a header can carry: not a key that was pasted with curly quotes or a line's end."""
    text = _text(value)
    if not re.fullmatch(r"[!-~]*", text):
        raise ValueError
    return text or None


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
    if re.fullmatch(r"[A-Za-z0-9.-]*[A-Za-z-][A-Za-z0-9.-]*", host) or ipaddress.ip_address(host):
        return host
    raise ValueError


def _names(value: object) -> tuple[str, ...]:
    """As a ``Host`` header names them; a port may stand behind, any is accepted."""
    return tuple(map(_name, _words(value)))


def _name(word: str) -> str:
    named = re.fullmatch(r"([A-Za-z0-9._-]+)(?::\d{1,5})?", word)
    return named[1] if named else str(ipaddress.ip_address(word.strip("[]")))


def _origins(value: object) -> tuple[str, ...]:
    """As a browser sends them: no path, and no star."""
    origins = _words(value)
    for origin in origins:
        if not re.fullmatch(r"null|[A-Za-z][A-Za-z0-9+.-]*://[^/?#\s*@]+/?", origin):
            raise ValueError
    return origins


def _networks(value: object) -> tuple[str, ...]:
    words = _words(value)
    for word in words:
        if word != "gateway":
            ipaddress.ip_network(word, strict=False)
    return words


def is_loopback_host(host: str) -> bool:
    """Whether a host in an address is this computer."""
    if host == "localhost" or host.endswith(".localhost"):
        return True
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return False


def _address(value: object) -> str:
    """https, because credentials travel there; http only on this computer."""
    text = _text(value).rstrip("/")
    parts = urlsplit(text)
    if parts.scheme not in ("http", "https") or not parts.hostname:
        raise ValueError
    _ = parts.port  # raises ValueError when it is not a number
    if parts.scheme != "https" and not is_loopback_host(parts.hostname):
        raise ValueError
    return text


def _location(value: object) -> str:
    text = _text(value)
    if not re.fullmatch(r"[a-z][a-z0-9-]*", text):
        raise ValueError
    return text


def _project(value: object) -> str | None:
    text = _text(value)
    if text.isdigit() or not re.fullmatch(r"[A-Za-z0-9._:-]*", text):
        raise ValueError
    return text or None


def _table(value: object) -> Mapping[str, str]:
    if not isinstance(value, Mapping):
        raise ValueError  # noqa: TRY004
    return {str(name): _text(target) for name, target in value.items()}


def _tier(value: object) -> str:
    """``auto``, or an id as Google writes it; not a tier's own name, which would lead nowhere."""
    text = _text(value).removeprefix("models/")
    if text.lower() == "auto":
        return "auto"
    own_names = ("gemini-best", "gemini-main", "gemini-fast")
    if text.lower() in own_names or not re.fullmatch(r"[A-Za-z0-9._@-]{1,128}", text):
        raise ValueError
    return text


_ON_OFF = "true/false, 1/0, yes/no, on/off"
_URL = "an https:// address (http:// on this computer only)"

_ROWS = (
    Option("PORT", "port", _whole(1, 65_535), "a port number, 1 to 65535", "server port"),
    Option("HOST", "host", _hosts, "addresses, comma separated", "listening addresses"),
    Option("TOKEN_FILE", "token_file", _text, "a file path", "Google sign-in token", owner=True),
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
    Option(
        "SHOW_TOKEN",
        "show_token",
        _boolean,
        _ON_OFF,
        "print the access token once at start",
        owner=True,
    ),
    Option(
        "UPSTREAM",
        "upstream",
        _choice(*UPSTREAM_NAMES),
        ", ".join(UPSTREAM_NAMES),
        "how Gemini is reached; auto: the first way that is set up",
        live=True,
    ),
    Option(
        "GOOGLE_OAUTH_CLIENT_FILE",
        "google_oauth_client_file",
        _optional,
        "a file path",
        "OAuth client-secrets JSON for Google sign-in",
        live=True,
        owner=True,
    ),
    Option(
        "GEMINI_API_KEY",
        "gemini_api_key",
        _sendable,
        "a Gemini API key: plain letters, digits and signs, no space",
        "key of Google AI Studio, for the gemini-api upstream",
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
        live=True,
    ),
    Option(
        "GOOGLE_CLOUD_LOCATION",
        "google_cloud_location",
        _location,
        "a Vertex AI location such as global, us-central1, us or eu",
        "location for Vertex AI",
        live=True,
    ),
    Option(
        "CODE_ASSIST_ENDPOINT",
        "code_assist_endpoint",
        _address,
        _URL,
        "base URL of Code Assist",
        live=True,
        owner=True,
    ),
    Option(
        "GOOGLE_GEMINI_BASE_URL",
        "google_gemini_base_url",
        _address,
        _URL,
        "base URL of the Gemini API",
        live=True,
        owner=True,
    ),
    Option(
        "GOOGLE_VERTEX_BASE_URL",
        "google_vertex_base_url",
        _address,
        _URL,
        "base URL of Vertex AI",
        live=True,
        owner=True,
    ),
    Option(
        "API_KEY",
        "api_keys",
        _words,
        "keys, comma separated",
        "key(s) that clients must send",
        live=True,
        secret=True,
        owner=True,
    ),
    Option(
        "ADMIN_KEY",
        "admin_key",
        _sendable,
        "a key that is none of API_KEY: plain letters, digits and signs, no space",
        "from elsewhere, the pages want this key, and API_KEY opens the API alone",
        live=True,
        secret=True,
        owner=True,
    ),
    Option(
        "ALLOWED_HOSTS",
        "allowed_hosts",
        _names,
        "host names, comma separated",
        "Host headers accepted besides the built-in ones",
        live=True,
        owner=True,
    ),
    Option(
        "ALLOWED_ORIGINS",
        "allowed_origins",
        _origins,
        "origins such as https://app.example, without a path, comma separated",
        "web origins accepted besides the built-in ones",
        live=True,
        owner=True,
    ),
    Option(
        "TRUSTED_NETWORKS",
        "trusted_networks",
        _networks,
        "CIDR networks or the word gateway, comma separated",
        "networks that need no key, besides loopback",
        live=True,
        owner=True,
    ),
    Option(
        "EMBEDDINGS",
        "embeddings",
        _choice("auto", "off"),
        "auto, off",
        "where an upstream has none; auto: mock vectors, off: 501",
        live=True,
    ),
    Option(
        "RESPONSE_STORE",
        "response_store",
        _choice("memory", "disk", "off"),
        "memory, disk, off",
        "where the Responses API keeps its answers",
    ),
    *(
        Option(
            f"MODEL_{tier.upper()}",
            f"model_{tier}",
            _tier,
            "auto or a Gemini model id",
            f"model behind the {tier} names; auto: chosen for the way to Gemini in use",
            live=True,
        )
        for tier in ("best", "main", "fast")
    ),
    Option(
        "UNKNOWN_MODEL",
        "unknown_model",
        _optional,
        "a Gemini model id",
        "model that answers for names no rule knows; none: 404",
        live=True,
    ),
    Option(
        "STORE_AT_GOOGLE",
        "store_at_google",
        _boolean,
        _ON_OFF,
        'true: do not send "store": false, so that Google may keep what is asked (gemini-api)',
        live=True,
    ),
    Option(
        "UPDATE_CHECK",
        "update_check",
        _boolean,
        _ON_OFF,
        "ask once a day whether a newer release is out",
        live=True,
    ),
    Option(
        "UPDATE_FEED",
        "update_feed",
        _address,
        "an https:// address",
        "where releases are announced",
        live=True,
        owner=True,
    ),
    Option(
        "DATA_DIR",
        "data_dir",
        _text,
        "a folder path",
        "settings, tokens, usage, logs",
        owner=True,
    ),
    Option(
        "LOG_LEVEL",
        "log_level",
        _choice("debug", "info", "warning", "error"),
        "debug, info, warning, error",
        "how much is logged",
        owner=True,
    ),
)
OPTIONS: Mapping[str, Option] = {row.name: row for row in _ROWS}
"""Every setting by name; the README table and the settings page are tested against it."""

# Only in settings.toml, because they are tables or a recorded answer.
FILE_OPTIONS: Mapping[str, Option] = {
    "ALIASES": Option(
        "ALIASES",
        "aliases",
        _table,
        "a table of name = Gemini id",
        "your own names for models",
        True,
    ),
    "KEYS": Option(
        "KEYS",
        "named_keys",
        named_keys,
        "tables [keys.NAME] with sha256 (64 hex digits of the key) and, as wanted, expires (a day "
        "such as 2027-01-31)",
        "keys with a name, for the model endpoints only",
        live=True,
        owner=True,
    ),
    "GEMINI_API_KEY_FOR": Option(
        "GEMINI_API_KEY_FOR",
        "gemini_api_key_for",
        _optional,
        "a host",
        "the host that the saved GEMINI_API_KEY was entered for; it is sent to no other",
        live=True,
        owner=True,
    ),
    "SIGN_IN_FOR": Option(
        "SIGN_IN_FOR",
        "sign_in_for",
        _optional,
        "a host",
        "the host that a Google sign-in of unknown origin belongs to; it is sent to no other",
        live=True,
        owner=True,
    ),
    "OAUTH_HOSTS": Option(
        "OAUTH_HOSTS",
        "oauth_hosts",
        _words,
        "hosts",
        "hosts outside Google that an OAuth client may sign in at; the answer given on the page",
        live=True,
        owner=True,
    ),
    "USE_GEMINI_CLI_CLIENT": Option(
        "USE_GEMINI_CLI_CLIENT",
        "use_gemini_cli_client",
        _boolean,
        _ON_OFF,
        "the answer given on the sign-in page",
        live=True,
        owner=True,
    ),
}
RECORDED = frozenset(
    {"KEYS", "GEMINI_API_KEY_FOR", "SIGN_IN_FOR", "OAUTH_HOSTS", "USE_GEMINI_CLI_CLIENT"}
)
"""Those that no form shows."""
ALL_OPTIONS: Mapping[str, Option] = {**OPTIONS, **FILE_OPTIONS}
