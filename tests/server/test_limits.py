"""The table of limits and the page about it are one."""

import re
from pathlib import Path

from server import limits

ROOT = Path(__file__).parents[2]
ROWS = re.compile(r"^\| `(\w+)` \| (.+?) \| .+ \| `(test_\w+)` \|$", re.MULTILINE)
UNITS = {"B": 1, "KiB": 1024, "MiB": 1024**2, "s": 1, "": 1}


def rows() -> list[tuple[str, str, str]]:
    return ROWS.findall((ROOT / "docs" / "limits.md").read_text("utf-8"))


def test_the_page_tells_every_limit_as_it_is() -> None:
    told = {}
    for name, value, _ in rows():
        number, _, unit = value.partition(" ")
        told[name] = float(number.replace(",", "")) * UNITS[unit]
    assert told == {n: v for n, v in vars(limits).items() if n.isupper() and n != "MIB"}


def test_every_limit_has_its_test() -> None:
    text = "\n".join(path.read_text("utf-8") for path in (ROOT / "tests").glob("**/test_*.py"))
    defined = set(re.findall(r"def (test_\w+)\(", text))
    assert [(name, test) for name, _, test in rows() if test not in defined] == []


def test_every_limit_is_used() -> None:
    modules = [p for p in ROOT.glob("server/**/*.py") if p.name != "limits.py"]
    text = "\n".join(p.read_text("utf-8") for p in [*modules, *ROOT.glob("tray/*.py")])
    names = [n for n in vars(limits) if n.isupper()]
    assert [n for n in names if not re.search(rf"\b{n}\b", text)] == []
