"""What each tool is told, and where, on each system. Facts: the sources its file names."""

import asyncio
import json
import sys
import tomllib
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from server.connect.formats import YAML_FILE, rewritten
from server.connect.places import Places
from server.connect.tool import Target, exported
from server.connect.tools import TOOLS, named
from tests.rig import running

BASE = "http://127.0.0.1:8081"
TARGET = Target(BASE, "gemini-best", "gemini-fast", main="gemini-main")
SECRET = Target(BASE, "gemini-best", "gemini-fast", "s3cret-key", True)
HOME = Path("/home/me")
ROAMING = HOME / "AppData" / "Roaming"
SUPPORT = HOME / "Library" / "Application Support"


def files(name: str, places: Places | None = None, target: Target = TARGET) -> dict[Path, Any]:
    """What a tool's files say after connecting, where there were none."""
    tool = named(name)
    assert tool
    assert tool.files
    found = {}
    for file in tool.files(places or Places(HOME, {}, "linux"), target):
        found[file.path] = file.form.parse(rewritten(file.form, "", file.edits))
    return found


def said(name: str, target: Target = TARGET) -> Any:
    return next(iter(files(name, target=target).values()))


@dataclass(frozen=True, slots=True)
class Where:
    tool: str
    linux: Path
    darwin: Path
    win32: Path


@pytest.mark.parametrize("system", ["linux", "darwin", "win32"])
@pytest.mark.parametrize(
    "where",
    [
        Where("claude-code", *[HOME / ".claude" / "settings.json"] * 3),
        Where("codex", *[HOME / ".codex" / "config.toml"] * 3),
        Where(
            "vscode",
            HOME / ".config" / "Code" / "User" / "chatLanguageModels.json",
            SUPPORT / "Code" / "User" / "chatLanguageModels.json",
            ROAMING / "Code" / "User" / "chatLanguageModels.json",
        ),
        Where("continue", *[HOME / ".continue" / "config.yaml"] * 3),
        Where("opencode", *[HOME / ".config" / "opencode" / "opencode.json"] * 3),
        Where("kilo", *[HOME / ".config" / "kilo" / "kilo.jsonc"] * 3),
        Where("cline", *[HOME / ".cline" / "data" / "settings" / "providers.json"] * 3),
        Where(
            "zed",
            HOME / ".config" / "zed" / "settings.json",
            HOME / ".config" / "zed" / "settings.json",
            ROAMING / "Zed" / "settings.json",
        ),
        Where("aider", *[HOME / ".aider.conf.yml"] * 3),
        Where(
            "goose",
            HOME / ".config" / "goose" / "custom_providers" / "gemini_proxy.json",
            HOME / ".config" / "goose" / "custom_providers" / "gemini_proxy.json",
            ROAMING / "Block" / "goose" / "config" / "custom_providers" / "gemini_proxy.json",
        ),
        Where(
            "llm",
            HOME / ".config" / "io.datasette.llm" / "extra-openai-models.yaml",
            SUPPORT / "io.datasette.llm" / "extra-openai-models.yaml",
            ROAMING / "io.datasette.llm" / "extra-openai-models.yaml",
        ),
        Where("gemini-cli", *[HOME / ".gemini" / ".env"] * 3),
    ],
    ids=lambda where: where.tool,
)
def test_each_tool_keeps_its_settings_in_its_own_place(where: Where, system: str) -> None:
    places = Places(HOME, {}, system)
    assert next(iter(files(where.tool, places))) == getattr(where, system)


@pytest.mark.parametrize(
    ("tool", "variable", "path"),
    [
        ("claude-code", "CLAUDE_CONFIG_DIR", "settings.json"),
        ("codex", "CODEX_HOME", "config.toml"),
        ("continue", "CONTINUE_GLOBAL_DIR", "config.yaml"),
        ("opencode", "XDG_CONFIG_HOME", "opencode/opencode.json"),
        ("llm", "LLM_USER_PATH", "extra-openai-models.yaml"),
        ("gemini-cli", "GEMINI_CLI_HOME", ".gemini/.env"),
    ],
)
def test_a_tools_own_variable_moves_its_folder(tool: str, variable: str, path: str) -> None:
    places = Places(HOME, {variable: "/else/where"}, "linux")
    assert next(iter(files(tool, places))) == Path("/else/where") / path


