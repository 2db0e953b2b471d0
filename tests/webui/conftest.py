"""The browser that the page tests share."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.browser.chromium import Browser, chromium
from tests.support import nobody


@pytest.fixture(scope="session")
def browser() -> Iterator[Browser]:
    """Headless Chromium; its absence is a failure, never a skip."""
    with chromium() as running:
        yield running


@pytest.fixture(autouse=True)
def home(tmp_path_factory: pytest.TempPathFactory, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A home folder without any tool in it: /connect looks at the user's own otherwise."""
    folder = tmp_path_factory.mktemp("home")
    for name, value in nobody(folder).items():
        monkeypatch.setenv(name, value)
    return folder
