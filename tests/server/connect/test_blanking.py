"""Secrets of every kind stay out of what is shown; what says nothing secret stays readable."""

import json

import pytest

from server.connect.blanking import blanked, names_a_secret
from server.connect.formats import DOTENV, JSON, TOML, YAML_FILE, Format
from server.connect.tool import Target
from server.connect.tools import TOOLS

SECRET = "h7-my secret"  # looks like nothing, and has a space


@pytest.mark.parametrize(
    ("form", "text"),
    [
        (DOTENV, f"GEMINI_API_KEY='{SECRET}'\n"),
        (DOTENV, f"# OLD_API_KEY='{SECRET}'\nA=1\n"),
        (DOTENV, f'export DB_PASSWORD="{SECRET}"  # mine\n'),
        (JSON, f'{{"env": {{"OPENAI_API_KEY": "{SECRET}"}}}}'),
        (JSON, f'{{"apiKey":\n   "{SECRET}"}}'),
        (JSON, f'{{"headers": {{"X-Custom": "{SECRET}"}}}}'),
        (JSON, f'{{"args": ["--api-key", "{SECRET}"]}}'),
        (JSON, f'{{\n  // "authToken": "{SECRET}",\n  "a": 1\n}}'),
        (JSON, '{"clientSecret": "a\\"b\\\\h7-my secret"}'),
        (TOML, f'experimental_bearer_token = "{SECRET}"\n'),
        (TOML, f'http_headers = {{ "X-Team" = "{SECRET}" }}\n'),
        (TOML, f'password = """\nfirst\n{SECRET}\n"""\n'),
        (YAML_FILE, f"openai-api-key: {SECRET}\n"),
        (YAML_FILE, f"apiKey: >-\n  {SECRET}\n"),
        (YAML_FILE, f"secrets:\n  mine: 1\nservice_token:\n  '{SECRET}'\n"),
    ],
)
def test_a_secret_is_known_by_its_name(form: Format, text: str) -> None:
    shown = blanked("\n".join(f"+{line}" for line in text.splitlines()), form.parse(text))
    assert SECRET not in shown
    assert "my secret" not in shown
    assert "<hidden>" in shown


@pytest.mark.parametrize(
    "secret",
    [
        "AIza" + "SyA1234567890abcdefghijklmnopqrstuv",
        "sk-ant-api03-abcdefghijklmnop",
        "ghp_abcdefghijklmnopqrstuvwxyz012345",
        "AKIAIOSFODNN7EXAMPLE",
        "eyJhbGciOiJIUzI1NiJ9.eyJzdWIiOiIxIn0.abcdef",
        "0123456789abcdef0123456789abcdef",
        "123e4567-e89b-12d3-a456-426614174000",
        "kJ8sd7Gh2lPq9Xz4Vb6Nm1Qw3Er5Ty",
    ],
)
def test_a_secret_is_known_by_its_look_under_any_name(secret: str) -> None:
    for text in (f'+  "x": "{secret}",', f"-x = {secret}", f" # {secret}"):
        assert secret not in blanked(text)


def test_logins_in_addresses_and_bearers_are_no_ones_to_see() -> None:
    assert blanked("url: https://me:pw1@host/x") == "url: https://<hidden>@host/x"
    assert "abcdef1" not in blanked("-H 'X: Bearer abcdef1'")


def test_what_is_no_secret_stays_readable() -> None:
    for text in (
        '+env_key = "GEMINI_PROXY_KEY"',
        '+  "ANTHROPIC_AUTH_TOKEN": "any",',
        '+  "ANTHROPIC_API_KEY": "",',
        '-  "apiKey": "{env:OPENAI_API_KEY}",',
        "+GEMINI_API_KEY=any",
        ' "max_tokens": 64000, "tokenSource": "manual",',
        ' "selectedType": "gemini-api-key"',
        '+ "baseUrl": "http://127.0.0.1:8081/v1"',
        " api_key_name: gemini-proxy",
        ' "model": "claude-gp-gemini-best"',
        '+  "apiKey": "<your API_KEY>"',
    ):
        assert blanked(text) == text


def test_every_settings_to_copy_can_be_read_as_it_is() -> None:
    target = Target("http://127.0.0.1:8081", "gemini-best", "gemini-fast")
    for tool in TOOLS:
        for file in tool.snippets(target):
            try:
                said = json.loads(file.text)
            except ValueError:
                said = None
            assert blanked(file.text, said) == file.text


def test_names_of_secrets() -> None:
    for name in ("OPENAI_API_KEY", "apiKey", "x-api-key", "AWS_SECRET_ACCESS_KEY", "openaikey"):
        assert names_a_secret(name)
    for name in ("max_tokens", "apiKeyHelper", "env_key_name", "model", "keybindings", "author"):
        assert not names_a_secret(name)
