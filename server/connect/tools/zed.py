"""Zed. Source: zed-industries/zed ``docs/src/ai/use-api-access.md``. Keys are never in its settings
file: it takes them from its keychain or from a variable named after the provider."""

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from server.connect.edits import Data, Drop, Put, anything_but
from server.connect.formats import JSON
from server.connect.places import Places
from server.connect.tool import (
    CONTEXT_TOKENS,
    OUTPUT_TOKENS,
    PROVIDER,
    Ask,
    ConfigFile,
    Rival,
    Snippet,
    Target,
    Tool,
)

_PATH = ("language_models", "openai_compatible", PROVIDER)


def provider(target: Target) -> dict[str, Any]:
    """Zed fetches no list: every model stands here."""
    return {
        "api_url": target.v1,
        "available_models": [
            {
                "name": model,
                "display_name": model,
                "max_tokens": CONTEXT_TOKENS,
                "max_output_tokens": OUTPUT_TOKENS,
                "capabilities": {
                    "tools": True,
                    "images": True,
                    "parallel_tool_calls": True,
                    "prompt_cache_key": False,
                },
            }
            for model in target.models
        ],
    }


def _folder(places: Places) -> Path:
    return places.roaming / "Zed" if places.platform == "win32" else places.config / "zed"


def _files(places: Places, target: Target) -> Sequence[ConfigFile]:
    return [ConfigFile(_folder(places) / "settings.json", JSON, (Put(_PATH, provider(target)),))]


def _rivals(places: Places, _target: Target) -> Sequence[Rival]:
    """The model that the agent starts with, where one is chosen."""
    chosen = Drop(("agent", "default_model", "provider"), anything_but(PROVIDER))
    projects = [path / ".zed" / "settings.json" for path in places.project()]
    return [Rival(path, JSON, (chosen,)) for path in (_folder(places) / "settings.json", *projects)]


def _ask(said: Sequence[Data], target: Target) -> Ask:
    mine = said[0][_PATH[0]][_PATH[1]][_PATH[2]]
    model = mine["available_models"][0]["name"]
    return Ask("chat", f"{mine['api_url']}/chat/completions", model, target.key)


TOOL = Tool(
    id="zed",
    title="Zed",
    commands=("zed", "zeditor"),
    traces=lambda places: [_folder(places)],
    files=_files,
    rivals=_rivals,
    ask=_ask,
    next_step=f"Open Settings, AI, LLM Providers, and type a key for {PROVIDER}: any text (Zed "
    "wants one). Or set GEMINI_PROXY_API_KEY for Zed; one started from the dock sees no shell "
    "variables.",
    with_key=f"Type your API_KEY there for {PROVIDER}.",
    snippets=lambda target: [
        Snippet(
            "Into settings.json",
            json.dumps({_PATH[0]: {_PATH[1]: {_PATH[2]: provider(target)}}}, indent=2),
        )
    ],
)
