"""Release notes: what CHANGELOG.md says of one version. ``python -m package.notes VERSION``."""

import re
import sys

from package import ROOT

CHANGELOG = ROOT / "CHANGELOG.md"


def notes(version: str, changelog: str) -> str:
    """The section of ``version`` without its heading. Raises ``LookupError`` when there is none."""
    for section in re.split(r"(?m)^## ", changelog)[1:]:
        heading, _, text = section.partition("\n")
        match = re.match(r"\[([^]]+)\]", heading)
        if match and match[1] == version and text.strip():
            return text.strip() + "\n"
    raise LookupError(f"CHANGELOG.md says nothing about version {version}")


def main(argv: list[str]) -> int:
    """Prints the notes. 1 when the changelog has none: a release without words is not made."""
    if len(argv) != 1:
        print("usage: python -m package.notes VERSION", file=sys.stderr)
        return 2
    try:
        text = notes(argv[0].removeprefix("v"), CHANGELOG.read_text("utf-8"))
    except LookupError as error:
        print(error, file=sys.stderr)
        return 1
    print(text, end="")
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
