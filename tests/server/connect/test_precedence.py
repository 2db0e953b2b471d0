"""A tool counts as connected only when its own order of precedence leads to this server.

Each row is one switch that the tool obeys before our settings; the tool's file has its source.
"""

import dataclasses
from pathlib import Path

import pytest

from server.connect.connector import Connector
from server.connect.places import Places
from server.connect.tool import Target
from server.connect.tools import named

BASE = "http://127.0.0.1:8081"
TARGET = Target(BASE, "gemini-best", "gemini-fast")
SECRET = Target(BASE, "gemini-best", "gemini-fast", "s3cret-key", True)


def connector(tmp_path: Path, **environ: str) -> Connector:
    """A user who works in a folder of a repository below their home."""
    home = tmp_path / "home"
    work = home / "work" / "deep"
    (home / "work" / ".git").mkdir(parents=True, exist_ok=True)
    work.mkdir(exist_ok=True)
    environ = {"PATH": "", **environ}
    places = Places(home, environ, "linux", folder=work, system=tmp_path / "system")
    return Connector(places, tmp_path / "data")


def put(path: Path, text: str) -> bytes:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text)
    return path.read_bytes()


def env(name: str, value: str = "1") -> str:
    return f'{{\n  "env": {{\n    "MINE": "1",\n    "{name}": "{value}"\n  }}\n}}\n'


CHANGEABLE = [
    ("claude-code", ".claude/settings.json", env("CLAUDE_CODE_USE_BEDROCK")),
    ("claude-code", ".claude/settings.json", env("ANTHROPIC_BASE_URL", "https://else.example")),
    ("claude-code", "work/deep/.claude/settings.json", env("CLAUDE_CODE_USE_VERTEX")),
    ("claude-code", "work/deep/.claude/settings.local.json", env("CLAUDE_CODE_USE_FOUNDRY")),
    ("claude-code", "work/.claude/settings.local.json", env("ANTHROPIC_BASE_URL", BASE + "2")),
    ("claude-code", "work/.claude/settings.json", env("ANTHROPIC_MODEL", "us.anthropic.x")),
    ("codex", ".codex/config.toml", 'profile = "work"\nmodel = "x"\n'),
    ("codex", "work/.codex/config.toml", '# mine\nmodel_provider = "openai"\na = 1\n'),
    ("gemini-cli", "work/.env", "# mine\nA=1\n"),
    ("gemini-cli", "work/deep/.gemini/.env", "GOOGLE_GEMINI_BASE_URL=https://else.example\n"),
    (
        "gemini-cli",
        "work/deep/.gemini/settings.json",
        '{"security": {"auth": {"selectedType": "vertex-ai", "x": 1}}}\n',
    ),
    ("aider", "work/.aider.conf.yml", "openai-api-base: https://else.example/v1\ndark: true\n"),
    ("aider", "work/deep/.aider.conf.yml", "# mine\nmodel: sonnet\n"),
    ("aider", ".env", "AIDER_MODEL=sonnet\nA=1\n"),
    ("opencode", "work/opencode.json", '{"model": "anthropic/x", "a": 1}\n'),
    ("opencode", "work/deep/.opencode/opencode.jsonc", '{"disabled_providers": ["gemini-proxy"]}'),
    ("kilo", "work/kilo.json", '{"enabled_providers": ["openai"]}'),
]


@pytest.mark.parametrize(("name", "file", "text"), CHANGEABLE)
def test_a_file_that_wins_is_changed_after_it_was_shown_and_undone_from_anywhere(
    name: str, file: str, text: str, tmp_path: Path
) -> None:
    at, tool = connector(tmp_path), named(name)
    assert tool
    path = at.places.home / file
    elsewhere = Connector(dataclasses.replace(at.places, folder=None), tmp_path / "data")
    if file.startswith("work"):  # connected from another folder, then the user comes to this one
        elsewhere.apply(elsewhere.plan(tool, TARGET))
    before = put(path, text)
    assert at.state(tool, TARGET) != "connected"
    plan = at.plan(tool, TARGET)
    assert at.places.shown(path) in plan.diff()
    at.apply(plan)
    assert at.state(tool, TARGET) == "connected"
    assert at.rivals(tool, TARGET) == []
    later = b"\n# later\n" if path.suffix not in (".json", ".jsonc") else b"\n// later\n"
    path.write_bytes(path.read_bytes() + later)
    elsewhere.undo(elsewhere.undo_plan(tool))
    assert path.read_bytes() == before + later
    assert not at.undoable(tool)


