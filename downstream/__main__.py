"""``python -m downstream train|test CONFIG ...``: the libraries' own tools on our configurations.

The configuration's data is checked as that of a run is. What follows CONFIG goes to mmseg's or mmdet's
``tools/train.py`` or ``tools/test.py`` as it is, after what ``--cfg-options`` changes.
"""

from __future__ import annotations

import argparse
import os
import runpy
import sys
from importlib.util import find_spec
from pathlib import Path
from typing import Any

from mmengine.config import Config, DictAction

from downstream.checking import check_tools_data
from downstream.openmmlab import load_config, prepare
from downstream.rows import row_config
from transmix.common.errors import UserError, exit_on_user_error
from transmix.common.files import write_text
from transmix.common.options import Parser
from transmix.training.checkpoints import first_reason


def main() -> None:
    """Write the configuration out whole, and run the tool on that file."""
    parser = Parser(prog="python -m downstream", description=__doc__)
    parser.add_argument("tool", choices=("train", "test"))
    parser.add_argument("config", help="e.g. ade20k/upernet_deit, or a file")
    parser.add_argument("--row", help="a row of Table 1 whose model takes the place of the configuration's")
    parser.add_argument("--cfg-options", nargs="+", metavar="KEY=VALUE", default=[], help="settings to change")
    args, others = parser.parse_known_args()
    options = read_options(args.cfg_options, others)
    config = load_config(args.config) if args.row is None else row_config(args.config, args.row)
    prepare(config.default_scope)
    name = "-".join([Path(args.config).with_suffix("").name, *([args.row] if args.row else [])])
    config.work_dir = f"work_dirs/{name}"
    merge(config, options)
    path = Path(config.work_dir) / f"{name}.py"
    for note in check_tools_data(config, path.parent, args.tool):
        if os.environ.get("RANK", "0") == "0":  # torchrun's processes all look: they do not know of one another yet
            print(f"note: {note}", file=sys.stderr)
    write_text(path, config.pretty_text)
    library = Path(find_spec(config.default_scope).origin).parent
    sys.argv = [f"{args.tool}.py", str(path), *others]
    runpy.run_path(str(library / ".mim" / "tools" / f"{args.tool}.py"), run_name="__main__")


def read_options(words: list[str], others: list[str]) -> dict[str, Any]:
    """What follows ``--cfg-options``, read as mmengine reads it.

    Args:
        words: its values.
        others: all other words of the command line.

    Raises:
        UserError: a word is no KEY=VALUE, or has brackets that do not close; or the option is shortened.
    """
    for word in others:
        if word.startswith("--cfg"):  # the tools would take it, after the data was checked
            raise UserError(f"{word}: write --cfg-options")
    reader, found = argparse.ArgumentParser(), {}
    reader.add_argument("--options", nargs="+", action=DictAction, default={})
    for word in words:
        try:
            found |= reader.parse_args(["--options", word]).options
        except (ValueError, AssertionError, IndexError) as error:
            raise UserError(f"--cfg-options {word}: write KEY=VALUE") from error
    return found


def merge(config: Config, options: dict[str, Any]) -> None:
    """Change settings of a configuration.

    Raises:
        UserError: one is a part of what has none.
    """
    for key, value in options.items():
        try:
            config.merge_from_dict({key: value})
        except Exception as error:  # whatever lies on the way there
            raise UserError(f"--cfg-options {key}: cannot be set ({first_reason(error)}): see to its name") from error


if __name__ == "__main__":
    exit_on_user_error(main)
