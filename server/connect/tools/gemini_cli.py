"""Gemini CLI. Source: google-gemini/gemini-cli 0.61 run: it reads ``~/.gemini/.env`` and asks with
a Gemini API key when ``security.auth.selectedType`` says so. Its models are its own choice."""

from collections.abc import Sequence
from pathlib import Path

from server.connect.edits import Data, Put
from server.connect.formats import DOTENV, JSON
from server.connect.places import Places
from server.connect.tool import Ask, ConfigFile, Snippet, Target, Tool, exported


def _folder(places: Places) -> Path:
    return places.named("GEMINI_CLI_HOME", places.home) / ".gemini"


def _files(places: Places, target: Target) -> Sequence[ConfigFile]:
    folder = _folder(places)
    return [
        ConfigFile(
            folder / ".env",
            DOTENV,
            (
                Put(("GOOGLE_GEMINI_BASE_URL",), target.base_url),
                Put(("GEMINI_API_KEY",), target.key),
            ),
            holds_key=True,
        ),
        ConfigFile(
            folder / "settings.json",
            JSON,
            (Put(("security", "auth", "selectedType"), "gemini-api-key"),),
        ),
    ]


def _ask(said: Sequence[Data], target: Target) -> Ask:
    base = said[0]["GOOGLE_GEMINI_BASE_URL"]
    url = f"{base}/v1beta/models/{target.best}:streamGenerateContent?alt=sse"
    return Ask("gemini", url, target.best, said[0]["GEMINI_API_KEY"])


TOOL = Tool(
    id="gemini-cli",
    title="Gemini CLI",
    note="Gemini's own API, passed through without loss. Undo brings back your Google sign-in.",
    commands=("gemini",),
    traces=lambda places: [_folder(places)],
    files=_files,
    ask=_ask,
    trial=lambda target: ["gemini", "-m", target.best, "-p", "Say hello in one word."],
    trial_environ=(("GEMINI_CLI_TRUST_WORKSPACE", "true"),),
    next_step="Gemini CLI reads ~/.gemini/.env only in folders that you trust in it, and a .env "
    "file of the project wins.",
    snippets=lambda target: [
        Snippet(
            "Environment",
            f"{exported('GOOGLE_GEMINI_BASE_URL', target.base_url)}\n"
            f"{exported('GEMINI_API_KEY', target.key)}",
        )
    ],
)
