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


ACTIONS = ("actions/", "azure/login@", "azure/artifact-signing-action@")
"""GitHub's own, and those of the service that signs for Windows."""


def test_actions_are_pinned_by_commit(workflow: dict[Any, Any]) -> None:
    for step in steps(workflow):
        if "uses" in step:
            assert re.fullmatch(r"[\w-]+/[\w-]+@[0-9a-f]{40}", step["uses"])
            assert step["uses"].startswith(ACTIONS)
            if "checkout" in step["uses"]:
                assert step["with"]["persist-credentials"] is False


PERMISSIONS = {
    "build": {"contents": "read", "id-token": "write"},
    "publish": {"contents": "write", "id-token": "write", "attestations": "write"},
}


def test_only_publishing_may_write(workflow: dict[Any, Any]) -> None:
    assert workflow["permissions"] == {"contents": "read"}
    for name, job in jobs(workflow).items():
        assert job.get("permissions") == PERMISSIONS.get(name)


def test_no_runner_is_one_that_goes_away(workflow: dict[Any, Any]) -> None:
    """ubuntu-22.04 is deprecated, windows-2022 and the Intel Mac are on their way out."""
    text = yaml.safe_dump(jobs(workflow))
    for gone in ("ubuntu-20.04", "ubuntu-22.04", "windows-2019", "windows-2022", "macos-13"):
        assert gone not in text
    assert "latest" not in {
        str(job["runs-on"]).rpartition("-")[2] for job in jobs(workflow).values()
    }


def test_ci_tries_every_python_that_is_promised() -> None:
    test = jobs(yaml.safe_load((FOLDER / "test.yml").read_text("utf-8")))
    assert test["linux"]["strategy"]["matrix"]["python"] == ["3.11", "3.12", "3.13", "3.14"]
    others = test["others"]["strategy"]["matrix"]
    assert others["python"] == ["3.11", "3.14"]
    assert {system.partition("-")[0] for system in others["system"]} == {"windows", "macos"}
    for line in commands({"jobs": {"others": test["others"]}}).splitlines():
        if "pip install" in line:
            assert "--only-binary :all:" in line
            assert "--require-hashes" in line


def test_the_linux_build_keeps_its_floor_whatever_the_runner_has() -> None:
    release = yaml.safe_load((FOLDER / "release.yml").read_text("utf-8"))
    (linux,) = (
        entry
        for entry in jobs(release)["build"]["strategy"]["matrix"]["include"]
        if entry["name"].startswith("linux")
    )
    assert re.fullmatch(r"ubuntu:22\.04@sha256:[0-9a-f]{64}", linux["container"])
    assert jobs(release)["build"]["container"] == "${{ matrix.container }}"


@pytest.mark.parametrize(
    ("tag", "candidate"),
    [("v1.2.0", False), ("v2.0", False), ("v1.2.0rc1", True), ("v1.2.0-rc.1", True)],
)
def test_a_candidate_never_becomes_the_latest(tmp_path: Path, tag: str, *, candidate: bool) -> None:
    release = yaml.safe_load((FOLDER / "release.yml").read_text("utf-8"))
    (publish,) = (step for step in steps(release) if step.get("name") == "Publish")
    (tmp_path / "out").mkdir()
    (tmp_path / "out/a b.exe").touch()
    (tmp_path / "gh").write_text('#!/bin/sh\nprintf "%s\\n" "$@"\n')
    (tmp_path / "gh").chmod(0o755)
    environ = {"TAG": tag, "PATH": f"{tmp_path}:/usr/bin:/bin"}
    got = subprocess.run(
        ["bash", "-eo", "pipefail", "-c", publish["run"]],
        cwd=tmp_path,
        env=environ,
        capture_output=True,
        text=True,
        check=True,
    ).stdout.splitlines()
    assert got[:3] == ["release", "create", tag]
    assert ("--prerelease" in got) == ("--latest=false" in got) == candidate
    assert got[-1] == "out/a b.exe"


def test_what_is_published_is_attested_after_nothing_changes_any_more() -> None:
    release = yaml.safe_load((FOLDER / "release.yml").read_text("utf-8"))
    order = [step.get("name", step.get("uses", "")) for step in jobs(release)["publish"]["steps"]]
    assert order[-3:] == ["Checksums", order[-2], "Publish"]
    assert jobs(release)["publish"]["steps"][-2]["uses"].startswith("actions/attest@")


def test_no_file_is_signed_with_a_key_in_the_repository_s_secrets_on_windows() -> None:
    """Certificates as .pfx files are not sold since June 2023 (CA/Browser Forum)."""
    text = (FOLDER / "release.yml").read_text("utf-8")
    assert "pfx" not in text.lower()
    assert "WINDOWS_CERTIFICATE" not in text


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
    assert systems == {"linux-x86_64", "windows-x86_64", "macos-arm64"}
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
    for name in ("installer.ps1",):
        text = re.sub(r'"[^"]*"|#.*', "", (ROOT / "package" / name).read_text("utf-8"))
        for left, right in ("()", "{}", "[]"):
            assert text.count(left) == text.count(right), name
        assert '$ErrorActionPreference = "Stop"' in (ROOT / "package" / name).read_text("utf-8")


def test_ci_is_make_test() -> None:
    assert "make test" in Path(ROOT / ".ci/run").read_text("utf-8")
