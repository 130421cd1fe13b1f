"""Reports: records -> tables, figures, Markdown, LaTeX, CSV and one self-contained HTML page.

Everything that is shown as measured comes from a record of `experiments`; everything published comes from
``experiments/published/``. Nothing here imports torch, timm or mm*, so a report can be made on any machine.

A table is built by one module as a `reports.formats.table.Table`, which `reports.formats.render` turns into every
format; a figure is built by one function as a `reports.figures.style.Picture`, which is drawn only where it changed
(`reports.figures.kept`). A new table is one more module and one more line in `reports.tables.index.TABLES`.
"""
