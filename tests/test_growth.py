"""Twice the input costs at most two and a half times as much, for everything that reads it."""

import shutil
from pathlib import Path

import pytest

from tests.growth import CASES, SMALL, counted, grown, instructions


def test_no_reader_takes_more_steps_than_its_input_grows() -> None:
    assert grown({name: counted(case, SMALL) for name, case in CASES.items()}) == {}


@pytest.mark.skipif(shutil.which("valgrind") is None, reason="valgrind counts the instructions")
def test_no_reader_takes_more_instructions_than_its_input_grows(tmp_path: Path) -> None:
    """What regular expressions and the library's own loops cost, which no step of Python shows."""
    assert grown(instructions(tmp_path)) == {}


def test_what_grows_faster_is_found() -> None:
    def pairs(words: list[str]) -> int:
        count = 0
        for one in words:
            for other in words:
                count += one is other
        return count

    def singles(words: list[str]) -> list[str]:
        return [word for word in words if word]

    words = lambda n: list(map(str, range(n)))  # noqa: E731
    counts = {"pairs": counted((words, pairs), 50), "singles": counted((words, singles), 50)}
    assert list(grown(counts)) == ["pairs"]
