"""VS Code's chat with a model of one's own ("Custom Endpoint"). Source: microsoft/vscode-docs
``language-models.md`` (14 October 2026). A model without ``toolCalling`` is hidden in agent mode;
input and output limit together are taken for the context window."""

import json
from collections.abc import Sequence
from typing import Any

from server.connect.edits import Data, Item, found
from server.connect.formats import JSON
from server.connect.places import Places, first_existing
from server.connect.tool import (
    CONTEXT_TOKENS,
    OUTPUT_TOKENS,
    TITLE,
    Ask,
    ConfigFile,
    Snippet,
    Target,
    Tool,
)

_VENDOR = "customendpoint"


def group(target: Target) -> dict[str, Any]:
    """One entry of ``chatLanguageModels.json``."""
    return {
        "name": TITLE,
        "vendor": _VENDOR,
        "apiKey": target.key,
        "apiType": "chat-completions",
        "models": [
            {
                "id": model,
                "name": model,
                "url": f"{target.v1}/chat/completions",
                "toolCalling": True,
                "vision": True,
                "thinking": True,
                "maxInputTokens": CONTEXT_TOKENS - OUTPUT_TOKENS,
                "maxOutputTokens": OUTPUT_TOKENS,
            }
            for model in target.models
        ],
    }


def _files(places: Places, target: Target) -> Sequence[ConfigFile]:
    folders = [places.app(name) / "User" for name in ("Code", "Code - Insiders")]
    path = first_existing(*folders) / "chatLanguageModels.json"
    edit = Item((), group(target), ("name", "vendor"))
    return [ConfigFile(path, JSON, (edit,), holds_key=True)]


def _ask(said: Sequence[Data], _target: Target) -> Ask:
    mine = found(said[0], {"name": TITLE, "vendor": _VENDOR})
    model = mine["models"][0]
    return Ask("chat", model["url"], model["id"], mine["apiKey"])


TOOL = Tool(
    id="vscode",
    title="VS Code",
    note="Its own chat, with or without GitHub Copilot: Custom Endpoint, VS Code 1.122 or newer.",
    commands=("code", "code-insiders"),
    traces=lambda places: [places.app(name) / "User" for name in ("Code", "Code - Insiders")],
    files=_files,
    ask=_ask,
    next_step="Restart VS Code and choose the model in the chat. For titles and commit messages "
    "without a GitHub account, set chat.utilityModel to it.",
    snippets=lambda target: [
        Snippet(
            'Command palette, "Chat: Open Language Models (JSON)"',
            json.dumps([group(target)], indent=2),
        )
    ],
)
