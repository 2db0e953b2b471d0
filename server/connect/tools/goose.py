"""Goose. Source: aaif-goose/goose ``crates/goose-providers/src/declarative.rs`` (a provider is a
JSON file in ``custom_providers``) and ``documentation/docs/guides/config-files.md``."""

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from server.connect.edits import Data, Put, anything_but
from server.connect.formats import DOTENV, JSON, YAML_FILE
from server.connect.places import Places
from server.connect.tool import (
    CONTEXT_TOKENS,
    KEY_VARIABLE,
    TITLE,
    Ask,
    ConfigFile,
    Rival,
    Snippet,
    Target,
    Tool,
    drops,
    exported,
)

_NAME = "gemini_proxy"


def provider(target: Target) -> dict[str, Any]:
    """The whole file is ours. ``base_url`` is the full address of the endpoint."""
    return {
        "name": _NAME,
        "engine": "openai",
        "display_name": TITLE,
        "description": "Gemini through the proxy on this computer",
        "api_key_env": KEY_VARIABLE if target.secret else "",
        "base_url": f"{target.v1}/chat/completions",
        "models": [{"name": model, "context_limit": CONTEXT_TOKENS} for model in target.models],
        "supports_streaming": True,
        "requires_auth": target.secret,
    }


def _folder(places: Places) -> Path:
    if places.platform == "win32":
        return places.roaming / "Block" / "goose" / "config"
    return places.config / "goose"


def _files(places: Places, target: Target) -> Sequence[ConfigFile]:
    path = _folder(places) / "custom_providers" / f"{_NAME}.json"
    edits = tuple(Put((name,), value) for name, value in provider(target).items())
    return [ConfigFile(path, JSON, edits)]


def _rivals(places: Places, _target: Target) -> Sequence[Rival]:
    """The provider that is chosen; a variable wins over the choice."""
    chosen = drops("GOOSE_PROVIDER", harm=anything_but(_NAME))
    return [Rival(None, DOTENV, chosen), Rival(_folder(places) / "config.yaml", YAML_FILE, chosen)]


def _ask(said: Sequence[Data], target: Target) -> Ask:
    mine = said[0]
    key = target.key if mine["requires_auth"] else None
    return Ask("chat", mine["base_url"], mine["models"][0]["name"], key)


TOOL = Tool(
    id="goose",
    title="Goose",
    commands=("goose",),
    traces=lambda places: [_folder(places)],
    files=_files,
    rivals=_rivals,
    ask=_ask,
    trial=lambda target: [
        *("goose", "run", "--no-session", "--provider", _NAME, "--model", target.best),
        *("-t", "Say hello in one word."),
    ],
    next_step=f'Choose "{TITLE}" in its provider settings, or start it with --provider {_NAME}.',
    with_key="Goose reads its key from the environment: "
    + exported(KEY_VARIABLE, "<your API_KEY>"),
    snippets=lambda target: [
        Snippet(
            f"A new file ~/.config/goose/custom_providers/{_NAME}.json",
            json.dumps(provider(target), indent=2),
        )
    ],
)
