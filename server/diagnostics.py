"""What a bug report needs: versions, where things are, every setting and where it came from."""

import platform
import sys

from server import __version__
from server.logs import redact
from server.options import ALL_OPTIONS, Option
from server.settings import Loaded


def report(loaded: Loaded) -> str:
    """Plain text without credentials."""
    settings = loaded.settings
    lines = [
        f"Gemini API Proxy {__version__}",
        f"Python {platform.python_version()} on {platform.platform()}",
        f"Frozen: {'yes' if getattr(sys, 'frozen', False) else 'no'}",
        f"Data folder: {settings.data_dir}",
    ]
    for option in ALL_OPTIONS.values():
        value = _shown(option, getattr(settings, option.field))
        lines.append(f"{option.name} = {value} ({settings.source(option.name)})")
    lines += [f"Warning: {warning}" for warning in loaded.warnings]
    return redact("\n".join(lines))


def _shown(option: Option, value: object) -> str:
    if option.secret:
        return "(set)" if value else "(not set)"
    if isinstance(value, tuple):
        return ", ".join(map(str, value)) or "(not set)"
    return "(not set)" if value is None else str(value)
