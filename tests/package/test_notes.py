"""Release notes are the changelog's own words."""

import pytest

from package.notes import CHANGELOG, main, notes

TEXT = """# Changelog

## [Unreleased]

### Added

- Something to come.

## [0.2.0] - 2026-12-01

### Fixed

- A thing. See [docs](docs/x.md).

## [0.1.0] - 2026-11-01

First.
"""


def test_one_version_without_its_neighbours() -> None:
    assert notes("0.2.0", TEXT) == "### Fixed\n\n- A thing. See [docs](docs/x.md).\n"
    assert notes("0.1.0", TEXT) == "First.\n"


@pytest.mark.parametrize("version", ["0.3.0", "0.2", "0"])
def test_a_version_without_words_is_refused(version: str) -> None:
    with pytest.raises(LookupError, match=version):
        notes(version, TEXT)


def test_our_changelog_can_be_read(capsys: pytest.CaptureFixture[str]) -> None:
    assert notes("Unreleased", CHANGELOG.read_text("utf-8")).startswith("### Added")
    assert main(["v99.0.0"]) == 1
    assert "99.0.0" in capsys.readouterr().err
    assert main([]) == 2
