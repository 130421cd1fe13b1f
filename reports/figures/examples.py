"""The examples of the lambda study: mixed images, class attention, and the lambdas they lead to."""

from __future__ import annotations

import zipfile
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from experiments.kinds.lambda_ import EXAMPLES
from experiments.runs import Run
from reports.analysis.names import with_method
from reports.figures.colours import AMBER, BLUE, INK, MUTED, ORANGE, heat
from reports.figures.style import Picture, mpl
from reports.formats.table import Source
from reports.records.answers import UNREADABLE
from reports.records.collect import Result, unreadable_file
from transmix.common.text import printable

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

BAR_COLOURS = {"area": BLUE, "attention": AMBER, "mean": ORANGE, "true": MUTED}
_IMAGES = ("own", "partner", "mixed")


@dataclass(frozen=True)
class Example:
    """One mixed image.

    Attributes:
        own: (H, W, 3) uint8, the image that keeps its surroundings.
        partner: the image that a part is pasted from.
        mixed: what the model saw.
        box: (y1, y2, x1, x2) in pixels, half-open: what was pasted.
        attention: (gh, gw) class-token attention on the mixed image.
        lambdas: share of the partner by each rule; without ``true`` where nobody knows it.
        own_class: class name.
        partner_class: class name.
    """

    own: np.ndarray
    partner: np.ndarray
    mixed: np.ndarray
    box: tuple[int, int, int, int]
    attention: np.ndarray
    lambdas: dict[str, float]
    own_class: str
    partner_class: str

    @property
    def attended(self) -> np.ndarray:
        """The mixed image in grey, coloured and lit where the class token looks: (H, W, 3) uint8."""
        height, width = self.mixed.shape[:2]
        rows = np.arange(height) * self.attention.shape[0] // height
        columns = np.arange(width) * self.attention.shape[1] // width
        # one flat square a token: smoothing would invent resolution that the attention does not have
        weight = (self.attention / max(float(self.attention.max()), 1e-12))[rows][:, columns, None]
        grey = self.mixed.mean(2, keepdims=True) / 255
        return (255 * (0.45 * grey + 0.55 * heat(weight[..., 0])) * (0.35 + 0.65 * weight)).round().astype(np.uint8)

    @property
    def outline(self) -> tuple[float, float, float, float]:
        """The box as (top, left, height, width) in percent of the image."""
        (y1, y2, x1, x2), (height, width) = self.box, self.mixed.shape[:2]
        return 100 * y1 / height, 100 * x1 / width, 100 * (y2 - y1) / height, 100 * (x2 - x1) / width


@dataclass(frozen=True)
class Examples:
    """The examples of one run.

    Attributes:
        title: whose they are.
        source: the run's record.
        items: the examples.
        names: what each lambda is called.
    """

    title: str
    source: Source
    items: tuple[Example, ...]
    names: dict[str, str]
    colours = BAR_COLOURS
    kind = "examples"

    @property
    def pictures(self) -> tuple[Picture, ...]:
        """All of them in one figure, for Markdown."""
        return (example_figure(self),)


def find_examples(
    results: Iterable[Result], names: Callable[[Run], dict[str, str]]
) -> tuple[Examples | None, list[str]]:
    """The examples of the first run that has some, and one line for each file that cannot be read.

    Args:
        results: runs of the lambda study that are done.
        names: what each lambda is called in a run.
    """
    problems = []
    for result in results:
        try:
            items = read_examples(result)
        except UNREADABLE as error:
            problems.append(unreadable_file("archive", result.folder / EXAMPLES, error, result.run))
            continue
        if items:
            title = f"{with_method(result.run.row, result.run.method)}, seed {result.run.seed}"
            return Examples(title, result.source, items, names(result.run)), problems
    return None, problems


def read_examples(result: Result) -> tuple[Example, ...]:
    """The examples that a lambda run kept; none if no two classes met.

    Raises:
        one of `UNREADABLE`: the file is not as the run wrote it.
    """
    path, classes = result.folder / EXAMPLES, result.record.classes
    if path.exists() and not zipfile.is_zipfile(path):
        raise ValueError("not a numpy archive")
    with np.load(path, allow_pickle=False) as file:
        arrays = {name: file[name] for name in file.files}
    if not arrays:
        return ()
    return tuple(_example(arrays, index, classes) for index in range(len(arrays["mixed"])))


