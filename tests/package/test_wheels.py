"""The real wheels of Windows and macOS: there is one of everything, and in them what we name.

They come from the package registry that pip uses here, as everything else in ``.venv`` does.
"""

import re
import subprocess
import sys
import zipfile
from pathlib import Path

import pytest
from packaging.requirements import Requirement

from package import ROOT
from package.licences import WITHOUT_TEXT
from tests.package.test_spec import run

SOURCE_ONLY = {"proxy-tools"}
"""Built from source everywhere, with requirements-build.txt; holds no code for one system."""

TARGETS = {
    "win32": ("win_amd64",),
    "darwin": tuple(f"macosx_{major}_0_{arch}" for major in (11, 12) for arch in ("arm64",)),
}
ENVIRONMENTS = {
    "win32": {"sys_platform": "win32", "platform_system": "Windows", "os_name": "nt"},
    "darwin": {"sys_platform": "darwin", "platform_system": "Darwin", "os_name": "posix"},
}
TOOLKITS = {
    "win32": (
        "webview/lib/runtimes/win-x64/native/WebView2Loader.dll",
        "webview/lib/runtimes/win-arm64/native/WebView2Loader.dll",
        "webview/lib/Microsoft.Web.WebView2.Core.dll",
        "pythonnet/runtime/Python.Runtime.dll",
    ),
    "darwin": ("WebKit/__init__.py", "objc/__init__.py"),
}


def pinned(platform: str) -> list[str]:
    """The lines of requirements.txt that hold on ``platform``, which is not this one."""
    text = (ROOT / "requirements.txt").read_text("utf-8").replace("\\\n", " ")
    found = []
    for line in text.splitlines():
        words = line.split(" --hash=")[0].strip()
        if not words or words.startswith("#"):
            continue
        requirement = Requirement(words)
        environment = {**ENVIRONMENTS[platform], "platform_python_implementation": "CPython"}
        marker = requirement.marker
        if requirement.name not in SOURCE_ONLY and (not marker or marker.evaluate(environment)):
            hashes = " ".join(f"--hash={each}" for each in line.split(" --hash=")[1:])
            found.append(f"{requirement.name}{requirement.specifier} {hashes}")
    return found


@pytest.fixture(scope="module", params=sorted(TARGETS))
def platform(request: pytest.FixtureRequest) -> str:
    return str(request.param)


@pytest.fixture(scope="module")
def names(platform: str, tmp_path_factory: pytest.TempPathFactory) -> set[str]:
    """Every file that these wheels would put on such a system."""
    folder = tmp_path_factory.mktemp(platform)
    wanted = folder / "requirements.txt"
    wanted.write_text("\n".join(pinned(platform)))
    command = [sys.executable, "-m", "pip", "download", "--quiet", "--disable-pip-version-check"]
    command += [word for tag in TARGETS[platform] for word in ("--platform", tag)]
    command += ["--python-version", "3.11", "--only-binary=:all:", "--no-deps", "--require-hashes"]
    subprocess.run([*command, "-r", str(wanted), "-d", str(folder)], check=True)
    found = set()
    for wheel in folder.glob("*.whl"):
        with zipfile.ZipFile(wheel) as opened:
            assert opened.testzip() is None
            found.update(opened.namelist())
    return found


def test_the_toolkit_is_in_them(platform: str, names: set[str]) -> None:
    assert set(TOOLKITS[platform]) - names == set()


def test_every_hidden_import_of_the_spec_is_in_them(
    platform: str, names: set[str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    hidden = run(platform, tmp_path, monkeypatch).one("Analysis")["hiddenimports"]
    missing = [
        module
        for module in hidden
        if not {f"{module.replace('.', '/')}.py", f"{module.replace('.', '/')}/__init__.py"} & names
    ]
    assert missing == []


def test_only_those_known_for_it_bring_no_licence(platform: str, names: set[str]) -> None:
    wheels = {name.split("-")[0] for name in names if ".dist-info/" in name}
    texts = {
        name.split("-")[0]
        for name in names
        if re.search(r"\.dist-info/.*(?i:licen[cs]e|copying|notice)", name)
    }
    left = {name.replace("_", "-") for name in wheels - texts}
    assert {name.partition("-")[0] if "pyobjc" in name else name for name in left} <= {
        *WITHOUT_TEXT[platform]
    }


def test_only_the_systems_own_toolkit_is_pinned_for_it(platform: str) -> None:
    text = "\n".join(pinned(platform))
    assert ("pythonnet" in text) == (platform == "win32")
    assert ("pyobjc-framework-webkit" in text) == (platform == "darwin")
    assert "python-xlib" not in text
