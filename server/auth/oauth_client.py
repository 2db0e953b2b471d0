"""The OAuth client that sign-in uses, and where it comes from.

This repository holds no client id and no secret. They come from the user (a client-secrets file),
or, after the user has said yes to it, from the Gemini CLI installed on this computer.
"""

import re
import shutil
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import urlsplit

from server.errors import BadRequestError
from server.files import write_private
from server.gemini.types import Json
from server.json_codec import loads
from server.redaction import learn

CLIENT_FILE = "client_secret.json"
"""Where a client dropped on the setup page is kept, in the data folder."""

GOOGLE_AUTH_URI = "https://accounts.google.com/o/oauth2/v2/auth"
GOOGLE_TOKEN_URI = "https://oauth2.googleapis.com/token"  # noqa: S105  # an address
_GOOGLE_REVOKE_URI = "https://oauth2.googleapis.com/revoke"
_GOOGLE_USERINFO_URI = "https://www.googleapis.com/oauth2/v2/userinfo"
_GOOGLE_TOKEN_HOSTS = ("oauth2.googleapis.com", "www.googleapis.com", "accounts.google.com")
_GOOGLE_HOSTS = (*_GOOGLE_TOKEN_HOSTS, "openidconnect.googleapis.com")

_CLI_PACKAGES = ("@google/gemini-cli", "@google/gemini-cli-core")
_CLI_CONSTANT = r"\bOAUTH_CLIENT_{}\s*=\s*[\"']([^\"']+)[\"']"
_CLI_ID = re.compile(_CLI_CONSTANT.format("ID"))
_CLI_SECRET = re.compile(_CLI_CONSTANT.format("SECRET"))
_LARGEST_SCRIPT = 64 * 1024 * 1024


@dataclass(frozen=True, slots=True, kw_only=True)
class OAuthClient:
    """One OAuth client and the addresses of its authorization server."""

    client_id: str
    client_secret: str
    auth_uri: str = GOOGLE_AUTH_URI
    token_uri: str = GOOGLE_TOKEN_URI
    redirect_uris: tuple[str, ...] = ()
    revoke_uri: str = _GOOGLE_REVOKE_URI
    userinfo_uri: str = _GOOGLE_USERINFO_URI
    borrowed: bool = False
    """The Gemini CLI's own client: read where it is, never written down by us."""

    def __post_init__(self) -> None:
        learn(self.client_secret, stay="configured")

    def __repr__(self) -> str:
        return f"OAuthClient({self.client_id[:6]}…, {urlsplit(self.token_uri).hostname})"

    def redirect_uri(self, port: int) -> str:
        """Where Google sends the code: our own port, unless only https addresses are registered."""
        if self.redirect_uris and all(uri.startswith("https://") for uri in self.redirect_uris):
            return self.redirect_uris[0]
        return f"http://127.0.0.1:{port}/oauth2callback"

    def config(self) -> Json:
        """The client-secrets form that google-auth-oauthlib takes."""
        return {
            "installed": {
                "client_id": self.client_id,
                "client_secret": self.client_secret,
                "auth_uri": self.auth_uri,
                "token_uri": self.token_uri,
            }
        }


def foreign_hosts(client: OAuthClient) -> tuple[str, ...]:
    """The hosts outside Google, and outside this computer, where a sign-in with ``client`` would
    show its codes and tokens."""
    addresses = (client.auth_uri, client.token_uri, client.revoke_uri, client.userinfo_uri)
    hosts = {
        (urlsplit(address).hostname or "").lower()
        for address in addresses
        if not is_loopback(address)
    }
    return tuple(sorted(hosts - {*_GOOGLE_HOSTS}))


def gives_refresh_tokens_of_google(token_uri: str) -> bool:
    """Whether a refresh token of unknown origin may go there: to Google, or to a stand-in on this
    computer."""
    return is_loopback(token_uri) or urlsplit(token_uri).hostname in _GOOGLE_TOKEN_HOSTS


class ForeignHostError(BadRequestError):
    """The OAuth client signs in outside Google, and the owner has not said yes to that."""

    def __init__(self, hosts: tuple[str, ...]) -> None:
        super().__init__(
            f"The OAuth client signs in at {', '.join(hosts)}, which is not Google: whoever runs "
            "that host receives the codes and tokens of the sign-in.",
            param="client",
            code="oauth_client_outside_google",
        )
        self.hosts = hosts


def is_loopback(address: str) -> bool:
    """Whether the host of a URL is this computer."""
    host = (urlsplit(address).hostname or "").lower()
    return host in ("localhost", "::1") or re.fullmatch(r"127(\.\d{1,3}){3}", host) is not None


def make_client(
    fields: Json, name: str = "the OAuth client", *, borrowed: bool = False
) -> OAuthClient:
    """A client from the fields of a client-secrets file. ``name`` is what errors call the file.

    Raises ``BadRequestError``: a field is missing, or an address is neither https nor loopback.
    """
    token_uri = _address(fields, "token_uri", GOOGLE_TOKEN_URI, name)
    token = urlsplit(token_uri)
    if token.hostname in _GOOGLE_TOKEN_HOSTS:
        revoke, userinfo = _GOOGLE_REVOKE_URI, _GOOGLE_USERINFO_URI
    else:
        origin = f"{token.scheme}://{token.netloc}"
        revoke, userinfo = f"{origin}/revoke", f"{origin}/oauth2/v2/userinfo"
    redirects = fields.get("redirect_uris")
    return OAuthClient(
        client_id=_text(fields, "client_id", name),
        client_secret=_text(fields, "client_secret", name),
        auth_uri=_address(fields, "auth_uri", GOOGLE_AUTH_URI, name),
        token_uri=token_uri,
        redirect_uris=tuple(u for u in redirects if isinstance(u, str))
        if isinstance(redirects, list)
        else (),
        revoke_uri=_address(fields, "revoke_uri", revoke, name),
        userinfo_uri=_address(fields, "userinfo_uri", userinfo, name),
        borrowed=borrowed,
    )