def test_an_existing_file_of_another_name_is_used(tmp_path: Path) -> None:
    other = tmp_path / ".config" / "opencode" / "opencode.jsonc"
    insiders = tmp_path / ".config" / "Code - Insiders" / "User"
    for path in (other.parent, insiders):
        path.mkdir(parents=True)
    other.write_text("{}")
    places = Places(tmp_path, {}, "linux")
    assert list(files("opencode", places)) == [other]
    assert list(files("vscode", places)) == [insiders / "chatLanguageModels.json"]


def test_claude_code_gets_the_root_and_all_tiers() -> None:
    env = said("claude-code")["env"]
    assert env["ANTHROPIC_BASE_URL"] == BASE
    assert env["ANTHROPIC_API_KEY"] == ""
    tiers = {name: env[f"ANTHROPIC_DEFAULT_{name}_MODEL"] for name in ("OPUS", "SONNET", "HAIKU")}
    assert tiers == {
        "OPUS": "claude-gp-gemini-best",
        "SONNET": "claude-gp-gemini-main",
        "HAIKU": "claude-gp-gemini-fast",
    }
    assert env["ANTHROPIC_MODEL"] == "claude-gp-gemini-best"
    assert all(isinstance(value, str) for value in env.values())


def test_codex_speaks_responses_under_an_id_of_its_own() -> None:
    config = said("codex")
    provider = config["model_providers"][config["model_provider"]]
    assert config["model_provider"] not in ("openai", "ollama", "lmstudio")
    assert provider == {
        "name": "Gemini API Proxy",
        "base_url": f"{BASE}/v1",
        "wire_api": "responses",
    }
    secret = said("codex", SECRET)["model_providers"]["gemini-proxy"]
    assert secret["env_key"] == "GEMINI_PROXY_KEY"


def test_vs_code_shows_the_models_in_agent_mode() -> None:
    (group,) = said("vscode")
    assert (group["vendor"], group["apiType"]) == ("customendpoint", "chat-completions")
    assert [model["id"] for model in group["models"]] == [
        "gemini-best",
        "gemini-main",
        "gemini-fast",
    ]
    for model in group["models"]:
        assert model["url"] == f"{BASE}/v1/chat/completions"
        assert model["toolCalling"] is True
        assert model["maxInputTokens"] + model["maxOutputTokens"] == 1_048_576


def test_continue_declares_what_the_model_can_do() -> None:
    config = said("continue")
    assert {"name", "version", "schema"} < set(config)
    assert config["schema"] == "v1"
    (model,) = config["models"]
    assert model["capabilities"] == ["tool_use", "image_input"]
    assert model["apiBase"] == f"{BASE}/v1"


@pytest.mark.parametrize("name", ["opencode", "kilo"])
def test_opencode_and_kilo_get_a_provider_of_their_own(name: str) -> None:
    config = said(name)
    provider = config["provider"]["gemini-proxy"]
    assert provider["options"] == {"baseURL": f"{BASE}/v1", "apiKey": "any"}
    assert config["model"] == "gemini-proxy/gemini-best"
    assert config["$schema"].endswith("config.json")
    limit = provider["models"]["gemini-best"]["limit"]
    assert limit == {"context": 1_048_576, "output": 65_536}


def test_zed_gets_every_model_and_never_a_key() -> None:
    config = said("zed", SECRET)
    provider = config["language_models"]["openai_compatible"]["gemini-proxy"]
    assert provider["api_url"] == f"{BASE}/v1"
    for model in provider["available_models"]:
        assert set(model) >= {"name", "display_name", "max_tokens"}
        known = {"tools", "images", "parallel_tool_calls", "prompt_cache_key"}
        assert set(model["capabilities"]) == known
    assert "s3cret-key" not in json.dumps(config)


def test_aider_gets_models_with_their_prefix() -> None:
    assert said("aider") == {
        "openai-api-base": f"{BASE}/v1",
        "openai-api-key": "any",
        "model": "openai/gemini-best",
        "weak-model": "openai/gemini-fast",
    }


def test_goose_gets_the_full_address_and_asks_for_a_key_only_where_one_is_wanted() -> None:
    provider = said("goose")
    required = {"name", "engine", "display_name", "base_url", "models"}
    assert required <= set(provider)
    assert provider["engine"] == "openai"
    assert provider["base_url"] == f"{BASE}/v1/chat/completions"
    assert (provider["requires_auth"], provider["api_key_env"]) == (False, "")
    secret = said("goose", SECRET)
    assert (secret["requires_auth"], secret["api_key_env"]) == (True, "GEMINI_PROXY_KEY")
    assert all(set(model) == {"name", "context_limit"} for model in provider["models"])


