"""The Debian package: laid out as Debian wants it, and the program runs from where it is unpacked.

The program in it is that of ``test_built.py``; here it stands for the file layout only.
"""

import configparser
import gzip
import shutil
import subprocess
from pathlib import Path

import pytest

from package import NAME, ROOT
from package.deb import control, debian_version, desktop_entry, main, make, needed_glibc
from tests.desktop.conftest import missing

pytestmark = pytest.mark.skipif(
    shutil.which("dpkg-deb") is None or bool(missing()),
    reason="not applicable: no Debian system, or no desktop to build for",
)


@pytest.fixture(scope="module")
def unpacked(dist: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """What is on the disk after installing, below a folder of our own."""
    folder = tmp_path_factory.mktemp("root")
    file = make(dist, compression="-Znone")
    subprocess.run(["dpkg-deb", "-x", file, folder], check=True)
    subprocess.run(["dpkg-deb", "-e", file, folder / "DEBIAN"], check=True)
    return folder


def test_the_installed_program_runs(unpacked: Path) -> None:
    program = unpacked / "usr/bin" / NAME
    got = subprocess.run([program, "--version"], capture_output=True, text=True, check=True)
    assert got.stdout.startswith(f"{NAME} ")


def test_it_and_the_service_of_setup_sh_do_not_share_a_folder(unpacked: Path) -> None:
    assert not (unpacked / "opt").exists()
    assert "app=/opt/$name" in (ROOT / "setup.sh").read_text()


def test_menu_entry_icon_and_papers_are_there(unpacked: Path) -> None:
    entry = configparser.ConfigParser(interpolation=None)
    entry.read_string((unpacked / f"usr/share/applications/{NAME}.desktop").read_text())
    section = entry["Desktop Entry"]
    assert section["Exec"] == NAME
    assert (unpacked / "usr/share/icons/hicolor/scalable/apps" / f"{section['Icon']}.svg").exists()
    papers = unpacked / "usr/share/doc" / NAME
    assert "MIT License" in (papers / "copyright").read_text()
    assert b"Changelog" in gzip.decompress((papers / "changelog.gz").read_bytes())
    if shutil.which("desktop-file-validate"):
        file = unpacked / f"usr/share/applications/{NAME}.desktop"
        assert subprocess.run(["desktop-file-validate", file], check=True)


def fields(unpacked: Path) -> dict[str, str]:
    return dict(
        line.split(": ", 1)
        for line in (unpacked / "DEBIAN/control").read_text().splitlines()
        if ": " in line and not line.startswith(" ")
    )


def test_a_server_need_not_take_a_desktop_along(unpacked: Path) -> None:
    said = fields(unpacked)
    assert "libc6 (>= 2." in said["Depends"]
    for word in ("gir1.2", "gtk", "webkit", "girepository", "dbus"):
        assert word not in said["Depends"].lower()
    for package in ("gir1.2-webkit2-4.1", "gir1.2-ayatanaappindicator3-0.1", "libgirepository"):
        assert package in said["Recommends"]


def test_it_runs_nothing_at_installation(unpacked: Path) -> None:
    assert [path.name for path in (unpacked / "DEBIAN").iterdir()] == ["control"]
    said = fields(unpacked)
    assert said["Architecture"] in ("amd64", "arm64")
    assert int(said["Installed-Size"]) > 20_000


def test_the_c_library_it_asks_for_is_no_newer_than_ours(dist: Path) -> None:
    asked = tuple(map(int, needed_glibc(dist).split(".")))
    assert asked >= (2, 31)
    text = subprocess.run(["ldd", "--version"], capture_output=True, text=True, check=True).stdout
    assert asked <= tuple(map(int, text.splitlines()[0].split()[-1].split(".")))


@pytest.mark.parametrize(("version", "debian"), [("1.2.0", "1.2.0"), ("1.2.0rc1", "1.2.0~rc1")])
def test_a_candidate_sorts_before_the_release(version: str, debian: str) -> None:
    assert debian_version(version) == debian


def test_the_description_is_well_formed() -> None:
    lines = control("amd64", 1, "2.36").splitlines()
    assert all(": " in line or line.startswith(" ") for line in lines)
    assert "Icon=" in desktop_entry()


def test_before_the_build_there_is_nothing_to_pack(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["--dist", str(tmp_path)]) == 1
    assert "make package" in capsys.readouterr().err
