"""``main.py connect [NAME]``: lists tools, shows what would change, applies, asks, undoes.

Exit codes (contract section 1): 0 done, 1 not done or not answered, 2 wrong arguments.
"""

import argparse
import asyncio
import subprocess
import tempfile
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from server.connect import probe
from server.connect.connector import WORDS, Connector, Plan
from server.connect.edits import CannotEditError
from server.connect.files import ChangedMeanwhileError
from server.connect.ledger import CannotUndoError
from server.connect.places import Places
from server.connect.server_address import elsewhere, target
from server.connect.tool import KEY_VARIABLE, Target, Tool
from server.connect.tools import TOOLS, named
from server.settings.load import Settings

DONE, FAILED, WRONG = 0, 1, 2
LONGEST_S = 180


@dataclass(frozen=True, slots=True)
class Console:
    """One run of the command. ``say`` prints a line, ``answer`` asks and reads one."""

    options: argparse.Namespace
    settings: Settings
    say: Callable[[str], None]
    answer: Callable[[str], str]
    places: Places

    @classmethod
    def here(
        cls,
        options: argparse.Namespace,
        settings: Settings,
        say: Callable[[str], None],
        answer: Callable[[str], str],
    ) -> "Console":
        return cls(options, settings, say, answer, Places.here(Path.cwd()))

    def run(self) -> int:
        """Do what was asked; returns the exit code."""
        options = self.options
        connector = Connector(self.places, self.settings.data_dir)
        wanted = target(self.settings, base=options.base_url, model=options.model)
        if options.tool is None:
            return self._list(connector, wanted)
        tool = named(options.tool)
        if tool is None:
            known = ", ".join(tool.id for tool in TOOLS)
            self.say(f"connect: {options.tool!r} is not known; allowed: {known}.")
            return WRONG
        away = None if options.base_url else elsewhere(self.settings.data_dir)
        try:
            if options.undo:
                return self._undo(connector, tool)
            if tool.files is None or options.show or away:
                self._sheet(tool, wanted, away)
                return DONE
            if options.verify:
                return self._verify(connector, tool, wanted)
            return self._connect(connector, tool, wanted)
        except (CannotEditError, CannotUndoError, ChangedMeanwhileError) as error:
            self.say(str(error))
            if isinstance(error, CannotEditError):
                self.say(f"To do it by hand: connect {tool.id} --show")
            return FAILED
        except BrokenPipeError:
            raise
        except OSError as error:
            self.say(f"{error.filename or tool.title} cannot be written: {error.strerror}.")
            return FAILED

    def _list(self, connector: Connector, wanted: Target) -> int:
        self.say(f"Tools and {wanted.base_url}:")
        for tool in TOOLS:
            self.say(f"  {tool.id:<14}{tool.title:<24}{WORDS[connector.state(tool, wanted)]}")
        self.say("connect NAME shows what would change; --undo takes it back.")
        return DONE

    def _sheet(self, tool: Tool, wanted: Target, away: str | None) -> None:
        self.say(f"{tool.title}. {tool.note}".rstrip(". ") + ".")
        if away:
            self.say(f"{away} These are the settings to copy:")
        for snippet in tool.snippets(wanted):
            text = snippet.text
            if wanted.secret:
                text = text.replace(wanted.key, "<your API_KEY>")
            self.say(f"\n{snippet.where}:\n{text}")

    def _connect(self, connector: Connector, tool: Tool, wanted: Target) -> int:
        plan = connector.plan(tool, wanted)
        if plan.empty:
            self.say(f"{tool.title}'s settings lead to {wanted.base_url} already.")
        else:
            if not connector.found(tool, wanted):
                self.say(f"{tool.title} was not found on this computer; its file is made anyway.")
            self.say(plan.diff())
            if self.options.dry_run:
                return DONE
            code = self._allowed(plan, f"Change {tool.title}'s settings?")
            if code is not None:
                return code
            connector.apply(plan)
            self.say(f"Done. A copy is in {connector.ledger.folder(tool.id)}.")
            self.say(f"Back at any time: connect {tool.id} --undo")
        code = self._verify(connector, tool, wanted)
        for line in (tool.next_step, tool.with_key if wanted.secret else ""):
            if line:
                self.say(line)
        return code or self._trial(tool, wanted)

    def _allowed(self, plan: Plan, question: str) -> int | None:
        """None for yes, else the exit code."""
        if plan.holds_secret and not self.options.write_key:
            if self.options.yes:
                self.say("API_KEY is set and the file would hold it: add --write-key to allow it.")
                return WRONG
            question = f"The file will hold your API_KEY, readable only by you. {question}"
        if self.options.yes or self._said_yes(question):
            return None
        self.say("Nothing was changed.")
        return FAILED

    def _said_yes(self, question: str) -> bool:
        try:
            return self.answer(f"{question} [y/N] ").strip().lower() in ("y", "yes")
        except EOFError:
            return False

    def _verify(self, connector: Connector, tool: Tool, wanted: Target) -> int:
        ask = connector.ask(tool, wanted)
        if ask is None:
            self.say(f"{tool.title} is not connected: its files do not name this server.")
            return FAILED
        rivals = connector.rivals(tool, wanted)
        if rivals:
            self.say(f"{tool.title} is not connected: something else wins over its settings.")
            for sentence in rivals:
                self.say(f"  {sentence}")
            if not connector.plan(tool, wanted).empty:
                self.say(f"To see what would change that: connect {tool.id}")
            return FAILED
        answer = asyncio.run(probe.ask(ask))
        self.say(f"{'Works' if answer.ok else 'Does not work yet'}: {answer.told}")
        return DONE if answer.ok else FAILED

    def _trial(self, tool: Tool, wanted: Target) -> int:
        """Run the tool itself where it is installed and the user wants it."""
        command = list(tool.trial(wanted)) if tool.trial else []
        program = self.places.program(command[0]) if command else None
        if program is None:
            if self.options.run:
                self.say(f"{tool.title} has no command line that is installed here.")
                return FAILED
            return DONE
        shown = subprocess.list2cmdline(command)
        if not self.options.run and (self.options.yes or not self._said_yes(f"Run {shown} now?")):
            return DONE
        self.say(f"$ {shown}")
        environ = {**self.places.environ, **dict(tool.trial_environ)}
        if wanted.secret:
            environ[KEY_VARIABLE] = wanted.key
        with tempfile.TemporaryDirectory() as folder:
            try:
                ran = subprocess.run(  # noqa: S603  # a tool of the user's, found on their PATH
                    [program, *command[1:]],
                    cwd=folder,
                    env=environ,
                    stdin=subprocess.DEVNULL,
                    capture_output=True,
                    text=True,
                    errors="replace",
                    timeout=LONGEST_S,
                    check=False,
                )
            except subprocess.TimeoutExpired:
                self.say(f"{tool.title} did not come to an end within {LONGEST_S} s.")
                return FAILED
        self.say((ran.stdout.strip() or ran.stderr.strip()) or f"(exit code {ran.returncode})")
        return DONE if ran.returncode == 0 else FAILED

    def _undo(self, connector: Connector, tool: Tool) -> int:
        if not connector.undoable(tool):
            connector.undo(Plan(tool, ()))  # clears away what a killed undo has left
            self.say(f"Nothing to undo: connect has not changed {tool.title}'s files.")
            return FAILED
        plan = connector.undo_plan(tool)
        if not plan.empty:
            text = plan.diff()
            for key in self.settings.api_keys:
                text = text.replace(key, "<your API_KEY>")
            self.say(text)
        if self.options.dry_run:
            return DONE
        if not (plan.empty or self.options.yes or self._said_yes(f"Take {tool.title} back?")):
            self.say("Nothing was changed.")
            return FAILED
        connector.undo(plan)
        self.say(f"{tool.title}'s files are as they would be without us.")
        return DONE
