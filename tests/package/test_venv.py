"""``.venv`` is made, kept, and made anew where it cannot be used; what is missing is named."""

import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from package import ROOT, venv

pytestmark = pytest.mark.skipif(sys.platform == "win32", reason="not applicable: make and symlinks")


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """An environment as ``make`` makes it."""
    folder = tmp_path_factory.mktemp("made") / ".venv"
    assert venv.main(folder) == 0
    return folder


@pytest.fixture
def folder(made: Path, tmp_path: Path) -> Path:
    """The same for a test to break: what tells it from others, without what pip brings."""
    there = tmp_path / ".venv"
    subprocess.run(["cp", "-a", made, there], check=True)
    return there


def lib(folder: Path) -> Path:
    (found,) = folder.glob("lib/python3.*")
    return found


def half_made(folder: Path) -> None:
    """Debian without python3-venv, or a Ctrl-C: the interpreter is there, pip is not."""
    for part in (lib(folder) / "site-packages").iterdir():
        subprocess.run(["rm", "-r", part], check=True)


def python_is_gone(folder: Path) -> None:
    (folder / "bin/python").unlink()
    (folder / "bin/python").symlink_to("/usr/bin/python3.2")


def python_has_changed(folder: Path) -> None:
    """The system went from one version to the next: the link leads on, the packages do not."""
    lib(folder).rename(folder / "lib/python3.2")


def of_another_machine(folder: Path) -> None:
    (folder / "bin/python").unlink()
    (folder / "bin/python").write_bytes(b"\x7fELF\x02\x01\x01" + bytes(57))
    (folder / "bin/python").chmod(0o755)


def no_environment_at_all(folder: Path) -> None:
    (folder / "pyvenv.cfg").unlink()


def a_file(folder: Path) -> None:
    subprocess.run(["rm", "-r", folder], check=True)
    folder.write_text("")


HARMS = (
    half_made,
    python_is_gone,
    python_has_changed,
    of_another_machine,
    no_environment_at_all,
    a_file,
)


@pytest.mark.parametrize("harm", HARMS)
def test_what_cannot_be_used_is_made_anew(
    folder: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
    harm: Callable[[Path], None],
) -> None:
    made: list[Path] = []
    monkeypatch.setattr("venv.create", lambda place, **_: made.append(place))
    harm(folder)
    assert not venv.usable(folder)
    assert venv.main(folder) == 0
    assert made == [folder]
    assert not folder.exists(), "what was there must be gone before it is made anew"
    assert str(folder) in capsys.readouterr().out


def test_what_can_be_used_is_left_alone(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    mine = folder / "mine"
    mine.write_text("")
    assert venv.main(folder) == 0
    assert mine.exists()
    assert capsys.readouterr() == ("", "")


def test_a_link_goes_and_what_it_leads_to_stays(folder: Path, tmp_path: Path) -> None:
    half_made(folder)
    link = tmp_path / "link"
    link.symlink_to(folder)
    assert venv.remove(link)
    assert not link.is_symlink()
    assert (folder / "pyvenv.cfg").exists()


def test_without_ensurepip_the_package_is_named_and_nothing_half_made_is_left(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setitem(sys.modules, "ensurepip", None)
    assert venv.main(tmp_path / ".venv") == 1
    assert len(capsys.readouterr().err.splitlines()) == 1
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize(
    ("system", "words"),
    [
        ({"ID": "debian"}, "apt-get install python3"),
        ({"ID": "linuxmint", "ID_LIKE": "ubuntu debian"}, "-venv"),
        ({"ID": "fedora"}, "ensurepip"),
        ({}, "ensurepip"),
    ],
)
def test_the_package_is_named_in_the_systems_own_words(system: dict[str, str], words: str) -> None:
    said = venv.missing_package(system)
    assert words in said
    assert ("apt-get" in said) == (system.get("ID") in ("debian", "linuxmint"))


def test_the_system_says_what_it_is(tmp_path: Path) -> None:
    file = tmp_path / "os-release"
    file.write_text('ID=ubuntu\nID_LIKE="debian"\nNAME="Ubuntu"\n# a comment\n')
    assert venv.os_release(file)["ID_LIKE"] == "debian"
    assert venv.os_release(tmp_path / "none") == {}


def test_a_new_environment_is_filled_anew(tmp_path: Path) -> None:
    """The stamps of ``make`` lie in it; make looks at a stamp before it makes what it hangs on."""
    tree = tmp_path / "tree"
    (tree / "package").mkdir(parents=True)
    for name in ("Makefile", "package/__init__.py", "package/venv.py"):
        (tree / name).write_text((ROOT / name).read_text("utf-8"))
    for name in ("requirements-build.txt", "requirements.txt"):
        (tree / name).write_text("")
    command = ["make", f"PYTHON={sys.executable}", ".venv/.run"]
    environ = {"PATH": os.environ["PATH"], "HOME": str(tmp_path)}

    def make() -> None:
        subprocess.run(command, cwd=tree, env=environ, check=True, capture_output=True)

    make()
    first = (tree / ".venv/.run").stat().st_mtime_ns
    make()
    assert (tree / ".venv/.run").stat().st_mtime_ns == first
    half_made(tree / ".venv")
    make()
    assert (tree / ".venv/.run").stat().st_mtime_ns > first
    assert venv.usable(tree / ".venv")
