"""Which server to connect to, and whether the tools of its user are on this computer at all."""

from pathlib import Path

from server.connect.tool import ANY_KEY, Target
from server.gemini.model_names import STABLE_NAMES
from server.settings.load import Settings


def base_url(settings: Settings) -> str:
    """The address for tools on this computer. They get a number: ``localhost`` means ``::1`` to
    many, and that may be missing."""
    hosts = settings.host
    everywhere = {"0.0.0.0", "::", "localhost", "127.0.0.1"}  # noqa: S104  # compared, not bound
    host = "127.0.0.1" if everywhere & set(hosts) or not hosts else hosts[0]
    return f"http://{f'[{host}]' if ':' in host else host}:{settings.port}"


def target(settings: Settings, *, base: str = "", model: str = "") -> Target:
    """What tools get: names that stay when the models behind them change."""
    keys = settings.api_keys
    return Target(
        base_url=(base or base_url(settings)).rstrip("/").removesuffix("/v1"),
        best=model or BEST,
        main=model or MAIN,
        fast=FAST,
        key=keys[0] if keys else ANY_KEY,
        secret=bool(keys),
    )


BEST, MAIN, FAST = STABLE_NAMES
"""The tiers' own names, which stay when the models behind them change."""

_DOCKER, _SYSTEMD = Path("/data"), Path("/var/lib/gemini-api-proxy")


def elsewhere(data_dir: Path) -> str | None:
    """Why configuration files written here would not reach the user's tools, or None.

    Told by the data folder that our image and our service have (contract section 2). A container
    of the user's own may well hold their tools.
    """
    if data_dir == _DOCKER:
        return "This server runs in Docker; your tools and their files are outside its container."
    if data_dir == _SYSTEMD:
        return "This server runs as a system service, under a user of its own."
    return None
