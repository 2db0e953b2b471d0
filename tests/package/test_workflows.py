"""The workflows cannot run here; what they name exists, and what they may do is little."""

import re
import shutil
import subprocess
from pathlib import Path
from typing import Any

import pytest
import yaml

from package import ROOT

FOLDER = ROOT / ".github" / "workflows"
FILES = sorted(FOLDER.glob("*.yml"))


@pytest.fixture(params=FILES, ids=lambda path: path.stem)
def workflow(request: pytest.FixtureRequest) -> dict[Any, Any]:
    read: dict[Any, Any] = yaml.safe_load(request.param.read_text("utf-8"))
    return read


def jobs(workflow: dict[Any, Any]) -> dict[str, dict[str, Any]]:
    return workflow["jobs"]  # type: ignore[no-any-return]


def steps(workflow: dict[Any, Any]) -> list[dict[str, Any]]:
    return [step for job in jobs(workflow).values() for step in job["steps"]]


def commands(workflow: dict[Any, Any]) -> str:
    return "\n".join(step["run"] for step in steps(workflow) if "run" in step)


def test_there_are_three() -> None:
    assert [path.stem for path in FILES] == ["models", "release", "test"]


def test_models_are_judged_every_week() -> None:
    weekly = yaml.safe_load((FOLDER / "models.yml").read_text("utf-8"))
    (planned,) = weekly[True]["schedule"]  # YAML reads the key "on" as true
    assert re.fullmatch(r"\d+ \d+ \* \* [0-6]", planned["cron"])
    assert "make models" in commands(weekly)


def test_every_step_does_one_thing(workflow: dict[Any, Any]) -> None:
    known = {"name", "uses", "with", "run", "if", "env", "shell"}
    for step in steps(workflow):
        assert ("uses" in step) != ("run" in step), step
        assert set(step) <= known, step
    for job in jobs(workflow).values():
        assert job["timeout-minutes"] <= 60
        assert "runs-on" in job
        needs = job.get("needs", [])
        assert {needs} if isinstance(needs, str) else {*needs} <= set(jobs(workflow))


def test_every_make_target_module_and_file_exists(workflow: dict[Any, Any]) -> None:
    text = commands(workflow)
    makefile = (ROOT / "Makefile").read_text("utf-8")
    targets = set(re.findall(r"\bmake ([a-z-]+)", text))
    assert targets
    missing = {t for t in targets if not re.search(rf"(?m)^{t}:", makefile)}
    assert missing == set()
    for module in re.findall(r"-m (package[\w.]*)", text):
        path = ROOT / module.replace(".", "/")
        assert path.with_suffix(".py").exists() or (path / "__main__.py").exists(), module
    named = re.findall(r"(?<![\w/])(?:package/[\w.]+|requirements[\w-]*\.txt|tests/[\w/.]+)", text)
    assert [name for name in named if not (ROOT / name).exists()] == []


def test_actions_are_pinned_by_commit_and_all_from_github(workflow: dict[Any, Any]) -> None:
    for step in steps(workflow):
        if "uses" in step:
            assert re.fullmatch(r"actions/[\w-]+@[0-9a-f]{40}", step["uses"])
            if "checkout" in step["uses"]:
                assert step["with"]["persist-credentials"] is False


def test_only_publishing_may_write(workflow: dict[Any, Any]) -> None:
    assert workflow["permissions"] == {"contents": "read"}
    for name, job in jobs(workflow).items():
        allowed = {"contents": "write"} if name == "publish" else None
        assert job.get("permissions") == allowed


def test_nothing_from_outside_is_pasted_into_a_command(workflow: dict[Any, Any]) -> None:
    """GitHub *Security hardening*: an expression in a script is the script's own text."""
    assert "${{" not in commands(workflow)


def test_secrets_reach_only_steps_that_run_when_they_exist() -> None:
    release = yaml.safe_load((FOLDER / "release.yml").read_text("utf-8"))
    for step in steps(release):
        if "secrets." in str(step):
            assert re.search(r"env\.SIGN_\w+ == 'true'", step["if"]), step["name"]
    for name, job in jobs(release).items():
        for key, value in job.get("env", {}).items():
            if "secrets." in str(value):
                assert re.fullmatch(r"\$\{\{ secrets\.\w+ != '' \}\}", value), (name, key)


def test_a_release_holds_everything_promised() -> None:
    release = yaml.safe_load((FOLDER / "release.yml").read_text("utf-8"))
    text = commands(release)
    for word in ("sha256sum", "make sbom", "make audit", "make deb", "package.notes", "tar "):
        assert word in text
    systems = {entry["name"] for entry in jobs(release)["build"]["strategy"]["matrix"]["include"]}
    assert systems == {"linux-x86_64", "windows-x86_64", "macos-arm64", "macos-x86_64"}
    feed = jobs(release)["build"]["env"]["GAP_RELEASE_FEED"]
    assert feed.startswith("https://api.github.com/repos/")


def scripts() -> list[tuple[str, str]]:
    found = [(path.name, path.read_text("utf-8")) for path in (ROOT / "package").glob("*.sh")]
    for file in FILES:
        for number, step in enumerate(steps(yaml.safe_load(file.read_text("utf-8")))):
            if "run" in step and step.get("shell") != "pwsh":
                found.append((f"{file.stem} {number}", step["run"]))
    return found


@pytest.mark.parametrize(("name", "text"), scripts(), ids=lambda value: value[:30])
def test_every_shell_script_can_be_parsed(name: str, text: str) -> None:
    assert name
    subprocess.run(["bash", "-n"], input=text, text=True, check=True)
    if shutil.which("shellcheck"):
        command = ["shellcheck", "--shell=bash", "--severity=warning", "--exclude=SC2046", "-"]
        got = subprocess.run(command, input=text, capture_output=True, text=True, check=False)
        assert got.returncode == 0, got.stdout


def test_the_installer_is_per_user_and_takes_along_what_the_spec_built() -> None:
    text = (ROOT / "package/windows.iss").read_text("utf-8")
    assert "PrivilegesRequired=lowest" in text
    for name in re.findall(r"(?m)^(?:SetupIconFile|LicenseFile)=(.+)$", text):
        assert (ROOT / name.replace("\\", "/")).exists()
    assert r'Source: "dist\gemini-api-proxy\*"' in text
    sections = re.findall(r"(?m)^\[(\w+)\]", text)
    assert sections[0] == "Setup"
    assert {"Files", "Icons", "Run", "Code", "UninstallRun"} <= set(sections)
    assert "uninsdeletevalue" in text
    script = (ROOT / "package/installer.ps1").read_text("utf-8")
    assert set(re.findall(r"\{#(AppVersion|OutputName)\}", text)) == set(
        re.findall(r"/D(\w+)=", script)
    )


def test_the_windows_scripts_have_balanced_brackets() -> None:
    """No PowerShell here: the least that can be said of them."""
    for name in ("sign.ps1", "installer.ps1"):
        text = re.sub(r'"[^"]*"|#.*', "", (ROOT / "package" / name).read_text("utf-8"))
        for left, right in ("()", "{}", "[]"):
            assert text.count(left) == text.count(right), name
        assert '$ErrorActionPreference = "Stop"' in (ROOT / "package" / name).read_text("utf-8")


def test_ci_is_make_test() -> None:
    assert "make test" in Path(ROOT / ".ci/run").read_text("utf-8")
