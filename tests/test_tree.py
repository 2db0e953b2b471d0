"""The tests mirror the tree: a module without tests, or tests without a module, fail the build."""

import subprocess
from pathlib import Path

ROOT = Path(__file__).parents[1]
PACKAGES = ("server", "webui", "tray", "package")
FAKE = "tests/google"
"""Code of the tests that has tests of its own, which stand beside it."""

TESTED_ELSEWHERE = {
    "server/gemini/known.py": "tests/server/gemini/test_catalogue.py",
    "server/core/attempt.py": "tests/server/core/test_pipeline.py",
    "server/upstreams/model_refusals.py": "tests/server/upstreams/test_google_errors.py",
    "server/core/retry.py": "tests/server/core/test_pipeline.py",
    "server/edge/request.py": "tests/server/edge/test_app.py",
    "server/host/banner.py": "tests/test_main.py",
    "server/settings/options.py": "tests/server/settings/test_load.py",
    "server/settings/named_keys.py": "tests/server/edge/test_keys.py",
    "server/edge/head_checks.py": "tests/test_attacks.py",
    "server/edge/connections.py": "tests/test_upgrades.py",
    "server/storage/database.py": "tests/server/storage/test_usage.py",
    "server/storage/metrics.py": "tests/server/storage/test_usage.py",
    "server/edge/schemas.py": "tests/server/edge/test_openapi.py",
    "server/errors.py": "tests/server/dialects/openai/test_errors.py",
    **{
        f"server/gemini/schema/{name}.py": "tests/server/gemini/schema/test_cleaner.py"
        for name in ("arguments", "hints", "places", "reader", "words", "writer")
    },
    "server/dialects/lossiness.py": "tests/test_lossiness.py",
    "server/dialects/losses.py": "tests/test_lossiness.py",
    "server/dialects/anthropic/losses.py": "tests/test_lossiness.py",
    "server/dialects/openai/losses.py": "tests/test_lossiness.py",
    "server/dialects/responses/losses.py": "tests/test_lossiness.py",
    "server/dialects/base.py": "tests/server/edge/test_app.py",
    "server/connect/edits.py": "tests/server/connect/test_formats.py",
    "server/connect/jsonc.py": "tests/server/connect/test_formats.py",
    "server/connect/yaml_text.py": "tests/server/connect/test_formats.py",
    "server/connect/toml_text.py": "tests/server/connect/test_formats.py",
    "server/connect/dotenv.py": "tests/server/connect/test_formats.py",
    "server/connect/places.py": "tests/server/connect/test_tool.py",
    "server/connect/server_address.py": "tests/server/connect/test_console.py",
    "server/connect/words.py": "tests/server/connect/test_console.py",
    **{
        path.relative_to(ROOT).as_posix(): "tests/server/connect/test_tool.py"
        for path in ROOT.glob("server/connect/tools/[a-z]*.py")
    },
    "tray/gtk.py": "tests/desktop/test_open_menu.py",
    "tray/dialog.py": "tests/desktop/test_open_menu.py",
    "tray/ends.py": "tests/desktop/test_no_tray.py",
    "tray/selftest.py": "tests/desktop/test_tray.py",
    "server/upstreams/base.py": "tests/server/core/test_pipeline.py",
    "webui/forms.py": "tests/webui/test_pages.py",
    "webui/help.py": "tests/webui/test_pages.py",
}
WHOLE_PROGRAM = {
    "tests/server/connect/test_cut_short.py",
    "tests/server/connect/test_precedence.py",
    "tests/test_main.py",
    "tests/test_models_live.py",
    "tests/test_names.py",
    "tests/test_fuzz.py",
    "tests/test_supply.py",
    "tests/test_dependencies.py",
    "tests/test_secrets.py",
    "tests/test_schemathesis.py",
    "tests/test_tree.py",
    "tests/test_dead_models.py",
    "tests/test_refusals.py",
    "tests/test_unread.py",
    "tests/test_small_limits.py",
    "tests/test_reliability.py",
    "tests/test_lasting.py",
    "tests/test_limits.py",
    "tests/test_bodies.py",
    "tests/test_upgrades.py",
    "tests/test_attacks.py",
    "tests/test_beside.py",
    "tests/test_bounds.py",
    "tests/test_growth.py",
    "tests/test_callers.py",
    "tests/test_credentials.py",
    "tests/test_elsewhere.py",
    "tests/test_crowds.py",
    "tests/test_docs.py",
    "tests/test_hardest_cases.py",
    "tests/test_long_sessions.py",
    "tests/test_lossiness.py",
    "tests/webui/test_in_browser.py",
    "tests/perf/test_quick.py",
    "tests/package/test_built.py",
    "tests/package/test_make_package.py",
    "tests/package/test_spec.py",
    "tests/package/test_wheels.py",
    "tests/package/test_workflows.py",
}


def modules() -> set[str]:
    found = [path for top in (*PACKAGES, FAKE) for path in ROOT.glob(f"{top}/**/*.py")]
    names = {path.relative_to(ROOT).as_posix() for path in found}
    own = {name for name in names if not name.startswith(f"{FAKE}/test_")}
    return {name for name in own if not name.endswith(("__init__.py", "__main__.py"))}


def mirror_of(module: str) -> str:
    folder, _, name = module.rpartition("/")
    return f"{folder}/test_{name}" if folder == FAKE else f"tests/{folder}/test_{name}"


def test_every_module_has_its_tests() -> None:
    missing = {m for m in modules() if not (ROOT / TESTED_ELSEWHERE.get(m, mirror_of(m))).exists()}
    assert missing == set()


def test_every_test_file_has_its_module() -> None:
    known = {mirror_of(module) for module in modules()} | WHOLE_PROGRAM
    here = {
        path.relative_to(ROOT).as_posix()
        for path in ROOT.glob("tests/**/test_*.py")
        if "node_modules" not in path.parts
        and not {"agents", "desktop", "install"} & set(path.parts)
    }
    packages = {"tests/google/test___main__.py"}
    assert here - known - packages == set()


def test_the_list_of_exceptions_is_current() -> None:
    assert {m for m in TESTED_ELSEWHERE if not (ROOT / m).exists()} == set()


def test_clean_removes_what_make_made_and_nothing_else(tmp_path: Path) -> None:
    (tmp_path / "Makefile").write_bytes((ROOT / "Makefile").read_bytes())
    (tmp_path / "kept.py").touch()
    made = (ROOT / ".gitignore").read_text("utf-8").split()
    folders = {name.strip("/") for name in made if name.endswith("/") and not name.startswith("/")}
    folders -= {".pytest_cache", ".import_linter_cache", "node_modules"}  # switched off; below
    for name in (*folders, "tests/agents/node_modules", "tests/browser/node_modules", "a/b/c"):
        (tmp_path / name).mkdir(parents=True)
        (tmp_path / name / "one").touch()
    (tmp_path / "a/b/__pycache__").mkdir()
    subprocess.run(["make", "clean"], cwd=tmp_path, check=True, capture_output=True)
    left = {str(path.relative_to(tmp_path)) for path in tmp_path.rglob("*") if path.is_file()}
    assert left == {"Makefile", "kept.py", "a/b/c/one"}
    assert not (tmp_path / "a/b/__pycache__").exists()
