"""The page that connects tools: what ``main.py connect`` does, with buttons.

Files are shown and written only for a visitor on this very computer, and only where the tools of
its user are on it too; everybody else gets settings to copy.
"""

import asyncio
from dataclasses import dataclass
from typing import Any
from urllib.parse import urlencode

from quart import g, redirect, render_template, request

from server.connect import probe
from server.connect.connector import WORDS, Connector, Standing
from server.connect.edits import CannotEditError
from server.connect.files import ChangedMeanwhileError
from server.connect.ledger import CannotUndoError
from server.connect.places import Places
from server.connect.server_address import elsewhere, target
from server.connect.tool import Snippet, Target, Tool
from server.connect.tools import TOOLS
from webui.forms import Forms

HIDDEN_KEY = "<one of your API_KEY>"


@dataclass(frozen=True, slots=True)
class Line:
    """One line of a diff, and its kind: ``add``, ``del``, ``head`` or nothing."""

    text: str
    kind: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Sheet:
    """One tool as the page shows it."""

    tool: Tool
    snippets: tuple[Snippet, ...]
    state: Standing = "sheet"
    diff: tuple[Line, ...] = ()
    """What Apply would change; empty when nothing."""
    digest: str = ""
    back: tuple[Line, ...] = ()
    """What Undo would change."""
    back_digest: str = ""
    holds_secret: bool = False
    rivals: tuple[str, ...] = ()
    """What wins over its settings."""
    problem: str = ""
    undo_problem: str = ""

    @property
    def word(self) -> str:
        return WORDS[self.state]


@dataclass(frozen=True, slots=True)
class Told:
    """What came of a button."""

    tool: str
    text: str
    failed: bool = False


def lines(diff: str) -> tuple[Line, ...]:
    """A unified diff, line by line."""
    kinds = {"+": "add", "-": "del", "@": "head"}
    return tuple(
        Line(line, "head" if line.startswith(("---", "+++")) else kinds.get(line[:1], ""))
        for line in diff.splitlines()
    )


def copyable(tool: Tool, wanted: Target) -> Sheet:
    """Only what there is to copy, without a secret."""
    shown = Target(
        wanted.base_url, wanted.best, wanted.fast, HIDDEN_KEY if wanted.secret else "any"
    )
    return Sheet(tool=tool, snippets=tuple(tool.snippets(shown)))


def sheet(connector: Connector, tool: Tool, wanted: Target) -> Sheet:
    """All about one tool on this computer."""
    plain = copyable(tool, wanted)
    if tool.files is None:
        return plain
    problem = undo_problem = ""
    diff: tuple[Line, ...] = ()
    back: tuple[Line, ...] = ()
    digest = back_digest = ""
    rivals: list[str] = []
    holds_secret = False
    try:
        plan = connector.plan(tool, wanted)
        diff, digest, holds_secret = lines(plan.diff()), plan.digest, plan.holds_secret
        rivals = connector.rivals(tool, wanted)
    except (CannotEditError, CannotUndoError) as error:
        problem = str(error)
    if connector.undoable(tool):
        try:
            undo = connector.undo_plan(tool)
            text = undo.diff().replace(wanted.key, HIDDEN_KEY) if wanted.secret else undo.diff()
            back, back_digest = lines(text), undo.digest
        except (CannotEditError, CannotUndoError) as error:
            undo_problem = str(error)
    return Sheet(
        tool=tool,
        snippets=plain.snippets,
        state=connector.state(tool, wanted),
        diff=diff,
        digest=digest,
        back=back,
        back_digest=back_digest,
        holds_secret=holds_secret,
        rivals=tuple(rivals),
        problem=problem,
        undo_problem=undo_problem,
    )


class ConnectPage:
    """``/connect``."""

    def __init__(self, forms: Forms) -> None:
        self._forms = forms
        self._gateway = forms.gateway

    def _connector(self) -> Connector:
        return Connector(Places.here(), self._gateway.settings.data_dir)

    def _target(self) -> Target:
        return target(self._gateway.settings)

    def _sheets(self, *, may_write: bool) -> list[Sheet]:
        wanted, connector = self._target(), self._connector()
        if not may_write:
            return [copyable(tool, wanted) for tool in TOOLS]
        found = [sheet(connector, tool, wanted) for tool in TOOLS]
        return sorted(found, key=lambda one: list(WORDS).index(one.state))

    async def show(self, told: Told | None = None) -> str:
        gateway = self._gateway
        away = elsewhere(gateway.settings.data_dir)
        may_write = bool(g.local) and away is None
        if told is None and request.args.get("done") in _DONE:
            told = Told(request.args.get("tool", ""), _DONE[request.args["done"]])
        return await render_template(
            "connect.html",
            status=gateway.status(),
            base_url=gateway.base_url,
            closed=bool(gateway.settings.api_keys),
            api_key=gateway.access.generated_key if g.local else None,
            sheets=await asyncio.to_thread(self._sheets, may_write=may_write),
            may_write=may_write,
            away=away,
            token=self._forms.token,
            told=told,
        )

    async def change(self) -> Any:
        form = await self._forms.read("apply", "undo", "verify")
        if not g.local or elsewhere(self._gateway.settings.data_dir):
            told = Told(
                form.get("tool", ""), "Files are changed from their own computer only.", True
            )
            return await self.show(told), 403
        tool = next((tool for tool in TOOLS if tool.id == form.get("tool")), None)
        if tool is None or tool.files is None:
            return await self.show(Told("", "There is no such tool.", True)), 400
        action = form.get("action", "")
        if action == "verify":
            return await self.show(await self._verify(tool))
        try:
            done = await asyncio.to_thread(self._write, tool, action, form)
        except (CannotEditError, CannotUndoError, ChangedMeanwhileError) as error:
            return await self.show(Told(tool.id, str(error), True)), 409
        except OSError as error:
            text = f"{error.filename or tool.title} cannot be written: {error.strerror}."
            return await self.show(Told(tool.id, text, True)), 500
        return redirect(
            f"/connect?{urlencode({'done': done, 'tool': tool.id})}#tool-{tool.id}", 303
        )

    def _write(self, tool: Tool, action: str, form: dict[str, str]) -> str:
        """Apply or undo what the page showed; returns which."""
        connector = self._connector()
        undo = action == "undo"
        plan = connector.undo_plan(tool) if undo else connector.plan(tool, self._target())
        if plan.digest != form.get("digest"):
            raise ChangedMeanwhileError("The files changed since this page was made. Look again.")
        if undo:
            connector.undo(plan)
            return "undo"
        if plan.holds_secret and not form.get("write_key"):
            raise CannotEditError("Tick the box: the file will hold your API_KEY.")
        connector.apply(plan)
        return "apply"

    async def _verify(self, tool: Tool) -> Told:
        """Ask ourselves over a real socket, as the tool would."""
        connector, wanted = self._connector(), self._target()
        ask = await asyncio.to_thread(connector.ask, tool, wanted)
        if ask is None:
            return Told(tool.id, "Its files do not name this server.", True)
        rivals = await asyncio.to_thread(connector.rivals, tool, wanted)
        if rivals:
            return Told(tool.id, f"Not connected: {' '.join(rivals)}", True)
        answer = await probe.ask(ask)
        return Told(tool.id, answer.told, not answer.ok)


_DONE = {
    "apply": "The settings are written. Now verify, then restart the tool.",
    "undo": "The files are as they would be without us.",
}
