"""The Windows version resource: made from the version, and readable by PyInstaller's own code."""

import ast

import pytest

from package.version_info import version_info
from server import __version__


@pytest.mark.parametrize(
    ("version", "numbers"),
    [("1.2.3", (1, 2, 3, 0)), ("0.1", (0, 1, 0, 0)), ("1.2.3rc4", (1, 2, 3, 0))],
)
def test_four_numbers(version: str, numbers: tuple[int, ...]) -> None:
    assert f"filevers={numbers}" in version_info(version)


def test_it_is_one_expression_of_the_names_that_pyinstaller_offers() -> None:
    tree = ast.parse(version_info(__version__), mode="eval")
    called = {node.func.id for node in ast.walk(tree) if isinstance(node, ast.Call)}  # type: ignore[attr-defined]
    assert called == {
        "VSVersionInfo",
        "FixedFileInfo",
        "StringFileInfo",
        "StringTable",
        "StringStruct",
        "VarFileInfo",
        "VarStruct",
    }
    told = [ast.literal_eval(node) for node in ast.walk(tree) if isinstance(node, ast.Constant)]
    assert told.count(__version__) == 2
