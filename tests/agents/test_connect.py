"""``main.py connect NAME`` against the real tools: each accepts what was written, asks this server,
and finds its files byte for byte as they were after ``--undo``."""

import asyncio
import shutil
import sys
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

import pytest

from server.connect.tool import Target
from server.connect.tools import named
from tests.agents.support import BIN, Ran, run, says, tell
from tests.rig import Rig, running

ROOT = Path(__file__).parents[2]
PYTHON = ROOT / ".venv" / "agents"
WORD = "Connected it is."


@dataclass(frozen=True, slots=True)
class Case:
    """One tool as its user starts it without a screen."""

    name: str
    command: tuple[str | Path, ...]
    dialect: str
    theirs: Mapping[str, str]
    """What the user had: path under their home folder, and content."""
    environ: Mapping[str, str] = field(default_factory=dict)


CASES = [
    Case(
        "claude-code",
        ("claude", "-p", "Are you there?"),
        "anthropic",
        {".claude/settings.json": '{\n    "cleanupPeriodDays": 20,\n    "env": {"FOO": "bar"}\n}'},
    ),
    Case(
        "codex",
        ("codex", "exec", "--skip-git-repo-check", "Are you there?"),
        "openai-responses",
        {".codex/config.toml": '# mine\nmodel = "gpt-5" # theirs\n\n[tui]\nnotifications = true\n'},
    ),
    Case(
        "cline",
        ("cline", "--plan", "Are you there?"),
        "openai-chat",
        {
            ".cline/data/settings/providers.json": (
                '{\n  "version": 1,\n  "modes": {},\n  "providers": {}\n}\n'
            )
        },
    ),
    Case(
        "opencode",
        ("opencode", "run", "Are you there?"),
        "openai-chat",
        {".config/opencode/opencode.json": '{\n  // mine\n  "autoupdate": false,\n}\n'},
    ),
    Case(
        "continue",
        ("cn", "-p", "Are you there?"),
        "openai-chat",
        {".continue/config.yaml": "name: Mine  # yes\nversion: 0.0.1\nschema: v1\nmodels: []\n"},
    ),
    Case(
        "gemini-cli",
        ("gemini", "-m", "gemini-best", "-p", "Are you there?"),
        "gemini",
        {
            ".gemini/.env": "# mine\nOTHER=1\n",
            ".gemini/settings.json": (
                '{\n  // mine\n  "privacy": {"usageStatisticsEnabled": false}\n}\n'
            ),
        },
        {"GEMINI_CLI_TRUST_WORKSPACE": "true"},
    ),
    Case(
        "llm",
        (PYTHON / "llm" / "bin" / "llm", "-m", "gemini-proxy", "Are you there?"),
        "openai-chat",
        {
            ".config/io.datasette.llm/extra-openai-models.yaml": (
                "- model_id: other   # mine\n  model_name: other\n  api_base: http://127.0.0.1:1\n"
            )
        },
    ),
    Case(
        "aider",
        (
            *(PYTHON / "aider" / "bin" / "aider", "--no-git", "--no-check-update"),
            *("--yes-always", "--no-show-model-warnings", "--message", "Are you there?"),
        ),
        "openai-chat",
        {".aider.conf.yml": "# mine\ndark-mode: true\nanalytics-disable: true\n"},
    ),
]


async def connect(rig: Rig, home: Path, *words: str) -> Ran:
    """Run our own command as the user would."""
    process = await asyncio.create_subprocess_exec(
        sys.executable,
        str(ROOT / "main.py"),
        *("connect", *words, "--port", str(rig.gateway.settings.port)),
        *("--data-dir", str(rig.gateway.settings.data_dir)),
        env={"PATH": f"{BIN}", "HOME": str(home)},
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.PIPE,
    )
    out, err = await process.communicate()
    assert process.returncode is not None
    return Ran(process.returncode, out.decode(), err.decode())


@pytest.mark.parametrize("name", ["openai", "anthropic", "google-genai"])
async def test_the_node_programs_to_copy_run(name: str, tmp_path: Path) -> None:
    tool = named(name)
    assert tool
    async with running(tmp_path / "data") as rig:
        tell(rig, *[says(WORD)] * 2)
        wanted = Target(rig.url, "gemini-best", "gemini-fast")
        (snippet,) = (one for one in tool.snippets(wanted) if one.where == "Node.js")
        program = BIN.parents[1] / f".{tmp_path.name}.mjs"  # beside its packages
        program.write_text(snippet.text)
        try:
            ran = await run(tmp_path, str(shutil.which("node")), str(program))
        finally:
            program.unlink()
        assert (ran.code, ran.out.strip()) == (0, WORD), ran


@pytest.mark.parametrize("had", [False, True], ids=["new", "theirs"])
@pytest.mark.parametrize("case", CASES, ids=lambda case: case.name)
async def test_the_tool_takes_its_settings_asks_us_and_gets_them_back(
    case: Case, had: bool, tmp_path: Path
) -> None:
    home = tmp_path / "home"
    home.mkdir()
    for name, text in case.theirs.items() if had else ():
        (home / name).parent.mkdir(parents=True, exist_ok=True)
        (home / name).write_bytes(text.encode())
    async with running(tmp_path / "data") as rig:
        tell(rig, *[says(WORD)] * 6)
        ran = await connect(rig, home, case.name, "--yes")
        assert ran.code == 0, ran
        assert f"answered: {WORD}" in ran.out
        asked = (await rig.usage())["total_requests"]
        ran = await run(tmp_path, *map(str, case.command), **case.environ)
        assert ran.code == 0, ran
        assert WORD in ran.out, ran
        usage = await rig.usage()
        assert usage["total_requests"] > asked
        entry = usage["recent_requests"][0]
        assert entry["dialect"] == case.dialect
        assert entry["outcome"] == "ok"
        assert entry["model"].startswith("gemini-")
        ran = await connect(rig, home, case.name, "--undo", "--yes")
        assert ran.code == 0, ran
    for name, text in case.theirs.items():
        if had:
            assert (home / name).read_bytes() == text.encode()
        else:
            assert not (home / name).exists()
