"""``make package``: build this platform's package, then let the built program test itself."""

import argparse
import json
import os
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Sequence
from pathlib import Path

from package import NAME, ROOT
from package.screen import NoScreenError, screen
from tray.menu import APP_NAME

SELF_TEST_TIMEOUT_S = 180.0


def main(argv: Sequence[str] | None = None) -> int:
    """0 when the package was built and its self-test passed."""
    parser = argparse.ArgumentParser(prog="python -m package", description=__doc__)
    parser.add_argument("--dist", type=Path, default=ROOT / "dist", help="where the result goes")
    parser.add_argument("--no-build", action="store_true", help="test what was built before")
    options = parser.parse_args(argv)
    dist = options.dist.resolve()
    if not options.no_build:
        build(dist)
    print(f"{built(dist)}: {size_mb(built(dist)):.0f} MB", flush=True)
    return self_test(dist)


def build(dist: Path) -> None:
    """Run PyInstaller. Raises ``CalledProcessError``."""
    command = [sys.executable, "-m", "PyInstaller", "--noconfirm", "--log-level", "WARN"]
    work = ROOT / "build" / "package"
    subprocess.run(
        [*command, "--distpath", dist, "--workpath", work, ROOT / "build_pyinstaller.spec"],
        check=True,
        cwd=ROOT,
    )
    if sys.platform == "linux":
        strip(built(dist))


def strip(folder: Path) -> None:
    """Drop the debug symbols of Python's own files; those of wheels may not survive that."""
    tool = shutil.which("strip")
    inside = folder / "_internal"
    version = f"python{sys.version_info.major}.{sys.version_info.minor}"
    own = [*inside.glob("libpython*.so*"), *(inside / version / "lib-dynload").glob("*.so")]
    if tool is not None and own:
        subprocess.run([tool, "--strip-unneeded", *own], check=True)


def built(dist: Path) -> Path:
    """What is handed out: a folder, or an app bundle."""
    return dist / (f"{APP_NAME}.app" if sys.platform == "darwin" else NAME)


def program(dist: Path) -> Path:
    """The executable that a double click starts."""
    place = built(dist)
    if sys.platform == "darwin":
        return place / "Contents" / "MacOS" / NAME
    return place / (f"{APP_NAME}.exe" if sys.platform == "win32" else NAME)


def size_mb(place: Path) -> float:
    files = (path for path in place.rglob("*") if path.is_file() and not path.is_symlink())
    return sum(path.stat().st_size for path in files) / 1e6


def self_test(dist: Path) -> int:
    """Let the built program try itself; its report is shown whatever came out."""
    report = dist / "self-test.json"
    report.unlink(missing_ok=True)
    try:
        with screen(os.environ) as environ, tempfile.TemporaryDirectory() as elsewhere:
            code = subprocess.run(
                [program(dist), "--self-test", "--report", report],
                env=environ,
                cwd=elsewhere,  # nothing may lean on the folder it is started in
                timeout=SELF_TEST_TIMEOUT_S,
                check=False,
            ).returncode
    except (NoScreenError, subprocess.TimeoutExpired) as error:
        print(f"The self-test could not be run: {error}", file=sys.stderr)
        return 1
    if not report.exists():
        print(f"The program ended with {code} and wrote no report.", file=sys.stderr)
        return 1
    print(f"The report is in {report}")
    passed = code == 0 and json.loads(report.read_text("utf-8"))["ok"]
    return 0 if passed else 1


if __name__ == "__main__":
    sys.exit(main())
