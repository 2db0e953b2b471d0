"""``--doctor``, and the same on the help page: what stands between a person and an answer.

Looks and changes no setting. The checks run side by side, each with a limit of its own, so a dead
network costs seconds; one that fails says so in its line. No line holds a secret.
"""

import asyncio
import contextlib
import json
import os
import platform
import queue
import socket
import sys
import threading
import time
import urllib.request
from collections.abc import Awaitable, Callable, Iterable, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from http.client import HTTPException
from pathlib import Path
from typing import Literal, TypeVar
from urllib.parse import urlsplit

from server import __version__
from server.auth.eligibility import problem_for
from server.host.gateway import Gateway
from server.host.network_probe import Reached, reach
from server.logs import redact
from server.network.proxies import from_surroundings
from server.settings.load import Settings
from server.upstreams.vertex import endpoint

Level = Literal["ok", "warn", "bad"]
T = TypeVar("T")

SKEW_S = 60.0
"""Google refuses sign-ins from clocks further off than a few minutes."""
REACH_S = 4.0
ACCOUNT_S = 6.0
CHECK_S = 5.0

_LICENCE_CODES = ("NO_LICENSE", "UNSUPPORTED_CLIENT", "INELIGIBLE_ACCOUNT", "DASHER_USER")


@dataclass(frozen=True, slots=True)
class Finding:
    """One thing that was looked at."""

    level: Level
    what: str
    told: str
    remedy: str = ""
    """What to do; empty where all is well."""


@dataclass(frozen=True, slots=True)
class Check:
    """Something to look at that blocks: a thread of its own does it."""

    what: str
    look: Callable[[], Sequence[Finding]]


async def examine(
    settings: Settings, *, more: Iterable[Check] = (), gateway: Gateway | None = None
) -> list[Finding]:
    """Everything, in the order in which a request meets it. Raises nothing, and ends in seconds.

    ``more``: what the server cannot know of (the desktop). ``gateway``: the running one, if any.
    """
    checks = (
        Check("program", program),
        Check("port", lambda: [port_holder(settings.port, own=gateway is not None)]),
        Check("localhost", lambda: [local_names(settings.host, settings.port)]),
        Check("data folder", lambda: data_folder(settings.data_dir)),
        Check("proxies", proxies),
        *more,
    )
    local, google = await asyncio.gather(
        asyncio.gather(*(_looked(check) for check in checks)), _google(settings, gateway)
    )
    return [*(finding for findings in local for finding in findings), *google]


def report(settings: Settings, more: Iterable[Check] = ()) -> list[Finding]:
    """``examine`` for callers without an event loop. What still waits for the network when all
    has been said (a name server, Google's sign-in service) is left behind."""
    found: queue.SimpleQueue[list[Finding]] = queue.SimpleQueue()

    async def run() -> None:
        found.put(await examine(settings, more=more))

    threading.Thread(target=asyncio.run, args=(run(),), daemon=True, name="doctor").start()
    return found.get()


def render(found: Iterable[Finding]) -> str:
    """The report as text; whatever looks like a credential, or is one, is blanked out."""
    shown = list(found)
    width = max((len(finding.what) for finding in shown), default=0)
    return redact("\n".join(_line(finding, width) for finding in shown))


def _line(finding: Finding, width: int) -> str:
    first = f"{finding.level:<5}{finding.what:<{width}}  {' '.join(finding.told.split())}"
    return f"{first}\n{'':<{width + 7}}-> {finding.remedy}" if finding.remedy else first


async def _looked(check: Check) -> Sequence[Finding]:
    return await _within(CHECK_S, check.what, _in_thread(check.look))


async def _within(
    limit_s: float, what: str, asked: Awaitable[Sequence[Finding]]
) -> Sequence[Finding]:
    """What ``asked`` finds. One check that fails must not hide what the others found."""
    try:
        async with asyncio.timeout(limit_s):
            return await asked
    except TimeoutError:
        return [Finding("warn", what, f"no answer within {limit_s:.0f} s", "Try again later.")]
    except Exception as error:  # noqa: BLE001  # see above
        told = f"could not be looked at ({type(error).__name__}: {error})"
        return [Finding("warn", what, told, "Please report this.")]


