"""The icons: each state has an outline of its own, on every panel."""

from itertools import combinations
from typing import get_args

import pytest

from tray.glyph import Theme, glyph
from tray.menu import Shape

SHAPES: tuple[Shape, ...] = get_args(Shape)


@pytest.mark.parametrize("theme", get_args(Theme))
@pytest.mark.parametrize("size", [16, 22, 44, 64])
def test_states_differ_without_colours(size: int, theme: Theme) -> None:
    grey = {s: glyph(s, size=size, theme=theme).convert("LA").tobytes() for s in SHAPES}
    for one, other in combinations(SHAPES, 2):
        differing = sum(abs(a - b) > 64 for a, b in zip(grey[one], grey[other], strict=True))
        assert differing > size * size / 40, (one, other)


def test_a_known_panel_gets_one_colour() -> None:
    for theme, shade in (("light", 24), ("dark", 250)):
        picture = glyph("running", theme="light" if theme == "light" else "dark")
        assert picture.getchannel("R").getpixel((12, 32)) == shade
        assert picture.getchannel("A").getpixel((32, 32)) == 0
