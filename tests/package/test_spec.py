"""The spec, run for every platform with recorders in place of PyInstaller's classes."""

import plistlib
import re
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest

from package import ROOT
from server import __version__

SPEC = ROOT / "build_pyinstaller.spec"
PLATFORMS = ("linux", "win32", "darwin")


@dataclass(slots=True)
class Recorder:
    """Stands in for the classes that a spec calls, and keeps what they are given."""

    calls: dict[str, list[dict[str, Any]]] = field(default_factory=dict)

    def __call__(self, name: str) -> Any:
        def call(*arguments: Any, **named: Any) -> Any:
            self.calls.setdefault(name, []).append({"arguments": arguments, **named})
            return Result()

        return call

    def one(self, name: str) -> dict[str, Any]:
        (call,) = self.calls[name]
        return call


@dataclass(slots=True)
class Result:
    """What PyInstaller's classes give, as far as a spec looks at it."""

    binaries: list[tuple[str, str, str]] = field(
        default_factory=lambda: [
            ("libglib-2.0.so.0", "/usr/lib/libglib-2.0.so.0", "BINARY"),
            ("libssl.so.3", "/usr/lib/libssl.so.3", "BINARY"),
        ]
    )
    datas: list[tuple[str, str, str]] = field(default_factory=list)
    scripts: list[tuple[str, str, str]] = field(
        default_factory=lambda: [("pyi_rth_gi", "", "PYSOURCE"), ("main", "main.py", "PYSOURCE")]
    )
    pure: list[tuple[str, str, str]] = field(default_factory=list)


def run(platform: str, work: Path, monkeypatch: pytest.MonkeyPatch) -> Recorder:
    monkeypatch.setenv("GAP_SPEC_PLATFORM", platform)
    recorder = Recorder()
    names = ("Analysis", "PYZ", "EXE", "COLLECT", "BUNDLE")
    space = {name: recorder(name) for name in names}
    space |= {"SPECPATH": str(ROOT), "workpath": str(work), "__file__": str(SPEC)}
    exec(compile(SPEC.read_text("utf-8"), SPEC, "exec"), space)  # noqa: S102  # our own
    return recorder


@pytest.fixture(params=PLATFORMS)
def platform(request: pytest.FixtureRequest) -> str:
    return str(request.param)


@pytest.fixture
def spec(platform: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Recorder:
    return run(platform, tmp_path, monkeypatch)


def test_everything_it_names_is_there(spec: Recorder) -> None:
    analysis = spec.one("Analysis")
    assert all(Path(file).exists() for file in analysis["arguments"][0])
    assert [source for source, _ in analysis["datas"] if not Path(source).exists()] == []
    folders = {folder for _, folder in analysis["datas"]}
    assert {"webui/templates", "webui/static"} <= folders
    assert (str(ROOT / "server/gemini/models.toml"), "server/gemini") in analysis["datas"]
    bundled = {Path(source) for source, _ in analysis["datas"]}
    pages = [path for path in (ROOT / "webui").rglob("*.*") if path.suffix in (".html", ".css")]
    assert set(pages) <= bundled
    assert any(folder.startswith("pystray-") for folder in folders)
    for program in spec.calls["EXE"]:
        assert Path(program["icon"]).exists()


def test_each_platform_gets_its_toolkit_and_no_other(spec: Recorder, platform: str) -> None:
    hidden, wanted = (
        set(spec.one("Analysis")["hiddenimports"]),
        {
            "linux": {"pystray._appindicator", "pystray._gtk", "webview.platforms.gtk"},
            "win32": {"pystray._win32", "clr", "webview.platforms.edgechromium"},
            "darwin": {"pystray._darwin", "webview.platforms.cocoa", "PyObjCTools.AppHelper"},
        },
    )
    assert wanted[platform] <= hidden
    for other in set(PLATFORMS) - {platform}:
        assert wanted[other].isdisjoint(hidden)


def test_what_our_code_imports_by_name_is_hidden_nowhere(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """PyInstaller follows import statements only."""
    code = [path for top in ("server", "tray", "webui") for path in ROOT.glob(f"{top}/**/*.py")]
    text = "\n".join(path.read_text("utf-8") for path in [ROOT / "main.py", *code])
    named = set(re.findall(r"""import_module[(,]\s*["']([\w.]+)["']""", text))
    assert "AppKit" in named
    told = {
        module
        for platform in PLATFORMS
        for module in run(platform, tmp_path, monkeypatch).calls["Analysis"][0]["hiddenimports"]
    }
    missing = {n for n in named if not any(f"{t}.".startswith(f"{n}.") for t in told)}
    assert {name for name in missing if not name.startswith("gi")} == set()


def test_neither_packed_nor_filled_with_what_is_not_used(spec: Recorder) -> None:
    for call in (*spec.calls["EXE"], spec.one("COLLECT")):
        assert call["upx"] is False
    excluded = set(spec.one("Analysis")["excludes"])
    assert {"tkinter", "numpy", "PyQt6", "uvloop", "pytest", "openai", "PyInstaller"} <= excluded
    assert {"google", "quart", "PIL", "webview"}.isdisjoint(excluded)


def test_linux_leaves_gtk_to_the_system(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    spec = run("linux", tmp_path, monkeypatch)
    _, libraries, datas = spec.one("COLLECT")["arguments"]
    assert [name for name, _, _ in libraries] == ["libssl.so.3"]
    assert "licences/Python.txt" in [name for name, _, _ in datas]
    scripts = spec.one("EXE")["arguments"][1]
    assert [name for name, _, _ in scripts] == ["main"]


def test_windows_has_a_program_with_and_one_without_a_console(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    programs = {p["name"]: p for p in run("win32", tmp_path, monkeypatch).calls["EXE"]}
    assert {name: p["console"] for name, p in programs.items()} == {
        "Gemini API Proxy": False,
        "gemini-api-proxy": True,
    }
    for program in programs.values():
        assert __version__ in Path(program["version"]).read_text("utf-8")
        assert program["icon"].endswith("icon.ico")


def test_macos_is_an_agent_app(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("GAP_TARGET_ARCH", "arm64")
    spec = run("darwin", tmp_path, monkeypatch)
    bundle, program = spec.one("BUNDLE"), spec.one("EXE")
    assert bundle["name"] == "Gemini API Proxy.app"
    assert bundle["version"] == __version__
    plist = bundle["info_plist"]
    assert plist["LSUIElement"] is True
    assert plist["NSHighResolutionCapable"] is True
    assert plist["NSPrincipalClass"] == "NSApplication"
    assert plist["NSRequiresAquaSystemAppearance"] is False
    assert plist["NSAppTransportSecurity"] == {"NSAllowsLocalNetworking": True}
    assert plist["CFBundleShortVersionString"] == __version__
    assert plistlib.loads(plistlib.dumps(plist)) == plist
    assert program["target_arch"] == "arm64"
    assert program["console"] is False
    rights = plistlib.loads(Path(program["entitlements_file"]).read_bytes())
    assert rights["com.apple.security.cs.disable-library-validation"] is True


def test_a_release_tells_where_its_successors_are_announced(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("GAP_RELEASE_FEED", "https://releases.example/latest")
    datas = run("linux", tmp_path, monkeypatch).one("Analysis")["datas"]
    (file,) = [source for source, folder in datas if Path(source).name == "release_feed"]
    assert Path(file).read_text("utf-8") == "https://releases.example/latest"