async def _in_thread(work: Callable[[], T]) -> T:
    """Run what may block for long. Nobody waits for such a thread, not even the end of the
    program, as it would for a thread of a pool."""
    loop = asyncio.get_running_loop()
    done: asyncio.Future[T] = loop.create_future()

    def settle(result: T | None, error: Exception | None) -> None:
        if done.cancelled():
            return
        if error is not None:
            done.set_exception(error)
        else:
            done.set_result(result)  # type: ignore[arg-type]

    def run() -> None:
        result, failure = None, None
        try:
            result = work()
        except Exception as error:  # noqa: BLE001  # raised again where it is awaited
            failure = error
        with contextlib.suppress(RuntimeError):  # nobody waits any more: the loop is closed
            loop.call_soon_threadsafe(settle, result, failure)

    threading.Thread(target=run, daemon=True, name="doctor").start()
    return await done


# ── this computer ────────────────────────────────────────────────────────────────────────────────


def program() -> list[Finding]:
    """Versions and system."""
    packed = ", packaged" if getattr(sys, "frozen", False) else ""
    return [
        Finding("ok", "version", f"{__version__}{packed}, Python {platform.python_version()}"),
        Finding("ok", "system", f"{platform.platform()}, {platform.machine()}"),
    ]


def port_holder(port: int, *, own: bool = False) -> Finding:
    """Whether the port is free, ours, or somebody else's. ``own``: this very process serves."""
    if own:
        return Finding("ok", "port", f"{port} is served by this program")
    with socket.socket() as trying:
        trying.settimeout(1)
        if trying.connect_ex(("127.0.0.1", port)) != 0:
            return Finding("ok", "port", f"{port} is free")
    taken = Finding(
        "bad",
        "port",
        f"{port} is held by another program{_holder(port)}",
        "Stop it, or choose another port with --port or PORT.",
    )
    opener = urllib.request.build_opener(urllib.request.ProxyHandler({}))
    try:
        with opener.open(f"http://127.0.0.1:{port}/health", timeout=2) as answer:
            health = json.loads(answer.read(2000))
    except (OSError, ValueError, HTTPException):
        return taken
    if isinstance(health, dict) and "wait_mode" in health:
        return Finding("ok", "port", f"{port} is held by Gemini API Proxy {health.get('version')}")
    return taken


def _holder(port: int) -> str:
    """`` (name, process 12)`` of whoever listens there, where Linux tells; else nothing."""
    inodes = set()
    for table in ("tcp", "tcp6"):
        try:
            lines = Path("/proc/net", table).read_text("ascii").splitlines()[1:]
        except OSError:
            continue
        rows = [line.split() for line in lines]
        inodes |= {r[9] for r in rows if r[3] == "0A" and int(r[1].rpartition(":")[2], 16) == port}
    wanted = {f"socket:[{inode}]" for inode in inodes}
    for folder in Path("/proc").glob("[0-9]*"):
        try:
            if any(str(link.readlink()) in wanted for link in (folder / "fd").iterdir()):
                return f" ({(folder / 'comm').read_text().strip()}, process {folder.name})"
        except OSError:
            continue  # somebody else's, or gone
    return ""


def local_names(hosts: tuple[str, ...], port: int) -> Finding:
    """What ``localhost`` means here, and whether we listen there."""
    try:
        infos = socket.getaddrinfo("localhost", None, type=socket.SOCK_STREAM)
    except OSError as error:
        told, remedy = f"does not resolve ({error})", f"Use http://127.0.0.1:{port} in your tools."
        return Finding("bad", "localhost", told, remedy)
    meant = list(dict.fromkeys(str(info[4][0]) for info in infos))
    missing = [address for address in meant if not _listens(address, hosts)]
    told = f"is {', '.join(meant)}"
    if missing:
        remedy = f"Use http://127.0.0.1:{port} in your tools, or add it to HOST."
        told = f"{told}; this program does not listen on {', '.join(missing)}"
        return Finding("warn", "localhost", told, remedy)
    return Finding("ok", "localhost", told)


def _listens(address: str, hosts: tuple[str, ...]) -> bool:
    everywhere = "::" if ":" in address else "0.0.0.0"  # noqa: S104  # compared, not bound
    return address in hosts or everywhere in hosts or "localhost" in hosts


