"""What the locked requirements promise, and whether a bill of materials tells all of them.

python -m tests.supply pins          every package of every requirements file has version and hash
python -m tests.supply sbom FILE     a CycloneDX file names every package of requirements.txt
"""

import json
import re
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

ROOT = Path(__file__).parents[1]


@dataclass(frozen=True, slots=True)
class Pin:
    """One package of a requirements file."""

    name: str
    version: str
    """Empty where it is not pinned."""
    hashes: int
    here: bool
    """Whether it is for this platform and Python."""


def pins(text: str) -> Iterator[Pin]:
    """The packages of a requirements file, in order."""
    joined = re.sub(r"\\\n", " ", text)
    for line in joined.splitlines():
        if not line.strip() or line.lstrip().startswith("#"):
            continue
        asked = Requirement(line.partition("--hash")[0])
        exact = re.fullmatch(r"==([^*]+)", str(asked.specifier))
        yield Pin(
            name=canonicalize_name(asked.name),
            version=exact[1] if exact else "",
            hashes=len(re.findall(r"--hash=sha256:[0-9a-f]{64}\b", line)),
            here=asked.marker is None or asked.marker.evaluate(),
        )


def locked_files() -> list[Path]:
    """Every file that pip is given."""
    found = (*ROOT.glob("requirements*.txt"), *ROOT.glob("tests/desktop/gi/*.txt"))
    return sorted((*found, *ROOT.glob("tests/agents/python/*.txt")))


def loose(text: str) -> list[str]:
    """Packages without an exact version or without a hash."""
    return [pin.name for pin in pins(text) if not (pin.version and pin.hashes)]


def missing(sbom: str, requirements: str) -> list[str]:
    """What ``requirements`` installs here and the bill of materials does not tell."""
    parts = json.loads(sbom)["components"]
    told = {(canonicalize_name(part["name"]), part.get("version")) for part in parts}
    wanted = [pin for pin in pins(requirements) if pin.here]
    return [f"{pin.name} {pin.version}" for pin in wanted if (pin.name, pin.version) not in told]


def main(arguments: list[str]) -> str | None:
    """What is wrong; None when nothing is."""
    match arguments:
        case ["pins"]:
            files = locked_files()
            found = [f"{file.name}: {name}" for file in files for name in loose(file.read_text())]
            return f"Not pinned to version and hash: {', '.join(found)}" if found else None
        case ["sbom", file]:
            requirements = (ROOT / "requirements.txt").read_text()
            gone = missing(Path(file).read_text(), requirements)
            return f"{file} does not tell {', '.join(gone)}" if gone else None
        case _:
            return __doc__


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
