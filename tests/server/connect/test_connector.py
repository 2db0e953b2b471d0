"""Every tool that has files: connected, connected again, edited by its user, and taken back."""

import json
import os
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from server.connect.connector import Connector
from server.connect.edits import CannotEditError
from server.connect.files import ChangedMeanwhileError, look
from server.connect.ledger import CannotUndoError
from server.connect.places import Places
from server.connect.tool import Target, Tool
from server.connect.tools import TOOLS, named
from server.gemini.model_names import TWIN_PREFIX

TARGET = Target("http://127.0.0.1:8081", "gemini-2.5-pro", "gemini-2.5-flash")
ELSEWHERE = Target("http://127.0.0.1:9999", "gemini-3-pro-preview", "gemini-2.5-flash")
SECRET = Target("http://127.0.0.1:8081", "gemini-2.5-pro", "gemini-2.5-flash", "s3cret-key", True)
WRITTEN = [tool for tool in TOOLS if tool.files is not None]
EXISTING = {
    ".json": '{\n  // mine\n  "theme": "dark", // why not\n}\n',
    ".jsonc": '{\n\t"theme": "dark"\n}',
    ".toml": '# mine\napproval_policy = "never"\n\n[tools]\nweb_search = true\n',
    ".yaml": "# mine\nname: Mine\nrules:\n  - be brief   # always\n",
    ".yml": "# mine\ndark-mode: true\n",
    ".env": "# mine\nOTHER=1\n",
}
LISTS = {
    "vscode": '[\n  { "name": "Other", "vendor": "openai" } // mine\n]\n',
    "llm": "- model_id: other\n  model_name: o # mine\n",
}


def connector(tmp_path: Path) -> Connector:
    home = tmp_path / "home"
    home.mkdir(exist_ok=True)
    return Connector(Places(home, {"PATH": ""}, "linux"), tmp_path / "data")


def paths(tool: Tool, at: Connector) -> list[Path]:
    assert tool.files
    return [file.path for file in tool.files(at.places, TARGET)]


def fill(tool: Tool, at: Connector) -> dict[Path, bytes]:
    """Put the user's own configuration there."""
    before = {}
    for path in paths(tool, at):
        path.parent.mkdir(parents=True, exist_ok=True)
        suffix = ".env" if path.name == ".env" else path.suffix
        path.write_text(LISTS.get(tool.id, EXISTING[suffix]))
        path.chmod(0o640)
        before[path] = path.read_bytes()
    return before


def tree(folder: Path) -> dict[str, bytes | None]:
    return {
        str(path.relative_to(folder)): path.read_bytes() if path.is_file() else None
        for path in folder.rglob("*")
    }


@pytest.mark.parametrize("tool", WRITTEN, ids=lambda tool: tool.id)
def test_connecting_and_undoing_leaves_no_trace(tool: Tool, tmp_path: Path) -> None:
    at = connector(tmp_path)
    empty = tree(at.places.home)
    assert at.state(tool, TARGET) == "absent"
    at.apply(at.plan(tool, TARGET))
    assert at.state(tool, TARGET) == "connected"
    assert at.state(tool, ELSEWHERE) == "outdated"
    assert {path.stat().st_mode & 0o777 for path in paths(tool, at)} == {0o600}
    at.undo(at.undo_plan(tool))
    assert tree(at.places.home) == empty
    assert not at.undoable(tool)


@pytest.mark.parametrize("tool", WRITTEN, ids=lambda tool: tool.id)
def test_the_users_own_settings_stay_and_come_back_byte_for_byte(
    tool: Tool, tmp_path: Path
) -> None:
    at = connector(tmp_path)
    before = fill(tool, at)
    assert at.state(tool, TARGET) == "found"
    at.apply(at.plan(tool, TARGET))
    for path, raw in before.items():
        assert raw.decode().count("mine") == path.read_text().count("mine")
    first = tree(at.places.home)
    assert at.plan(tool, TARGET).empty
    at.apply(at.plan(tool, ELSEWHERE))
    at.apply(at.plan(tool, TARGET))
    assert tree(at.places.home) == first
    at.undo(at.undo_plan(tool))
    assert {path: path.read_bytes() for path in before} == before
    assert {path.stat().st_mode & 0o777 for path in before} == {0o640}


