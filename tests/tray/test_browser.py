"""The system's browser gets an environment of its own."""

import os
import sys
import webbrowser
from collections.abc import Callable

import pytest

from tray.browser import browse

SEEN = "LD_LIBRARY_PATH"


def opened(seen: list[str | None]) -> Callable[[str], bool]:
    """A browser that notes where it would look for libraries."""

    def open_it(_: str) -> bool:
        seen.append(os.environ.get(SEEN))
        return True

    return open_it


@pytest.mark.parametrize("before", ["/usr/lib/special", None])
def test_a_packaged_program_keeps_its_libraries_to_itself(
    monkeypatch: pytest.MonkeyPatch, before: str | None
) -> None:
    seen: list[str | None] = []
    monkeypatch.setattr(webbrowser, "open", opened(seen))
    monkeypatch.setattr(sys, "platform", "linux")
    monkeypatch.setattr(sys, "frozen", True, raising=False)
    monkeypatch.setenv(SEEN, "/bundle")
    if before is not None:
        monkeypatch.setenv(f"{SEEN}_ORIG", before)
    assert browse("http://127.0.0.1/")
    assert seen == [before]
    assert os.environ[SEEN] == "/bundle"


def test_from_source_nothing_is_changed(monkeypatch: pytest.MonkeyPatch) -> None:
    seen: list[str | None] = []
    monkeypatch.setattr(webbrowser, "open", opened(seen))
    monkeypatch.setenv(SEEN, "/mine")
    assert browse("http://127.0.0.1/")
    assert seen == ["/mine"]