def data_folder(folder: Path) -> list[Finding]:
    """Whether it can be written, and whether others can read what is in it."""
    if not folder.exists():
        return [
            Finding("ok", "data folder", f"{folder} does not exist yet: the first start makes it")
        ]
    if not os.access(folder, os.W_OK | os.X_OK):
        remedy = "Give yourself the right to write there, or choose another with --data-dir."
        return [
            Finding("bad", "data folder", f"{folder} cannot be written: nothing is saved", remedy)
        ]
    found = [Finding("ok", "data folder", str(folder))]
    # A closed folder closes all that is in it, WebKit's cache too.
    files = [path for path in folder.rglob("*") if path.is_file()] if _is_open(folder) else []
    wide = sorted(str(path.relative_to(folder)) for path in files if _is_open(path))
    if wide:
        told = f"others on this computer may read {', '.join(wide[:9])}"
        found.append(Finding("warn", "file rights", told, f"Run: chmod -R go= '{folder}'"))
    damaged = sorted(path.name for path in folder.glob("*.corrupt-*"))
    if damaged:
        remedy = "They are of no use to this program any more; delete them."
        found.append(Finding("warn", "damaged files", f"set aside: {', '.join(damaged)}", remedy))
    return found


def _is_open(path: Path) -> bool:
    try:
        return sys.platform != "win32" and bool(path.stat().st_mode & 0o077)
    except OSError:
        return False  # gone meanwhile


def proxies() -> list[Finding]:
    """The proxies this process would use, without their passwords."""
    used = from_surroundings()
    found = [Finding("ok", "NO_PROXY", ", ".join(used.without))] if used.without else []
    for setting in used.by_scheme.values():
        if setting.problem:
            found.append(Finding("bad", setting.variable, setting.problem, "Correct it."))
        else:
            told = f"{setting.shown} stands between this program and Google"
            remedy = "If Google cannot be reached, check this proxy, or unset it."
            found.append(Finding("warn", setting.variable, told, remedy))
    return found or [Finding("ok", "proxy", "none is set")]


# ── Google ───────────────────────────────────────────────────────────────────────────────────────


async def _google(settings: Settings, running: Gateway | None) -> list[Finding]:
    """Upstream, way to it, account, and what it said last."""
    try:
        if running is not None:
            return await _asked(running)
        gateway = Gateway(settings)
        try:
            return await _asked(gateway)
        finally:
            await gateway.aclose()
    except Exception as error:  # noqa: BLE001  # the other findings are worth more than this one
        told = f"could not be looked at ({type(error).__name__}: {error})"
        return [Finding("bad", "upstream", told, "Please report this.")]


async def _asked(gateway: Gateway) -> list[Finding]:
    choice = gateway.doors.choice()
    if choice.door is None:
        remedy = f"Open {gateway.doors.setup_address} and choose how to reach Gemini."
        found = [Finding("bad", "upstream", choice.reason, remedy)]
    else:
        found = [Finding("ok", "upstream", f"{choice.door.name} ({choice.reason})")]
    address = google_address(gateway)
    reached = None if address is None else await _reached(address)
    found += [] if reached is None else way(reached)
    found += token(gateway)
    if reached is None or reached.trouble is None:
        found += await _within(ACCOUNT_S, "account", account(gateway))
    else:
        told, remedy = "not asked: Google cannot be reached", "See above."
        found.append(Finding("warn", "account", told, remedy))
    found += models(gateway)
    found += await _within(CHECK_S, "last refusal", last_refusal(gateway))
    return found


async def _reached(address: str) -> Reached:
    """``reach``, which a name server may hold up for longer than any socket may."""
    try:
        async with asyncio.timeout(REACH_S + 1):
            return await _in_thread(lambda: reach(address, REACH_S))
    except TimeoutError:
        host = urlsplit(address).hostname or ""
        return Reached(host=host, trouble=f"the name {host} could not be resolved in time")


def google_address(gateway: Gateway) -> str | None:
    """Where the upstream in use sends its requests; None for the demo, which sends none."""
    door, settings = gateway.doors.choice().door, gateway.settings
    match door.name if door else "":
        case "demo":
            return None
        case "code-assist":
            return settings.code_assist_endpoint
        case "vertex":
            return settings.google_vertex_base_url or endpoint(settings.google_cloud_location)
        case _:
            return settings.google_gemini_base_url


