"""The system's own browser."""

import contextlib
import os
import sys
import webbrowser
from collections.abc import Iterator


def browse(address: str) -> bool:
    """Open ``address`` there; False when no browser could be started."""
    with _own_libraries():
        return webbrowser.open(address)


@contextlib.contextmanager
def _own_libraries() -> Iterator[None]:
    """A packaged Linux program runs with libraries of its own, which would break a browser.

    PyInstaller, *LD_LIBRARY_PATH considerations*: the value before is in ``LD_LIBRARY_PATH_ORIG``.
    """
    name = "LD_LIBRARY_PATH"
    if not (sys.platform == "linux" and getattr(sys, "frozen", False)):
        yield
        return
    ours, before = os.environ.pop(name, None), os.environ.get(f"{name}_ORIG")
    if before is not None:
        os.environ[name] = before
    try:
        yield
    finally:
        os.environ.pop(name, None)
        if ours is not None:
            os.environ[name] = ours
