"""A package brings the licence of everything in it."""

import sys
from pathlib import Path

import pytest

from package.licences import owner_of, python_licence, write_licences
from webui.about import distributions, library


def test_every_component_besides_the_distributions_has_its_text(tmp_path: Path) -> None:
    folder = write_licences(tmp_path / "texts", platform="linux")
    texts = {path.stem: path.read_text("utf-8") for path in folder.iterdir()}
    assert "MIT License" in texts["gemini-api-proxy"]
    assert "PYTHON SOFTWARE FOUNDATION" in texts["Python"].upper()
    assert "exception" in texts["PyInstaller bootloader"]
    assert "LESSER GENERAL PUBLIC LICENSE" in texts["PyGObject"]


@pytest.mark.parametrize("platform", ["linux", "win32", "darwin"])
def test_every_distribution_in_it_has_its_text(platform: str, tmp_path: Path) -> None:
    """Some bring none of their own; which, on other systems, ``test_wheels.py`` sees."""
    folder = write_licences(tmp_path / "texts", platform=platform)
    for name in distributions():
        assert library(name).has_text or (folder / f"{name}.txt").exists(), name
    assert "Jonathan Tushman" in (folder / "proxy-tools.txt").read_text("utf-8")
    assert (folder / "pyobjc.txt").exists() == (platform == "darwin")


def test_other_systems_hold_no_pygobject(tmp_path: Path) -> None:
    folder = write_licences(tmp_path / "texts", platform="win32")
    assert not (folder / "PyGObject.txt").exists()


def test_writing_again_forgets_what_is_no_longer_bundled(tmp_path: Path) -> None:
    (tmp_path / "gone.txt").write_text("")
    assert not (write_licences(tmp_path) / "gone.txt").exists()


def test_a_file_of_the_system_leads_to_its_package(tmp_path: Path) -> None:
    shell = owner_of("/bin/sh")
    assert shell is None or (Path("/usr/share/doc") / shell / "copyright").exists()
    assert owner_of(str(tmp_path)) is None
    if Path("/var/lib/dpkg/status").exists():
        assert shell is not None
        assert (write_licences(tmp_path / "texts", ["/bin/sh"]) / f"{shell}.txt").exists()


def test_python_is_found_here() -> None:
    assert len(python_licence()) > 2000, sys.base_prefix
