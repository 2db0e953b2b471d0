"""The three token file formats."""

import json
from pathlib import Path
from typing import Any

import pytest
from google.oauth2.credentials import Credentials
from hypothesis import given
from hypothesis import strategies as st

from server.auth.oauth_client import make_client
from server.auth.token_files import Credential, parse_token_file, render_token_file, stamp_of

Json = dict[str, Any]
CLIENT = make_client({"client_id": "id-1", "client_secret": "shh"})
OURS = Credential(
    access_token="access-1",
    refresh_token="refresh-1",
    expires_at=1_790_000_000.0,
    client=CLIENT,
    token_uri=CLIENT.token_uri,
    host="cloudcode-pa.googleapis.com",
    scopes=("a", "b"),
    account="ada@example.com",
)


def test_gemini_clis_file_counts_in_milliseconds() -> None:
    text = json.dumps(
        {
            "access_token": "a",
            "refresh_token": "r",
            "scope": "x y",
            "token_type": "Bearer",
            "id_token": "i",
            "expiry_date": 1_790_000_000_000,
        }
    )
    found = parse_token_file(text)
    assert (found.format, found.expires_at) == ("gemini-cli", 1_790_000_000.0)
    assert found.scopes == ("x", "y")
    assert found.client is None


def test_the_original_programs_raw_answer_counts_as_expired() -> None:
    found = parse_token_file('{"access_token": "a", "refresh_token": "r", "expires_in": 3599}')
    assert (found.format, found.expires_at) == ("original", 0.0)


@pytest.mark.parametrize(
    ("expiry", "seconds"),
    [
        ("2026-09-21T14:13:20Z", 1_790_000_000.0),
        ("2026-09-21T14:13:20", 1_790_000_000.0),
        ("2026-09-21T14:13:20.500000Z", 1_790_000_000.5),
        ("2026-09-21T16:13:20+02:00", 1_790_000_000.0),
        ("soon", 0.0),
        (None, 0.0),
        (17, 0.0),
    ],
)
def test_expiry_of_google_auths_file(expiry: object, seconds: float) -> None:
    text = json.dumps({"token": "a", "client_id": "c", "client_secret": "s", "expiry": expiry})
    assert parse_token_file(text).expires_at == seconds


def test_the_application_default_file_of_gcloud_is_one_too() -> None:
    text = json.dumps(
        {
            "type": "authorized_user",
            "client_id": "c",
            "client_secret": "s",
            "refresh_token": "r",
            "quota_project_id": "never-used",
        }
    )
    found = parse_token_file(text)
    assert found.format == "authorized_user"
    assert found.access_token is None
    assert found.client is not None


def test_what_is_written_is_read_back_and_google_auth_reads_it(tmp_path: Path) -> None:
    text = render_token_file(OURS)
    assert parse_token_file(text) == OURS
    path = tmp_path / "token.json"
    path.write_text(text)
    theirs: Any = Credentials.from_authorized_user_file(str(path))  # type: ignore[no-untyped-call]
    assert theirs.token == "access-1"
    assert theirs.refresh_token == "refresh-1"
    assert theirs.expiry.isoformat() == "2026-09-21T14:13:20"
    assert theirs.quota_project_id is None


def test_a_borrowed_client_is_not_written_down() -> None:
    borrowed = make_client({"client_id": "cli-id", "client_secret": "cli-secret"}, borrowed=True)
    text = render_token_file(Credential(access_token="a", refresh_token="r", client=borrowed))
    assert "cli-id" not in text
    assert "cli-secret" not in text
    assert parse_token_file(text).refresh_token == "r"


@pytest.mark.parametrize(
    "text",
    [
        "",
        "{",
        "[]",
        "{}",
        "null",
        '{"token": 5, "client_id": "c"}',
        '{"access_token": ""}',
        '{"token": "t", "client_id": "c", "client_secret": "s", "token_uri": "http://x.example/"}',
    ],
)
def test_anything_else_is_a_value_error(text: str) -> None:
    with pytest.raises(ValueError, match=r".*"):
        parse_token_file(text)


KEYS = [
    *("token", "client_id", "client_secret", "refresh_token", "expiry", "expiry_date"),
    *("expires_in", "scopes", "scope", "access_token", "account", "token_uri"),
]


@given(
    st.dictionaries(
        st.sampled_from(KEYS),
        st.none() | st.booleans() | st.integers() | st.text(max_size=9) | st.just([1]),
    )
)
def test_any_object_is_a_credential_or_a_value_error(content: Json) -> None:
    try:
        found = parse_token_file(json.dumps(content))
    except ValueError:
        return
    assert found.access_token or found.refresh_token


def test_no_token_shows_in_a_repr_or_fingerprint() -> None:
    assert "refresh-1" not in repr(OURS) + OURS.fingerprint
    assert "access-1" not in repr(OURS)


def test_a_stamp_is_none_for_a_missing_file(tmp_path: Path) -> None:
    assert stamp_of(tmp_path / "missing") is None
    (tmp_path / "there").write_text("x")
    assert stamp_of(tmp_path / "there") == stamp_of(tmp_path / "there")
