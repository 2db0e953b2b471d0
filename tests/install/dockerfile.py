"""Reads the Dockerfile, as far as ours goes, and performs its steps in a sandbox."""

import json
import re
import shlex
from dataclasses import dataclass, field

from tests.install.sandbox import CHECKOUT, Sandbox


@dataclass(slots=True)
class Stage:
    """What one ``FROM`` begins."""

    base: str
    name: str
    steps: list[tuple[str, str]] = field(default_factory=list)
    """Instruction and its text, continuation lines joined."""

    def all(self, word: str) -> list[str]:
        return [text for instruction, text in self.steps if instruction == word]

    def one(self, word: str) -> str:
        (text,) = self.all(word)
        return text

    def environment(self) -> dict[str, str]:
        """What ``ENV`` sets; ``$PATH`` as it is in the sandbox."""
        pairs = [pair.split("=", 1) for text in self.all("ENV") for pair in shlex.split(text)]
        usual = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"
        return {name: value.replace("$PATH", usual) for name, value in pairs}

    def entry(self) -> list[str]:
        """The words of ``ENTRYPOINT``."""
        words: list[str] = json.loads(self.one("ENTRYPOINT"))
        return words

    def health(self) -> list[str]:
        """The words of the health check."""
        words: list[str] = json.loads(self.one("HEALTHCHECK").partition(" CMD ")[2])
        return words


def stages() -> list[Stage]:
    """The Dockerfile's stages, in order."""
    text = re.sub(r"^#.*\n", "", (CHECKOUT / "Dockerfile").read_text("utf-8"), flags=re.MULTILINE)
    found: list[Stage] = []
    for line in re.sub(r"\\\n\s*", "", text).splitlines():
        word, _, rest = line.strip().partition(" ")
        if word == "FROM":
            base, _, name = rest.partition(" AS ")
            found.append(Stage(base, name))
        elif word:
            found[-1].steps.append((word, rest.strip()))
    return found


_BASE = """
python3 -c 'import ensurepip' || { apt-get update -q; apt-get install -yq python3-venv; }
ln -sf "$(command -v python3)" /usr/local/bin/python
"""
"""What the base image brings and this machine may not."""


def build(machine: Sandbox) -> None:
    """Perform ``RUN`` and ``COPY`` of every stage. All stages share the one file system."""
    machine.run(_BASE)
    for stage in stages():
        for word, text in stage.steps:
            if word == "RUN":
                machine.run(text)
            elif word == "COPY" and not text.startswith("--from="):
                *sources, target = text.split()
                machine.run(f"mkdir -p {target}; cd /checkout; {_copy(sources, target)}")


def _copy(sources: list[str], target: str) -> str:
    """As Docker does it: of a folder the contents, of a file the file."""
    lines = [
        f"cp -r {s}/. {target}" if (CHECKOUT / s).is_dir() else f"cp {s} {target}" for s in sources
    ]
    return "; ".join(lines)
