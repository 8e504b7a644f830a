"""A pen that draws shapes in a frame of its own, so that a drawing looks alike at every size."""

from dataclasses import dataclass

from PIL import Image, ImageDraw

Colour = tuple[int, int, int]
Point = tuple[float, float]


def mix(first: Colour, second: Colour, share: float) -> Colour:
    """The colour that lies ``share`` (0..1) of the way from the first to the second."""
    red, green, blue = (round(a + (b - a) * share) for a, b in zip(first, second, strict=True))
    return red, green, blue


def lit(colour: Colour, light: tuple[float, float, float]) -> Colour:
    """The colour under a light, given as one factor a channel."""
    red, green, blue = (max(0, min(255, round(a * f))) for a, f in zip(colour, light, strict=True))
    return red, green, blue


@dataclass
class Pen:
    """Draws on an image in units of ``unit`` pixels from an origin, with y growing upwards."""

    image: Image.Image
    x: float
    y: float
    unit: float
    flip: int = 1
    line: Colour | None = None
    width: float = 0.022

    def __post_init__(self) -> None:
        """Open the image for drawing."""
        self._draw = ImageDraw.Draw(self.image)

    def at(self, point: Point) -> Point:
        """The pixel under a point of the frame."""
        return self.x + self.flip * point[0] * self.unit, self.y - point[1] * self.unit

    def _stroke(self) -> int:
        return max(1, round(self.width * self.unit))

    def polygon(self, points: list[Point], fill: Colour, outline: bool = True) -> None:
        """A filled polygon, with the pen's line around it."""
        pixels = [self.at(point) for point in points]
        self._draw.polygon(pixels, fill=fill)
        if outline and self.line is not None:
            self._draw.line([*pixels, pixels[0]], fill=self.line, width=self._stroke(), joint="curve")

    def ellipse(self, x: float, y: float, rx: float, ry: float, fill: Colour, outline: bool = True) -> None:
        """A filled ellipse with centre and radii."""
        (px, py), ax, ay = self.at((x, y)), rx * self.unit, ry * self.unit
        line = self.line if outline else None
        box = (px - ax, py - ay, px + ax, py + ay)
        self._draw.ellipse(box, fill=fill, outline=line, width=self._stroke() if line else 0)

    def box(self, x0: float, y0: float, x1: float, y1: float, fill: Colour, outline: bool = True) -> None:
        """A filled rectangle between two corners."""
        self.polygon([(x0, y0), (x1, y0), (x1, y1), (x0, y1)], fill, outline)

    def stroke(self, points: list[Point], fill: Colour, width: float) -> None:
        """A line through points, ``width`` units thick."""
        pixels = [self.at(point) for point in points]
        self._draw.line(pixels, fill=fill, width=max(1, round(width * self.unit)), joint="curve")

    def dome(self, x: float, y: float, rx: float, ry: float, fill: Colour) -> None:
        """The upper half of an ellipse that stands on (x, y)."""
        (px, py), ax, ay = self.at((x, y)), rx * self.unit, ry * self.unit
        box = (px - ax, py - ay, px + ax, py + ay)
        self._draw.chord(box, 180, 360, fill=fill, outline=self.line, width=self._stroke())
