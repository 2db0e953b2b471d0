"""The platforms that README names, and which of a package's files pip would take there.

``python -m package.platforms PYLOCK...`` writes ``wheels.txt``: the names of the files that
the registry holds of every locked package, with their hashes. ``make lock`` calls it.
"""

import re
import sys
import tomllib
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

from packaging.requirements import Requirement
from packaging.tags import Tag, compatible_tags, cpython_tags
from packaging.utils import parse_wheel_filename

RECORD = Path(__file__).with_name("wheels.txt")
PYTHONS = ((3, 11), (3, 12), (3, 13), (3, 14))


@dataclass(frozen=True, slots=True)
class Platform:
    """One system and processor. ``tags``: pip's names of it, the most special first."""

    name: str
    environment: Mapping[str, str]
    tags: tuple[str, ...]


def _glibc(processor: str, newest: int) -> tuple[str, ...]:
    """Names of wheels that run where the C library is 2.``newest`` (PEP 600, PEP 599)."""
    new = [f"manylinux_2_{minor}_{processor}" for minor in range(newest, 4, -1)]
    old = [f"manylinux2014_{processor}", f"manylinux2010_{processor}", f"manylinux1_{processor}"]
    return (*new, *old, f"linux_{processor}")


def _mac(processor: str, oldest: int) -> tuple[str, ...]:
    newer = [
        f"macosx_{major}_0_{arch}"
        for major in range(oldest, 10, -1)
        for arch in (processor, "universal2")
    ]
    older = [f"macosx_10_{minor}_universal2" for minor in range(16, 3, -1)]
    return (*newer, *older)


def _here(system: str, platform: str, kind: str, processor: str) -> dict[str, str]:
    return {
        "platform_system": system,
        "sys_platform": platform,
        "os_name": kind,
        "platform_machine": processor,
        "platform_python_implementation": "CPython",
        "implementation_name": "cpython",
    }


PLATFORMS = (
    Platform("Linux x86_64", _here("Linux", "linux", "posix", "x86_64"), _glibc("x86_64", 35)),
    Platform("Linux aarch64", _here("Linux", "linux", "posix", "aarch64"), _glibc("aarch64", 35)),
    Platform("Windows x86_64", _here("Windows", "win32", "nt", "AMD64"), ("win_amd64",)),
    Platform("macOS arm64", _here("Darwin", "darwin", "posix", "arm64"), _mac("arm64", 12)),
)
"""glibc 2.35 and macOS 12 are the oldest that ``docs/packaging.md`` names."""


def tags_of(platform: Platform, python: tuple[int, int]) -> frozenset[Tag]:
    """What pip takes there."""
    interpreter = f"cp{python[0]}{python[1]}"
    return frozenset(
        (
            *cpython_tags(python, [interpreter], platform.tags),
            *compatible_tags(python, interpreter, platform.tags),
        )
    )


@dataclass(frozen=True, slots=True)
class Line:
    """One package of a requirements file."""

    asked: Requirement
    hashes: frozenset[str]


def lines(text: str) -> Iterator[Line]:
    """What a requirements file names."""
    for line in re.sub(r"\\\n", " ", text).splitlines():
        if line.strip() and not line.lstrip().startswith("#"):
            asked = Requirement(line.partition("--hash")[0])
            yield Line(asked, frozenset(re.findall(r"--hash=sha256:([0-9a-f]{64})", line)))


def lacking(
    text: str, record: Mapping[str, str], platform: Platform, python: tuple[int, int]
) -> list[str]:
    """Packages of a requirements file without a wheel there. ``record``: hash to file name."""
    tags = tags_of(platform, python)
    number = ".".join(map(str, python))
    environment = {
        **platform.environment,
        "python_version": number,
        "python_full_version": f"{number}.0",
    }
    found = []
    for line in lines(text):
        if line.asked.marker and not line.asked.marker.evaluate(environment):
            continue
        names = [record[value] for value in line.hashes if value in record]
        fits = any(parse_wheel_filename(name)[3] & tags for name in names)
        if not fits:
            found.append(f"{line.asked.name}{line.asked.specifier}")
    return found


def recorded(file: Path = RECORD) -> dict[str, str]:
    """The record: SHA-256 to file name."""
    pairs = (line.split("  ", 1) for line in file.read_text("utf-8").splitlines())
    return dict(pairs)


def record_of(pylock: str) -> Iterator[tuple[str, str]]:
    """Hash and name of every wheel in a ``pylock.toml`` (PEP 751) that a promise may rest on."""
    wanted = {
        tag for platform in PLATFORMS for python in PYTHONS for tag in tags_of(platform, python)
    }
    for package in tomllib.loads(pylock)["packages"]:
        for wheel in package.get("wheels", []):
            name = wheel["url"].rpartition("/")[2]
            if parse_wheel_filename(name)[3] & wanted:
                yield wheel["hashes"]["sha256"], name


def main(files: list[str]) -> None:
    found = {pair for file in files for pair in record_of(Path(file).read_text("utf-8"))}
    rows = sorted(found, key=lambda pair: pair[1])
    RECORD.write_text("".join(f"{value}  {name}\n" for value, name in rows), "utf-8")


if __name__ == "__main__":
    main(sys.argv[1:])
