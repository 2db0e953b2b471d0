"""The icons: each state has an outline of its own, on every panel."""

from itertools import combinations
from typing import get_args

import pytest
from PIL import Image

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


@pytest.mark.parametrize("size", [16, 22, 32])
def test_on_a_dark_panel_the_stopped_server_does_not_shine(size: int) -> None:
    light = {}
    for shape in SHAPES:
        panel = Image.new("RGBA", (size, size), (32, 32, 34, 255))
        panel.alpha_composite(glyph(shape, size=size))
        light[shape] = sum(panel.convert("L").tobytes())
    assert min(light, key=lambda shape: light[shape]) == "stopped"


@pytest.mark.parametrize("panel", [(32, 32, 34), (235, 235, 235)])
def test_the_ring_of_a_stopped_server_has_a_hole_at_the_smallest_size(
    panel: tuple[int, int, int],
) -> None:
    shown = Image.new("RGBA", (16, 16), (*panel, 255))
    shown.alpha_composite(glyph("stopped", size=16))
    row = shown.convert("L").crop((0, 8, 16, 9)).tobytes()
    ground = row[0]
    assert [abs(one - ground) > 60 for one in row[1:15]].count(True) >= 4  # two pixels a side
    assert abs(row[7] - ground) < 10
