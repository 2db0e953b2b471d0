"""The log page: the last entries of this process, by level."""

from collections.abc import Sequence

from quart import render_template, request

from server.limits import LOG_ENTRIES
from server.logs import LogLine, recent_entries
from webui.forms import Forms

LEVELS = ("debug", "info", "warning", "error")


def at_least(lines: Sequence[LogLine], level: str) -> list[LogLine]:
    """The entries of this level and above, newest first."""
    wanted = LEVELS.index(level)
    return [
        line
        for line in reversed(lines)
        if line.level not in LEVELS or LEVELS.index(line.level) >= wanted
    ]


class LogPage:
    """``GET /log``."""

    def __init__(self, forms: Forms) -> None:
        self._forms = forms
        self._gateway = forms.gateway

    async def show(self) -> str:
        recorded = self._gateway.settings.log_level
        asked = request.args.get("level", "")
        if recorded == "debug" and not self._forms.may("owner"):
            recorded = "info"  # the bodies that others sent stand in the lines below it
        level = asked if asked in LEVELS[LEVELS.index(recorded) :] else recorded
        return await render_template(
            "log.html",
            lines=at_least(recent_entries(), level),
            level=level,
            levels=LEVELS[LEVELS.index(recorded) :],
            recorded=recorded,
            kept=LOG_ENTRIES,
        )
