"""A study: which runs a scale, its rows, its seeds and a data set amount to. Standard library only."""

from __future__ import annotations

import argparse
import shlex
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from experiments.dense import OPTIONS, DenseSpec
from experiments.kinds import kinds
from experiments.protocols import PROTOCOLS
from experiments.rows import rows
from experiments.runs import Data, Run
from experiments.scales import PAIR, SCALES, TABLE2_ROW, TABLES, Scale, reads_attention, trained_by
from transmix.common.errors import UserError, unknown_name
from transmix.common.options import within
from transmix.common.ranges import Range
from transmix.data.sources import SourceSpec
from transmix.methods import methods
from transmix.recipe import Recipe, override, parse_settings

OF_ATTENTION = ("attention_of", "attention_block", "attention_head", "label_warmup_epochs", "teacher")  # settings
MOST = 1200  # rows times seeds: at paper scale 23,000 runs, which are planned in seconds
IMAGENET = "IMAGENET=/path/to/imagenet (--imagenet [NAME:]PATH)"


@dataclass(frozen=True)
class Study:
    """Everything that `make` is told on its command line.

    Attributes:
        scale: the scale.
        rows: rows of Table 1.
        seeds: number of seeds, counted from 0.
        imagenet: images to use instead of the scale's own data.
        dense: data sets to use for segmentation and detection instead of the scale's own, by layout.
        changed: recipe settings changed for every run, e.g. ``{"epochs": 30}``.
        results: folder of all results.
        data: folder of all embedded data sets, and of indexes of other data.
        options: the command-line options that give this study again.
        imagenet_a: class folders of ImageNet-A, or of other hard images of known classes.
        imagenet_o: class folders of ImageNet-O, or of other images of unknown classes.
        dino: weights of DINO's ViT-S/16, to find the foreground with.
        protocol: of the sweeps (`experiments.protocols.Sweep`); None for the scale's.
        methods: ways to mix (`transmix.methods`) beside the pair of Table 1; None for the scale's.
    """

    scale: Scale
    rows: tuple[str, ...]
    seeds: int
    imagenet: SourceSpec | None
    dense: dict[str, DenseSpec]
    changed: dict[str, Any]
    results: Path
    data: Path
    options: tuple[str, ...]
    imagenet_a: Path | None = None
    imagenet_o: Path | None = None
    dino: Path | None = None
    protocol: str | None = None
    methods: tuple[str, ...] | None = None

    @property
    def classification_data(self) -> Data:
        """ImageNet at paper scale, the user's images where given, else the scale's scenes."""
        scenes = self.scale.scenes
        if self.imagenet is not None:
            name = self.imagenet.identity
            return Data("imagenet" if scenes is None else name, self.imagenet, self.data / name)
        if scenes is None:
            return Data("imagenet", None, self.data / "imagenet", remedy=IMAGENET)
        folder = self.data / scenes.key
        return Data(scenes.key, SourceSpec("", "", folder / "imagenet"), folder, scenes)

    def dense_data(self, layout: str) -> Data:
        """The user's data set in a layout of `experiments.dense` where given, else that of the scale's scenes."""
        scenes, spec = self.scale.scenes, self.dense.get(layout)
        if spec is not None:
            return Data(spec.identity, spec, self.data / spec.identity)
        if scenes is None:
            return Data(layout, None, self.data / layout, remedy=OPTIONS[layout])
        folder = self.data / scenes.key
        return Data(scenes.key, DenseSpec(layout, folder / layout), folder, scenes)

    def check_data(self) -> None:
        """Raise `UserError` early if one of the user's folders is not there. (A report needs records only.)"""
        for source in filter(None, (self.imagenet, *self.dense.values())):
            source.check()
        for path in (self.imagenet_a, self.imagenet_o):
            if path is not None and not path.is_dir():
                raise UserError(f"no such data folder: {path} (it should hold <class>/*)")
        if self.dino is not None and not self.dino.is_file():
            raise UserError(f"no such weights file: {self.dino}")

    def plan(self) -> list[Run]:
        """Every run of the study; a run comes after the runs it needs."""
        runs: list[Run] = []
        for row in self.rows:
            for seed in range(self.seeds):
                trained: dict[str, Run] = {}
                for kind in kinds().values():
                    planned = list(kind.plan(self, row, seed, trained))
                    trained |= {run.method: run for run in planned if run.kind == "train"}
                    runs += planned
        return runs

    def trained_by(self, row: str) -> tuple[str, ...]:
        """The methods a row is trained by; by default those of the scale that the data allow."""
        if self.methods is not None:
            return trained_by(row, self.methods)
        return tuple(name for name in self.scale.methods(row) if self.masked or not _needs_masks(name))

    @property
    def masked(self) -> bool:
        """Whether the data tell where the labelled objects are."""
        return self.classification_data.scenes is not None

    def shown_in(self, table: str) -> list[Run]:
        """The runs that a table shows; Table 2 shares some with Table 1. ``report`` is all that `make report` runs."""
        runs = self.plan()
        if table == "report":
            left_out = {*TABLES} - {*self.scale.tables}
            return [run for run in runs if run.table not in left_out and kinds()[run.kind].ready(self)]
        shared = [run for run in runs if table == "table2" and run.table == "table1" and run.row == TABLE2_ROW]
        return shared + [run for run in runs if run.table == table]

    def make(self, target: str) -> str:
        """The command line that makes a target of this study: ``make table2 SCALE=tiny SEEDS=3``."""
        pairs = list(zip(self.options[::2], self.options[1::2], strict=True))
        variables = [f"{option[2:].replace('-', '_').upper()}={value}" for option, value in pairs if option != "--set"]
        changed = " ".join(value for option, value in pairs if option == "--set")
        return shlex.join(["make", target, *variables, *([f"SET={changed}"] if changed else [])])

    def find(self, name: str) -> Run:
        """The run of that name or id."""
        runs = {run.name: run for run in self.plan()}
        found = runs.get(name) or {run.id: run for run in runs.values()}.get(name)
        if found is None:
            raise unknown_name(f"run at scale {self.scale.name}", name, runs)
        return found

    def recipe(self, row: str, method: str) -> Recipe:
        """How a row is trained by a method in this study."""
        own, changed = methods()[method].settings, _concerning(method, self.changed)
        # SET="label_rule=attention" is about TransMix: it is compared with CutMix, not with itself
        settings = own | changed if method == "transmix" else changed | {"label_rule": "area"} | own
        return override(self.scale.recipe(row, "baseline"), **settings)

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
    ) -> Run:
        """A run of this study, on its classification data; the arguments are attributes of `experiments.runs.Run`."""
        return Run(
            table=table,
            row=row,
            method=method,
            kind=kind,
            scale=self.scale.name,
            seed=seed,
            settings=settings,
            data=self.classification_data,
            results=self.results,
            needs=needs,
            options=self.options,
            inputs=inputs or {},
        )


