"""One look for every figure: quiet axes, one font, the same bytes from the same input, light and dark.

Figures are one text column wide, so that their labels stay legible on a phone; the page sets them side by
side where there is room.
"""

from __future__ import annotations

import io
import warnings
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING

from experiments.rows import rows as declared
from reports.figures.colours import INK, MUTED, RULE, darkened
from transmix.common.lazy import Lazy

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure


mpl = Lazy("matplotlib")  # with all that `draw_figure` loads of it: not before a figure is drawn
_FONTS = "system-ui, -apple-system, 'Segoe UI', Roboto, 'Helvetica Neue', 'DejaVu Sans', sans-serif"
_RC = {
    "font.family": "DejaVu Sans",  # comes with matplotlib: the same picture on every machine
    "font.size": 9,
    "text.color": INK,
    "text.parse_math": False,  # a class may be called "$"
    "axes.edgecolor": MUTED,
    "axes.labelcolor": MUTED,
    "axes.linewidth": 0.8,
    "axes.spines.top": False,
    "axes.spines.right": False,
    "axes.grid": True,
    "axes.grid.axis": "y",
    "axes.axisbelow": True,
    "axes.titlesize": 10,
    "axes.titlelocation": "left",
    "grid.color": RULE,
    "grid.linewidth": 0.6,
    "xtick.color": MUTED,
    "ytick.color": MUTED,
    "xtick.labelsize": 8.5,
    "ytick.labelsize": 8.5,
    "ytick.major.size": 0,
    "lines.linewidth": 1.8,
    "lines.solid_capstyle": "round",
    "svg.fonttype": "none",  # text stays text
    "svg.hashsalt": "transmix",  # the same ids every time
}
_DPI = 200
LARGE, SMALL = (4.6, 3.0), (2.6, 1.95)  # inches; small ones stand side by side, one a model
# inches at the left, right, bottom and top: axes side by side line up, and labels at the ends of lines have room
_LETTER = 0.07  # inches, about: a letter at the end of a line
_MARGINS = (0.44, 0.95, 0.465, 0.3)


@dataclass(frozen=True)
class Drawing:
    """A figure as it is written.

    Attributes:
        svg: as SVG text on a transparent ground.
        png: as PNG bytes on white.
    """

    svg: str
    png: bytes


@dataclass(eq=False)
class Picture:
    """A figure. It is drawn when it is first looked at, unless `drawing` was set before.

    Attributes:
        name: file name without suffix.
        alt: what it shows, numbers included, for those who cannot see it.
        caption: what to know when reading it; may be empty in a gallery.
        inches: (width, height).
        paint: fills an empty figure of that size. What it closes over is what the figure is drawn from, and it is
            drawn again when that changes (`reports.figures.kept`): let it close over no more than it draws.
    """

    name: str
    alt: str
    caption: str
    inches: tuple[float, float]
    paint: Callable[[Figure], None]

    @property
    def pictures(self) -> list[Picture]:
        """Itself, as a gallery has several."""
        return [self]

    @cached_property
    def drawing(self) -> Drawing:
        """The figure as SVG and PNG, drawn on first use."""
        return draw_figure(self.inches, self.paint)

    @property
    def size(self) -> tuple[int, int]:
        """(width, height) in pixels of a page."""
        width, height = self.inches
        return round(96 * width), round(96 * height)

    @property
    def svg(self) -> str:
        """As SVG text on a transparent ground."""
        return self.drawing.svg

    @property
    def png(self) -> bytes:
        """As PNG bytes on white."""
        return self.drawing.png

    @property
    def dark_svg(self) -> str:
        """The same for a dark page."""
        return darkened(self.svg)


def draw_figure(size: tuple[float, float], paint: Callable[[Figure], None]) -> Drawing:
    """What `paint` makes of an empty figure of `size` inches; the same input gives the same bytes."""
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure

    with mpl.rc_context(_RC), warnings.catch_warnings():
        # class names come in all scripts; the SVG shows them, the PNG's font may not
        warnings.filterwarnings("ignore", message="Glyph .* missing from")
        figure = Figure(figsize=size)
        (width, height), (left, right, bottom, top) = size, _MARGINS
        figure.subplots_adjust(left / width, bottom / height, 1 - right / width, 1 - top / height)
        FigureCanvasAgg(figure)
        paint(figure)
        svg, png = io.StringIO(), io.BytesIO()
        figure.savefig(svg, format="svg", transparent=True, dpi=_DPI, metadata={"Date": None, "Creator": None})
        figure.savefig(png, format="png", facecolor="white", dpi=_DPI, metadata={"Software": None})
    return Drawing(svg.getvalue().replace("'DejaVu Sans'", _FONTS), png.getvalue())