@pytest.mark.parametrize("tool", WRITTEN, ids=lambda tool: tool.id)
def test_what_a_tool_asks_comes_from_its_files(tool: Tool, tmp_path: Path) -> None:
    at = connector(tmp_path)
    fill(tool, at)
    assert at.ask(tool, TARGET) is None
    at.apply(at.plan(tool, ELSEWHERE))
    ask = at.ask(tool, TARGET)
    assert ask is not None
    assert ask.url.startswith(f"{ELSEWHERE.base_url}/v1")
    if tool.id != "gemini-cli":  # it brings its own models
        assert ask.model.removeprefix(TWIN_PREFIX) == ELSEWHERE.best


@pytest.mark.parametrize("tool", WRITTEN, ids=lambda tool: tool.id)
def test_a_real_key_is_private_blanked_out_and_gone_after_undo(tool: Tool, tmp_path: Path) -> None:
    at = connector(tmp_path)
    before = fill(tool, at)
    plan = at.plan(tool, SECRET)
    assert "s3cret-key" not in plan.diff()
    at.apply(plan)
    held = [path for path in before if b"s3cret-key" in path.read_bytes()]
    assert bool(held) == plan.holds_secret
    assert all(path.stat().st_mode & 0o777 == 0o600 for path in held)
    ask = at.ask(tool, SECRET)
    assert ask is not None
    assert ask.key == "s3cret-key"
    at.undo(at.undo_plan(tool))
    assert {path: path.read_bytes() for path in before} == before
    assert {path.stat().st_mode & 0o777 for path in before} == {0o640}


@pytest.mark.parametrize("tool", WRITTEN, ids=lambda tool: tool.id)
def test_what_the_user_wrote_afterwards_stays(tool: Tool, tmp_path: Path) -> None:
    at = connector(tmp_path)
    before = fill(tool, at)
    at.apply(at.plan(tool, TARGET))
    for path in before:
        note = "// later" if path.suffix in (".json", ".jsonc") else "# later"
        path.write_text(f"{note}\n{path.read_text()}")
    at.apply(at.plan(tool, ELSEWHERE))  # and connecting again keeps it too
    at.undo(at.undo_plan(tool))
    for path, raw in before.items():
        note = "// later" if path.suffix in (".json", ".jsonc") else "# later"
        assert path.read_bytes() == f"{note}\n".encode() + raw


def test_a_model_chosen_in_the_tool_survives_undo(tmp_path: Path) -> None:
    """Codex itself rewrites ``model`` in its file."""
    at, tool = connector(tmp_path), named("codex")
    assert tool
    fill(tool, at)
    (path,) = paths(tool, at)
    at.apply(at.plan(tool, TARGET))
    path.write_text(path.read_text().replace('"gemini-2.5-pro"', '"gemini-3-pro-preview"'))
    at.undo(at.undo_plan(tool))
    assert path.read_text() == EXISTING[".toml"].replace(
        '"never"\n', '"never"\nmodel = "gemini-3-pro-preview"\n'
    )


def test_an_undo_that_would_lose_a_comment_is_refused_with_the_difference(tmp_path: Path) -> None:
    at, tool = connector(tmp_path), named("opencode")
    assert tool
    (path,) = paths(tool, at)
    at.apply(at.plan(tool, TARGET))
    mixed = path.read_text().replace('"npm":', '"timeout": 9, // mine\n      "npm":')
    path.write_text(mixed)
    with pytest.raises(CannotUndoError, match=r'(?s)by hand.*\+ +"timeout": 9, // mine'):
        at.undo_plan(tool)
    assert path.read_text() == mixed
    path.write_text(mixed.replace(" // mine", ""))  # a table of ours goes, whatever became of it
    at.undo(at.undo_plan(tool))
    assert not path.exists()
    assert not at.undoable(tool)


