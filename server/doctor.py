"""``--doctor``: what stands between a person and an answer, one line each, without a secret.

Looks, changes no setting, and asks Google for no more than the account in use.
"""

import asyncio
import json
import os
import platform
import socket
import sys
import time
import urllib.request
from dataclasses import dataclass
from email.utils import parsedate_to_datetime
from pathlib import Path
from typing import Literal
from urllib.parse import urlsplit

import httpx

from server import __version__
from server.errors import ProxyError
from server.gateway import Gateway
from server.logs import redact
from server.settings import Settings
from server.upstreams.network import mapped_errors

Level = Literal["ok", "look", "bad"]

SKEW_S = 60.0
"""Google refuses sign-ins from clocks further off than a few minutes."""
ANSWER_S = 5.0


@dataclass(frozen=True, slots=True)
class Finding:
    """One thing that was looked at."""

    level: Level
    what: str
    told: str


async def examine(settings: Settings) -> list[Finding]:
    """Everything, in the order in which a request meets it."""
    found = [
        Finding("ok", "version", f"{__version__}, Python {platform.python_version()}, {_system()}"),
        await asyncio.to_thread(port_holder, settings.port),
        await asyncio.to_thread(local_names, settings.host),
        *data_folder(settings.data_dir),
        *proxies(),
    ]
    gateway = Gateway(settings)
    try:
        google = _google(settings, gateway)
        if google is not None:
            found.append(await clock(gateway.http, google))
        found += await account(gateway)
        found.append(await last_refusal(gateway))
    finally:
        await gateway.aclose()
    return found


def render(found: list[Finding]) -> str:
    """The report as text; whatever looks like a credential, or is one, is blanked out."""
    width = max((len(finding.what) for finding in found), default=0)
    return redact("\n".join(f"{f.level:<5}{f.what:<{width}}  {f.told}" for f in found))


def port_holder(port: int) -> Finding:
    """Whether the port is free, ours, or somebody else's."""
    with socket.socket() as trying:
        trying.settimeout(1)
        if trying.connect_ex(("127.0.0.1", port)) != 0:
            return Finding("ok", "port", f"{port} is free")
    opener = urllib.request.build_opener(urllib.request.ProxyHandler({}))
    try:
        with opener.open(f"http://127.0.0.1:{port}/health", timeout=2) as answer:
            health = json.loads(answer.read(2000))
    except (OSError, ValueError):
        return Finding("bad", "port", f"{port} is held by another program; choose another PORT")
    if isinstance(health, dict) and "wait_mode" in health:
        return Finding("ok", "port", f"{port} is held by Gemini API Proxy {health.get('version')}")
    return Finding("bad", "port", f"{port} is held by another program; choose another PORT")


def local_names(hosts: tuple[str, ...]) -> Finding:
    """What ``localhost`` means here, and whether we listen there."""
    try:
        infos = socket.getaddrinfo("localhost", None, type=socket.SOCK_STREAM)
    except OSError as error:
        return Finding("bad", "localhost", f"does not resolve ({error}); use 127.0.0.1")
    meant = list(dict.fromkeys(str(info[4][0]) for info in infos))
    missing = [address for address in meant if not _listens(address, hosts)]
    told = f"is {', '.join(meant)}"
    if missing:
        return Finding("look", "localhost", f"{told}; we do not listen on {', '.join(missing)}")
    return Finding("ok", "localhost", told)


def data_folder(folder: Path) -> list[Finding]:
    """Whether it can be written, and whether others can read what is in it."""
    if not folder.exists():
        return [Finding("look", "data folder", f"{folder} does not exist yet")]
    if not os.access(folder, os.W_OK | os.X_OK):
        return [Finding("bad", "data folder", f"{folder} cannot be written: nothing is saved")]
    found = [Finding("ok", "data folder", str(folder))]
    if sys.platform != "win32":
        files = [path for path in folder.iterdir() if path.is_file()]
        wide = sorted(path.name for path in files if path.stat().st_mode & 0o077)
        if wide:
            told = f"others on this computer may read {', '.join(wide)}"
            found.append(Finding("look", "file rights", told))
    damaged = sorted(path.name for path in folder.glob("*.corrupt-*"))
    if damaged:
        found.append(Finding("look", "damaged files", f"set aside: {', '.join(damaged)}"))
    return found


def proxies() -> list[Finding]:
    """The HTTP proxies this process would use, without their passwords."""
    found = []
    for scheme, address in sorted(urllib.request.getproxies().items()):
        if scheme == "no":
            found.append(Finding("ok", "NO_PROXY", address))
            continue
        parts = urlsplit(address if "://" in address else f"//{address}")
        found.append(Finding("look", f"{scheme.upper()}_PROXY", f"{parts.hostname}:{parts.port}"))
    return found or [Finding("ok", "HTTP proxy", "none")]


async def clock(http: httpx.AsyncClient, address: str) -> Finding:
    """Whether Google can be reached, and how far our clock is from its own."""
    try:
        with mapped_errors():
            answer = await http.head(address, timeout=ANSWER_S)
        theirs = parsedate_to_datetime(answer.headers["date"]).timestamp()
    except ProxyError as error:
        return Finding("bad", "reach", error.message)
    except (KeyError, ValueError):
        return Finding("look", "clock", f"{address} does not tell the time")
    skew = time.time() - theirs
    if abs(skew) > SKEW_S:
        way = "ahead of" if skew > 0 else "behind"
        told = f"{abs(skew):.0f} s {way} {urlsplit(address).hostname}; set it: sign-ins fail"
        return Finding("bad", "clock", told)
    return Finding("ok", "clock", f"agrees with {urlsplit(address).hostname}")


async def account(gateway: Gateway) -> list[Finding]:
    """The upstream in use, and who is behind it. ``Account.email`` is not shown."""
    choice = gateway.doors.choice()
    name = choice.door.name if choice.door else "none"
    found = [Finding("ok" if choice.door else "bad", "upstream", f"{name} ({choice.reason})")]
    try:
        async with asyncio.timeout(ANSWER_S * 2):
            who = await gateway.check_account()
    except TimeoutError:
        return [*found, Finding("bad", "account", "Google did not answer in time")]
    if who.problem is not None:
        found.append(Finding("bad", "account", who.problem.sentence))
    else:
        told = (
            "ready" if who.authenticated else f"nobody is signed in; open {gateway.base_url}/setup"
        )
        found.append(Finding("ok" if who.authenticated else "bad", "account", told))
    if who.tier:
        found.append(Finding("ok", "tier", who.tier))
    if who.project:
        found.append(Finding("ok", "project", who.project))
    return found


async def last_refusal(gateway: Gateway) -> Finding:
    """The newest of the last hundred requests that failed."""
    for entry in (await gateway.usage.summary())["recent_requests"]:
        if not entry["success"] and entry["error"]:
            told = f"{entry['timestamp']} {entry['outcome']}: {entry['error']}"
            return Finding("look", "last refusal", told)
    return Finding("ok", "last refusal", "none")


def _google(settings: Settings, gateway: Gateway) -> str | None:
    """Where the upstream in use sends its requests; None for the demo, which sends none."""
    door = gateway.doors.choice().door
    if door is not None and door.name == "demo":
        return None
    if door is not None and door.name == "code-assist":
        return settings.code_assist_endpoint
    return settings.google_gemini_base_url


def _listens(address: str, hosts: tuple[str, ...]) -> bool:
    everywhere = "::" if ":" in address else "0.0.0.0"  # noqa: S104  # compared, not bound
    return address in hosts or everywhere in hosts or "localhost" in hosts


def _system() -> str:
    return f"{platform.system()} {platform.release()}"
