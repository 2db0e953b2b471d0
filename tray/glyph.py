"""The tray icon, drawn: one outline per state, so that it can be told without colours."""

from typing import Literal, assert_never

from PIL import Image, ImageDraw

from tray.menu import Shape

Theme = Literal["light", "dark", "any"]
"""Of the panel behind it; ``any``: not known, so the glyph brings its own contrast."""

OVERSAMPLING = 4

Colour = tuple[int, int, int, int]
_CLEAR: Colour = (0, 0, 0, 0)
_BLACK: Colour = (24, 24, 27, 255)
_WHITE: Colour = (250, 250, 250, 255)
_BODY: dict[Shape, Colour] = {
    "running": (37, 99, 235, 255),
    "busy": (37, 99, 235, 255),
    "attention": (180, 83, 9, 255),
    "stopped": (128, 128, 136, 255),
    "problem": (185, 28, 28, 255),
}


def glyph(shape: Shape, *, size: int = 64, theme: Theme = "any") -> Image.Image:
    """A square RGBA picture. On a known panel it is of one colour, as its neighbours are.

    ``running`` disc with a play mark, ``busy`` disc with an hourglass, ``attention`` diamond with a
    hole, ``stopped`` empty ring, ``problem`` triangle with an exclamation mark. Every line is two
    pixels wide at 16, the smallest size that panels use.
    """
    side = size * OVERSAMPLING
    picture = Image.new("RGBA", (side, side), _CLEAR)
    pen = _Pen(ImageDraw.Draw(picture), side / 64)
    body, mark = _colours(shape, theme)
    if theme == "any" and shape != "stopped":
        _outline(pen, shape, _WHITE, grow=3)
    _outline(pen, shape, body, grow=0)
    _mark(pen, shape, mark)
    return picture.resize((size, size), Image.Resampling.LANCZOS)


class _Pen:
    """Draws on a 64 by 64 grid."""

    def __init__(self, draw: ImageDraw.ImageDraw, unit: float) -> None:
        self._draw = draw
        self._unit = unit

    def polygon(self, colour: Colour, *points: tuple[float, float]) -> None:
        self._draw.polygon([(x * self._unit, y * self._unit) for x, y in points], fill=colour)

    def disc(self, colour: Colour, x: float, y: float, radius: float) -> None:
        corners = (x - radius, y - radius, x + radius, y + radius)
        self._draw.ellipse([value * self._unit for value in corners], fill=colour)

    def box(self, colour: Colour, left: float, top: float, right: float, bottom: float) -> None:
        edges = [value * self._unit for value in (left, top, right, bottom)]
        self._draw.rectangle(edges, fill=colour)


def _colours(shape: Shape, theme: Theme) -> tuple[Colour, Colour]:
    """Of the body, and of the mark on it."""
    match theme:
        case "any":
            # A ring of a middle grey is seen on every panel, and shines on none.
            return _BODY[shape], _CLEAR if shape == "stopped" else _WHITE
        case "dark":
            return _WHITE, _CLEAR
        case "light":
            return _BLACK, _CLEAR
        case _:
            assert_never(theme)


def _outline(pen: _Pen, shape: Shape, colour: Colour, *, grow: float) -> None:
    match shape:
        case "running" | "busy" | "stopped":
            pen.disc(colour, 32, 32, 26 + grow)
        case "attention":
            far = 29 + grow
            pen.polygon(colour, (32, 32 - far), (32 + far, 32), (32, 32 + far), (32 - far, 32))
        case "problem":
            pen.polygon(
                colour,
                (32, 5 - 1.5 * grow),
                (61 + 1.5 * grow, 57 + grow),
                (3 - 1.5 * grow, 57 + grow),
            )
        case _:
            assert_never(shape)


def _mark(pen: _Pen, shape: Shape, colour: Colour) -> None:
    match shape:
        case "running":
            pen.polygon(colour, (25, 18), (48, 32), (25, 46))
        case "busy":
            pen.polygon(colour, (17, 16), (47, 16), (36, 32), (28, 32))
            pen.polygon(colour, (17, 48), (47, 48), (36, 32), (28, 32))
        case "stopped":
            pen.disc(colour, 32, 32, 15)
        case "attention":
            pen.disc(colour, 32, 32, 10)
        case "problem":
            pen.box(colour, 28, 22, 36, 40)
            pen.box(colour, 28, 44, 36, 52)
        case _:
            assert_never(shape)