def way(reached: Reached) -> list[Finding]:
    """Whether Google can be reached, who vouches for it, and how far our clock is from its own."""
    if reached.trouble is not None:
        remedy = (
            "Check the network. Behind a proxy set HTTPS_PROXY; with TLS inspection, SSL_CERT_FILE."
        )
        return [Finding("bad", "way to Google", reached.trouble, remedy)]
    through = f" through the proxy {reached.proxy}" if reached.proxy else ""
    found = [Finding("ok", "way to Google", f"{reached.host} answers{through}")]
    if reached.inspected:
        told = f"the certificate of {reached.host} comes from {reached.issuer}, not from Google"
        remedy = "Somebody on the way (an antivirus, a company's proxy) reads what is sent."
        found.append(Finding("warn", "TLS inspection", told, remedy))
    elif reached.issuer is not None:
        found.append(Finding("ok", "TLS inspection", f"none (certificate by {reached.issuer})"))
    if reached.ahead_s is None:
        found.append(Finding("warn", "clock", f"{reached.host} does not tell the time"))
    elif abs(reached.ahead_s) > SKEW_S:
        side = "ahead of" if reached.ahead_s > 0 else "behind"
        told = f"this computer is {abs(reached.ahead_s):.0f} s {side} {reached.host}"
        found.append(Finding("bad", "clock", told, "Set the clock: sign-ins fail until then."))
    else:
        found.append(Finding("ok", "clock", f"agrees with {reached.host}"))
    return found


def token(gateway: Gateway) -> list[Finding]:
    """The Google sign-in on disk, never what is in it."""
    tokens = gateway.tokens
    setup = f"Sign in at {gateway.doors.setup_address}."
    if tokens.problem is not None:
        return [Finding("bad", "token", tokens.problem.message, tokens.problem.remedy)]
    used = gateway.settings.upstream == "code-assist"
    if not tokens.signed_in:
        return [
            Finding("bad" if used else "ok", "token", "nobody is signed in", setup if used else "")
        ]
    expires_at, renewable = tokens.lifetime()
    if renewable:
        return [Finding("ok", "token", "there, and renewed by itself")]
    valid = expires_at > time.time()
    until = datetime.fromtimestamp(expires_at, UTC).strftime("%Y-%m-%d %H:%M UTC")
    told = f"there until {until}, and cannot be renewed" if valid else "there, but expired"
    return [Finding("warn" if valid else "bad", "token", told, setup)]


async def account(gateway: Gateway) -> list[Finding]:
    """Who is behind the upstream in use. ``Account.email`` is not shown."""
    who = await gateway.check_account()
    found: list[Finding] = []
    if who.problem is not None:
        said = who.problem.message
        remedy = who.problem.sentence.removeprefix(said).strip()
        found.append(Finding("bad", "account", said, remedy))
    elif who.authenticated:
        found.append(Finding("ok", "account", "ready"))
    else:
        remedy = f"Open {gateway.doors.setup_address}."
        found.append(Finding("bad", "account", "nobody is signed in", remedy))
    choice = gateway.doors.choice().door
    if choice is not None and choice.name == "code-assist":
        refused = who.problem is not None and who.problem.code in _LICENCE_CODES
        licence = problem_for("NO_LICENSE")
        found.append(
            Finding("bad", "licence", licence.message, licence.remedy)
            if refused
            else Finding("ok", "licence", "Google serves this account" if who.tier else "unknown")
        )
    if who.tier:
        found.append(Finding("ok", "tier", who.tier))
    if choice is not None and choice.name in ("code-assist", "vertex"):
        found.append(Finding("ok", "project", who.project or "none"))
    return found


def models(gateway: Gateway) -> list[Finding]:
    """What stands behind the tiers, what was refused to this credential, and what ends."""
    state = gateway.models()
    dead = {None, *(mark.model for mark in state.refused)}
    found = [
        Finding("bad" if one.model in dead else "ok", "model", one.sentence)
        for one in state.standing
    ]
    found += [Finding("warn", "refused model", mark.sentence) for mark in state.refused]
    return found + [Finding("warn", "model that ends", end.sentence) for end in state.ending]


async def last_refusal(gateway: Gateway) -> list[Finding]:
    """The newest of the last hundred requests that failed."""
    for entry in (await gateway.usage.summary())["recent_requests"]:
        if not entry["success"] and entry["error"]:
            told = f"{entry['timestamp']} {entry['outcome']}: {entry['error']}"
            return [Finding("warn", "last refusal", told, "The dashboard lists all of them.")]
    return [Finding("ok", "last refusal", "none among the last hundred requests")]
