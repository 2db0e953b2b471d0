"""Sheets to copy: complete, right for each client, without a secret that is not meant for them."""

import json
import tomllib
from pathlib import Path

from tests.rig import running
from webui.connect import Sheet, sheets

BASE = "http://127.0.0.1:8081"


def all_sheets() -> dict[str, Sheet]:
    return {sheet.id: sheet for sheet in sheets(BASE, "any", "gemini-2.5-pro", "gemini-2.5-flash")}


def test_every_tool_has_its_sheet_with_the_address() -> None:
    found = all_sheets()
    assert set(found) == {
        *("claude-code", "codex", "openai", "anthropic", "cline", "continue", "zed", "opencode"),
        *("n8n", "gemini"),
    }
    for sheet in found.values():
        assert any(BASE in snippet.text for snippet in sheet.snippets), sheet.id


def test_anthropic_clients_get_the_address_without_v1_and_openai_clients_with_it() -> None:
    found = all_sheets()
    for name in ("claude-code", "anthropic", "gemini"):
        assert f"{BASE}/v1" not in "".join(snippet.text for snippet in found[name].snippets)
    for name in ("codex", "openai", "cline", "continue", "zed", "opencode", "n8n"):
        assert f"{BASE}/v1" in "".join(snippet.text for snippet in found[name].snippets)


def test_files_to_copy_are_well_formed() -> None:
    found = all_sheets()
    assert json.loads(found["claude-code"].snippets[1].text)["env"]["ANTHROPIC_BASE_URL"] == BASE
    assert tomllib.loads(found["codex"].snippets[0].text)["model_provider"] == "gemini-proxy"
    for name in ("zed", "opencode"):
        assert json.loads(found[name].snippets[0].text)


def test_python_to_copy_compiles() -> None:
    for name, number in (("openai", 1), ("anthropic", 0)):
        compile(all_sheets()[name].snippets[number].text, name, "exec")


async def test_a_set_key_is_asked_for_and_not_shown(tmp_path: Path) -> None:
    async with running(tmp_path, api_keys=("very-secret",)) as rig:
        answer = await rig.http.get("/connect", headers={"x-api-key": "very-secret"})
        assert "very-secret" not in answer.text
        assert "one of your API_KEY" in answer.text
