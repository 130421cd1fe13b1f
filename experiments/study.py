"""A study: which runs a scale, its rows, its seeds and a data set amount to. Standard library only."""

from __future__ import annotations

import shlex
from collections.abc import Callable
from dataclasses import dataclass, replace
from functools import cache, cached_property, partial
from pathlib import Path
from typing import Any

from experiments.dense import OPTIONS, DenseSpec, dense
from experiments.grid import Cell, Grid
from experiments.kinds import kinds
from experiments.options import as_variables, option
from experiments.protocols import PROTOCOLS
from experiments.public import PublicWeights
from experiments.rows import rows
from experiments.runs import Data, Run
from experiments.scales import (
    OWN_BASELINE,
    PAIR,
    PUBLIC,
    SCALES,
    TABLES,
    Scale,
    needs_masks,
    reads_attention,
    table_of,
    trained_by,
)
from transmix.common import plugins
from transmix.common.errors import UserError, unknown_name
from transmix.common.files import folder_at
from transmix.common.ranges import Range
from transmix.data.scenes import ScenesSpec
from transmix.data.sources import SourceSpec
from transmix.methods import methods
from transmix.recipe import Recipe, override

OF_ATTENTION = ("attention_of", "attention_block", "attention_head", "label_warmup_epochs")  # settings
MOST = 1200  # rows times seeds: at paper scale 23,000 runs, which are planned in seconds