def test_llm_takes_its_key_from_its_own_store() -> None:
    assert "api_key_name" not in said("llm")[0]
    (entry,) = said("llm", SECRET)
    assert entry["api_key_name"] == "gemini-proxy"
    assert "s3cret-key" not in json.dumps(entry)


def test_gemini_cli_is_told_where_and_how() -> None:
    env, settings = files("gemini-cli").values()
    assert env == {"GOOGLE_GEMINI_BASE_URL": BASE, "GEMINI_API_KEY": "any"}
    assert settings == {"security": {"auth": {"selectedType": "gemini-api-key"}}}


# -- sheets to copy -----------------------------------------------------------------------------


def test_every_tool_of_the_readme_is_there() -> None:
    assert {tool.id for tool in TOOLS} == {
        *("claude-code", "codex", "vscode", "continue", "opencode", "kilo", "zed", "aider"),
        *("goose", "llm", "gemini-cli", "cline", "roo", "jetbrains", "n8n", "open-webui"),
        *("cursor", "openai", "anthropic", "google-genai", "curl"),
    }


def test_every_sheet_names_the_address() -> None:
    for tool in TOOLS:
        texts = [snippet.text for snippet in tool.snippets(TARGET)]
        assert tool.id == "cursor" or any(BASE in text for text in texts), tool.id


def test_cursor_is_told_the_truth() -> None:
    cursor = named("cursor")
    assert cursor
    assert "cannot reach this server" in cursor.note
    assert not cursor.snippets(TARGET)


def test_what_is_to_copy_is_what_would_be_written() -> None:
    readers = {
        "claude-code": json.loads,
        "codex": tomllib.loads,
        "vscode": json.loads,
        "continue": YAML_FILE.parse,
        "zed": json.loads,
        "aider": YAML_FILE.parse,
        "goose": json.loads,
        "llm": YAML_FILE.parse,
    }
    for name, read in readers.items():
        tool = named(name)
        assert tool
        snippet = tool.snippets(TARGET)[-1]
        assert read(snippet.text) == said(name), name


@pytest.mark.parametrize("name", ["openai", "anthropic", "google-genai", "curl"])
async def test_the_programs_to_copy_run(name: str, tmp_path: Path) -> None:
    """Node's: tests/agents."""
    tool = named(name)
    assert tool
    async with running(tmp_path) as rig:
        wanted = Target(rig.url, "gemini-best", "gemini-fast")
        (text,) = (
            snippet.text
            for snippet in tool.snippets(wanted)
            if snippet.where in ("Python", "In a terminal")
        )
        command = ["sh", "-c", text] if name == "curl" else [sys.executable, "-c", text]
        process = await asyncio.create_subprocess_exec(
            *command, stdout=asyncio.subprocess.PIPE, stderr=asyncio.subprocess.PIPE
        )
        out, err = await process.communicate()
        assert process.returncode == 0, err
        assert "Hello" in out.decode()
        (entry,) = (await rig.usage())["recent_requests"]
        assert entry["outcome"] == "ok"


def test_names_are_found_however_they_are_written() -> None:
    for name, wanted in (
        ("Claude Code", "claude-code"),
        ("claude", "claude-code"),
        ("VS Code", "vscode"),
        ("cn", "continue"),
        ("OPENCODE", "opencode"),
        ("gemini", "gemini-cli"),
    ):
        tool = named(name)
        assert tool is not None
        assert tool.id == wanted
    assert named("nothing of the kind") is None


def test_a_program_is_found_on_the_path(tmp_path: Path) -> None:
    (tmp_path / "codex").write_text("#!/bin/sh\n")
    (tmp_path / "codex").chmod(0o755)
    places = Places(tmp_path, {"PATH": str(tmp_path)})
    assert places.program("nothing", "codex") == str(tmp_path / "codex")
    assert Places(tmp_path, {"PATH": ""}).program("codex") is None
    assert places.shown(tmp_path / "x" / "y") == "~/x/y"
    assert places.shown(Path("/x")) == "/x"


def test_a_shell_is_spoken_to_in_its_own_way(monkeypatch: pytest.MonkeyPatch) -> None:
    assert exported("NAME", "value") == "export NAME=value"
    monkeypatch.setattr("sys.platform", "win32")
    assert exported("NAME", "value") == '$env:NAME = "value"'
