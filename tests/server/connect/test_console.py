"""``main.py connect`` as its user meets it."""

import argparse
import asyncio
import re
import sys
from dataclasses import dataclass, field, replace
from pathlib import Path

import pytest

from server.connect.console import Console
from server.connect.places import Places
from server.connect.server_address import base_url, elsewhere, target
from server.connect.tools import TOOLS
from server.connect.words import add_arguments
from server.settings.load import Settings
from tests.rig import running


@dataclass(slots=True)
class User:
    """Types a command, answers its questions, and keeps what was said."""

    folder: Path
    settings: Settings
    answers: list[str] = field(default_factory=list)
    path: str = ""
    said: str = ""
    environ: dict[str, str] = field(default_factory=dict)

    @property
    def home(self) -> Path:
        return self.folder / "home"

    def answer(self, question: str) -> str:
        self.said += question
        if not self.answers:
            raise EOFError
        return self.answers.pop(0)

    def say(self, line: str) -> None:
        self.said += line + "\n"

    def types(self, *words: str) -> int:
        parser = argparse.ArgumentParser()
        add_arguments(parser.add_subparsers(dest="command"))
        self.said = ""
        self.home.mkdir(exist_ok=True)
        environ = {"PATH": self.path, "HOME": str(self.home), **self.environ}
        places = Places(self.home, environ, "linux", system=self.folder / "system")
        options = parser.parse_args(["connect", *words])
        return Console(options, self.settings, self.say, self.answer, places).run()


@pytest.fixture
def user(tmp_path: Path) -> User:
    return User(tmp_path, Settings(data_dir=tmp_path / "data", port=1))


def test_every_tool_and_every_option_is_in_the_documentation() -> None:
    text = (Path(__file__).parents[3] / "docs" / "connect.md").read_text("utf-8")
    assert [tool.id for tool in TOOLS if f"`{tool.id}`" not in text] == []
    parser = argparse.ArgumentParser()
    commands = parser.add_subparsers()
    add_arguments(commands)
    options = set(re.findall(r"--[a-z-]+", commands.choices["connect"].format_help()))
    assert {option for option in options if f"`{option}" not in text} == {"--help"}


def test_without_a_name_it_lists_the_tools_and_changes_nothing(user: User) -> None:
    (user.home / ".codex").mkdir(parents=True)
    assert user.types() == 0
    assert "codex         Codex                   found, not connected" in user.said
    assert "goose         Goose                   not found" in user.said
    assert "cursor        Cursor                  settings to copy" in user.said
    assert not list((user.home / ".codex").iterdir())


def test_an_unknown_name_is_a_wrong_argument(user: User) -> None:
    assert user.types("emacs") == 2
    assert "'emacs' is not known; allowed: claude-code, codex," in user.said


def test_nothing_happens_without_a_yes(user: User) -> None:
    for answers in (["n"], [""], []):
        user.answers = answers
        assert user.types("codex") == 1
        assert '+base_url = "http://127.0.0.1:1/v1"' in user.said
        assert "Change Codex's settings? [y/N]" in user.said
        assert user.said.endswith("Nothing was changed.\n")
        assert not (user.home / ".codex").exists()


def test_a_dry_run_only_shows(user: User) -> None:
    assert user.types("codex", "--dry-run") == 0
    assert "+++ ~/.codex/config.toml (then)" in user.said
    assert not (user.home / ".codex").exists()


async def test_yes_writes_verifies_and_undo_takes_back(tmp_path: Path) -> None:
    async with running(tmp_path / "rig") as rig:
        user = User(tmp_path, rig.gateway.settings, answers=["y"])
        assert await asyncio.to_thread(user.types, "codex") == 0
        assert "Works: gemini-4-hydrogen answered: " in user.said
        assert "connect codex --undo" in user.said
        assert rig.google.calls("streamGenerateContent")
        assert await asyncio.to_thread(user.types, "codex", "--verify") == 0
        assert await asyncio.to_thread(user.types, "codex") == 0
        assert "lead to http" in user.said
        assert user.types() == 0
        assert "codex         Codex                   connected\n" in user.said
        user.answers = ["y"]
        assert user.types("codex", "--undo") == 0
        assert '-model = "gemini-best"' in user.said
        assert not (user.home / ".codex").exists()