@dataclass(frozen=True, kw_only=True)
class Study:
    """Everything that `make` is told on its command line: each field that is an option is one of make's variables, too.

    Attributes:
        scale: the scale.
        rows: rows of Table 1.
        methods: ways to mix (`transmix.methods`) beside the pair of Table 1; None for the scale's.
        seeds: number of seeds, counted from 0.
        imagenet: images to use instead of the scale's own data.
        imagenet_a: class folders of ImageNet-A, or of other hard images of known classes.
        imagenet_o: class folders of ImageNet-O, or of other images of unknown classes.
        ade20k: a data set to use for segmentation instead of the scale's own, in the layout of that name.
        coco: the same for detection.
        pascal_context: the same for segmentation.
        dino: weights of DINO's ViT-S/16, to find the foreground with.
        weights: public weights, which are then measured instead of training anything.
        protocol: of the sweeps (`experiments.protocols.Sweep`); None for the scale's.
        results: folder of all results.
        data: folder of all embedded data sets, and of indexes of other data.
        changed: recipe settings changed for every run, e.g. ``{"epochs": 30}``.
        options: the command-line options that give this study again.
    """

    scale: Scale = option("size of models, data and training", "SCALE", default="tiny", choices=lambda: SCALES)
    rows: tuple[str, ...] = option("rows of Table 1, or 'all'", "ROW,...", known=rows)
    methods: tuple[str, ...] | None = option(
        f"ways to mix beside {' and '.join(PAIR)}, or 'all' that can be trained", "METHOD,...", known=methods
    )
    seeds: int = option("seeds 0 to N-1", "N", whole=Range(1, MOST))
    imagenet: SourceSpec | None = option(
        "class folders, PATH/{train,val}/<class>/*, or timm's NAME of a data set (torch/cifar100, wds, hfds, ...)",
        "[NAME:]PATH",
        SourceSpec.parse,
    )
    imagenet_a: Path | None = option("class folders of ImageNet-A, PATH/<class>/* (Table 5)", "PATH", Path)
    imagenet_o: Path | None = option("class folders of ImageNet-O, PATH/<class>/* (Table 5)", "PATH", Path)
    ade20k: DenseSpec | None = option("ADEChallengeData2016, as published", "PATH", partial(dense, "ade20k"))
    coco: DenseSpec | None = option("COCO, or a set in its format", "PATH", partial(dense, "coco"))
    pascal_context: DenseSpec | None = option(
        "VOCdevkit/VOC2010 with Pascal Context, as published", "PATH", partial(dense, "pascal_context")
    )
    dino: Path | None = option("DINO ViT-S/16 weights: where the foreground is (occlusion)", "FILE", Path)
    weights: PublicWeights | None = option(
        "public weights to measure, nothing is trained: 'timm' downloads them, else a folder of files, or a file a row",
        "timm|DIR|ROW=FILE,...",
        PublicWeights.parse,
    )
    protocol: str | None = option("protocol of the sweeps (occlusion)", "NAME", choices=lambda: PROTOCOLS)
    results: Path = option("folder of all results", "DIR", folder_at, default=Path("results"))
    data: Path = option("folder of embedded data", "DIR", folder_at, default=Path("data"))
    changed: dict[str, Any] = option("recipe settings to change", "SETTING=VALUE", repeated=True, name="set")
    options: tuple[str, ...]

    @property
    def classification_data(self) -> Data:
        """The photographs of a scale that has them, the user's images where given, else the scale's scenes."""
        scenes, photographs = self.scale.scenes, self.scale.photographs
        if photographs is not None:
            found = self.imagenet and replace(self.imagenet, subset=photographs.class_list)
            folder = self.data / (found.identity if found else photographs.name)
            return Data(photographs.name, found, folder, remedy=photographs.give)
        if self.imagenet is not None:
            name = self.imagenet.identity
            return Data(name, self.imagenet, self.data / name)
        return self._embedded(scenes)

    def data_of(self, cell: Cell) -> Data:
        """The scale's scenes with objects of a cell's size."""
        return self._embedded(replace(self.scale.scenes, min_share=cell.shares[0], max_share=cell.shares[1]))

    def _embedded(self, scenes: ScenesSpec) -> Data:
        folder = self.data / scenes.key
        return Data(scenes.key, SourceSpec("", "", folder / "imagenet"), folder, scenes)

    def dense_data(self, layout: str) -> Data:
        """The user's data set in a layout of `experiments.dense` where given, else that of the scale's scenes."""
        scenes, spec = self.scale.scenes, getattr(self, layout)
        if spec is not None:
            return Data(spec.identity, spec, self.data / spec.identity)
        if scenes is None:
            return Data(layout, None, self.data / layout, remedy=OPTIONS[layout])
        folder = self.data / scenes.key
        return Data(scenes.key, DenseSpec(layout, folder / layout), folder, scenes)

    def check_data(self) -> None:
        """Raise `UserError` early if one of the user's folders is not there. (A report needs records only.)"""
        photographs = self.scale.photographs
        if photographs and photographs.kind and self.imagenet and self.imagenet.title != photographs.kind:
            raise UserError(
                f"SCALE={self.scale.name} reads {photographs.kind}, not {self.imagenet.title}: give {photographs.give}"
            )
        for source in filter(None, (self.imagenet, *(getattr(self, layout) for layout in OPTIONS))):
            source.check()
        for path in (self.imagenet_a, self.imagenet_o):
            if path is not None and not path.is_dir():
                raise UserError(f"no such data folder: {path} (it should hold <class>/*)")
        if self.dino is not None and not self.dino.is_file():
            raise UserError(f"no such weights file: {self.dino}")
        if self.weights is not None:
            self.weights.check(self.rows)

    def plan(self) -> list[Run]:
        """Every run of the study; a run comes after the runs it needs."""
        runs: list[Run] = []
        for row in self.rows:
            for seed in range(self.seeds):
                trained: dict[str, Run] = {}
                for kind in kinds().values():
                    planned = list(kind.plan(self, row, seed, trained))
                    models = [run for run in planned if run.kind in ("train", PUBLIC) and not run.part]
                    trained |= {run.method: run for run in models}
                    runs += planned
        return runs

    def trained_by(self, row: str) -> tuple[str, ...]:
        """The methods a row is trained by, beside a grid; by default those of the scale that the data allow."""
        if self.methods is not None:
            apart = {name for name in self.methods if self.grid and table_of(name) == "table7"}
            chosen = trained_by(row, self.methods, self.mixed_row)
            return tuple(name for name in chosen if name not in apart)
        return tuple(name for name in self.scale.methods(row) if self.masked or not needs_masks(name))

    def trained_in(self, row: str, cell: Cell) -> tuple[str, ...]:
        """The methods a row is trained by in a cell of the grid: Table 7's, where chosen, in one of them."""
        usual = self.grid.trained(row, cell)
        if self.methods is None or row != self.grid.row or cell.name != self.grid.home:
            return usual
        same = self.recipe(row, "transmix", cell)  # what Table 7 takes apart
        others = (name for name in self.methods if table_of(name) == "table7" and name not in usual)
        return (*usual, *(name for name in others if self.recipe(row, name, cell) != same))

    @property
    def mixed_row(self) -> str:
        """The row that Table 2 trains by all methods: the scale's where the study has it, else the study's first."""
        usual = self.scale.mixed_row
        return usual if usual in self.rows else self.rows[0]

    @property
    def grid(self) -> Grid | None:
        """What Tables 6 and 7 train; None where the scale has none, or the data are not its scenes."""
        return self.scale.grid if self.masked else None

    @property
    def masked(self) -> bool:
        """Whether the data tell where the labelled objects are."""
        return self.classification_data.scenes is not None

    def shown_in(self, table: str) -> list[Run]:
        """The runs that a table shows; Tables 2 and 6 share some with Table 1; ``report``: all of `make report`."""
        runs = self.made(self.plan())
        if table == "report":
            left_out = {*TABLES} - {*self.scale.tables}
            return [run for run in runs if run.table not in left_out and kinds()[run.kind].ready(self)]
        return [run for run in runs if run.table == table or self._shared(run, table)]

    def made(self, runs: list[Run]) -> list[Run]:
        """Of planned runs those that `make` carries out: where public weights are given, what is measured of them."""
        return runs if self.weights is None else [run for run in runs if run.method == PUBLIC]

    def _shared(self, run: Run, table: str) -> bool:
        """Whether a table shows a run that belongs to another."""
        if table == "table7" and self.grid:
            return run.table == "table6" and (run.row, run.part) == (self.grid.row, self.grid.home)
        if table == "table6" and self.grid:
            cells = [cell for cell in self.grid.cells.values() if run.method in self.trained_in(run.row, cell)]
            return run.table == "table1" and any(self.table_in(run.row, run.method, cell) == "table1" for cell in cells)
        return table == "table2" and run.table == "table1" and run.row == self.mixed_row

    def make(self, target: str) -> str:
        """The command line that makes a target of this study: ``make table2 SCALE=tiny SEEDS=3``."""
        return " ".join([shlex.join(["make", target, *as_variables(self.options)]), *plugins.assignments()])

    def find(self, name: str) -> Run:
        """The run of that name or id."""
        runs = {run.name: run for run in self.plan()}
        found = runs.get(name) or {run.id: run for run in runs.values()}.get(name)
        if found is None:
            raise unknown_name(f"run at scale {self.scale.name}", name, runs)
        return found

    def table_in(self, row: str, method: str, cell: Cell) -> str:
        """The table that a run in a cell belongs to: Table 7 for the variants that it takes TransMix apart into.

        Table 1 where it trains the row in the same way, on the same images: nothing is trained twice.
        """
        if cell.name == self.grid.home and table_of(method) == "table7":
            return "table7"
        twice = table_of(method) == "table1" and self.data_of(cell) == self.classification_data
        return "table1" if twice and self.recipe(row, method, cell) == self.recipe(row, method) else "table6"

    def recipe(self, row: str, method: str, cell: Cell | None = None) -> Recipe:
        """How a row is trained by a method in this study, and in a cell of its grid; the same for every seed."""
        return self._recipes(row, method, cell)

    @cached_property
    def _recipes(self) -> Callable[[str, str, Cell | None], Recipe]:
        return cache(self._recipe)

    @cached_property
    def _usual(self) -> Callable[[str], Recipe]:
        """How the scale trains a row, before what a method, a cell or the user changes."""
        return cache(partial(self.scale.recipe, method="baseline"))

    def _recipe(self, row: str, method: str, cell: Cell | None) -> Recipe:
        own, changed = methods()[method].settings, concerning(method, self.changed)
        changed |= cell.settings(method) if cell else {}
        # SET="label_rule=attention" is about TransMix: it is compared with CutMix, not with itself
        settings = own | changed if method == "transmix" else changed | {"label_rule": "area"} | own
        if "teacher" in methods()[method].reads or settings.get("attention_of") == "teacher":
            settings.setdefault("teacher", OWN_BASELINE)
        usual = self.scale.mixing.get(method, {})
        settings = usual | settings | {"mix_options": usual.get("mix_options", {}) | settings.get("mix_options", {})}
        return override(self._usual(row), **settings)

    def run(
        self,
        kind: str,
        table: str,
        row: str,
        method: str,
        seed: int,
        settings: dict[str, Any],
        needs: tuple[Run, ...] = (),
        inputs: dict[str, Path] | None = None,
        cell: Cell | None = None,
    ) -> Run:
        """A run of this study, on its classification data or a cell's; the others are `experiments.runs.Run`'s."""
        return Run(
            table=table,
            row=row,
            method=method,
            kind=kind,
            scale=self.scale.name,
            seed=seed,
            settings=settings,
            data=self.data_of(cell) if cell else self.classification_data,
            results=self.results,
            needs=needs,
            part=cell.name if cell else "",
            options=self.options,
            inputs=inputs or {},
        )


def concerning(method: str, changed: dict[str, Any]) -> dict[str, Any]:
    """Of changed settings those that concern a method: the others would make other runs of it, with the same result."""
    declared = methods()[method]
    left_out = set() if reads_attention(method) else {*OF_ATTENTION}
    labels_by = "" if left_out else (changed | declared.settings).get("attention_of")
    if "teacher" not in (*declared.reads, labels_by):
        left_out.add("teacher")
    if not declared.own:
        left_out.add("as_published")
    options = {name: value for name, value in changed.get("mix_options", {}).items() if name in declared.options}
    kept = {name: value for name, value in changed.items() if name not in left_out and name != "mix_options"}
    return kept | ({"mix_options": options} if options else {})
