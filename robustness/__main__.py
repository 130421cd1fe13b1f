"""``python -m robustness MODEL --data PATH --weights FILE --sweep occlusion``: how robust your own model is.

Several models share one pass over the images. A sweep that was interrupted goes on, and settings that are done are not
done again. Start it with torchrun to use several GPUs.
"""

from __future__ import annotations

import argparse
import os
from pathlib import Path

from experiments.protocols import CURVES, PROTOCOLS, SALIENT, SWEEPS, Sweep
from transmix.common.errors import UserError, exit_on_user_error, unknown_name
from transmix.common.options import LARGEST, Parser, within
from transmix.common.ranges import Range
from transmix.recipe import PRECISIONS

NATURAL = "natural"
SWEEP_HELP = f"{', '.join((*SWEEPS, NATURAL))}; or a single curve: {', '.join(c for c in CURVES if c not in SWEEPS)}"


def main() -> None:
    """Parse the command line and measure."""
    args = parser().parse_args()
    if args.sweep not in (*SWEEPS, *CURVES, NATURAL):
        raise unknown_name("sweep", args.sweep, {*SWEEPS, *CURVES, NATURAL})
    if len(args.weights) != len(args.model):
        raise UserError(f"{len(args.model)} models and {len(args.weights)} weights files: give each model one file")
    if args.sweep == NATURAL and None in (args.imagenet_a, args.imagenet_o):
        raise UserError("--sweep natural needs --imagenet-a PATH and --imagenet-o PATH")
    for option, path in (("--dino", args.dino), ("--masks", args.masks)):
        if path is not None and not path.exists():
            raise UserError(f"{option} {path}: there is no such file")
    sweep = None if args.sweep == NATURAL else sweep_of(args)
    if args.precision not in PRECISIONS:
        raise unknown_name("precision", args.precision, PRECISIONS)
    # before torch is loaded: threads that wait for each other sleep, or two commands side by side stall each other
    os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")
    from robustness.command import measure_natural, measure_sweep

    measure_natural(args) if sweep is None else measure_sweep(args, sweep)


def sweep_of(args: argparse.Namespace) -> Sweep:
    """The sweep that parsed options describe."""
    sweep = Sweep(
        curves=SWEEPS.get(args.sweep, (args.sweep,)),
        **{name: getattr(args, name) for name in ("protocol", "saliency", "fill", "grid", "draws", "images", "seed")},
    )
    salient = not set(SALIENT).isdisjoint(sweep.curves)
    if salient and sweep.saliency == "dino" and args.dino is None:
        raise UserError("--saliency dino needs --dino FILE, the weights of DINO's ViT-S/16")
    return sweep


def parser() -> argparse.ArgumentParser:
    """All options; what a sweep does by default is what `Sweep` says."""
    default = Sweep(CURVES)
    parser = Parser(prog="python -m robustness", description=__doc__)
    parser.add_argument("model", nargs="+", metavar="MODEL", help="timm model, or one of this suite")
    parser.add_argument("--weights", type=Path, nargs="+", required=True, metavar="FILE", help="one a model")
    parser.add_argument("--data", type=Path, required=True, metavar="PATH", help="class folders, or a folder with val/")
    parser.add_argument("--sweep", required=True, metavar="NAME", help=SWEEP_HELP)
    parser.add_argument(
        "--own-classes", action="store_true", help="a 1,000-class model was trained on these folders, not on ImageNet"
    )
    sweep = parser.add_argument_group("what a sweep does")
    sweep.add_argument("--protocol", default=default.protocol, help=f"{' or '.join(PROTOCOLS)} (default: per_image)")
    sweep.add_argument("--saliency", default=default.saliency, help="attention (default), dino or objects")
    sweep.add_argument("--dino", type=Path, metavar="FILE", help="weights of DINO's ViT-S/16")
    sweep.add_argument("--masks", type=Path, metavar="PATH", help="folder of PNG masks, or COCO's instances_*.json")
    sweep.add_argument("--fill", default=default.fill, help="of dropped patches: black (default), mean or noise")
    sweep.add_argument("--grid", action=within(Range(1, 4096)), metavar="N", help="patches a side")
    sweep.add_argument(
        "--draws",
        action=within(Range(1, 1000)),
        default=default.draws,
        metavar="N",
        help="of masks (default: %(default)s)",
    )
    sweep.add_argument(
        "--images", action=within(Range(1, LARGEST)), metavar="N", help="so many, drawn at random (default: all)"
    )
    sweep.add_argument(
        "--seed", action=within(Range(0, LARGEST)), default=default.seed, help="of every draw (default: %(default)s)"
    )
    natural = parser.add_argument_group("natural adversarial images")
    natural.add_argument("--imagenet-a", type=Path, metavar="PATH", help="class folders of ImageNet-A")
    natural.add_argument("--imagenet-o", type=Path, metavar="PATH", help="class folders of ImageNet-O")
    how = parser.add_argument_group("how it is done")
    how.add_argument("--out", type=Path, default=Path("results/robustness"), metavar="DIR", help="of records")
    how.add_argument("--batch-size", action=within(Range(1, 1_000_000)), default=256, metavar="N")
    how.add_argument("--precision", default="fp32", help="fp32 (default), tf32, bf16 or fp16")
    how.add_argument("--channels-last", action="store_true")
    how.add_argument("--device", choices=("auto", "cpu", "cuda"), default="auto")
    how.add_argument("--workers", action=within(Range(0, 1024)), metavar="N", help="loader processes")
    return parser


if __name__ == "__main__":
    exit_on_user_error(main)
