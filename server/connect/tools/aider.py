"""aider. Source: its ``.aider.conf.yml`` documentation, and 0.86.2 run. Models carry the prefix
``openai/``, which names the dialect to LiteLLM inside.

Its order (read): variables ``AIDER_*``, the shell's and those of ``.env`` files, which replace the
shell's; then ``.aider.conf.yml`` of the folder, of the repository, of the home folder."""

from collections.abc import Callable, Sequence

from server.connect.edits import Data, Drop, Put, anything_but, other_than
from server.connect.formats import DOTENV, YAML_FILE, rewritten
from server.connect.places import Places
from server.connect.tool import Ask, ConfigFile, Rival, Snippet, Target, Tool, existing, wrong_key

_PREFIX = "openai/"


def _edits(target: Target) -> tuple[Put, ...]:
    return (
        Put(("openai-api-base",), target.v1),
        Put(("openai-api-key",), target.key),
        Put(("model",), _PREFIX + target.best, ours=(f"{_PREFIX}gemini-",)),
        Put(("weak-model",), _PREFIX + target.fast, ours=(f"{_PREFIX}gemini-",)),
    )


def _files(places: Places, target: Target) -> Sequence[ConfigFile]:
    own = ConfigFile(places.home / ".aider.conf.yml", YAML_FILE, _edits(target), holds_key=True)
    above = places.project()
    folders = dict.fromkeys((*above[:1], *above[-1:]))
    keys = tuple(Drop((name,), harm) for name, harm in _elsewhere(target).items())
    return [
        own,
        *existing([path / ".aider.conf.yml" for path in folders], YAML_FILE, keys),
        *existing([path / ".env" for path in (places.home, *folders)], DOTENV, _variables(target)),
    ]


def _elsewhere(target: Target) -> dict[str, Callable[[Data], bool]]:
    """What leads past us wherever it wins, and when."""
    return {
        "openai-api-base": anything_but(target.v1),
        "openai-api-key": wrong_key(target),
        "model": other_than(_PREFIX),
        "weak-model": other_than(_PREFIX),
        "editor-model": other_than(_PREFIX),
    }


def _variables(target: Target) -> tuple[Drop, ...]:
    return tuple(
        Drop((f"AIDER_{name.upper().replace('-', '_')}",), harm)
        for name, harm in _elsewhere(target).items()
    )


def _rivals(_places: Places, target: Target) -> Sequence[Rival]:
    return [Rival(None, DOTENV, _variables(target))]


def _ask(said: Sequence[Data], _target: Target) -> Ask:
    config = said[0]
    model = str(config["model"]).removeprefix(_PREFIX)
    url = f"{config['openai-api-base']}/chat/completions"
    return Ask("chat", url, model, config["openai-api-key"])


TOOL = Tool(
    id="aider",
    title="aider",
    note="A .aider.conf.yml or .env of your project wins over the one in your home folder.",
    commands=("aider",),
    traces=lambda places: [places.home / ".aider.conf.yml", places.home / ".aider"],
    files=_files,
    rivals=_rivals,
    ask=_ask,
    trial=lambda _target: [
        *("aider", "--no-git", "--no-check-update", "--no-show-model-warnings", "--yes-always"),
        *("--message", "Say hello in one word."),
    ],
    snippets=lambda target: [
        Snippet("Into ~/.aider.conf.yml", rewritten(YAML_FILE, "", _edits(target)).rstrip())
    ],
)