@pytest.mark.parametrize(
    ("name", "before", "edit", "wanted"),
    [
        ("claude-code", '{"a":1}', ('{"a":1', '{"mine":2,"a":1'), '{"mine":2,"a":1}'),
        ("opencode", '{"a":1}\n', ('{"a":1', '{"a":1 /* b */'), '{"a":1 /* b */}\n'),
        (
            "claude-code",
            None,
            ('"ANTHROPIC_API_KEY": "",', '"MINE": "1", // mine'),
            '{\n  "env": {\n    "MINE": "1" // mine\n  }\n}\n',
        ),
        (
            "zed",
            '{\n  // c\n  "a": 1,\n}\n',
            ("gemini-2.5-pro", "gemini-3-pro"),
            '{\n  // c\n  "a": 1,\n}\n',
        ),
        (
            "vscode",
            '[\n  {"name": "a", "vendor": "v"}\n]\n',
            ('"thinking": true', '"thinking": false'),
            0,
        ),
        ("opencode", None, ("/gemini-2.5-pro", "/gemini-2.5-flash"), None),
        ("claude-code", "{}", ("gemini-2.5-pro", "gemini-3-pro"), "{}"),
        (
            "claude-code",
            "{}",
            ('_MODEL": "claude-gp-gemini-2.5-flash"', '_MODEL": "haiku"'),
            '{\n  "env": {\n    "ANTHROPIC_DEFAULT_HAIKU_MODEL": "haiku"\n  }\n}',
        ),
        ("aider", "dark-mode: true\n", ("2.5-flash", "3-flash"), "dark-mode: true\n"),
        ("codex", 'model = "x"\n', ("gemini-2.5-pro", "mine"), 'model = "mine"\n\n'),
        ("codex", 'model = "x"\n', ("\n", "\r\n"), 'model = "x"\r\n'),
        ("claude-code", '{\n  "a": 1\n}\n', ("\n", "\r\n"), '{\r\n  "a": 1\r\n}\r\n'),
        ("continue", None, ("name: Local config", "# mine\nname: Local config"), "# mine\n"),
        ("continue", None, ("\n", "\r\n"), None),
        ("continue", "models:\n  - name: A\n", ("gemini-2.5-pro", "other"), 0),
        ("continue", "models: []\n", ("gemini-2.5-pro", "other"), "models: []\n"),
        (
            "continue",
            "\ufeffmodels: []\n",
            ("\ufeff", "\ufeff# mine\n"),
            "\ufeff# mine\nmodels: []\n",
        ),
        (
            "aider",
            "dark-mode: true\n",
            ("key: any\n", "key: any\nauto-commits: false\n"),
            "dark-mode: true\nauto-commits: false\n",
        ),
        ("llm", "- model_id: a\n", ("gemini-2.5-pro", "other"), 0),
        ("gemini-cli", "A=1", ("API_KEY=any\n", "API_KEY=any\nB=2\n"), "A=1\nB=2\n"),
    ],
)
def test_what_was_edited_in_between_stays_and_the_rest_is_as_it_was(
    name: str, before: str | None, edit: tuple[str, str], wanted: str | int | None, tmp_path: Path
) -> None:
    """``wanted``: 0 for the file as it was."""
    at, tool = connector(tmp_path), named(name)
    assert tool
    path = paths(tool, at)[0]
    if before is not None:
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(before.encode())
    at.apply(at.plan(tool, TARGET))
    text = path.read_bytes().decode()
    assert edit[0] in text
    path.write_bytes(text.replace(*edit).encode())
    at.undo(at.undo_plan(tool))
    found = path.read_bytes().decode() if path.exists() else None
    assert found == (before if wanted == 0 else wanted)


@pytest.mark.parametrize("had", [False, True])
@pytest.mark.parametrize("name", ["vscode", "cline", "opencode"])
def test_a_file_that_its_program_writes_anew_is_undone_in_its_way(
    name: str, had: bool, tmp_path: Path
) -> None:
    """VS Code puts keys into its own store and indents with tabs; Cline notes the time."""
    at, tool = connector(tmp_path), named(name)
    assert tool
    (path,) = paths(tool, at)
    theirs: Any = [{"name": "Other", "vendor": "x"}] if name == "vscode" else {"theirs": {"é": 1}}
    if had:
        path.parent.mkdir(parents=True)
        path.write_text(json.dumps(theirs))
    at.apply(at.plan(tool, TARGET))
    data = json.loads(path.read_text())
    if name == "vscode":
        data[-1]["apiKey"] = "${input:chat.lm.secret.1}"
    elif name == "cline":
        data["providers"]["openai-compatible"]["updatedAt"] = "2026-11-24T03:00:00.000Z"
    path.write_text(json.dumps(data, indent="\t", ensure_ascii=False))
    at.undo(at.undo_plan(tool))
    if had:
        assert path.read_text() == json.dumps(theirs, indent="\t", ensure_ascii=False)
    else:
        assert not path.exists()


