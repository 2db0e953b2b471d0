"""A test run's own surroundings: what the caller's shell has set decides no test."""

import os

from server.settings.options import OPTIONS

OURS = (
    *("ANTHROPIC_", "CLOUDSDK_", "GCE_METADATA_", "GEMINI_", "GOOGLE_", "OPENAI_"),
    *("AIDER_", "CLAUDE_CODE_", "GOOSE_", "KILO_CONFIG", "OPENCODE_CONFIG"),
)
"""Beginnings of the variables that a client, an SDK or Google's own libraries obey."""
LOOPBACK = "127.0.0.1,localhost,::1"

INDEX: dict[str, str] = {}
"""The caller's way through a proxy. Tests that install packages may need it; nothing else does."""


def leave() -> None:
    """Take every setting and every proxy out of this process's environment."""
    settings = {name for option in OPTIONS.values() for name in (option.name, *option.also)}
    for name in list(os.environ):
        if name.lower().endswith("_proxy") and not name.startswith("PIP_"):
            INDEX[name] = os.environ.pop(name)
        elif name.startswith(OURS) or name in settings:
            del os.environ[name]
    if INDEX:
        for name in ("no_proxy", "NO_PROXY"):
            INDEX[name] = ",".join(filter(None, (INDEX.get(name), LOOPBACK)))