def add_study_options(parser: argparse.ArgumentParser) -> None:
    """The options that describe a study."""
    parser.add_argument("--scale", default="tiny", metavar="SCALE", help=f"{', '.join(SCALES)} (default: tiny)")
    parser.add_argument("--rows", metavar="ROW,...", help=f"rows of Table 1, or 'all': {', '.join(rows())}")
    parser.add_argument(
        "--methods",
        metavar="METHOD,...",
        help=f"trained beside {' and '.join(PAIR)}, or 'all' that can be: {', '.join(methods())}",
    )
    parser.add_argument("--seeds", action=within(Range(1, MOST)), metavar="N", help="seeds 0 to N-1")
    parser.add_argument(
        "--imagenet",
        type=SourceSpec.parse,
        metavar="[NAME:]PATH",
        help="class folders, PATH/{train,val}/<class>/*, or timm's NAME of a data set: torch/cifar100, wds, hfds, ...",
    )
    parser.add_argument("--imagenet-a", type=Path, metavar="PATH", help="class folders of ImageNet-A: PATH/<class>/*")
    parser.add_argument("--imagenet-o", type=Path, metavar="PATH", help="class folders of ImageNet-O: PATH/<class>/*")
    parser.add_argument("--dino", type=Path, metavar="FILE", help="DINO ViT-S/16 weights: where the foreground is")
    parser.add_argument("--protocol", metavar="NAME", help=f"of the sweeps: {', '.join(PROTOCOLS)}")
    for layout, remedy in OPTIONS.items():
        parser.add_argument(
            f"--{layout.replace('_', '-')}", type=Path, metavar="PATH", help=f"as published: {remedy.split()[0]}"
        )
    parser.add_argument("--set", action="append", default=[], metavar="SETTING=VALUE", help="change a recipe setting")
    parser.add_argument("--results", type=Path, default=Path("results"), metavar="DIR")
    parser.add_argument("--data", type=Path, default=Path("data"), metavar="DIR", help="folder of embedded data")


