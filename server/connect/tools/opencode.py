"""opencode, and Kilo Code, which is built on it: the same file under another name. Source:
opencode.ai/config.json and app.kilo.ai/config.json (schemas), opencode 1.18.33 run.

Its order (documentation): the project's files, ``OPENCODE_CONFIG``, the user's."""

import json
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

from server.connect.edits import Data, Drop, Put, anything_but, other_than
from server.connect.formats import JSON
from server.connect.places import Places, first_existing
from server.connect.tool import (
    CONTEXT_TOKENS,
    OUTPUT_TOKENS,
    PROVIDER,
    TITLE,
    Ask,
    ConfigFile,
    Rival,
    Snippet,
    Target,
    Tool,
    existing,
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
        own = ConfigFile(path, JSON, _edits(target, schema), holds_key=True)
        return [own, *existing(_projects(places, names), JSON, _elsewhere(target))]

    return files


def _projects(places: Places, names: tuple[str, ...]) -> list[Path]:
    """The same names in the project's folders, but for ``config.json``, which is not read there."""
    hidden = f".{names[0].partition('.')[0]}"
    return [
        path / name
        for folder in places.project()
        for path in (folder, folder / hidden)
        for name in names
        if name != "config.json"
    ]


def _elsewhere(target: Target) -> tuple[Drop, ...]:
    """Another model, or our provider with another address."""
    return (
        Drop(("model",), other_than(f"{PROVIDER}/")),
        Drop(("provider", PROVIDER, "options", "baseURL"), anything_but(target.v1)),
        Drop(("disabled_providers",), lambda names: PROVIDER in names),
        Drop(("enabled_providers",), lambda names: PROVIDER not in names),
    )


def _rivals(
    folder: Callable[[Places], Path], names: tuple[str, ...], variable: str
) -> Callable[[Places, Target], Sequence[Rival]]:
    def rivals(places: Places, target: Target) -> Sequence[Rival]:
        found = [path for name in names if (path := folder(places) / name).is_file()]
        if places.environ.get(variable, "").strip():
            found.append(places.named(variable, places.home))
        return [Rival(path, JSON, _elsewhere(target)) for path in found]

    return rivals


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

_OPENCODE = ("opencode.json", "opencode.jsonc", "config.json")
_KILO = ("kilo.jsonc", "kilo.json", "config.json")


def _opencode(places: Places) -> Path:
    return places.config / "opencode"


def _kilo(places: Places) -> Path:
    return places.config / "kilo"


OPENCODE = Tool(
    id="opencode",
    title="opencode",
    commands=("opencode",),
    traces=lambda places: [_opencode(places)],
    files=_files(_opencode, _OPENCODE, _SCHEMA),
    rivals=_rivals(_opencode, _OPENCODE, "OPENCODE_CONFIG"),
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
    traces=lambda places: [_kilo(places)],
    files=_files(_kilo, _KILO, _KILO_SCHEMA),
    rivals=_rivals(_kilo, _KILO, "KILO_CONFIG"),
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