def _text(fields: Json, field: str, name: str) -> str:
    value = fields.get(field)
    if not isinstance(value, str) or not value.strip():
        raise BadRequestError(f"{name}: {field} is missing", param=field)
    return value.strip()


def _address(fields: Json, field: str, default: str, name: str) -> str:
    value = fields.get(field) or default
    try:
        parts = urlsplit(value if isinstance(value, str) else "")
        good = parts.scheme == "https" or (parts.scheme == "http" and is_loopback(value))
    except ValueError:
        good = False
    if not good:
        raise BadRequestError(
            f"{name}: {field} must be an https address (http only on this computer)", param=field
        )
    return str(value)


def parse_client(text: str, name: str = "the client file") -> OAuthClient:
    """Read client-secrets JSON: ``{"installed": {...}}``, or ``web`` in its place.

    Raises ``BadRequestError`` that says what is wrong and which file Google means instead.
    """
    try:
        content = loads(text.encode("utf-8", "replace"))
    except ValueError as error:
        raise BadRequestError(f"{name} is not JSON: {error}", param="client") from error
    if not isinstance(content, dict):
        raise BadRequestError(f"{name} is not a client-secrets file", param="client")
    if content.get("type") in ("service_account", "authorized_user"):
        raise BadRequestError(
            f"{name} holds a credential ({content['type']}), not an OAuth client; in the Google "
            "Cloud console create an OAuth client ID of the type 'Desktop app' and download it",
            param="client",
        )
    fields = content.get("installed") or content.get("web")
    if not isinstance(fields, dict):
        raise BadRequestError(f'{name}: the object "installed" is missing', param="installed")
    return make_client(fields, name)


def save_client(data_dir: Path, text: str) -> OAuthClient:
    """Check a client-secrets file from the setup page and keep it. Raises ``BadRequestError``."""
    client = parse_client(text, CLIENT_FILE)
    write_private(data_dir / CLIENT_FILE, text)
    return client


def find_client(
    data_dir: Path, client_file: Path | None, *, allow_gemini_cli: bool
) -> OAuthClient | None:
    """The client to use, in the contract's order (section 3); None when there is none.

    Raises ``BadRequestError`` naming the file that cannot be used.
    """
    if client_file is not None:
        return _from_file(client_file, f"GOOGLE_OAUTH_CLIENT_FILE ({client_file})")
    dropped = data_dir / CLIENT_FILE
    if dropped.exists():
        return _from_file(dropped, str(dropped))
    return gemini_cli_client() if allow_gemini_cli else None


def _from_file(path: Path, name: str) -> OAuthClient:
    try:
        text = path.read_text("utf-8")
    except (OSError, UnicodeDecodeError) as error:
        raise BadRequestError(f"{name} cannot be read: {error}", param="client") from error
    return parse_client(text, name)


# ── the Gemini CLI on this computer ──────────────────────────────────────────────────────────────


def gemini_cli_client(
    home: Path | None = None, which: Callable[[str], str | None] = shutil.which
) -> OAuthClient | None:
    """The client of the installed Gemini CLI, read from its scripts; None when it is not there.

    Call it only after the user has agreed. Both constants stand in ``code_assist/oauth2.js`` of
    ``@google/gemini-cli-core`` (Gemini CLI 0.61), or in the one bundle of ``@google/gemini-cli``.
    """
    for package in gemini_cli_packages(home or Path.home(), which("gemini")):
        for script in _scripts(package):
            try:
                text = script.read_text("utf-8", "replace")
            except OSError:
                continue
            client_id, secret = _CLI_ID.search(text), _CLI_SECRET.search(text)
            if client_id and secret:
                fields = {"client_id": client_id[1], "client_secret": secret[1]}
                return make_client(fields, "Gemini CLI", borrowed=True)
    return None


def gemini_cli_packages(home: Path, command: str | None) -> Iterator[Path]:
    """Folders of the installed CLI, most likely first. ``command``: the path of ``gemini``."""
    seen = set()
    for modules in _module_folders(home, command):
        for name in _CLI_PACKAGES:
            for package in (modules / name, modules / _CLI_PACKAGES[0] / "node_modules" / name):
                if package.is_dir() and package not in seen:
                    seen.add(package)
                    yield package


def _module_folders(home: Path, command: str | None) -> Iterator[Path]:
    """Every ``node_modules`` a global npm install may have used."""
    if command:
        for start in (Path(command).resolve(), Path(command)):
            for folder in start.parents:
                yield from (folder / "node_modules", folder / "lib" / "node_modules")
                if folder.name == "node_modules":
                    yield folder
    yield home / "AppData" / "Roaming" / "npm" / "node_modules"
    for prefix in (home / ".npm-global", home / ".local", *sorted(home.glob(".nvm/versions/*/*"))):
        yield prefix / "lib" / "node_modules"
    for system in ("/usr/local", "/opt/homebrew", "/usr"):
        yield Path(system, "lib", "node_modules")


def _scripts(package: Path) -> Iterator[Path]:
    """The file that is known to hold the constants, then the bundles."""
    yield package / "dist" / "src" / "code_assist" / "oauth2.js"
    for script in sorted((package / "bundle").glob("*.js")):
        if script.stat().st_size <= _LARGEST_SCRIPT:
            yield script
