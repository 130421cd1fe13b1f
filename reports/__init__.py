"""Reports: records -> tables, figures, Markdown, LaTeX, CSV and one self-contained HTML page.

Everything that is shown as measured comes from a record of `experiments`; everything published comes from
``experiments/published/``. Nothing here imports torch, timm or mm*, so a report can be made on any machine.

A table is built by one module as a `reports.formats.table.Table`, which `reports.formats.render` turns into every
format; a figure is built by one function as a `reports.figures.style.Picture`, which is drawn only where it changed
(`reports.figures.kept`). A new table is one more module in `reports.tables`, or in a folder of one's own.
"""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import pandas


def frame(*folders: str | Path) -> pandas.DataFrame:
    """All records below some folders, by default all there are, as one table: a line each.

    What is wrong with records that cannot be used is said on standard error; the columns are those of
    `reports.records.frame.frame_of`.

    Raises:
        UserError: no folder, no record that can be used, or a run that comes twice in one folder.
    """
    from reports.formats.render import warn
    from reports.records.found import default_folders
    from reports.records.frame import frame_of

    found, problems = frame_of([Path(folder) for folder in folders] or default_folders())
    warn(problems)
    return found
