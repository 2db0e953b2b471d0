"""What a tool is here: where its files are, what goes into them, and how it asks this server."""

import sys
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from server.connect.edits import Data, Drop, Edit
from server.connect.formats import Format
from server.connect.places import Places

ANY_KEY = "any"
KEY_VARIABLE = "GEMINI_PROXY_KEY"
"""The environment variable for tools that read their key from one."""
CONTEXT_TOKENS = 1_048_576
OUTPUT_TOKENS = 65_536
PROVIDER = "gemini-proxy"
TITLE = "Gemini API Proxy"

Dialect = Literal["chat", "responses", "messages", "gemini"]


def exported(name: str, value: str) -> str:
    """The line that sets an environment variable, in the shell that this system comes with."""
    if sys.platform == "win32":
        return f'$env:{name} = "{value}"'
    else:  # noqa: RET505  # mypy: code after a platform return is dead
        return f"export {name}={value}"


def unset(name: str) -> str:
    """The line that takes a variable away, there."""
    if sys.platform == "win32":
        return f"Remove-Item Env:{name}"
    else:  # noqa: RET505  # as above
        return f"unset {name}"


@dataclass(frozen=True, slots=True)
class Target:
    """The server to connect to."""

    base_url: str
    """Without a slash at the end and without ``/v1``."""
    best: str
    fast: str
    """Names of models that stay (``gemini-best``), or Gemini ids."""
    key: str = ANY_KEY
    secret: bool = False
    """The key is a real one."""
    main: str = ""
    """For everyday work, where a tool tells it from the best; empty: the same."""

    def __post_init__(self) -> None:
        object.__setattr__(self, "main", self.main or self.best)

    @property
    def models(self) -> tuple[str, ...]:
        """What a tool's list of models holds, each once."""
        return tuple(dict.fromkeys((self.best, self.main, self.fast)))

    @property
    def v1(self) -> str:
        return f"{self.base_url}/v1"


@dataclass(frozen=True, slots=True)
class Snippet:
    """One thing to copy, and what to do with it."""

    where: str
    text: str


@dataclass(frozen=True, slots=True)
class Ask:
    """The request that a tool would send, made of what its files say."""

    dialect: Dialect
    url: str
    model: str
    key: str | None
    """None: the tool sends none."""


@dataclass(frozen=True, slots=True)
class ConfigFile:
    """One file of a tool, and our settings in it."""

    path: Path
    form: Format
    edits: tuple[Edit, ...]
    holds_key: bool = False
    extra: bool = False
    """A project's file: nothing is said of whether the tool is here, or asks us."""


@dataclass(frozen=True, slots=True)
class Rival:
    """What else a tool reads, and would obey instead of our files; not ours to change."""

    path: Path | None
    """None: the environment of this process."""
    form: Format
    drops: tuple[Drop, ...]
    """What must not stand there for the tool to ask us."""


def existing(
    paths: Iterable[Path], form: Format, edits: tuple[Edit, ...]
) -> tuple[ConfigFile, ...]:
    """Files of a project that are there, with what must not, or must, stand in them."""
    return tuple(ConfigFile(path, form, edits, extra=True) for path in paths if path.is_file())


def drops(*names: str, harm: Callable[[Data], bool] = bool) -> tuple[Drop, ...]:
    """Variables that must not be set."""
    return tuple(Drop((name,), harm) for name in names)


def wrong_key(target: Target) -> Callable[[Data], bool]:
    """A key that this server would refuse; on this computer it takes any."""
    return lambda key: target.secret and bool(key) and key != target.key


@dataclass(frozen=True, slots=True)
class Tool:
    """One tool; everything that differs between tools is here."""

    id: str
    title: str
    note: str = ""
    """What is particular about it."""
    commands: tuple[str, ...] = ()
    """What it is called on the command line, to find it."""
    traces: Callable[[Places], Sequence[Path]] = lambda _places: ()
    """Folders that only exist where the tool is used."""
    files: Callable[[Places, Target], Sequence[ConfigFile]] | None = None
    """None: it keeps its settings where no other program should write; a sheet to copy then. Files
    of the project that win over the user's own come last."""
    rivals: Callable[[Places, Target], Sequence[Rival]] = lambda _places, _target: ()
    ask: Callable[[Sequence[Data], Target], Ask] | None = None
    """Built of what the files say, in the order of ``files``."""
    trial: Callable[[Target], Sequence[str]] | None = None
    """The tool's own command line for one question, without letting it use tools where it can."""
    trial_environ: tuple[tuple[str, str], ...] = ()
    next_step: str = ""
    """What is left to do in the tool once its files are written."""
    with_key: str = ""
    """What else to do where the server wants a key."""
    snippets: Callable[[Target], Sequence[Snippet]] = lambda _target: ()
    """To copy by hand."""
