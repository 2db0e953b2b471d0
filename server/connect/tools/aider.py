"""aider. Source: its ``.aider.conf.yml`` documentation, and 0.86.2 run. Models carry the prefix
``openai/``, which names the dialect to LiteLLM inside."""

from collections.abc import Sequence

from server.connect.edits import Data, Put
from server.connect.formats import YAML_FILE, rewritten
from server.connect.places import Places
from server.connect.tool import Ask, ConfigFile, Snippet, Target, Tool

_PREFIX = "openai/"


def _edits(target: Target) -> tuple[Put, ...]:
    return (
        Put(("openai-api-base",), target.v1),
        Put(("openai-api-key",), target.key),
        Put(("model",), _PREFIX + target.best, ours=(f"{_PREFIX}gemini-",)),
        Put(("weak-model",), _PREFIX + target.fast, ours=(f"{_PREFIX}gemini-",)),
    )


def _files(places: Places, target: Target) -> Sequence[ConfigFile]:
    return [ConfigFile(places.home / ".aider.conf.yml", YAML_FILE, _edits(target), holds_key=True)]


def _ask(said: Sequence[Data], _target: Target) -> Ask:
    config = said[0]
    model = str(config["model"]).removeprefix(_PREFIX)
    url = f"{config['openai-api-base']}/chat/completions"
    return Ask("chat", url, model, config["openai-api-key"])


TOOL = Tool(
    id="aider",
    title="aider",
    note="A .aider.conf.yml in your project wins over the one in your home folder.",
    commands=("aider",),
    traces=lambda places: [places.home / ".aider.conf.yml", places.home / ".aider"],
    files=_files,
    ask=_ask,
    trial=lambda _target: [
        *("aider", "--no-git", "--no-check-update", "--no-show-model-warnings", "--yes-always"),
        *("--message", "Say hello in one word."),
    ],
    snippets=lambda target: [
        Snippet("Into ~/.aider.conf.yml", rewritten(YAML_FILE, "", _edits(target)).rstrip())
    ],
)