FIXED = [
    ("claude-code", "etc/claude-code/managed-settings.json", env("CLAUDE_CODE_USE_BEDROCK")),
    ("claude-code", "etc/claude-code/managed-settings.d/1.json", env("ANTHROPIC_BASE_URL", "x")),
    ("codex", "etc/codex/managed_config.toml", 'model_provider = "openai"\n'),
    (
        "gemini-cli",
        "etc/gemini-cli/settings.json",
        '{"security": {"auth": {"enforcedType": "oauth-personal"}}}',
    ),
]


@pytest.mark.parametrize(("name", "file", "text"), FIXED)
def test_a_file_of_the_machine_is_named_and_left(
    name: str, file: str, text: str, tmp_path: Path
) -> None:
    at, tool = connector(tmp_path), named(name)
    assert tool
    at.apply(at.plan(tool, TARGET))
    assert at.state(tool, TARGET) == "connected"
    before = put(tmp_path / "system" / file, text)
    assert at.plan(tool, TARGET).empty
    assert at.state(tool, TARGET) == "overruled"
    (sentence,) = at.rivals(tool, TARGET)
    assert str(tmp_path / "system" / file) in sentence
    assert (tmp_path / "system" / file).read_bytes() == before


OWN = [
    ("opencode", ".config/opencode/opencode.json", '{"model": "anthropic/x"}'),
    ("opencode", ".config/opencode/config.json", '{"enabled_providers": ["x"]}'),
    ("goose", ".config/goose/config.yaml", "GOOSE_PROVIDER: openai\n"),
    ("zed", ".config/zed/settings.json", '{"agent": {"default_model": {"provider": "zed.dev"}}}'),
    ("llm", ".config/io.datasette.llm/aliases.json", '{"gemini-proxy": "gpt-5"}'),
]


@pytest.mark.parametrize(("name", "file", "text"), OWN)
def test_a_choice_that_the_user_made_in_the_tool_stays_and_is_named(
    name: str, file: str, text: str, tmp_path: Path
) -> None:
    at, tool = connector(tmp_path), named(name)
    assert tool
    put(at.places.home / file, text)
    at.apply(at.plan(tool, TARGET))
    assert at.state(tool, TARGET) == "overruled"
    (sentence,) = at.rivals(tool, TARGET)
    assert f"~/{file}" in sentence


@pytest.mark.parametrize(
    ("name", "variable", "value", "target"),
    [
        ("claude-code", "CLAUDE_CODE_PROVIDER_MANAGED_BY_HOST", "1", TARGET),
        ("gemini-cli", "GOOGLE_GEMINI_BASE_URL", "https://else.example", TARGET),
        ("gemini-cli", "GEMINI_API_KEY", "my-own-key", SECRET),
        ("aider", "AIDER_MODEL", "sonnet", TARGET),
        ("aider", "AIDER_OPENAI_API_BASE", "https://else.example/v1", TARGET),
        ("aider", "AIDER_OPENAI_API_KEY", "my-own-key", SECRET),
        ("goose", "GOOSE_PROVIDER", "openai", TARGET),
    ],
)
def test_a_variable_that_wins_is_named_without_its_secret(
    name: str, variable: str, value: str, target: Target, tmp_path: Path
) -> None:
    at, tool = connector(tmp_path, **{variable: value}), named(name)
    assert tool
    at.apply(at.plan(tool, target))
    assert at.state(tool, target) == "overruled"
    (sentence,) = at.rivals(tool, target)
    assert f"The environment sets {variable}" in sentence
    assert f"unset {variable}" in sentence
    assert "my-own-key" not in sentence