async def test_nothing_works_while_something_else_wins(tmp_path: Path) -> None:
    """The server answers, but the tool would not ask it."""
    async with running(tmp_path / "rig") as rig:
        user = User(tmp_path, rig.gateway.settings)
        user.environ = {"AIDER_MODEL": "sonnet"}
        assert await asyncio.to_thread(user.types, "aider", "--yes") == 1
        assert "Works" not in user.said
        assert "aider is not connected: something else wins over its settings." in user.said
        assert "The environment sets AIDER_MODEL to sonnet, which wins over ours." in user.said
        assert await asyncio.to_thread(user.types, "aider", "--verify") == 1
        assert "Works" not in user.said
        assert user.types() == 0
        assert "aider         aider                   settings written, but others win" in user.said
        assert "To see what would change" not in user.said
        user.environ = {}
        (user.home / ".env").write_text("AIDER_MODEL=sonnet\n")
        assert await asyncio.to_thread(user.types, "aider", "--verify") == 1
        assert "~/.env sets AIDER_MODEL to sonnet" in user.said
        assert "To see what would change that: connect aider" in user.said
        assert await asyncio.to_thread(user.types, "aider", "--yes") == 0
        assert "-AIDER_MODEL=sonnet" in user.said
        assert "Works" in user.said


def test_a_server_that_does_not_answer_is_said(user: User) -> None:
    assert user.types("codex", "--yes") == 1
    assert "Does not work yet: Nothing answers at http://127.0.0.1:1." in user.said
    assert (user.home / ".codex" / "config.toml").exists()
    assert user.types("codex", "--undo", "--yes") == 0


def test_undo_of_what_was_never_done(user: User) -> None:
    assert user.types("codex", "--undo", "--yes") == 1
    assert "Nothing to undo" in user.said
    assert user.types("codex", "--verify") == 1
    assert "not connected" in user.said


def test_an_undo_that_is_refused_or_declined_changes_nothing(user: User) -> None:
    user.types("opencode", "--yes")
    path = user.home / ".config" / "opencode" / "opencode.json"
    user.answers = ["n"]
    assert user.types("opencode", "--undo") == 1
    assert user.types("opencode", "--undo", "--dry-run") == 0
    text = path.read_text().replace('"npm":', '"timeout": 9, // mine\n      "npm":')
    path.write_text(text)
    assert user.types("opencode", "--undo", "--yes") == 1
    assert "by hand" in user.said
    assert path.read_text() == text


def test_an_api_key_is_written_only_when_that_was_allowed(user: User) -> None:
    user.settings = replace(user.settings, api_keys=("s3cret-key",))
    assert user.types("claude-code", "--yes") == 2
    assert "--write-key" in user.said
    user.answers = ["n"]
    assert user.types("claude-code") == 1
    assert "will hold your API_KEY" in user.said
    assert not (user.home / ".claude").exists()
    user.types("claude-code", "--yes", "--write-key")
    path = user.home / ".claude" / "settings.json"
    assert "s3cret-key" in path.read_text()
    assert path.stat().st_mode & 0o777 == 0o600
    assert "s3cret-key" not in user.said
    user.types("claude-code", "--undo", "--yes")
    assert "s3cret-key" not in user.said
    for name in ("claude-code", "curl", "opencode"):
        user.types(name, "--show")
        assert "s3cret-key" not in user.said
    user.types("codex", "--yes")  # its key is never in the file
    assert "export GEMINI_PROXY_KEY=" in user.said


