"""The documents: every command is run by a test, every link leads somewhere, every quote is real.

A command is a line of a fenced ``sh`` block. ``RUN_BY`` says which test runs it; one that nobody
runs fails here.
"""

import argparse
import ast
import json
import os
import re
import shlex
import shutil
import signal
import subprocess
import sys
import time
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

import main
from server.connect.words import add_arguments
from server.settings.load import Settings
from server.settings.options import OPTIONS
from tests import surroundings
from tests.desktop.prepare import TYPELIBS
from tests.support import HANGS_S, free_port

ROOT = Path(__file__).parents[1]
DOCUMENTS = [ROOT / "README.md", ROOT / "CONTRIBUTING.md", *sorted(ROOT.glob("docs/*.md"))]
NAMES = [path.relative_to(ROOT).as_posix() for path in DOCUMENTS]
PAGES = [*DOCUMENTS, *sorted(ROOT.glob("docs/decisions/*.md"))]

HERE = "tests/test_docs.py"
SETUP = "tests/install/test_setup.py::test_from_the_first_run_to_the_last_file"
BOOTED = "tests/install/test_servers.py::test_the_service_obeys_the_lines_of_the_document"
COMPOSE = "tests/install/test_servers.py::test_the_container_obeys_the_lines_of_the_document"
RUN_BY: tuple[tuple[str, str], ...] = (
    (r"make (demo|help|setup)", f"{HERE}::test_a_line_does_what_it_says"),
    (r"GEMINI_API_KEY=your-key make run", f"{HERE}::test_a_line_does_what_it_says"),
    (r"(export )?GOOGLE_\w+=.*", f"{HERE}::test_vertex_starts_as_the_readme_says"),
    (r"curl .*", f"{HERE}::test_a_line_does_what_it_says"),
    (r"\.venv/bin/python main\.py --\S+", f"{HERE}::test_a_line_does_what_it_says"),
    (r"PORT=8082 \.venv/bin/python main\.py", f"{HERE}::test_a_line_does_what_it_says"),
    (r"\.venv/bin/python -m pytest \S+", f"{HERE}::test_a_line_does_what_it_says"),
    (
        r"python3 -m venv \.venv|\.venv/bin/pip install .*|\.venv/bin/python main\.py",
        f"{HERE}::test_the_way_without_make",
    ),
    (r"sudo apt-get install .*", f"{HERE}::test_the_packages_named_make_the_tray"),
    (
        r"\.venv/bin/python -m tests\.google",
        "tests/google/test___main__.py::test_it_prints_its_address_and_writes_a_client",
    ),
    (r"\.venv/bin/python main\.py connect.*", f"{HERE}::test_connecting_as_the_documents_say"),
    (r"make package", "tests/package/test_built.py::test_the_self_test_passes"),
    (r"make deb", "tests/package/test_deb.py::test_the_installed_program_runs"),
    (r"make models", "tests/package/test_models.py::test_today_is_the_clocks_day"),
    (r"make icons", "tests/package/test_icons.py::test_writing_them_again_changes_nothing"),
    (
        r"\.venv/bin/python -m package\.notes \S+",
        "tests/package/test_notes.py::test_our_changelog_can_be_read",
    ),
    (r"(GEMINI_API_KEY=your-key )?docker compose .*", COMPOSE),
    (r"sudo (env .* )?\./setup\.sh.*", SETUP),
    (r"(sudo )?(systemctl|journalctl|cat /var/lib).*", BOOTED),
)
posix = pytest.mark.skipif(sys.platform == "win32", reason="written for a POSIX shell")
RUN_BY_NOBODY = {
    "make test": "it is what runs this",
    "make lint": "make test runs it",
    "gcloud auth application-default login": "Google's program, and it wants an account",
    "ssh -L 8081:127.0.0.1:8081 you@your-server": "another program, and it wants a server",
}
"""Lines that no test runs, and why."""


