"""The app's icons, drawn from ``webui/static/icon.svg``: ``python -m package.icons``.

Reads the few SVG elements that the icon is made of; anything else in it is an error.
"""

import re
import xml.etree.ElementTree as ET
from collections.abc import Iterator
from pathlib import Path

from PIL import Image, ImageDraw

from package import ROOT

SOURCE = ROOT / "webui" / "static" / "icon.svg"
ASSETS = ROOT / "assets"

WINDOWS_SIZES = (16, 20, 24, 32, 40, 48, 64, 128, 256)
MAC_SIZES = (16, 32, 64, 128, 256, 512, 1024)
LINUX_SIZE = 256
MAC_SCALE = 824 / 1024
"""macOS leaves a margin around an icon's body."""

OVERSAMPLING = 4
_SVG = "{http://www.w3.org/2000/svg}"
_STEP = re.compile(r"([MmLlHhVv])([^A-Za-z]*)")
_NUMBER = re.compile(r"-?\d*\.?\d+")

Point = tuple[float, float]


def draw(size: int, *, scale: float = 1.0) -> Image.Image:
    """The icon as a square RGBA picture, its body scaled around the middle."""
    side = size * OVERSAMPLING
    root = ET.parse(SOURCE).getroot()  # noqa: S314  # our own file
    width = float(root.attrib["viewBox"].split()[2])
    unit, margin = side * scale / width, side * (1 - scale) / 2
    picture = Image.new("RGBA", (side, side), (0, 0, 0, 0))
    pen = ImageDraw.Draw(picture)
    for element in root:
        match element.tag.removeprefix(_SVG):
            case "rect":
                right = margin + float(element.attrib["width"]) * unit
                bottom = margin + float(element.attrib["height"]) * unit
                pen.rounded_rectangle(
                    (margin, margin, right - 1, bottom - 1),
                    float(element.attrib["rx"]) * unit,
                    element.attrib["fill"],
                )
            case "path":
                thick = float(element.attrib["stroke-width"]) * unit
                for line in lines(element.attrib["d"]):
                    _stroke(
                        pen,
                        [(margin + x * unit, margin + y * unit) for x, y in line],
                        thick,
                        element.attrib["stroke"],
                    )
            case other:
                raise ValueError(f"{SOURCE.name}: cannot draw <{other}>")
    return picture.resize((size, size), Image.Resampling.LANCZOS)


def lines(path: str) -> Iterator[list[Point]]:
    """The straight lines of an SVG path. Raises ``ValueError`` for a curve."""
    if set(re.findall(r"[A-Za-z]", path)) - set("MmLlHhVv"):
        raise ValueError(f"{SOURCE.name}: only straight lines can be drawn, not {path!r}")
    x = y = 0.0
    line: list[Point] = []
    for letter, rest in _STEP.findall(path):
        numbers = [float(number) for number in _NUMBER.findall(rest)]
        if letter in "Mm" and line:
            yield line
            line = []
        back_x, back_y = (x, y) if letter.islower() else (0.0, 0.0)
        match letter.upper():
            case "H":
                x = back_x + numbers[0]
            case "V":
                y = back_y + numbers[0]
            case _:
                x, y = back_x + numbers[0], back_y + numbers[1]
        line.append((x, y))
    yield line


def _stroke(pen: ImageDraw.ImageDraw, line: list[Point], thick: float, colour: str) -> None:
    """A line with round ends and corners."""
    pen.line(line, colour, round(thick))
    half = thick / 2
    for x, y in line:
        pen.ellipse((x - half, y - half, x + half, y + half), colour)


def write(folder: Path) -> None:
    """``icon.png``, ``icon.ico`` and ``icon.icns``."""
    folder.mkdir(parents=True, exist_ok=True)
    draw(LINUX_SIZE).save(folder / "icon.png", optimize=True)
    small = [draw(size) for size in WINDOWS_SIZES]
    small[-1].save(
        folder / "icon.ico",
        sizes=[(size, size) for size in WINDOWS_SIZES],
        append_images=small[:-1],
    )
    large = [draw(size, scale=MAC_SCALE) for size in MAC_SIZES]
    large[-1].save(folder / "icon.icns", append_images=large[:-1])


if __name__ == "__main__":
    write(ASSETS)
