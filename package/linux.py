"""The Linux build: our own Python and libraries, but the system's GTK and WebKit.

WebKit runs its page in processes that only the system has, so GTK, GLib and their descriptions
(typelibs) must be those WebKit was built with: a bundled copy is older than the next system, and
breaks there. Only PyGObject comes along, because it fits one Python alone.
"""

from importlib.machinery import ModuleSpec
from pathlib import Path

Files = list[tuple[str, str]]
"""(file here, folder in the bundle), as PyInstaller takes them."""

SYSTEM_LIBRARIES = (
    *("libglib-2.0", "libgobject-2.0", "libgio-2.0", "libgmodule-2.0", "libgirepository-"),
    # Of GLib.
    *("libpcre2-", "libmount", "libblkid", "libselinux"),
    # WebKit wants the one it was built with; every Linux has them.
    *("libstdc++", "libgcc_s"),
)


def from_the_system(library: str) -> bool:
    """Whether this file is left out of the bundle."""
    return Path(library).name.startswith(SYSTEM_LIBRARIES)


def gi_files(spec: ModuleSpec | None) -> Files:
    """PyGObject as plain files: PyInstaller's own hook would bring GTK along.

    Raises ``RuntimeError`` when this Python has none: the package would have no tray.
    """
    if spec is None or spec.origin is None:
        raise RuntimeError("No PyGObject for this Python: python tests/desktop/prepare.py install")
    folder = Path(spec.origin).parent
    found = [path for path in folder.rglob("*") if path.suffix in (".py", ".so")]
    return [(str(p), str(Path("gi") / p.parent.relative_to(folder))) for p in sorted(found)]