def commands(name: str) -> list[str]:
    """The command lines of a document, comments and prompts taken off."""
    text = (ROOT / name).read_text("utf-8")
    blocks = re.findall(r"^```(?:sh|bash|console|shell)\n(.*?)^```", text, re.DOTALL | re.MULTILINE)
    lines = [line for block in blocks for line in re.sub(r"\\\n\s*", "", block).splitlines()]
    bare = [re.sub(r"(^|\s)#.*", "", line).removeprefix("$ ").strip() for line in lines]
    return [line for line in bare if line]


def runner(command: str) -> str | None:
    return next((test for rule, test in RUN_BY if re.fullmatch(rule, command)), None)


EVERY = sorted({(name, command) for name in NAMES for command in commands(name)})
RUN_HERE = sorted({c for _, c in EVERY if (runner(c) or "").endswith("does_what_it_says")})


@pytest.mark.parametrize("name", NAMES)
def test_every_command_is_run_by_a_test(name: str) -> None:
    known = [line for line in commands(name) if line not in RUN_BY_NOBODY]
    assert [line for line in known if runner(line) is None] == []


def test_the_tests_named_here_exist_and_are_needed() -> None:
    for rule, test in RUN_BY:
        path, _, function = test.partition("::")
        assert f"def {function}(" in (ROOT / path).read_text("utf-8"), test
        assert any(re.fullmatch(rule, command) for _, command in EVERY), rule
    assert set(RUN_BY_NOBODY) <= {command for _, command in EVERY}


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("documents")


def environment(folder: Path, port: int) -> dict[str, str]:
    """A newcomer's: no display, a home of their own."""
    kept = {k: v for k, v in os.environ.items() if k in ("PATH", "LANG") or k.startswith("PIP_")}
    nobody = {"GOOGLE_GEMINI_BASE_URL": "http://127.0.0.1:1", "PYTHONDONTWRITEBYTECODE": "1"}
    return {**kept, **nobody, "HOME": str(folder), "DATA_DIR": str(folder), "PORT": str(port)}


@contextmanager
def started(command: str, env: dict[str, str], cwd: Path = ROOT) -> Iterator[str]:
    """A shell line that starts the server; gives what ``/health`` says."""
    with subprocess.Popen(
        ["sh", "-c", command],
        env=env,
        cwd=cwd,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        start_new_session=True,
    ) as process:
        try:
            yield health(process, env["PORT"])
        finally:
            os.killpg(process.pid, signal.SIGTERM)
            process.communicate(timeout=HANGS_S)


def health(process: subprocess.Popen[bytes], port: str) -> str:
    """Installing comes before it in one case, so it gets its time."""
    for _ in range(6000):
        assert process.poll() is None, process.communicate()
        try:
            with urllib.request.urlopen(f"http://127.0.0.1:{port}/health", timeout=10) as answer:
                return str(answer.read().decode())
        except OSError:
            time.sleep(0.05)
    pytest.fail("the server did not answer")


@pytest.fixture(scope="module")
def demo_port(folder: Path) -> Iterator[int]:
    """A server for the lines that ask one."""
    port = free_port()
    line = f"exec {sys.executable} main.py --upstream demo"
    with started(line, environment(folder / "asked", port)):
        yield port


STARTS = {"make demo": "demo", "GEMINI_API_KEY=your-key make run": "gemini-api"}
"""Lines that serve until they are stopped, and the upstream that must answer."""


