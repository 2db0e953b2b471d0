"""Who holds a port that we want, and which one is free instead. Nothing is ever killed or moved."""

import urllib.request
from dataclasses import dataclass, replace
from http.client import HTTPException

from server.host.runtime import PortInUseError, bind, next_free_port
from server.settings.load import Settings, SettingsError


@dataclass(frozen=True, slots=True)
class Conflict:
    """A port in use, in words."""

    message: str
    """Names the port and, as far as it can be told, who listens there."""
    free: int | None
    """The next free port, to propose."""


def conflict(error: PortInUseError) -> Conflict:
    """Look at who answers there and what is free; takes up to two seconds."""
    return Conflict(f"{error} {_holder(error.port)}", next_free_port(error.host, error.port))


def obstacle(wanted: Settings, port_now: int) -> str | None:
    """Why a server on ``port_now`` could not listen as ``wanted``; None when it probably can.

    The port that is ours already is not tried: we hold it ourselves.
    """
    try:
        for free in bind(wanted if wanted.port != port_now else replace(wanted, port=0)):
            free.close()
    except PortInUseError as error:
        found = conflict(error)
        return found.message + (f" Port {found.free} is free." if found.free else "")
    except SettingsError as error:
        return str(error)
    return None


def _holder(port: int) -> str:
    direct = urllib.request.build_opener(urllib.request.ProxyHandler({}))
    try:
        with direct.open(f"http://127.0.0.1:{port}/health", timeout=2) as answer:
            ours = b'"wait_mode"' in answer.read(2000)
    except (OSError, HTTPException):  # HTTPException: what answers there does not speak HTTP
        ours = False
    if ours:
        return "Gemini API Proxy is already running there."
    return "Another program listens there."
