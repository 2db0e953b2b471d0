"""The icons in the repository are what the script draws from the pages' icon."""

from pathlib import Path

import pytest
from PIL import Image, ImageChops

from package.icons import ASSETS, LINUX_SIZE, MAC_SCALE, WINDOWS_SIZES, draw, lines, write


def differs(one: Image.Image, other: Image.Image) -> bool:
    """Compares pixels: the compressed bytes depend on the zlib at hand."""
    assert one.size == other.size
    extremes = ImageChops.difference(one.convert("RGBA"), other.convert("RGBA")).getextrema()
    return any(high > 3 for _, high in extremes)  # type: ignore[misc]  # four bands


def test_they_are_what_the_script_makes() -> None:
    with Image.open(ASSETS / "icon.png") as icon:
        assert not differs(icon, draw(LINUX_SIZE))
    with Image.open(ASSETS / "icon.ico") as icon:
        assert icon.info["sizes"] == {(size, size) for size in WINDOWS_SIZES}
        for size in WINDOWS_SIZES:
            assert not differs(icon.ico.getimage((size, size)), draw(size))  # type: ignore[attr-defined]
    with Image.open(ASSETS / "icon.icns") as icon:
        sizes = {size * scale for size, _, scale in icon.info["sizes"]}
        assert {32, 64, 128, 256, 512, 1024} <= sizes
        assert not differs(icon, draw(1024, scale=MAC_SCALE))


def test_writing_them_again_changes_nothing(tmp_path: Path) -> None:
    write(tmp_path)
    for name in ("icon.png", "icon.ico", "icon.icns"):
        with Image.open(tmp_path / name) as made, Image.open(ASSETS / name) as kept:
            assert not differs(made, kept)


def test_the_smallest_is_still_a_picture() -> None:
    colours = draw(16).convert("RGB").getcolors() or []
    shades = {colour for _, colour in colours}
    assert any(min(c) > 200 for c in shades if isinstance(c, tuple))  # the arrows
    assert any(c[2] > 150 > c[0] for c in shades if isinstance(c, tuple))  # the ground


def test_a_path_is_read_as_svg_means_it() -> None:
    assert list(lines("M7 11h12l-3.5-3.5M25 21H13")) == [
        [(7, 11), (19, 11), (15.5, 7.5)],
        [(25, 21), (13, 21)],
    ]


def test_what_cannot_be_drawn_is_said() -> None:
    with pytest.raises(ValueError, match="straight lines"):
        list(lines("M0 0c1 1 2 2 3 3"))
