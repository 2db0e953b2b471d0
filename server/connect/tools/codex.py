"""Codex. Source: its configuration documentation, and 0.169.0 run against this server. It speaks
the Responses API only, and its provider ids ``openai``, ``ollama`` and ``lmstudio`` are taken.

Its order: ``managed_config.toml`` of the machine, a project's ``.codex/config.toml`` where it is
trusted (0.169 passes over a provider there, earlier ones obeyed it), the user's. ``profile`` chose
another table; 0.169 does not start with it. ``OPENAI_BASE_URL`` is for its own provider alone."""

from collections.abc import Sequence
from pathlib import Path

from server.connect.edits import Data, Drop, Edit, Put, anything_but
from server.connect.formats import TOML, rewritten
from server.connect.places import Places
from server.connect.tool import (
    CONTEXT_TOKENS,
    KEY_VARIABLE,
    PROVIDER,
    TITLE,
    Ask,
    ConfigFile,
    Rival,
    Snippet,
    Target,
    Tool,
    existing,
    exported,
)


def _folder(places: Places) -> Path:
    return places.named("CODEX_HOME", places.home / ".codex")


def _edits(target: Target) -> tuple[Edit, ...]:
    provider = {"name": TITLE, "base_url": target.v1, "wire_api": "responses"}
    if target.secret:
        provider["env_key"] = KEY_VARIABLE
    return (
        Put(("model",), target.best),
        Put(("model_provider",), PROVIDER),
        Put(("model_context_window",), CONTEXT_TOKENS),
        Put(("model_providers", PROVIDER), provider),
        Drop(("profile",)),
    )


_CHOICE = (Drop(("model_provider",), anything_but(PROVIDER)), Drop(("profile",)))


def _files(places: Places, target: Target) -> Sequence[ConfigFile]:
    paths = [folder / ".codex" / "config.toml" for folder in places.project()]
    own = ConfigFile(_folder(places) / "config.toml", TOML, _edits(target))
    return [own, *existing(paths, TOML, _CHOICE)]


def _rivals(places: Places, _target: Target) -> Sequence[Rival]:
    managed = places.machine(
        linux="/etc/codex/managed_config.toml",
        darwin="/etc/codex/managed_config.toml",
        win32=str(_folder(places) / "managed_config.toml"),
    )
    return [Rival(managed, TOML, _CHOICE)]


def _ask(said: Sequence[Data], target: Target) -> Ask:
    config = said[0]
    provider = config["model_providers"][config["model_provider"]]
    key = target.key if "env_key" in provider else None
    return Ask("responses", f"{provider['base_url']}/responses", config["model"], key)


TOOL = Tool(
    id="codex",
    title="Codex",
    note="Speaks OpenAI's Responses API. The command line, the IDE extension and the app read "
    "the same file.",
    commands=("codex",),
    traces=lambda places: [_folder(places)],
    files=_files,
    rivals=_rivals,
    ask=_ask,
    trial=lambda _target: [
        *("codex", "exec", "--skip-git-repo-check", "--sandbox", "read-only"),
        "Say hello in one word.",
    ],
    with_key="Codex reads its key from the environment: "
    + exported(KEY_VARIABLE, "<your API_KEY>"),
    snippets=lambda target: [
        Snippet("Into ~/.codex/config.toml", rewritten(TOML, "", _edits(target)).rstrip())
    ],
)
