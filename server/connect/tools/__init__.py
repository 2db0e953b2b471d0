"""The registry: adding a tool = one file and one line."""

from server.connect.tool import Tool
from server.connect.tools import (
    aider,
    claude_code,
    cline,
    codex,
    continue_dev,
    gemini_cli,
    goose,
    llm_cli,
    opencode,
    vscode,
    zed,
)
from server.connect.tools.sdks import SDKS
from server.connect.tools.sheets import SHEETS

TOOLS: tuple[Tool, ...] = (
    claude_code.TOOL,
    codex.TOOL,
    vscode.TOOL,
    cline.TOOL,
    continue_dev.TOOL,
    opencode.OPENCODE,
    opencode.KILO,
    zed.TOOL,
    aider.TOOL,
    goose.TOOL,
    llm_cli.TOOL,
    gemini_cli.TOOL,
    *SHEETS,
    *SDKS,
)


def named(name: str) -> Tool | None:
    """The tool of that name, however it is written."""
    wanted = "".join(filter(str.isalnum, name.lower()))
    for tool in TOOLS:
        names = (tool.id, tool.title, *tool.commands)
        if wanted in ("".join(filter(str.isalnum, other.lower())) for other in names):
            return tool
    return None
