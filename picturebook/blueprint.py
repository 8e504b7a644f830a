"""A look that the model has no word for: white lines on blue paper, as builders' plans were copied once."""

from PIL import Image, ImageChops, ImageFilter, ImageOps

PAPER, SHADE, CHALK = (16, 42, 112), (58, 98, 178), (232, 242, 255)


def blueprint(picture: Image.Image) -> Image.Image:
    """The picture as a blueprint: its outlines in chalk, its lightness as a faint shade of the paper."""
    grey = ImageOps.grayscale(picture).filter(ImageFilter.GaussianBlur(0.6))
    outlines = grey.filter(ImageFilter.FIND_EDGES).point(lambda value: min(255, 4 * max(0, value - 6)))
    # The filter leaves the border as it was, and takes the picture's end for an edge.
    outlines = ImageOps.expand(ImageOps.crop(outlines, 2), 2, fill=0)
    shade = grey.point(lambda value: value // 3)
    return ImageOps.colorize(ImageChops.lighter(outlines, shade), PAPER, CHALK, mid=SHADE, midpoint=90)
