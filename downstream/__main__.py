"""``python -m downstream train|test CONFIG ...``: the libraries' own tools on our configurations.

What follows CONFIG goes to mmseg's or mmdet's ``tools/train.py`` or ``tools/test.py`` as it is.
"""

from __future__ import annotations

import runpy
import sys
from importlib.util import find_spec
from itertools import takewhile
from pathlib import Path

from downstream.openmmlab import load_config, prepare
from downstream.rows import row_config
from transmix.common.errors import UserError, exit_on_user_error
from transmix.common.files import write_text
from transmix.common.options import Parser


def main() -> None:
    """Write the configuration out whole, and run the tool on that file."""
    parser = Parser(prog="python -m downstream", description=__doc__)
    parser.add_argument("tool", choices=("train", "test"))
    parser.add_argument("config", help="e.g. ade20k/upernet_deit, or a file")
    parser.add_argument("--row", help="a row of Table 1 whose model takes the place of the configuration's")
    args, others = parser.parse_known_args()
    check_options(others)
    config = load_config(args.config) if args.row is None else row_config(args.config, args.row)
    prepare(config.default_scope)
    name = "-".join([Path(args.config).with_suffix("").name, *([args.row] if args.row else [])])
    config.work_dir = f"work_dirs/{name}"
    path = Path(config.work_dir) / f"{name}.py"
    write_text(path, config.pretty_text)
    library = Path(find_spec(config.default_scope).origin).parent
    sys.argv = [f"{args.tool}.py", str(path), *others]
    runpy.run_path(str(library / ".mim" / "tools" / f"{args.tool}.py"), run_name="__main__")


def check_options(words: list[str]) -> None:
    """Raise `UserError` for what follows ``--cfg-options`` and is no KEY=VALUE, which the tools fail on."""
    if "--cfg-options" not in words:
        return
    for word in takewhile(lambda word: not word.startswith("-"), words[words.index("--cfg-options") + 1 :]):
        if not word.partition("=")[1]:
            raise UserError(f"--cfg-options {word}: write KEY=VALUE")


if __name__ == "__main__":
    exit_on_user_error(main)
