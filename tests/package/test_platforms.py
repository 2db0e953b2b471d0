"""Nothing that README promises needs a compiler: every pin has a wheel for every platform.

``wheels.txt`` is what the registry said when the pins were made; its hashes bind it to them.
"""

from pathlib import Path

import pytest

from package import ROOT
from package.platforms import PLATFORMS, PYTHONS, Platform, lacking, lines, recorded

FILES = ("requirements.txt", "requirements-server.txt", "requirements-package.txt")
ONLY_TESTED_ON = {"requirements-test.txt": ("Linux x86_64", "Windows x86_64", "macOS arm64")}
"""What CI installs, and where; contributors on Linux aarch64 lack shellcheck."""

SOURCE_ONLY = {"proxy-tools"}
"""Pure Python without a wheel anywhere; built with what requirements-build.txt pins."""


@pytest.mark.parametrize("python", PYTHONS, ids=lambda python: ".".join(map(str, python)))
@pytest.mark.parametrize("platform", PLATFORMS, ids=lambda platform: platform.name)
@pytest.mark.parametrize("file", [*FILES, *ONLY_TESTED_ON])
def test_every_pin_has_a_wheel_there(
    file: str, platform: Platform, python: tuple[int, int]
) -> None:
    if platform.name not in ONLY_TESTED_ON.get(file, (platform.name,)):
        return
    text = (ROOT / file).read_text("utf-8")
    found = [name.partition("==")[0] for name in lacking(text, recorded(), platform, python)]
    assert set(found) - SOURCE_ONLY == set(), "run make lock, or drop the platform everywhere"


@pytest.mark.parametrize("file", [*FILES, *ONLY_TESTED_ON])
def test_the_record_is_of_these_pins(file: str) -> None:
    known = set(recorded())
    stale = [
        line.asked.name
        for line in lines((ROOT / file).read_text("utf-8"))
        if not line.hashes & known and line.asked.name not in SOURCE_ONLY
    ]
    assert stale == []


def test_a_package_without_a_wheel_is_named() -> None:
    """An Intel Mac: cryptography has had no wheel for it since version 50."""
    intel = Platform(
        "macOS x86_64",
        {**PLATFORMS[-1].environment, "platform_machine": "x86_64"},
        tuple(f"macosx_10_{minor}_x86_64" for minor in range(16, 3, -1)),
    )
    text = (ROOT / "requirements-server.txt").read_text("utf-8")
    assert any("cryptography" in name for name in lacking(text, recorded(), intel, (3, 11)))


def test_the_platforms_are_those_that_the_papers_name() -> None:
    """README, the workflows and docs/packaging.md say the same."""
    readme = (ROOT / "README.md").read_text("utf-8")
    packaging = (ROOT / "docs/packaging.md").read_text("utf-8")
    release = (ROOT / ".github/workflows/release.yml").read_text("utf-8")
    for platform in PLATFORMS:
        assert platform.name in readme, platform.name
    assert "glibc 2.35" in packaging
    assert "macOS 12" in packaging
    for text in (release, Path(ROOT / ".github/workflows/test.yml").read_text("utf-8")):
        assert "intel" not in text
