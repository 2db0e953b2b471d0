"""Gemini CLI. Source: google-gemini/gemini-cli 0.61 run: it reads ``~/.gemini/.env`` and asks with
a Gemini API key when ``security.auth.selectedType`` says so. Its models are its own choice.

Its order (read): of all ``.gemini/.env`` and ``.env`` from the folder upwards only the first is
read, and the shell's variables win over it; settings of the machine win over the project's, and
those over the user's. With ``selectedType`` set, ``GOOGLE_GENAI_USE_VERTEXAI`` decides nothing."""

from collections.abc import Sequence
from pathlib import Path

from server.connect.edits import Data, Drop, Put, anything_but
from server.connect.formats import DOTENV, JSON
from server.connect.places import Places
from server.connect.tool import (
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

_TYPE = "gemini-api-key"
_CHOICE = (Drop(("security", "auth", "selectedType"), anything_but(_TYPE)),)


def _folder(places: Places) -> Path:
    return places.named("GEMINI_CLI_HOME", places.home) / ".gemini"


def _files(places: Places, target: Target) -> Sequence[ConfigFile]:
    folder = _folder(places)
    variables = (
        Put(("GOOGLE_GEMINI_BASE_URL",), target.base_url),
        Put(("GEMINI_API_KEY",), target.key),
    )
    above = places.project(to_the_root=True)
    nearest = (path / name for path in above for name in (".gemini/.env", ".env"))
    read = next((path for path in nearest if path.is_file()), None)
    there = [path / ".gemini" / "settings.json" for path in places.project()[:1]]
    return [
        ConfigFile(folder / ".env", DOTENV, variables, holds_key=True),
        ConfigFile(
            folder / "settings.json",
            JSON,
            (Put(("security", "auth", "selectedType"), _TYPE),),
        ),
        *([ConfigFile(read, DOTENV, variables, holds_key=True, extra=True)] if read else []),
        *existing(there, JSON, _CHOICE),
    ]


def _rivals(places: Places, target: Target) -> Sequence[Rival]:
    machine = places.machine(
        linux="/etc/gemini-cli/settings.json",
        darwin="/Library/Application Support/GeminiCli/settings.json",
        win32=r"C:\ProgramData\gemini-cli\settings.json",
    )
    system = places.named("GEMINI_CLI_SYSTEM_SETTINGS_PATH", machine)
    shell = drops("GOOGLE_GEMINI_BASE_URL", harm=anything_but(target.base_url))
    shell += drops("GEMINI_API_KEY", harm=wrong_key(target))
    enforced = Drop(("security", "auth", "enforcedType"), anything_but(_TYPE))
    return [Rival(None, DOTENV, shell), Rival(system, JSON, (*_CHOICE, enforced))]


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
    rivals=_rivals,
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