def study_from(args: argparse.Namespace) -> Study:
    """The study that parsed options describe; unknown names are errors that name the nearest."""
    if args.scale not in SCALES:
        raise unknown_name("scale", args.scale, SCALES)
    scale = SCALES[args.scale]
    rows = scale.rows
    if args.rows:
        rows = scale.known_rows if args.rows == "all" else tuple(args.rows.split(","))
    for row in rows:
        if row not in scale.known_rows:
            raise unknown_name(f"row at scale {scale.name}", row, scale.known_rows)
    seeds = scale.seeds if args.seeds is None else args.seeds
    if len(rows) * seeds > MOST:
        raise UserError(f"--seeds {seeds} of {len(rows)} rows: at most {MOST:,} in all, ask for fewer of either")
    options = ["--scale", scale.name]
    if args.protocol is not None and args.protocol not in PROTOCOLS:
        raise unknown_name("protocol", args.protocol, PROTOCOLS)
    for name in ("rows", "methods", "seeds", "imagenet", "imagenet_a", "imagenet_o", *OPTIONS, "dino", "protocol"):
        if getattr(args, name) is not None:
            options += [f"--{name.replace('_', '-')}", str(getattr(args, name))]
    for name in ("results", "data"):
        if getattr(args, name) != Path(name):
            options += [f"--{name}", str(getattr(args, name))]
    for pair in args.set:
        options += ["--set", pair]
    changed = parse_settings(args.set)
    for row in rows:
        override(scale.recipe(row, PAIR[0]), **changed)  # what is out of range is said before data is looked for
    dense = {layout: DenseSpec(layout, path) for layout in OPTIONS if (path := getattr(args, layout)) is not None}
    study = Study(
        scale=scale,
        rows=rows,
        seeds=seeds,
        imagenet=args.imagenet,
        dense=dense,
        changed=changed,
        results=args.results,
        data=args.data,
        options=tuple(options),
        imagenet_a=args.imagenet_a,
        imagenet_o=args.imagenet_o,
        dino=args.dino,
        protocol=args.protocol,
    )
    if args.methods:
        study = replace(study, methods=_chosen(args.methods, study))
    known = {option for method in study.trained_by(TABLE2_ROW) for option in methods()[method].options}
    for option in study.changed.get("mix_options", {}):
        if option not in known:
            raise unknown_name("mix_option of the methods that are trained", option, known)
    return study


def _chosen(text: str, study: Study) -> tuple[str, ...]:
    """Methods by name, or all that a study can train."""
    if text == "all":
        return tuple(name for name in methods() if _possible(name, study))
    for name in text.split(","):
        if name not in methods():
            raise unknown_name("method", name, methods())
        if _needs_masks(name) and not study.masked:
            raise UserError(f"--methods {name} needs object masks, which only the embedded scenes have: leave it out")
    return tuple(text.split(","))


def _possible(method: str, study: Study) -> bool:
    try:
        study.recipe(TABLE2_ROW, method)
    except UserError:
        return False
    return study.masked or not _needs_masks(method)


def _concerning(method: str, changed: dict[str, Any]) -> dict[str, Any]:
    """Of changed settings those that concern a method: the others would make other runs of it, with the same result."""
    declared = methods()[method]
    left_out = set() if reads_attention(method) else {*OF_ATTENTION}
    if "teacher" in declared.reads:
        left_out.discard("teacher")
    options = {name: value for name, value in changed.get("mix_options", {}).items() if name in declared.options}
    kept = {name: value for name, value in changed.items() if name not in left_out and name != "mix_options"}
    return kept | ({"mix_options": options} if options else {})


def _needs_masks(method: str) -> bool:
    return methods()[method].settings.get("label_rule") == "oracle"