def label_ends(
    axes: Axes, ends: dict[str, tuple[float, float]], texts: dict[str, str], colours: dict[str, str]
) -> None:
    """Write each line's text beside its end (x, y), in its colour, apart from one another; there is room for all."""
    figure = axes.figure
    width, needed = figure.get_figwidth(), _LETTER * max(map(len, texts.values())) + 0.15
    figure.subplots_adjust(right=min(figure.subplotpars.right, 1 - needed / width))
    low, high = axes.get_ylim()
    points = 72 * axes.get_position().height * figure.get_figheight()
    gap = 12 / points * (high - low)
    order = sorted(ends, key=lambda name: ends[name][1])
    heights = spread([ends[name][1] for name in order], gap)
    above = max(0, heights[-1] - (high - gap / 2))  # would touch the title
    for name, height in zip(order, heights, strict=True):
        axes.annotate(
            texts[name],
            (ends[name][0], height - above),
            xytext=(7, 0),
            textcoords="offset points",
            va="center",
            color=colours[name],
            annotation_clip=False,
        )


def spread(places: Sequence[float], gap: float) -> list[float]:
    """Places in rising order, moved apart to `gap` where they are nearer, each group of such about its own middle."""
    groups: list[list[float]] = []
    for place in places:
        groups.append([place])
        while len(groups) > 1 and _middle(groups[-1]) - _middle(groups[-2]) < gap * (len(groups[-1] + groups[-2])) / 2:
            groups[-2:] = [groups[-2] + groups[-1]]
    return [_middle(group) + gap * (place - (len(group) - 1) / 2) for group in groups for place in range(len(group))]


def _middle(places: Sequence[float]) -> float:
    return sum(places) / len(places)


def label_right(axes: Axes, place: float, text: str, colour: str = INK) -> None:
    """Write a text to the right of the axes, at the height `place`."""
    axes.annotate(
        text,
        (1, place),
        xycoords=axes.get_yaxis_transform(),
        xytext=(7, 0),
        textcoords="offset points",
        va="center",
        color=colour,
        annotation_clip=False,
    )


@dataclass(frozen=True)
class Gallery:
    """Figures of one kind, one a model.

    Attributes:
        caption: what to know when reading any of them.
        lines: the figures, in lines side by side.
    """

    caption: str
    lines: tuple[tuple[Picture, ...], ...]

    @property
    def pictures(self) -> list[Picture]:
        """All figures, line by line."""
        return [picture for line in self.lines for picture in line]


@dataclass(frozen=True)
class Panel:
    """Figures that stand together.

    Attributes:
        figures: pictures and galleries.
        heading: what they have in common; empty for none.
    """

    figures: tuple[Picture | Gallery, ...]
    heading: str = ""
    kind = "panel"

    @property
    def pictures(self) -> list[Picture]:
        """All that are to be drawn."""
        return [picture for figure in self.figures for picture in figure.pictures]


def small_multiples(caption: str, rows: Sequence[str], paint: Callable[[str, tuple[float, float]], Picture]) -> Gallery:
    """A gallery of `paint`'s figures of some rows, in a size that suits their number; a line for each family."""
    size = LARGE if len(rows) == 1 else SMALL
    return Gallery(caption, tuple(tuple(paint(row, size) for row in line) for line in by_family(rows)))


def by_family(rows: Sequence[str]) -> list[list[str]]:
    """Rows grouped by family (deit, pvt, ...); in one group if no two are of the same."""
    families: dict[str, list[str]] = {}
    for row in rows:
        families.setdefault(declared()[row].family if row in declared() else row, []).append(row)
    return list(families.values()) if len(families) < len(rows) else [list(rows)]