@pytest.mark.parametrize(
    ("name", "variable", "value"),
    [
        ("claude-code", "CLAUDE_CODE_USE_BEDROCK", "1"),  # the file's own env replaces it
        ("claude-code", "ANTHROPIC_BASE_URL", "https://else.example"),
        ("claude-code", "CLAUDE_CODE_PROVIDER_MANAGED_BY_HOST", "0"),
        ("codex", "OPENAI_BASE_URL", "https://else.example"),
        ("gemini-cli", "GOOGLE_GEMINI_BASE_URL", f"{BASE}/"),
        ("gemini-cli", "GEMINI_API_KEY", "my-own-key"),
        ("gemini-cli", "GOOGLE_GENAI_USE_VERTEXAI", "true"),
        ("aider", "AIDER_MODEL", "openai/gemini-best"),
        ("aider", "OPENAI_API_BASE", "https://else.example"),
        ("goose", "GOOSE_PROVIDER", "gemini_proxy"),
    ],
)
def test_a_variable_that_loses_is_no_obstacle(
    name: str, variable: str, value: str, tmp_path: Path
) -> None:
    at, tool = connector(tmp_path, **{variable: value}), named(name)
    assert tool
    at.apply(at.plan(tool, TARGET))
    assert at.rivals(tool, TARGET) == []
    assert at.state(tool, TARGET) == "connected"


@pytest.mark.parametrize(
    ("name", "file", "text"),
    [
        ("claude-code", "work/.claude/settings.json", env("CLAUDE_CODE_USE_BEDROCK", "0")),
        ("claude-code", "work/.claude/settings.json", env("ANTHROPIC_BASE_URL", f"{BASE}/")),
        ("claude-code", "work/.claude/settings.json", env("ANTHROPIC_MODEL", "claude-opus-4-8")),
        ("codex", "work/.codex/config.toml", 'model = "gpt-5"\n'),
        ("gemini-cli", "work/.env", f"GOOGLE_GEMINI_BASE_URL={BASE}\nGEMINI_API_KEY=any\n"),
        ("aider", "work/.aider.conf.yml", "dark: true\n"),
        ("opencode", "work/opencode.json", '{"model": "gemini-proxy/gemini-fast"}'),
    ],
)
def test_what_leads_here_too_is_left_alone(name: str, file: str, text: str, tmp_path: Path) -> None:
    at, tool = connector(tmp_path), named(name)
    assert tool
    before = put(at.places.home / file, text)
    at.apply(at.plan(tool, TARGET))
    assert at.state(tool, TARGET) == "connected"
    assert (at.places.home / file).read_bytes() == before


def test_the_shells_provider_is_replaced_by_the_file(tmp_path: Path) -> None:
    at, tool = connector(tmp_path), named("claude-code")
    assert tool
    at.apply(at.plan(tool, TARGET))
    text = (at.places.home / ".claude" / "settings.json").read_text()
    for name in ("BEDROCK", "VERTEX", "FOUNDRY", "ANTHROPIC_AWS", "MANTLE", "GATEWAY"):
        assert f'"CLAUDE_CODE_USE_{name}": ""' in text


def test_a_home_folder_is_no_project(tmp_path: Path) -> None:
    home = tmp_path / "home"
    (home / "a" / "b").mkdir(parents=True)
    places = Places(home, {}, "linux", folder=home / "a" / "b")
    assert places.project() == [home / "a" / "b"]
    assert places.project(to_the_root=True) == [home / "a" / "b", home / "a"]
    (home / "a" / ".git").mkdir()
    assert places.project() == [home / "a" / "b", home / "a"]
    assert dataclasses.replace(places, folder=home).project() == []
    assert dataclasses.replace(places, folder=None).project() == []
