"""Claude Code. Source: its settings documentation (``env`` in ``~/.claude/settings.json``), and
2.1.330 run against this server (tests/agents). The address has no ``/v1``: Claude Code adds it."""

import json
from collections.abc import Sequence
from pathlib import Path

from server.connect.edits import Data, Put
from server.connect.formats import JSON
from server.connect.places import Places
from server.connect.tool import CONTEXT_TOKENS, Ask, ConfigFile, Snippet, Target, Tool, exported
from server.model_names import TWIN_PREFIX

_OURS = (TWIN_PREFIX, "gemini-")


def environment(target: Target) -> dict[str, str]:
    """What Claude Code reads; it asks for four tiers by name.

    Its list of models shows only ids with "claude" in them, so it gets the twins of the names.
    """
    best, main, fast = (f"{TWIN_PREFIX}{name}" for name in (target.best, target.main, target.fast))
    return {
        "ANTHROPIC_BASE_URL": target.base_url,
        "ANTHROPIC_AUTH_TOKEN": target.key,
        "ANTHROPIC_API_KEY": "",  # a key of the shell would win over the token
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
    return [ConfigFile(_folder(places) / "settings.json", JSON, edits, holds_key=True)]


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
    ask=_ask,
    trial=lambda _target: ["claude", "-p", "Say hello in one word.", "--tools", ""],
    next_step="Restart Claude Code. Variables set in your shell lose against this file.",
    snippets=_snippets,
)
