"""Claude Code. Source: its settings documentation (``env`` in ``~/.claude/settings.json``), and
2.1.330 run against this server (tests/agents) and read. The address has no ``/v1``: it adds that.

Its order: managed settings, ``.claude/settings.local.json`` and ``.claude/settings.json`` of the
project, the user's file; the ``env`` of each replaces the shell's variables."""

import json
from collections.abc import Sequence
from pathlib import Path

from server.connect.edits import Data, Drop, Put, anything_but, other_than, switched_on
from server.connect.formats import JSON
from server.connect.places import Places
from server.connect.tool import (
    CONTEXT_TOKENS,
    Ask,
    ConfigFile,
    Rival,
    Snippet,
    Target,
    Tool,
    drops,
    existing,
    exported,
    wrong_key,
)
from server.gemini.model_names import TWIN_PREFIX

_OURS = (TWIN_PREFIX, "gemini-")
_PROVIDERS = (
    "CLAUDE_CODE_USE_BEDROCK",
    "CLAUDE_CODE_USE_VERTEX",
    "CLAUDE_CODE_USE_FOUNDRY",
    "CLAUDE_CODE_USE_ANTHROPIC_AWS",
    "CLAUDE_CODE_USE_ANTHROPIC_GOOGLE_CLOUD",
    "CLAUDE_CODE_USE_MANTLE",
    "CLAUDE_CODE_USE_GATEWAY",
)
"""Each sends every request to another provider, whatever the address."""


def environment(target: Target) -> dict[str, str]:
    """What Claude Code reads; it asks for four tiers by name.

    Its list of models shows only ids with "claude" in them, so it gets the twins of the names.
    """
    best, main, fast = (f"{TWIN_PREFIX}{name}" for name in (target.best, target.main, target.fast))
    return {
        "ANTHROPIC_BASE_URL": target.base_url,
        "ANTHROPIC_AUTH_TOKEN": target.key,
        "ANTHROPIC_API_KEY": "",  # a key of the shell would win over the token
        **dict.fromkeys(_PROVIDERS, ""),  # and so would the shell's choice of a provider
        "ANTHROPIC_MODEL": best,
        "ANTHROPIC_DEFAULT_OPUS_MODEL": best,
        "ANTHROPIC_DEFAULT_SONNET_MODEL": main,
        "ANTHROPIC_DEFAULT_FABLE_MODEL": best,
        "ANTHROPIC_DEFAULT_HAIKU_MODEL": fast,
        # It compacts long before the model's window is full where it does not know the model.
        "CLAUDE_CODE_AUTO_COMPACT_WINDOW": str(CONTEXT_TOKENS),
        "CLAUDE_CODE_ENABLE_GATEWAY_MODEL_DISCOVERY": "1",
    }


def _folder(places: Places) -> Path:
    return places.named("CLAUDE_CONFIG_DIR", places.home / ".claude")


def _files(places: Places, target: Target) -> Sequence[ConfigFile]:
    edits = tuple(
        Put(("env", name), value, ours=_OURS if name.endswith("_MODEL") else ())
        for name, value in environment(target).items()
    )
    own = ConfigFile(_folder(places) / "settings.json", JSON, edits, holds_key=True)
    names = ("settings.local.json", "settings.json")
    paths = [folder / ".claude" / name for folder in places.project() for name in names]
    return [own, *existing(paths, JSON, _elsewhere(target))]


def _elsewhere(target: Target) -> tuple[Drop, ...]:
    """What leads past us, in the ``env`` of any settings that win over the user's."""
    models = [name for name in environment(target) if name.endswith("_MODEL")]
    there = (
        *drops(*_PROVIDERS, harm=switched_on),
        *drops("ANTHROPIC_BASE_URL", harm=anything_but(target.base_url)),
        *drops("CLAUDE_CODE_API_BASE_URL", harm=anything_but(target.base_url)),
        *(drops("ANTHROPIC_API_KEY", "ANTHROPIC_AUTH_TOKEN", harm=wrong_key(target))),
        *drops(*models, harm=other_than("claude-", "gemini-", "opus", "sonnet", "haiku", "fable")),
    )
    return tuple(Drop(("env", *drop.path), drop.harm) for drop in there)


def _rivals(places: Places, target: Target) -> Sequence[Rival]:
    managed = places.machine(
        linux="/etc/claude-code/managed-settings.json",
        darwin="/Library/Application Support/ClaudeCode/managed-settings.json",
        win32=r"C:\Program Files\ClaudeCode\managed-settings.json",
    )
    pieces = sorted(managed.with_suffix(".d").glob("*.json"))
    remote = _folder(places) / "remote-settings.json"
    return [
        *(Rival(path, JSON, _elsewhere(target)) for path in (managed, *pieces, remote)),
        # The program that started it then chooses, and the files' addresses are passed over.
        Rival(None, JSON, drops("CLAUDE_CODE_PROVIDER_MANAGED_BY_HOST", harm=switched_on)),
    ]


def _ask(said: Sequence[Data], _target: Target) -> Ask:
    env = said[0]["env"]
    url = f"{env['ANTHROPIC_BASE_URL']}/v1/messages?beta=true"
    return Ask("messages", url, env["ANTHROPIC_MODEL"], env["ANTHROPIC_AUTH_TOKEN"])


def _snippets(target: Target) -> Sequence[Snippet]:
    values = environment(target)
    shell = "\n".join(exported(name, value) for name, value in values.items())
    return [
        Snippet("In a terminal, for this session", f"{shell}\nclaude"),
        Snippet("For good, in ~/.claude/settings.json", json.dumps({"env": values}, indent=2)),
    ]


TOOL = Tool(
    id="claude-code",
    title="Claude Code",
    note="Speaks Anthropic's API; the address has no /v1. The same file serves its VS Code "
    "extension and the desktop app.",
    commands=("claude",),
    traces=lambda places: [_folder(places)],
    files=_files,
    rivals=_rivals,
    ask=_ask,
    trial=lambda _target: ["claude", "-p", "Say hello in one word.", "--tools", ""],
    next_step="Restart Claude Code. Variables set in your shell lose against this file.",
    snippets=_snippets,
)
