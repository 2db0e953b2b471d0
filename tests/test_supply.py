"""Packages come in the version and with the bytes that were locked, and the SBOM tells them all."""

import json
from pathlib import Path

import pytest

from tests import supply

FILES = supply.locked_files()
HASH = "--hash=sha256:" + "0" * 64


@pytest.mark.parametrize("file", FILES, ids=lambda file: file.name)
def test_every_package_is_pinned_to_version_and_hash(file: Path) -> None:
    text = file.read_text()
    assert list(supply.pins(text))
    assert supply.loose(text) == []
    assert "index-url" not in text


def test_what_is_loose_is_named() -> None:
    text = f"a==1 \\\n    {HASH}\n# b\nc>=2 \\\n    {HASH}\nd==3\ne==1.* {HASH}\n"
    assert supply.loose(text) == ["c", "d", "e"]


def test_a_package_is_locked_in_one_version_only() -> None:
    """What runs and what is tested are the same."""
    locked = {
        pin.name: pin.version for pin in supply.pins((supply.ROOT / "requirements.txt").read_text())
    }
    tested = {
        pin.name: pin.version
        for pin in supply.pins((supply.ROOT / "requirements-test.txt").read_text())
    }
    assert {name: tested.get(name) for name in locked} == locked


def test_a_bill_of_materials_that_leaves_something_out_is_refused(tmp_path: Path) -> None:
    requirements = (supply.ROOT / "requirements.txt").read_text()
    parts = [{"name": pin.name, "version": pin.version} for pin in supply.pins(requirements)]
    file = tmp_path / "sbom.json"
    file.write_text(json.dumps({"components": parts}))
    assert supply.main(["sbom", str(file)]) is None
    file.write_text(json.dumps({"components": [part for part in parts if part["name"] != "quart"]}))
    assert "quart" in str(supply.main(["sbom", str(file)]))
    assert supply.main(["pins"]) is None
    assert "python -m tests.supply" in str(supply.main([]))


def test_nothing_is_installed_but_what_is_locked() -> None:
    """Every line with pip, of Makefile, scripts and workflows, asks for hashes."""
    found = []
    for file in (
        "Makefile",
        "setup.sh",
        "Dockerfile",
        "tests/desktop/prepare.py",
        ".github/workflows/test.yml",
        ".github/workflows/release.yml",
    ):
        text = (supply.ROOT / file).read_text().replace("\\\n", " ")
        found += [
            f"{file}: {line.strip()}"
            for line in text.splitlines()
            if "pip install" in line and "--require-hashes" not in line
        ]
    assert found == []
    assert '"--require-hashes"' in (supply.ROOT / "tests/desktop/prepare.py").read_text()