def test_a_file_that_cannot_be_read_ends_with_a_sentence_and_the_sheet(user: User) -> None:
    path = user.home / ".codex" / "config.toml"
    path.parent.mkdir(parents=True)
    path.write_text("= =")
    assert user.types("codex", "--yes") == 1
    assert "~/.codex/config.toml: It is not valid TOML" in user.said
    assert "connect codex --show" in user.said
    assert user.types("codex", "--show") == 0
    assert 'wire_api = "responses"' in user.said
    assert path.read_text() == "= ="


@pytest.mark.skipif(sys.platform == "win32", reason="rights of folders are POSIX")
def test_a_folder_that_cannot_be_made_ends_with_a_sentence(user: User) -> None:
    user.home.mkdir()
    (user.home / ".codex").write_text("in the way")
    assert user.types("codex", "--yes") == 1
    assert "Traceback" not in user.said
    assert "cannot be" in user.said


def test_the_tool_itself_is_run_when_asked(user: User) -> None:
    programs = user.folder / "bin"
    programs.mkdir()
    fake = programs / "llm"
    fake.write_text('#!/bin/sh\necho "ran: $*"; test "$2" = gemini-proxy\n')
    fake.chmod(0o755)
    user.path = f"{programs}:/usr/bin:/bin"
    user.types("llm", "--yes")
    assert "ran:" not in user.said
    user.settings = replace(user.settings, port=user.settings.port)
    assert user.types("goose", "--yes", "--run") == 1


async def test_run_starts_the_tool_and_tells_what_it_said(tmp_path: Path) -> None:
    programs = tmp_path / "bin"
    programs.mkdir()
    fake = programs / "llm"
    fake.write_text('#!/bin/sh\necho "ran: $*"\n')
    fake.chmod(0o755)
    async with running(tmp_path / "rig") as rig:
        user = User(tmp_path, rig.gateway.settings, path=f"{programs}:/usr/bin:/bin")
        assert await asyncio.to_thread(user.types, "llm", "--yes", "--run") == 0
        assert "ran: -m gemini-proxy Say hello in one word." in user.said
        fake.write_text("#!/bin/sh\necho no >&2; exit 3\n")
        assert await asyncio.to_thread(user.types, "llm", "--yes", "--run") == 1
        assert user.said.endswith("no\n")


def test_in_our_docker_image_and_service_there_is_only_the_sheet(user: User) -> None:
    for folder, word in (("/data", "Docker"), ("/var/lib/gemini-api-proxy", "service")):
        user.settings = replace(user.settings, data_dir=Path(folder))
        assert user.types("codex", "--yes") == 0
        assert word in user.said
        assert 'wire_api = "responses"' in user.said
    assert not (user.home / ".codex").exists()
    assert elsewhere(user.folder) is None


def test_another_server_and_another_model(user: User) -> None:
    words = ("--base-url", "http://server:8080/v1/", "--model", "gemini-3-pro-preview")
    assert user.types("codex", "--dry-run", *words) == 0
    assert '+base_url = "http://server:8080/v1"' in user.said
    assert '+model = "gemini-3-pro-preview"' in user.said


@pytest.mark.parametrize(
    ("host", "wanted"),
    [
        (("127.0.0.1", "::1"), "http://127.0.0.1:8081"),
        (("0.0.0.0", "::"), "http://127.0.0.1:8081"),  # noqa: S104  # compared, not bound
        (("192.168.1.5",), "http://192.168.1.5:8081"),
        (("::1",), "http://[::1]:8081"),
    ],
)
def test_the_address_is_one_the_server_listens_on(host: tuple[str, ...], wanted: str) -> None:
    assert base_url(Settings(data_dir=Path("x"), host=host)) == wanted


def test_tools_get_names_that_stay_when_the_models_change() -> None:
    settings = Settings(data_dir=Path("x"), model_best="gemini-4-argon")
    assert (target(settings).best, target(settings).fast) == ("gemini-best", "gemini-fast")
    assert target(settings, model="gemini-4-neon").best == "gemini-4-neon"