def test_strict_json_stays_strict(tmp_path: Path) -> None:
    at, tool = connector(tmp_path), named("claude-code")
    assert tool
    (path,) = paths(tool, at)
    path.parent.mkdir()
    path.write_text('{\n  "env": {\n    "A": "1"\n  },\n  "model": "opus"\n}\n')
    before = path.read_text()
    at.apply(at.plan(tool, TARGET))
    json.loads(path.read_text())
    path.write_text(path.read_text().replace('"model": "opus"', '"model": "opus",\n  "x": 1'))
    at.undo(at.undo_plan(tool))
    assert json.loads(path.read_text()) == {**json.loads(before), "x": 1}


def test_a_file_written_between_plan_and_apply_is_left_alone(tmp_path: Path) -> None:
    at, tool = connector(tmp_path), named("codex")
    assert tool
    fill(tool, at)
    (path,) = paths(tool, at)
    plan = at.plan(tool, TARGET)
    path.write_text("x = 1\n")
    with pytest.raises(ChangedMeanwhileError):
        at.apply(plan)
    assert path.read_text() == "x = 1\n"
    at.undo(at.undo_plan(tool))  # nothing was written, so nothing is taken back
    assert path.read_text() == "x = 1\n"


def test_a_file_that_could_not_be_written_is_not_connected(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Its folder is closed, even to root."""
    at, tool = connector(tmp_path), named("codex")
    assert tool
    fill(tool, at)
    (path,) = paths(tool, at)
    make = os.open

    def refuse(name: str, flags: int, mode: int = 0o777) -> int:
        if Path(name).parent == path.parent:
            raise PermissionError(13, "Permission denied", name)
        return make(name, flags, mode)

    plan = at.plan(tool, TARGET)
    with monkeypatch.context() as patch:
        patch.setattr(os, "open", refuse)
        with pytest.raises(PermissionError) as caught:
            at.apply(plan)
    assert caught.value.filename == str(path)
    assert at.state(tool, TARGET) == "found"
    at.apply(plan)
    assert at.state(tool, TARGET) == "connected"


@pytest.mark.parametrize("name", ["codex", "gemini-cli"])
def test_a_read_only_file_is_never_replaced(name: str, tmp_path: Path) -> None:
    at, tool = connector(tmp_path), named(name)
    assert tool
    before = fill(tool, at)
    for path in before:
        path.chmod(0o444)
    with pytest.raises(CannotEditError, match="is read-only and was left as it is"):
        at.plan(tool, TARGET)
    assert at.state(tool, TARGET) == "found"
    assert {path: path.read_bytes() for path in before} == before
    for path in before:
        path.chmod(0o644)
    at.apply(at.plan(tool, TARGET))
    for path in before:
        path.chmod(0o444)
    assert at.state(tool, TARGET) == "connected"  # there is nothing to write
    with pytest.raises(CannotUndoError, match="is read-only"):
        at.undo_plan(tool)
    assert at.undoable(tool)


def test_the_users_own_secrets_are_kept_and_never_shown(tmp_path: Path) -> None:
    at, tool = connector(tmp_path), named("gemini-cli")
    assert tool
    path = paths(tool, at)[0]
    path.parent.mkdir(parents=True)
    path.write_text("GEMINI_API_KEY=mine-1\n# OPENAI_API_KEY=mine-2\nDB_PASSWORD='my own 3'\n")
    plan = at.plan(tool, TARGET)
    assert "GEMINI_API_KEY=<hidden>" in plan.diff()
    assert "GEMINI_API_KEY=any" in plan.diff()
    at.apply(plan)
    assert "mine-2" in path.read_text()
    undo = at.undo_plan(tool).diff()
    for secret in ("mine-1", "mine-2", "my own 3"):
        assert secret not in plan.diff()
        assert secret not in undo
    at.undo(at.undo_plan(tool))
    assert "GEMINI_API_KEY=mine-1\n" in path.read_text()


def test_a_file_that_makes_no_sense_is_left_alone(tmp_path: Path) -> None:
    at, tool = connector(tmp_path), named("codex")
    assert tool
    (path,) = paths(tool, at)
    path.parent.mkdir()
    path.write_text("this is = = not toml")
    with pytest.raises(CannotEditError, match=r"config\.toml: It is not valid TOML.*left as it is"):
        at.plan(tool, TARGET)
    assert at.state(tool, TARGET) == "found"


@pytest.mark.parametrize(
    ("name", "text"),
    [("vscode", '[1, "x", {}]\n'), ("llm", "- a\n- b: 1\n"), ("continue", "models:\n  - a\n")],
)
def test_a_list_may_hold_what_we_do_not_know(name: str, text: str, tmp_path: Path) -> None:
    at, tool = connector(tmp_path), named(name)
    assert tool
    (path,) = paths(tool, at)
    path.parent.mkdir(parents=True)
    path.write_text(text)
    assert at.ask(tool, TARGET) is None
    at.apply(at.plan(tool, TARGET))
    assert at.ask(tool, TARGET) is not None
    at.undo(at.undo_plan(tool))
    assert path.read_text() == text


def test_a_deleted_file_is_not_brought_back(tmp_path: Path) -> None:
    at, tool = connector(tmp_path), named("opencode")
    assert tool
    (path,) = paths(tool, at)
    at.apply(at.plan(tool, TARGET))
    path.unlink()
    at.undo(at.undo_plan(tool))
    assert not path.exists()
    assert not at.undoable(tool)


def test_a_folder_in_which_the_user_put_something_stays(tmp_path: Path) -> None:
    at, tool = connector(tmp_path), named("codex")
    assert tool
    (path,) = paths(tool, at)
    at.apply(at.plan(tool, TARGET))
    (path.parent / "auth.json").write_text("{}")
    at.undo(at.undo_plan(tool))
    assert sorted(p.name for p in path.parent.iterdir()) == ["auth.json"]


def test_continue_with_its_old_file_is_left_alone(tmp_path: Path) -> None:
    at, tool = connector(tmp_path), named("continue")
    assert tool
    (at.places.home / ".continue").mkdir()
    (at.places.home / ".continue" / "config.json").write_text("{}")
    with pytest.raises(CannotEditError, match=r"old .*config\.json"):
        at.plan(tool, TARGET)


def test_a_value_that_the_user_chose_wins_where_it_may(tmp_path: Path) -> None:
    at, tool = connector(tmp_path), named("opencode")
    assert tool
    (path,) = paths(tool, at)
    path.parent.mkdir(parents=True)
    path.write_text('{"model": "other/model"}')
    at.apply(at.plan(tool, TARGET))
    assert json.loads(path.read_text())["model"] == "other/model"


_line = st.sampled_from(["# note", "", "a = 1", 'b = "x" # y', "[t]", "k = [1, 2]", "[u.v]", "c=2"])


@settings(
    suppress_health_check=[HealthCheck.function_scoped_fixture], max_examples=60, deadline=None
)
@given(st.lists(_line, unique=True, max_size=8), st.sampled_from(["\n", "\r\n"]), st.booleans())
def test_whatever_the_file_undo_gives_it_back(
    tmp_path: Path, rows: list[str], ending: str, mark: bool
) -> None:
    at, tool = connector(tmp_path), named("codex")
    assert tool
    (path,) = paths(tool, at)
    path.parent.mkdir(exist_ok=True)
    raw = (b"\xef\xbb\xbf" if mark else b"") + ending.join(rows).encode()
    path.write_bytes(raw)
    at.apply(at.plan(tool, TARGET))
    after = look(path)
    assert after.raw
    assert after.raw.startswith(b"\xef\xbb\xbf") == mark
    if len(rows) > 2:
        assert (b"\r\n" in after.raw) == (ending == "\r\n")
    at.undo(at.undo_plan(tool))
    assert path.read_bytes() == raw
