"""One target under atheris: ``python -m tests.fuzz.one TARGET [libFuzzer's options]``."""

import sys

import atheris

with atheris.instrument_imports(include=["server", "webui"]):
    from tests.fuzz.targets import TARGETS

from tests.fuzz.source import Taken


def again(name: str, data: bytes) -> None:
    """Run one input."""
    with TARGETS[name]() as target:
        target(Taken(data))


def main() -> None:
    with TARGETS[sys.argv[1]]() as target:
        atheris.Setup([sys.argv[0], *sys.argv[2:]], lambda data: target(Taken(data)))
        atheris.Fuzz()


if __name__ == "__main__":
    main()
