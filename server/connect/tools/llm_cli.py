"""llm, the command line of Simon Willison. Source: its documentation, *OpenAI-compatible models*,
and 0.36 run. The file is a list of models; its folder is click's application folder."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

from server.connect.edits import Data, Item, found
from server.connect.formats import JSON, YAML_FILE, rewritten
from server.connect.places import Places
from server.connect.tool import PROVIDER, Ask, ConfigFile, Rival, Snippet, Target, Tool, drops

_FILE = "extra-openai-models.yaml"


def _entry(target: Target) -> dict[str, Any]:
    entry: dict[str, Any] = {
        "model_id": PROVIDER,
        "model_name": target.best,
        "api_base": target.v1,
        "supports_tools": True,
        "supports_schema": True,
        "vision": True,
    }
    if target.secret:
        entry["api_key_name"] = PROVIDER
    return entry


def _folder(places: Places) -> Path:
    return places.named("LLM_USER_PATH", places.app("io.datasette.llm"))


def _files(places: Places, target: Target) -> Sequence[ConfigFile]:
    edit = Item((), _entry(target), ("model_id",))
    return [ConfigFile(_folder(places) / _FILE, YAML_FILE, (edit,))]


def _rivals(places: Places, _target: Target) -> Sequence[Rival]:
    """An alias of our model's name is looked up first."""
    return [Rival(_folder(places) / "aliases.json", JSON, drops(PROVIDER))]


def _ask(said: Sequence[Data], target: Target) -> Ask:
    mine = found(said[0], {"model_id": PROVIDER})
    key = target.key if "api_key_name" in mine else None
    return Ask("chat", f"{mine['api_base']}/chat/completions", mine["model_name"], key)


TOOL = Tool(
    id="llm",
    title="llm",
    note="Simon Willison's command line.",
    commands=("llm",),
    traces=lambda places: [_folder(places)],
    files=_files,
    rivals=_rivals,
    ask=_ask,
    trial=lambda _target: ["llm", "-m", PROVIDER, "Say hello in one word."],
    next_step=f"llm -m {PROVIDER} 'your question'; for good: llm models default {PROVIDER}",
    with_key=f"Store the key with: llm keys set {PROVIDER}",
    snippets=lambda target: [
        Snippet(
            f"Into {_FILE} (llm logs path shows the folder)",
            rewritten(YAML_FILE, "", [Item((), _entry(target), ("model_id",))]).rstrip(),
        )
    ],
)
