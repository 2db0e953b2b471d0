"""Where the OAuth client comes from, and what a client-secrets file may say."""

import json
import os
from pathlib import Path
from typing import Any

import pytest

from server.auth.oauth_client import (
    find_client,
    gemini_cli_client,
    gemini_cli_packages,
    make_client,
    parse_client,
    save_client,
)
from server.errors import BadRequestError

Json = dict[str, Any]
FIELDS: Json = {"client_id": "id-1.example", "client_secret": "shh"}
LOOPBACK = {
    "auth_uri": "http://127.0.0.1:9/o/oauth2/v2/auth",
    "token_uri": "http://127.0.0.1:9/token",
}


def secrets(**fields: object) -> str:
    return json.dumps({"installed": {**FIELDS, **fields}})


def test_google_is_the_default_for_every_address() -> None:
    client = parse_client(secrets())
    assert client.auth_uri == "https://accounts.google.com/o/oauth2/v2/auth"
    assert client.token_uri == "https://oauth2.googleapis.com/token"
    assert client.revoke_uri == "https://oauth2.googleapis.com/revoke"
    assert client.userinfo_uri == "https://www.googleapis.com/oauth2/v2/userinfo"


def test_another_token_server_has_its_own_revoke_and_userinfo() -> None:
    client = parse_client(secrets(**LOOPBACK))
    assert client.revoke_uri == "http://127.0.0.1:9/revoke"
    assert client.userinfo_uri == "http://127.0.0.1:9/oauth2/v2/userinfo"


def test_addresses_in_the_file_win() -> None:
    client = parse_client(
        secrets(revoke_uri="https://a.example/r", userinfo_uri="https://a.example/u")
    )
    assert (client.revoke_uri, client.userinfo_uri) == (
        "https://a.example/r",
        "https://a.example/u",
    )


def test_a_web_client_is_read_too() -> None:
    assert parse_client(json.dumps({"web": FIELDS})).client_id == "id-1.example"


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("{", "not JSON"),
        ("[]", "not a client-secrets file"),
        ("{}", '"installed" is missing'),
        ('{"installed": []}', '"installed" is missing'),
        ('{"installed": {"client_id": "x"}}', "client_secret is missing"),
        ('{"type": "service_account"}', "Desktop app"),
        ('{"type": "authorized_user"}', "not an OAuth client"),
        (secrets(client_id=" "), "client_id is missing"),
        (secrets(client_id=7), "client_id is missing"),
        (secrets(token_uri="http://evil.example/token"), "https address"),
        (secrets(auth_uri="http://127.0.0.1.evil.example/"), "https address"),
        (secrets(auth_uri="ftp://127.0.0.1/"), "https address"),
        (secrets(token_uri="http://[broken/"), "https address"),
        (secrets(token_uri=5), "https address"),
    ],
)
def test_a_file_that_cannot_be_used_says_why(text: str, words: str) -> None:
    with pytest.raises(BadRequestError, match=words):
        parse_client(text)


@pytest.mark.parametrize(
    ("uris", "redirect"),
    [
        ([], "http://127.0.0.1:8081/oauth2callback"),
        (["http://localhost"], "http://127.0.0.1:8081/oauth2callback"),
        (["https://a.example/cb", "http://localhost"], "http://127.0.0.1:8081/oauth2callback"),
        (["https://a.example/cb"], "https://a.example/cb"),
        ("nonsense", "http://127.0.0.1:8081/oauth2callback"),
    ],
)
def test_the_redirect_is_ours_unless_only_https_is_registered(uris: object, redirect: str) -> None:
    assert parse_client(secrets(redirect_uris=uris)).redirect_uri(8081) == redirect


def test_the_secret_is_in_no_repr() -> None:
    assert "shh" not in repr(make_client(FIELDS))
    assert "id-1.example" not in repr(make_client(FIELDS))


# ── finding it ──


def test_the_order_is_setting_then_dropped_file_then_gemini_cli(tmp_path: Path) -> None:
    named = tmp_path / "named.json"
    named.write_text(secrets(client_id="named"))
    assert find_client(tmp_path, None, allow_gemini_cli=False) is None
    save_client(tmp_path, secrets(client_id="dropped"))
    dropped = find_client(tmp_path, None, allow_gemini_cli=True)
    chosen = find_client(tmp_path, named, allow_gemini_cli=True)
    assert dropped is not None
    assert chosen is not None
    assert (dropped.client_id, chosen.client_id) == ("dropped", "named")


def test_a_named_file_that_is_missing_is_an_error_not_a_fallback(tmp_path: Path) -> None:
    save_client(tmp_path, secrets())
    with pytest.raises(BadRequestError, match="GOOGLE_OAUTH_CLIENT_FILE"):
        find_client(tmp_path, tmp_path / "missing.json", allow_gemini_cli=True)


def test_a_dropped_client_is_kept_private_and_a_bad_one_not_at_all(tmp_path: Path) -> None:
    save_client(tmp_path, secrets())
    kept = tmp_path / "client_secret.json"
    if os.name == "posix":
        assert kept.stat().st_mode & 0o777 == 0o600
    with pytest.raises(BadRequestError):
        save_client(tmp_path, "{}")
    assert json.loads(kept.read_text()) == json.loads(secrets())


SCRIPT = """
const OAUTH_CLIENT_ID = 'cli-id.example';
// comment
const OAUTH_CLIENT_SECRET = 'cli-secret';
"""


@pytest.mark.parametrize(
    "place",
    [
        ".npm-global/lib/node_modules/@google/gemini-cli/node_modules/@google/gemini-cli-core"
        "/dist/src/code_assist/oauth2.js",
        ".nvm/versions/node/v22.0.0/lib/node_modules/@google/gemini-cli-core"
        "/dist/src/code_assist/oauth2.js",
        "AppData/Roaming/npm/node_modules/@google/gemini-cli/bundle/gemini.js",
    ],
)
def test_the_installed_gemini_cli_is_found(tmp_path: Path, place: str) -> None:
    script = tmp_path / place
    script.parent.mkdir(parents=True)
    script.write_text(SCRIPT)
    client = gemini_cli_client(tmp_path, lambda name: None)
    assert client is not None
    assert (client.client_id, client.client_secret) == ("cli-id.example", "cli-secret")
    assert client.borrowed


def test_the_command_on_the_path_leads_to_the_package(tmp_path: Path) -> None:
    script = tmp_path / "prefix/lib/node_modules/@google/gemini-cli/bundle/gemini.js"
    script.parent.mkdir(parents=True)
    script.write_text(SCRIPT)
    command = tmp_path / "prefix/bin/gemini"
    client = gemini_cli_client(tmp_path / "home", lambda name: str(command))
    assert client is not None
    assert client.client_id == "cli-id.example"


def test_without_the_gemini_cli_there_is_nothing_to_find(tmp_path: Path) -> None:
    packages = gemini_cli_packages(tmp_path, None)
    assert not [package for package in packages if package.is_relative_to(tmp_path)]
