"""``python -m transmix.data.scenes --out DIR``: write the data set, or continue after an interruption."""

from __future__ import annotations

import dataclasses
from pathlib import Path

from transmix.common.errors import exit_on_user_error
from transmix.common.options import Parser
from transmix.data.scenes.spec import ScenesSpec

_HELP = {
    "classes": "number of classes",
    "seed": "seed of every random draw",
    "size": "side of the classification images, pixels",
    "train": "classification images for training",
    "val": "classification images for validation",
    "dense_size": "side of the ADE20K and COCO images, pixels",
    "dense_train": "ADE20K and COCO images for training",
    "dense_val": "ADE20K and COCO images for validation",
    "min_share": "smallest share of a classification image that its object covers",
    "max_share": "largest such share",
}


def main() -> int:
    """Parse the command line and write; returns the exit status."""
    parser = Parser(prog="python -m transmix.data.scenes", description=__doc__)
    parser.add_argument("--out", type=Path, required=True, metavar="DIR", help="data folder to write")
    parser.add_argument("--processes", type=int, metavar="N", help="default: one a CPU")
    for field in dataclasses.fields(ScenesSpec):
        flag = "--" + field.name.replace("_", "-")
        text = f"{_HELP[field.name]} (default {field.default})"
        parser.add_argument(flag, type=type(field.default), default=field.default, metavar="N", help=text)
    arguments = vars(parser.parse_args())
    out, processes = arguments.pop("out"), arguments.pop("processes")

    # not at the top: spawned workers import this module again, and need none of it
    from transmix.data.scenes.write import write_scenes

    manifest = write_scenes(ScenesSpec(**arguments), out, processes)
    print(f"{out}: {manifest.spec.key} is complete, look at {out / 'sheet.png'}")
    return 0


if __name__ == "__main__":
    exit_on_user_error(main)
