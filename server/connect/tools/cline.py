"""Cline. Source: its command line 3.0.65 run: ``cline auth`` writes ``~/.cline/data/settings/
providers.json``. The editor extension keeps its settings inside the editor, where no other program
should write: for it there are the fields to type."""

from collections.abc import Sequence

from server.connect.edits import Data, Put
from server.connect.formats import JSON
from server.connect.places import Places
from server.connect.tool import (
    CONTEXT_TOKENS,
    OUTPUT_TOKENS,
    Ask,
    ConfigFile,
    Snippet,
    Target,
    Tool,
)

_PROVIDER = "openai-compatible"


def fields(target: Target) -> Snippet:
    """What the form of Cline and of its kin asks for."""
    return Snippet(
        "The fields",
        f"Base URL:  {target.v1}\nAPI key:   {target.key}\nModel ID:  {target.best}\n"
        f"Context window size:  {CONTEXT_TOKENS}\nMax output tokens:    {OUTPUT_TOKENS}\n"
        "Supports images:      yes",
    )


def _files(places: Places, target: Target) -> Sequence[ConfigFile]:
    path = places.home / ".cline" / "data" / "settings" / "providers.json"
    settings = {
        "provider": _PROVIDER,
        "apiKey": target.key,
        "model": target.best,
        "baseUrl": target.v1,
    }
    provider = {
        "settings": settings,
        "updatedAt": "2026-01-01T00:00:00.000Z",  # Cline writes its own time at the next start
        "tokenSource": "manual",
    }
    edits = (
        Put(("version",), 1, only_if_absent=True),
        Put(("lastUsedProvider",), _PROVIDER),
        Put(("modes",), {}, only_if_absent=True),
        Put(("providers", _PROVIDER), provider),
    )
    return [ConfigFile(path, JSON, edits, holds_key=True)]


def _ask(said: Sequence[Data], _target: Target) -> Ask:
    mine = said[0]["providers"][said[0]["lastUsedProvider"]]["settings"]
    return Ask("chat", f"{mine['baseUrl']}/chat/completions", mine["model"], mine["apiKey"])


TOOL = Tool(
    id="cline",
    title="Cline",
    note="This is for its command line. The editor extension keeps its settings inside the "
    'editor: choose the API provider "OpenAI Compatible" there and type the fields. It refuses an '
    "empty key.",
    commands=("cline",),
    traces=lambda places: [places.home / ".cline" / "data"],
    files=_files,
    ask=_ask,
    trial=lambda _target: ["cline", "--plan", "Say hello in one word."],
    snippets=lambda target: [
        fields(target),
        Snippet(
            "Its command line",
            f"cline auth -p {_PROVIDER} -k {target.key} -b {target.v1} -m {target.best}",
        ),
    ],
)
