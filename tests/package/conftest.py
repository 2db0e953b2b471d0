"""The package, built once for all its tests; they come last, since it takes half a minute."""

import os
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from package.__main__ import build
from package.screen import screen

HERE = Path(__file__).parent


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Mistakes that are cheaper to find are found first."""
    items.sort(key=lambda item: HERE in item.path.parents)


@pytest.fixture(scope="session")
def dist(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with the freshly built package of this platform."""
    folder = tmp_path_factory.mktemp("dist")
    build(folder)
    return folder


@pytest.fixture(scope="session")
def desktop() -> Iterator[dict[str, str]]:
    """The environment of a desktop that holds nothing else of ours."""
    if sys.platform != "linux":
        pytest.skip("not applicable: the Linux desktop tier")
    with screen({"PATH": os.environ["PATH"]}) as environ:
        yield environ
