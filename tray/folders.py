"""Opens a folder in the system's file manager. A browser is none: ``webbrowser`` would take one."""

import logging
import os
import subprocess
import sys
import threading
from pathlib import Path

log = logging.getLogger(__name__)


def open_folder(folder: Path) -> bool:
    """False when there is no way to. Returns at once; what fails later is logged."""
    try:
        if sys.platform == "win32":
            os.startfile(folder)  # noqa: S606  # a folder, which Explorer shows
        else:
            program = "/usr/bin/open" if sys.platform == "darwin" else "xdg-open"
            _start([program, str(folder)])
    except OSError as error:
        log.warning("The folder %s could not be opened: %s", folder, error)
        return False
    return True


def _start(command: list[str]) -> None:
    process = subprocess.Popen(  # noqa: S603
        command, stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL
    )

    def wait() -> None:  # else it stays as a zombie
        if process.wait():
            log.warning("%s could not open %s (exit code %d)", *command, process.returncode)

    threading.Thread(target=wait, name="folder", daemon=True).start()
