"""The browser that the page tests share."""

from collections.abc import Iterator

import pytest

from tests.browser.chromium import Browser, chromium


@pytest.fixture(scope="session")
def browser() -> Iterator[Browser]:
    """Headless Chromium; its absence is a failure, never a skip."""
    with chromium() as running:
        yield running
