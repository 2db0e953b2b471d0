"""opencode, and Kilo Code, which is built on it: the same file under another name. Source:
opencode.ai/config.json and app.kilo.ai/config.json (schemas), opencode 1.18.33 run."""

import json
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

from server.connect.edits import Data, Put
from server.connect.formats import JSON
from server.connect.places import Places, first_existing
from server.connect.tool import (
    CONTEXT_TOKENS,
    OUTPUT_TOKENS,
    PROVIDER,
    TITLE,
    Ask,
    ConfigFile,
    Snippet,
    Target,
    Tool,
)


def provider(target: Target) -> dict[str, Any]:
    """A provider of its own: those that are there stay as they are."""
    return {
        "npm": "@ai-sdk/openai-compatible",
        "name": TITLE,
        "options": {"baseURL": target.v1, "apiKey": target.key},
        "models": {
            model: {
                "name": model,
                "attachment": True,
                "tool_call": True,
                "limit": {"context": CONTEXT_TOKENS, "output": OUTPUT_TOKENS},
            }
            for model in target.models
        },
    }


def _edits(target: Target, schema: str) -> tuple[Put, ...]:
    return (
        Put(("$schema",), schema, only_if_absent=True),
        Put(("provider", PROVIDER), provider(target)),
        Put(("model",), f"{PROVIDER}/{target.best}", only_if_absent=True, ours=(f"{PROVIDER}/",)),
    )


def _files(
    folder: Callable[[Places], Path], names: tuple[str, ...], schema: str
) -> Callable[[Places, Target], Sequence[ConfigFile]]:
    def files(places: Places, target: Target) -> Sequence[ConfigFile]:
        path = first_existing(*(folder(places) / name for name in names))
        return [ConfigFile(path, JSON, _edits(target, schema), holds_key=True)]

    return files


def _ask(said: Sequence[Data], target: Target) -> Ask:
    mine = said[0]["provider"][PROVIDER]
    options, model = mine["options"], next(iter(mine["models"]))
    chosen = str(said[0].get("model", "")).partition("/")
    if chosen[0] == PROVIDER:
        model = chosen[2]
    return Ask("chat", f"{options['baseURL']}/chat/completions", model, options["apiKey"])


def _snippets(name: str, schema: str) -> Callable[[Target], Sequence[Snippet]]:
    def snippets(target: Target) -> Sequence[Snippet]:
        value = {"$schema": schema, "provider": {PROVIDER: provider(target)}}
        return [Snippet(f"Into {name}", json.dumps(value, indent=2))]

    return snippets


_SCHEMA, _KILO_SCHEMA = "https://opencode.ai/config.json", "https://app.kilo.ai/config.json"

OPENCODE = Tool(
    id="opencode",
    title="opencode",
    commands=("opencode",),
    traces=lambda places: [places.config / "opencode"],
    files=_files(
        lambda places: places.config / "opencode",
        ("opencode.json", "opencode.jsonc", "config.json"),
        _SCHEMA,
    ),
    ask=_ask,
    trial=lambda target: [
        *("opencode", "run", "-m", f"{PROVIDER}/{target.best}"),
        "Say hello in one word.",
    ],
    next_step="Choose the model with /models.",
    snippets=_snippets("opencode.json", _SCHEMA),
)

KILO = Tool(
    id="kilo",
    title="Kilo Code",
    note="The VS Code extension and the command line kilo read the same file. Older versions of "
    'the extension: Settings, API provider "OpenAI Compatible", with the fields below.',
    commands=("kilo", "kilocode"),
    traces=lambda places: [places.config / "kilo"],
    files=_files(
        lambda places: places.config / "kilo",
        ("kilo.jsonc", "kilo.json", "config.json"),
        _KILO_SCHEMA,
    ),
    ask=_ask,
    trial=lambda target: [
        *("kilo", "run", "-m", f"{PROVIDER}/{target.best}"),
        "Say hello in one word.",
    ],
    next_step="Choose the model in its model menu.",
    snippets=lambda target: [
        *_snippets("kilo.jsonc", _KILO_SCHEMA)(target),
        Snippet(
            "Fields of older versions",
            f"Base URL:  {target.v1}\nAPI key:   {target.key}\nModel ID:  {target.best}",
        ),
    ],
)
