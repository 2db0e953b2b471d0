"""The words of ``main.py connect``: apart, because every start of the program reads them."""

import argparse
from typing import Any


def add_arguments(commands: Any) -> None:
    """The words after ``connect``."""
    parser = commands.add_parser(
        "connect",
        help="connect a tool to this server, or list them",
        description="Shows the exact change to a tool's configuration, applies it after a yes, "
        "keeps a copy, and asks the server the way the tool does. Without a name: the list.",
    )
    parser.add_argument("tool", nargs="?", metavar="NAME", help="claude-code, codex, vscode, …")
    parser.add_argument("--undo", action="store_true", help="put the tool's files back")
    parser.add_argument("--verify", action="store_true", help="only ask, with what the files say")
    parser.add_argument("--show", action="store_true", help="only print settings to copy")
    parser.add_argument("--dry-run", action="store_true", help="only show the change")
    parser.add_argument("--yes", action="store_true", help="do not ask, for scripts")
    parser.add_argument("--run", action="store_true", help="then run the tool once itself")
    parser.add_argument("--write-key", action="store_true", help="your API_KEY may be written")
    parser.add_argument("--model", metavar="ID", default="", help="instead of the best one")
    parser.add_argument("--base-url", metavar="URL", default="", help="of another server")
    for name in ("--host", "--port", "--data-dir", "--upstream"):
        parser.add_argument(name, default=argparse.SUPPRESS, help=argparse.SUPPRESS)
