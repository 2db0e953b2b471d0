"""Continue, the editor extension and its command line ``cn``. Source: continuedev/continue
``docs/reference.mdx``, and cn 1.5.47 run. Unknown models must declare what they can do."""

from collections.abc import Sequence
from pathlib import Path

from server.connect.edits import CannotEditError, Data, Item, Put, found
from server.connect.formats import YAML_FILE, rewritten
from server.connect.places import Places
from server.connect.tool import TITLE, Ask, ConfigFile, Snippet, Target, Tool


def _folder(places: Places) -> Path:
    return places.named("CONTINUE_GLOBAL_DIR", places.home / ".continue")


def _edits(target: Target) -> tuple[Put | Item, ...]:
    model = {
        "name": TITLE,
        "provider": "openai",
        "model": target.best,
        "apiBase": target.v1,
        "apiKey": target.key,
        "roles": ["chat", "edit", "apply"],
        "capabilities": ["tool_use", "image_input"],
    }
    return (
        Put(("name",), "Local config", only_if_absent=True),
        Put(("version",), "1.0.0", only_if_absent=True),
        Put(("schema",), "v1", only_if_absent=True),
        Item(("models",), model, ("name",)),
    )


def _files(places: Places, target: Target) -> Sequence[ConfigFile]:
    path = _folder(places) / "config.yaml"
    if not path.exists() and (path.parent / "config.json").exists():
        raise CannotEditError(
            f"Continue uses its old {path.parent / 'config.json'} there, and a config.yaml beside "
            "it would switch that off. Let Continue convert it first."
        )
    return [ConfigFile(path, YAML_FILE, _edits(target), holds_key=True)]


def _ask(said: Sequence[Data], _target: Target) -> Ask:
    model = found(said[0]["models"], {"name": TITLE})
    return Ask("chat", f"{model['apiBase']}/chat/completions", model["model"], model["apiKey"])


TOOL = Tool(
    id="continue",
    title="Continue",
    note="VS Code, JetBrains and the command line cn read the same file.",
    commands=("cn",),
    traces=lambda places: [_folder(places)],
    files=_files,
    ask=_ask,
    trial=lambda _target: ["cn", "-p", "Say hello in one word."],
    next_step=f'Choose "{TITLE}" in its model menu. Real embeddings for its index need the '
    "upstream gemini-api or vertex.",
    snippets=lambda target: [
        Snippet("Into ~/.continue/config.yaml", rewritten(YAML_FILE, "", _edits(target)).rstrip())
    ],
)