@posix
@pytest.mark.parametrize("command", RUN_HERE)
def test_a_line_does_what_it_says(command: str, folder: Path, demo_port: int) -> None:
    port = free_port()
    env = environment(folder, port)
    line = command.replace(".venv/bin/python", sys.executable).replace("8082", str(port))
    upstream = STARTS.get(command)
    if upstream or command.startswith("PORT="):
        with started(line, env) as said:
            assert json.loads(said)["upstream"] == upstream
        return
    line = line.replace("8081", str(demo_port))
    if command.startswith("curl"):
        line += " --fail --silent --show-error"
    done = subprocess.run(
        ["sh", "-c", line], env=env, cwd=ROOT, capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stdout + done.stderr
    assert done.stdout or command == "make setup"


@posix
def test_vertex_starts_as_the_readme_says(folder: Path) -> None:
    """The two lines after ``gcloud``'s, with a key file that is there."""
    export, line = (c for c in commands("README.md") if "GOOGLE_" in c)
    key = folder / "key.json"
    account = {"type": "service_account", "project_id": "p", "client_email": "a@b.example"}
    key.write_text(json.dumps({**account, "private_key": "", "token_uri": "http://127.0.0.1:1"}))
    script = f"{export.replace('/path/to/key.json', shlex.quote(str(key)))}; {line}"
    with started(script, environment(folder / "vertex", free_port())) as said:
        assert json.loads(said)["upstream"] == "vertex"


@posix
def test_the_way_without_make(folder: Path) -> None:
    """The three lines as they stand, in a fresh copy of what is checked in."""
    fresh = folder / "fresh"
    listed = subprocess.run(
        ["git", "ls-files", "-z", "--cached", "--others", "--exclude-standard"],
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=True,
    )
    for name in listed.stdout.split("\0"):
        if name.endswith((".py", ".toml")) or name.startswith(("requirements", "webui")):
            (fresh / name).parent.mkdir(parents=True, exist_ok=True)
            shutil.copy(ROOT / name, fresh / name)
    mine = [c for c in commands("README.md") if runner(c) == f"{HERE}::test_the_way_without_make"]
    assert len(mine) == 3
    cache = {"PIP_CACHE_DIR": str(Path.home() / ".cache" / "pip"), "PIP_NO_COMPILE": "1"}  # faster
    env = {**cache, **surroundings.INDEX, **environment(folder / "home", free_port())}
    with started(" && ".join(mine), env, fresh) as said:
        assert json.loads(said)["status"] == "ok"


@posix
def test_connecting_as_the_documents_say(folder: Path, demo_port: int) -> None:
    """Every line in the order of the page, said yes to, in a home of its own."""
    env = {**environment(folder / "connect", demo_port), "HOME": str(folder / "tools")}
    rule = f"{HERE}::test_connecting_as_the_documents_say"
    lines = [line for line in commands("docs/connect.md") if runner(line) == rule]
    assert {line for _, line in EVERY if runner(line) == rule} == set(lines)
    said = ""
    for line in lines:
        ours = line.replace(".venv/bin/python", sys.executable).replace("8080", str(demo_port))
        done = subprocess.run(
            ["sh", "-c", ours],
            env=env,
            cwd=ROOT,
            input="y\n" * 3,
            capture_output=True,
            text=True,
            check=False,
        )
        assert done.returncode == 0, f"{line}\n{done.stdout}{done.stderr}"
        said += done.stdout
    assert "claude-code" in said
    assert "answered" in said


def test_the_packages_named_make_the_tray() -> None:
    """They are those that the desktop tests run with."""
    (line,) = (c for c in commands("README.md") if c.startswith("sudo apt-get install "))
    assert set(line.split()[3:]) == {"python3-gi", *TYPELIBS.values()}


# What is not a command


@pytest.mark.parametrize("page", PAGES, ids=lambda p: p.relative_to(ROOT).as_posix())
def test_every_link_leads_somewhere(page: Path) -> None:
    for target in re.findall(r"\]\(([^)\s]+)\)", page.read_text("utf-8")):
        if not target.startswith(("http://", "https://")):
            path, _, anchor = target.partition("#")
            there = (page.parent / path).resolve() if path else page
            assert there.exists(), target
            assert not anchor or anchor in anchors(there), target


def anchors(page: Path) -> set[str]:
    """Of the headings, as GitHub makes them."""
    titles = re.findall(r"^#+ (.*)$", page.read_text("utf-8"), re.MULTILINE)
    return {re.sub(r"[^\w\- ]", "", title.lower()).replace(" ", "-") for title in titles}


def test_every_document_can_be_reached_from_the_readme() -> None:
    seen, ahead = set(), [ROOT / "README.md"]
    while ahead:
        page = ahead.pop()
        if page not in seen and page.suffix == ".md":
            seen.add(page)
            links = re.findall(r"\]\(([^)\s#]+\.md)", page.read_text("utf-8"))
            ahead += [(page.parent / link).resolve() for link in links if "://" not in link]
    assert set(DOCUMENTS) <= seen


def test_the_table_of_settings_is_that_of_the_program() -> None:
    """Names and plain defaults; the meanings are for people."""
    readme = (ROOT / "README.md").read_text("utf-8")
    table = readme[readme.index("\n## Settings\n") :].split("\n## ")[1]
    rows = [line.split("|")[1:3] for line in table.splitlines() if line.startswith("| `")]
    named = [name for cell, _ in rows for name in re.findall(r"`([A-Z_]+)`", cell)]
    also = {other for option in OPTIONS.values() for other in option.also}
    assert sorted(named) == sorted({*OPTIONS, *also})
    plain = Settings(data_dir=Path("/"))
    for cell, shown in rows:
        value = re.fullmatch(r" `([^`,]+)` ", shown)
        (name, *_) = re.findall(r"`([A-Z_]+)`", cell)
        if value:
            default = plain.default(name)
            if isinstance(default, Path):
                default = default.name
            assert (
                value[1] == f"{default:g}" if isinstance(default, float) else str(default).lower()
            )


def test_make_targets_and_options_named_in_prose_exist() -> None:
    targets = set(re.findall(r"^([a-z-]+):", (ROOT / "Makefile").read_text("utf-8"), re.MULTILINE))
    commands = argparse.ArgumentParser().add_subparsers()
    add_arguments(commands)
    actions = main.arguments()._actions + commands.choices["connect"]._actions
    options = {word for action in actions for word in action.option_strings}
    for name in set(NAMES) - {"docs/performance.md"}:  # the benchmark has options of its own
        text = (ROOT / name).read_text("utf-8")
        assert set(re.findall(r"`make ([a-z-]+)", text)) <= targets, name
        assert set(re.findall(r"`(--[a-z-]+)", text)) <= options | {"--uninstall", "--purge"}, name


def test_the_words_quoted_as_symptoms_are_ours_or_googles() -> None:
    """In quotation marks stands what the program says; … leaves something out."""
    said = " ".join(
        re.sub(r"\{[^{}]*\}", "…", text)
        for folder in ("server", "tray", "webui", "tests/google")
        for path in (ROOT / folder).rglob("*.py")
        if not path.name.startswith("test_")
        for text in texts(path)
    )
    pages = " ".join(p.read_text("utf-8") for p in ROOT.glob("webui/templates/*.html"))
    words = re.sub(r"\s+", " ", said + pages)
    troubles = (ROOT / "docs/troubleshooting.md").read_text("utf-8")
    for row in re.findall(r"^\| (.*?) \|", troubles, re.MULTILINE):
        for quoted in re.findall(r'"([^"]+)"', row):
            for piece in quoted.split("…"):
                assert piece.strip().lower() in words.lower(), quoted


def texts(path: Path) -> list[str]:
    """Every string of a module, with … where something is put in."""
    found = []
    for node in ast.walk(ast.parse(path.read_text("utf-8"))):
        if isinstance(node, ast.JoinedStr):
            parts = (p.value if isinstance(p, ast.Constant) else "…" for p in node.values)
            found.append("".join(str(part) for part in parts))
        elif isinstance(node, ast.Constant) and isinstance(node.value, str):
            found.append(node.value)
    return found
