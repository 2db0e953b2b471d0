"""The Linux bundle brings PyGObject, and nothing of GTK."""

from importlib.machinery import ModuleSpec
from pathlib import Path

import pytest

from package.linux import from_the_system, gi_files


@pytest.mark.parametrize(
    ("library", "left_out"),
    [
        ("libglib-2.0.so.0", True),
        ("/usr/lib/x86_64-linux-gnu/libgirepository-1.0.so.1", True),
        ("libstdc++.so.6", True),
        ("libssl.so.3", False),
        ("libpython3.11.so.1.0", False),
        ("pillow.libs/libjpeg-6dc8d115.so.62.4.0", False),
    ],
)
def test_what_webkit_was_built_with_comes_from_the_system(library: str, left_out: bool) -> None:
    assert from_the_system(library) is left_out


def test_pygobject_is_taken_as_it_lies(tmp_path: Path) -> None:
    for name in ("__init__.py", "_gi.cpython-311.so", "overrides/Gtk.py", "__pycache__/x.pyc"):
        (tmp_path / "gi" / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / "gi" / name).touch()
    found = gi_files(ModuleSpec("gi", None, origin=str(tmp_path / "gi" / "__init__.py")))
    assert sorted((Path(file).name, folder) for file, folder in found) == [
        ("Gtk.py", "gi/overrides"),
        ("__init__.py", "gi"),
        ("_gi.cpython-311.so", "gi"),
    ]


def test_a_python_without_pygobject_builds_no_package() -> None:
    with pytest.raises(RuntimeError, match="No PyGObject"):
        gi_files(None)
