"""Other systems, as far as a module can tell: its code for them runs against stand-ins."""

import importlib
import importlib.util
import sys
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest

ROOT = Path(__file__).parents[2]


def module_on(
    monkeypatch: pytest.MonkeyPatch, platform: str, name: str, **stand_ins: object
) -> Any:
    """The module ``name`` as it would be on ``platform``, where ``stand_ins`` can be imported.

    Only what the module itself asks of ``sys.platform`` changes: what it imports is there already.
    """
    importlib.import_module(name)
    for known, stand_in in stand_ins.items():
        monkeypatch.setitem(sys.modules, known.replace("__", "."), stand_in)
    monkeypatch.setattr(sys, "platform", platform)
    place = ROOT.joinpath(*name.split(".")).with_suffix(".py")
    spec = importlib.util.spec_from_file_location(f"{name}_on_{platform}", place)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    monkeypatch.setitem(sys.modules, spec.name, module)  # dataclasses look themselves up there
    spec.loader.exec_module(module)
    return module


class Registry(ModuleType):
    """``winreg`` over a table: path -> value name -> value."""

    HKEY_CURRENT_USER, HKEY_LOCAL_MACHINE, REG_SZ, KEY_SET_VALUE = 1, 2, 1, 2

    def __init__(self) -> None:
        super().__init__("winreg")
        self.held: dict[tuple[int, str], dict[str, object]] = {}

    def OpenKey(self, root: int, path: str, _: int = 0, access: int = 1) -> "_Key":  # noqa: N802
        return _Key(self.held[root, path]) if (root, path) in self.held else _missing()

    def CreateKey(self, root: int, path: str) -> "_Key":  # noqa: N802  # winreg's name
        return _Key(self.held.setdefault((root, path), {}))

    def QueryValueEx(self, key: "_Key", name: str) -> tuple[object, int]:  # noqa: N802
        return (key.values[name], self.REG_SZ) if name in key.values else _missing()

    def SetValueEx(self, key: "_Key", name: str, _: int, kind: int, value: object) -> None:  # noqa: N802
        assert kind == self.REG_SZ
        key.values[name] = value

    def DeleteValue(self, key: "_Key", name: str) -> None:  # noqa: N802
        if name not in key.values:
            _missing()
        del key.values[name]


class _Key:
    def __init__(self, values: dict[str, object]) -> None:
        self.values = values

    def __enter__(self) -> "_Key":
        return self

    def __exit__(self, *_: object) -> None:
        pass


def _missing() -> Any:
    raise FileNotFoundError(2, "The system cannot find the file specified")