def _example(arrays: dict[str, np.ndarray], index: int, classes: list[str]) -> Example:
    images = {name: arrays[name][index] for name in _IMAGES}
    for name, image in images.items():
        if image.ndim != 3 or image.shape[2] != 3 or image.dtype != np.uint8:
            raise ValueError(f"{name} is {image.dtype} of shape {image.shape}, not a uint8 image")
    attention = arrays["attention"][index]
    if attention.ndim != 2 or not attention.size or attention.dtype.kind != "f" or not np.isfinite(attention).all():
        raise ValueError("attention is not a finite map")
    for names, kinds in {
        ("box", "own_class", "partner_class"): "iu",
        tuple(f"lam_{n}" for n in BAR_COLOURS): "f",
    }.items():
        if not all(arrays[name].dtype.kind in kinds for name in names):
            raise ValueError(f"{', '.join(names)} are not all of the type that a run writes")
    lambdas = {name: float(arrays[f"lam_{name}"][index]) for name in BAR_COLOURS}
    y1, y2, x1, x2 = map(int, arrays["box"][index])
    return Example(
        **images,
        box=(y1, y2, x1, x2),
        attention=attention,
        lambdas={name: value for name, value in lambdas.items() if np.isfinite(value)},
        own_class=printable(classes[int(arrays["own_class"][index])]),
        partner_class=printable(classes[int(arrays["partner_class"][index])]),
    )


def example_figure(examples: Examples) -> Picture:
    """All examples in one figure, a line each: own, partner, mixed, attention and the lambdas."""
    items, names = examples.items, examples.names
    lines = [
        f"{number}: {example.partner_class} pasted into {example.own_class}, "
        + ", ".join(f"{names[name]} {value:.2f}" for name, value in example.lambdas.items())
        for number, example in enumerate(items, start=1)
    ]

    def paint(figure: Figure) -> None:
        ratios = [1, 1, 1, 1, 0.6, 1.5]  # the fifth place is room for the names of the bars
        grid = figure.subplots(len(lines), len(ratios), squeeze=False, width_ratios=ratios)
        figure.subplots_adjust(0.01, 0.01, 0.99, 1 - 0.2 / len(lines), wspace=0.08, hspace=0.25)
        for row, example in zip(grid, items, strict=True):
            shown = (example.own, example.partner, example.mixed, example.attended)
            for place, (axes, image) in enumerate(zip(row, shown, strict=False)):
                axes.imshow(image, interpolation="none")
                axes.set_axis_off()
                if place >= 2:
                    _outline(axes, example)
            row[0].set_title(f"own\n{example.own_class}", fontsize=6)
            row[1].set_title(f"partner\n{example.partner_class}", fontsize=6)
            row[2].set_title("mixed", fontsize=6)
            row[3].set_title("class attention", fontsize=6)
            row[4].set_axis_off()
            _bars(row[5], example, names)

    caption = "λ is the share of the pasted image; the outline shows what was pasted."
    return Picture("examples", f"{examples.title}. " + "; ".join(lines) + ".", caption, (8.2, 1.7 * len(lines)), paint)


def _outline(axes: Axes, example: Example) -> None:
    y1, y2, x1, x2 = example.box
    corner, width, height = (x1 - 0.5, y1 - 0.5), x2 - x1, y2 - y1
    axes.add_patch(mpl.patches.Rectangle(corner, width, height, fill=False, edgecolor="black", linewidth=2.2))
    axes.add_patch(mpl.patches.Rectangle(corner, width, height, fill=False, edgecolor="white", linewidth=1.1))


def _bars(axes: Axes, example: Example, names: dict[str, str]) -> None:
    """Horizontal bars from 0 to 1, each with its value."""
    places = range(len(example.lambdas))
    colours = [BAR_COLOURS[name] for name in example.lambdas]
    axes.barh(places, list(example.lambdas.values()), color=colours, height=0.55)
    axes.set_yticks(places, [names[name] for name in example.lambdas], fontsize=7)
    axes.invert_yaxis()
    axes.set_xlim(0, 1.18)
    axes.set_xticks([])
    axes.grid(False)
    axes.spines["bottom"].set_visible(False)
    for place, value in enumerate(example.lambdas.values()):
        axes.annotate(
            f"{value:.2f}",
            (value, place),
            (3, 0),
            textcoords="offset points",
            va="center",
            fontsize=7,
            color=INK,
        )
